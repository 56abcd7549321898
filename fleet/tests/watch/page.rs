//! The page's data: the stream, the trees, their bounds, and what guards them.

use std::time::Duration;

use serde_json::Value;

use super::support::fleet::file;
use super::support::toy::Vice;
use super::{HOSTILE, Seen, a_second};

/// The next state of a stream.
async fn next(stream: &mut reqwest::Response, kept: &mut String) -> Value {
    loop {
        if let Some(end) = kept.find("\n\n") {
            let event: String = kept.drain(..end + 2).collect();
            if let Some(data) = event.trim().strip_prefix("data: ") {
                return serde_json::from_str(data).unwrap();
            }
            continue;
        }
        let chunk = tokio::time::timeout(Duration::from_secs(30), stream.chunk());
        let chunk = chunk.await.unwrap().unwrap().unwrap();
        kept.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_tells_what_changes_and_ends_with_the_aggregator() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Seen::start().await;
    let mut stream = seen.get("/events").await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut kept = String::new();
    let first = next(&mut stream, &mut kept).await;
    assert_eq!(first["jobs"]["open"], 0);
    assert_eq!(first["forecast"], Value::Null);
    // Nothing changes: nothing is said.
    let quiet = tokio::time::timeout(Duration::from_millis(2500), stream.chunk());
    assert!(quiet.await.is_err());
    let path = file(folder.path(), "input", 1000);
    let job = seen.fleet.submit(&path, 100).await;
    let queued = next(&mut stream, &mut kept).await;
    assert_eq!(queued["queue"]["ready"], 10);
    assert_eq!(queued["oldest"]["job"], job.to_string());
    let prover = seen.prover("p", "toy device", Vice::None);
    let done = loop {
        let state = next(&mut stream, &mut kept).await;
        if state["jobs"]["open"] == 0 {
            break state;
        }
    };
    assert_eq!(done["jobs"]["list"][0]["state"], "done");
    let counts = done["throughput"].as_array().unwrap();
    let counted: u64 = counts.iter().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!((counts.len(), counted), (120, 20));
    assert!(done["forecast"]["curve"][0]["delay_s"].is_number());
    prover.finish().await.unwrap();
    seen.stop().await;
    while stream.chunk().await.unwrap().is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_are_drawn_counted_or_left_out_by_their_size() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Seen::start().await;
    let path = file(folder.path(), "input", 30_000);
    for (leaf, nodes, levels) in [(3000, 20, 0), (100, 0, 11), (2, 0, 0)] {
        let job = seen.fleet.submit(&path, leaf).await;
        let tree = seen.json(&format!("/api/jobs/{job}")).await;
        let count = |name: &str| tree[name].as_array().unwrap().len();
        assert_eq!((count("nodes"), count("levels")), (nodes, levels));
        if nodes > 0 {
            assert_eq!(tree["nodes"][19]["height"], 5);
            assert_eq!(tree["nodes"][19]["children"], serde_json::json!([18]));
        }
        assert!(tree.to_string().len() < 100_000);
    }
    assert_eq!(seen.get("/api/jobs/xyz").await.status(), 400);
    let unknown = format!("/api/jobs/{}", "0".repeat(32));
    assert_eq!(seen.get(&unknown).await.status(), 404);
    seen.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_and_provers_make_no_long_answer() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Seen::start().await;
    let path = file(folder.path(), "input", 10);
    for leaf in 1..80 {
        seen.fleet.submit(&path, leaf).await;
    }
    let store = seen.fleet.aggregator.store();
    for prover in 0..500 {
        let info = starkwright_fleet::store::ProverInfo {
            name: format!("p{prover}"),
            device: HOSTILE.repeat(20),
            memory: 1,
            machines: Vec::new(),
        };
        store.register(&info).await.unwrap();
    }
    a_second().await;
    let state = seen.json("/api/state").await;
    assert_eq!(state["jobs"]["open"], 79);
    assert_eq!(state["jobs"]["list"].as_array().unwrap().len(), 24);
    assert_eq!(state["provers"]["idle"], 500);
    assert_eq!(state["provers"]["list"].as_array().unwrap().len(), 200);
    assert!(state.to_string().len() < 200_000);
    seen.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_reading_and_nothing_from_elsewhere() {
    let seen = Seen::start().await;
    for path in ["/", "/events", "/metrics", "/api/state", "/healthz"] {
        let reply = seen.get(path).await;
        assert_eq!(reply.status(), 200, "{path}");
        let headers = reply.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let posted = seen.http.post(seen.url(path)).send().await.unwrap();
        assert_eq!(posted.status(), 405, "{path}");
    }
    let page = seen.get("/").await.text().await.unwrap();
    // Nothing that would read a name as markup, and nothing to load.
    for bad in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "src=",
        "@import",
        "{{",
    ] {
        assert!(!page.contains(bad), "{bad}");
    }
    let again = seen.get("/").await.text().await.unwrap();
    assert_ne!(page, again, "a nonce is used once");
    seen.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_beyond_the_limit_are_turned_away() {
    let seen = Seen::start().await;
    let mut viewers = Vec::new();
    for _ in 0..100 {
        viewers.push(seen.get("/events").await);
    }
    assert_eq!(seen.get("/events").await.status(), 503);
    assert_eq!(seen.get("/api/state").await.status(), 200);
    drop(viewers);
    // Their places are free again.
    while seen.get("/events").await.status() != 200 {
        tokio::time::sleep(super::PAUSE).await;
    }
    seen.stop().await;
}
