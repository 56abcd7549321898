//! `/metrics`: read strictly, and moving as the fleet works.

use super::openmetrics::{Scrape, parse};
use super::support::fleet::file;
use super::support::toy::Vice;
use super::{HOSTILE, Seen, a_second};

async fn scrape(seen: &Seen) -> Scrape {
    let reply = seen.get("/metrics").await;
    let form = reply.headers()["content-type"].to_str().unwrap();
    assert!(
        form.starts_with("application/openmetrics-text; version=1.0.0"),
        "{form}"
    );
    parse(&reply.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_move_as_the_fleet_works() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Seen::start().await;
    let of = |name: &str| format!("starkwright_fleet_{name}");
    let empty = scrape(&seen).await;
    assert_eq!(empty.sum(&of("store_up"), &[]), 1.0);
    assert_eq!(empty.sum(&of("jobs_open"), &[]), 0.0);
    // Ten leaves, nine joins, one wrap.
    let path = file(folder.path(), "input", 1000);
    let job = seen.fleet.submit(&path, 100).await;
    a_second().await;
    let queued = scrape(&seen).await;
    assert_eq!(
        queued.sum(&of("jobs_submitted_total"), &[("machine", "toy")]),
        1.0
    );
    assert_eq!(queued.sum(&of("jobs_open"), &[]), 1.0);
    assert!(queued.sum(&of("oldest_job_age_seconds"), &[]) > 0.5);
    let tasks = |kind, state| queued.sum(&of("tasks"), &[("kind", kind), ("state", state)]);
    assert_eq!(
        (
            tasks("leaf", "ready"),
            tasks("join", "waiting"),
            tasks("wrap", "done")
        ),
        (10.0, 9.0, 0.0)
    );
    assert_eq!(queued.sum(&of("work"), &[]), 20.0);
    let liar = seen.prover("liar", HOSTILE, Vice::Lies);
    liar.working.await.unwrap().unwrap_err();
    let honest = seen.prover("honest", HOSTILE, Vice::None);
    seen.done(job).await;
    a_second().await;
    let done = scrape(&seen).await;
    let proofs = |outcome| done.sum(&of("proofs_total"), &[("outcome", outcome)]);
    assert_eq!(
        (proofs("accepted"), proofs("refused"), proofs("duplicate")),
        (20.0, 3.0, 0.0)
    );
    assert_eq!(done.sum(&of("tasks_claimed_total"), &[]), 23.0);
    assert_eq!(done.sum(&of("jobs_ended_total"), &[("state", "done")]), 1.0);
    let provers = |state| done.sum(&of("provers"), &[("state", state)]);
    assert_eq!(
        (provers("idle") + provers("working"), provers("quarantined")),
        (1.0, 1.0)
    );
    // The device's name comes back as it was sent.
    let leaves = [("kind", "leaf"), ("device", HOSTILE)];
    assert_eq!(done.sum(&of("task_seconds_count"), &leaves), 10.0);
    let mean = done.sum(&of("task_seconds_sum"), &leaves) / 10.0;
    assert!((done.sum(&of("task_seconds_mean"), &leaves) - mean).abs() < 1e-9);
    assert!(done.sum(&of("task_seconds_max"), &leaves) >= mean && mean >= 0.005);
    assert_eq!(done.sum(&of("verify_seconds_count"), &[]), 23.0);
    assert_eq!(done.sum(&of("proof_bytes_count"), &[]), 20.0);
    assert_eq!(done.sum(&of("claim_seconds_count"), &[]), 23.0);
    assert_eq!(done.sum(&of("job_delay_seconds_count"), &[]), 1.0);
    assert!(done.sum(&of("job_delay_seconds_last"), &[]) > 1.0);
    assert_eq!(done.sum(&of("store_errors_total"), &[]), 0.0);
    honest.finish().await.unwrap();
    seen.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_cancellations_and_many_devices_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Seen::start().await;
    let path = file(folder.path(), "input", 100);
    let job = seen.fleet.submit(&path, 50).await;
    let failing = seen.prover("failing", "bad", Vice::Fails);
    let client = seen.fleet.client();
    client
        .wait(job, std::time::Duration::from_secs(60), |_| {})
        .await
        .unwrap();
    failing.finish().await.unwrap();
    let path = file(folder.path(), "other", 30_000);
    let job = seen.fleet.submit(&path, 100).await;
    // More devices than are told apart.
    for prover in 0..70 {
        let device = format!("device {prover}");
        let prover = seen.prover(&format!("p{prover}"), &device, Vice::None);
        while prover.activities.lock().unwrap().len() < 4 {
            tokio::time::sleep(super::PAUSE).await;
        }
        prover.finish().await.unwrap();
    }
    let left = client.job(job).await.unwrap();
    if left.state == starkwright_fleet::store::JobState::Open {
        client.cancel(job).await.unwrap();
        client.cancel(job).await.unwrap();
    }
    a_second().await;
    let found = scrape(&seen).await;
    let sum = |name: &str, labels: &[(&str, &str)]| {
        found.sum(&format!("starkwright_fleet_{name}"), labels)
    };
    assert!(sum("task_failures_total", &[]) >= 5.0);
    assert_eq!(sum("jobs_ended_total", &[("state", "failed")]), 1.0);
    assert_eq!(sum("jobs_ended_total", &[("state", "cancelled")]), 1.0);
    assert!(sum("task_seconds_count", &[("device", "other")]) > 0.0);
    assert_eq!(sum("task_seconds_count", &[("device", "device 69")]), 0.0);
    seen.stop().await;
}

/// Metric names in a dashboard's queries.
fn queried(dashboard: &serde_json::Value, found: &mut Vec<String>) {
    match dashboard {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                if let ("expr" | "query" | "definition", Some(query)) =
                    (key.as_str(), value.as_str())
                {
                    let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                    let ours = words.filter(|word| word.starts_with("starkwright_"));
                    found.extend(ours.map(str::to_owned));
                }
                queried(value, found);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| queried(item, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_and_the_documentation_name_what_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Seen::start().await;
    let path = file(folder.path(), "input", 300);
    let job = seen.fleet.submit(&path, 100).await;
    let prover = seen.prover("p", "toy device", Vice::None);
    let liar = seen.prover("liar", "toy device", Vice::Lies);
    seen.done(job).await;
    prover.finish().await.unwrap();
    // What is left open.
    let path = file(folder.path(), "more", 300);
    seen.fleet.submit(&path, 50).await;
    a_second().await;
    let found = scrape(&seen).await;
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let dashboard = std::fs::read_to_string(root.join("grafana/fleet.json")).unwrap();
    let mut names = Vec::new();
    queried(&serde_json::from_str(&dashboard).unwrap(), &mut names);
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        // A counter of what has not happened has its type and no sample yet.
        let family = name.strip_suffix("_total").unwrap_or(&name);
        let known = found.names().contains(name.as_str()) || found.families.contains_key(family);
        assert!(known, "{name} is not measured");
    }
    let manual = std::fs::read_to_string(root.join("fleet-watching.md")).unwrap();
    for family in found.families.keys() {
        let short = family.strip_prefix("starkwright_fleet_").unwrap();
        let beside = ["_last", "_mean", "_max"]
            .iter()
            .find_map(|end| short.strip_suffix(end));
        let short = beside.unwrap_or(short);
        assert!(
            manual.contains(&format!("| `{short}")),
            "{short} is not documented"
        );
    }
    liar.stop.send_replace(true);
    seen.stop().await;
}
