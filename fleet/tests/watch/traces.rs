//! One job, one trace: from its submitter over the aggregator to its provers and back.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use starkwright_fleet::aggregator::Submission;
use starkwright_fleet::watch::trace::Traces;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tracing_subscriber::layer::SubscriberExt;

use super::Seen;
use super::support::fleet::file;
use super::support::toy::{Vice, id};

/// Where all spans of this process go.
fn exporter() -> &'static InMemorySpanExporter {
    static EXPORTER: OnceLock<InMemorySpanExporter> = OnceLock::new();
    EXPORTER.get_or_init(|| {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone());
        let traces = Traces::over(provider.build());
        let subscriber = tracing_subscriber::registry().with(traces.layer());
        tracing::subscriber::set_global_default(subscriber).unwrap();
        exporter
    })
}

fn spans(trace: TraceId) -> Vec<SpanData> {
    let all = exporter().get_finished_spans().unwrap();
    let ours = all.into_iter();
    ours.filter(|span| span.span_context.trace_id() == trace)
        .collect()
}

async fn submit(
    seen: &Seen,
    path: &std::path::Path,
    trace: &str,
) -> starkwright_fleet::task::JobId {
    let client = seen.fleet.client();
    let submission = Submission {
        machine: id("1"),
        payload: b"100".to_vec(),
        inputs: vec![client.upload(path, |_| {}).await.unwrap()],
        stream: String::new(),
        priority: 0,
        trace: trace.to_owned(),
    };
    client.submit(submission).await.unwrap().job
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_one_trace_across_all_its_processes() {
    exporter();
    let folder = tempfile::tempdir().unwrap();
    for given in [
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "",
    ] {
        let seen = Seen::start().await;
        let path = file(folder.path(), "input", 300);
        let job = submit(&seen, &path, given).await;
        let provers = ["one", "two"].map(|name| seen.prover(name, "toy device", Vice::None));
        seen.done(job).await;
        for prover in provers {
            prover.finish().await.unwrap();
        }
        let trace = seen.fleet.aggregator.store().job(job).await.unwrap().trace;
        let trace = TraceId::from_hex(&trace[3..35]).unwrap();
        if !given.is_empty() {
            assert_eq!(trace.to_string(), given[3..35]);
        }
        seen.stop().await;
        let spans = spans(trace);
        let named: HashMap<SpanId, &str> = spans
            .iter()
            .map(|span| (span.span_context.span_id(), span.name.as_ref()))
            .collect();
        let mut found: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for span in &spans {
            let parent = named.get(&span.parent_span_id).copied().unwrap_or("");
            *found.entry((span.name.as_ref(), parent)).or_default() += 1;
        }
        // Three leaves, two joins, one wrap.
        let work = "starkwright.fleet.v1.Work/Deliver";
        for (name, parent) in [
            ("task", "submit"),
            ("fetch", "task"),
            ("prove", "task"),
            ("deliver", "task"),
            (work, "deliver"),
            ("verify", work),
        ] {
            assert_eq!(found.get(&(name, parent)), Some(&6), "{name}: {found:?}");
        }
        assert_eq!(found.get(&("plan", "submit")), Some(&1), "{found:?}");
        // Every span hangs under another of its trace; at the top, under the submitter's own or nothing.
        let tops = found.iter().filter(|((_, parent), _)| parent.is_empty());
        assert_eq!(tops.map(|(_, count)| count).sum::<usize>(), 1, "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_leave_for_a_collector() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let traces = Traces::to(&endpoint, "a test").unwrap();
    let subscriber = tracing_subscriber::registry().with(traces.layer());
    tracing::subscriber::with_default(subscriber, || {
        tracing::info_span!(target: "starkwright_fleet", "a span that leaves").in_scope(|| {});
        tracing::info_span!(target: "h2", "a span that stays").in_scope(|| {});
    });
    let ending = tokio::spawn(traces.finish());
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut sent = Vec::new();
    let has = |sent: &[u8], words: &str| {
        let mut windows = sent.windows(words.len());
        windows.any(|window| window == words.as_bytes())
    };
    while !has(&sent, "a span that leaves") {
        assert_ne!(socket.read_buf(&mut sent).await.unwrap(), 0);
    }
    assert!(sent.starts_with(b"PRI * HTTP/2.0") && has(&sent, "a test"));
    assert!(!has(&sent, "a span that stays"));
    // A collector that goes away holds nobody up.
    drop(socket);
    drop(listener);
    ending.await.unwrap().unwrap();
}
