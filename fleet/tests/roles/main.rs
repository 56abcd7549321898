//! The roles over sockets of this host: a toy machine that the fleet does not know, honest and dishonest provers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "../support/mod.rs"]
mod support;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use starkwright_fleet::FleetError;
use starkwright_fleet::aggregator::{Settings, Submission};
use starkwright_fleet::blobs::Blobs;
use starkwright_fleet::client::Client;
use starkwright_fleet::link::Address;
use starkwright_fleet::store::{JobState, JobStore, Limits, MemoryStore, Submitted};
use starkwright_fleet::task::MachineId;
use support::fleet::{Fleet, Prover, file, settings, tick};
use support::toy::{ToyProver, Vice};

const PAUSE: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(20);

/// A test that hangs says where, instead of holding everything up.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(60), future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} took more than a minute"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_provers_make_one_proof_and_the_same_one_as_one_prover() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "input", 10_007);
    let mut proofs = Vec::new();
    for provers in [1, 4] {
        let fleet = Fleet::start().await;
        let names: Vec<String> = (0..provers).map(|i| format!("p{i}")).collect();
        let started = names.iter().map(|name| {
            let prover = ToyProver::new(PAUSE, Vice::None);
            fleet.prover(name, prover)
        });
        let started: Vec<Prover> = started.collect();
        let job = fleet.submit(&path, 500).await;
        let client = fleet.client();
        let mut seen = 0;
        let done = client.wait(job, PATIENCE, |job| seen = job.tasks.done);
        let done = within("the job", done).await.unwrap();
        assert_eq!(done.state, JobState::Done);
        assert_eq!(done.tasks.done, 21 + 20 + 1);
        assert_eq!(seen, 42);
        let output = folder.path().join(format!("proof{provers}"));
        client.fetch(job, &output).await.unwrap();
        proofs.push(std::fs::read(&output).unwrap());
        let mut accepted = 0;
        for prover in started {
            let report = within("a prover's end", prover.finish()).await.unwrap();
            accepted += report.accepted;
            assert!(report.accepted > 0, "a prover had nothing to do");
        }
        assert_eq!(accepted, 42);
        within("the aggregator's end", fleet.stop()).await;
    }
    assert_eq!(proofs[0], proofs[1]);
    assert!(proofs[0].starts_with(b"toy proof of a wrap"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_submission_is_the_same_job_and_an_empty_file_is_a_job_too() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = Fleet::start().await;
    let path = file(folder.path(), "input", 0);
    let first = fleet.submit(&path, 7).await;
    assert_eq!(fleet.submit(&path, 7).await, first);
    assert_ne!(fleet.submit(&path, 8).await, first);
    let prover = fleet.prover("p", ToyProver::new(PAUSE, Vice::None));
    let done = fleet.client().wait(first, PATIENCE, |_| {}).await.unwrap();
    assert_eq!(done.state, JobState::Done);
    assert_eq!(fleet.submit(&path, 7).await, first);
    prover.finish().await.unwrap();
    fleet.stop().await;
}

/// What a caller plans, to queue it within a transaction of its own, is the job that a submission of it names.
#[tokio::test(flavor = "multi_thread")]
async fn a_planned_job_is_its_submissions_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::new(Limits::default()));
    let blobs = Blobs::open("memory:").unwrap();
    let queue = Arc::<MemoryStore>::clone(&store);
    let fleet = Fleet::start_on(queue, blobs, &["1"], settings(), "127.0.0.1:0").await;
    let path = file(folder.path(), "input", 100);
    let blob = fleet.client().upload(&path, |_| {}).await.unwrap();
    let planned = fleet.aggregator.plan_job(Submission {
        machine: MachineId {
            name: "toy".to_owned(),
            version: String::new(),
        },
        payload: b"50".to_vec(),
        inputs: vec![blob],
        stream: String::new(),
        priority: 0,
        trace: String::new(),
    });
    let planned = planned.await.unwrap();
    assert_eq!(planned.tasks.len(), 4);
    assert!(fleet.client().job(planned.id).await.is_err());
    store.submit(&planned).await.unwrap();
    assert_eq!(fleet.submit(&path, 50).await, planned.id);
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_device_costs_attempts_a_lost_one_its_prover_a_panic_neither() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = Fleet::start().await;
    let path = file(folder.path(), "input", 100);
    let job = fleet.submit(&path, 50).await;
    let lost = fleet.prover("lost", ToyProver::new(PAUSE, Vice::LosesDevice));
    let ended = within("the lost one's end", lost.working).await.unwrap();
    assert!(matches!(ended, Err(FleetError::Device { .. })), "{ended:?}");
    let client = fleet.client();
    // Two leaves, of which one has failed once. Alone, this one uses up all attempts of the other.
    let failing = fleet.prover("failing", ToyProver::new(PAUSE, Vice::Fails));
    let failed = within("the job", client.wait(job, PATIENCE, |_| {})).await;
    let failed = failed.unwrap();
    assert_eq!(failed.state, JobState::Failed);
    assert!(failed.error.contains("out of memory"), "{}", failed.error);
    failing.finish().await.unwrap();
    let output = folder.path().join("proof");
    let error = client.fetch(job, &output).await.unwrap_err().to_string();
    assert!(error.contains("failed"), "{error}");
    assert!(!output.exists());
    // Queued again, a prover that panics does not stop an honest one.
    client.retry(job).await.unwrap();
    client.retry(job).await.unwrap_err();
    let panics = fleet.prover("panics", ToyProver::new(PAUSE, Vice::Panics));
    let honest = fleet.prover("honest", ToyProver::new(PAUSE, Vice::None));
    let done = within("the job", client.wait(job, PATIENCE, |_| {})).await;
    assert_eq!(done.unwrap().state, JobState::Done);
    panics.finish().await.unwrap();
    honest.finish().await.unwrap();
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_prover_keeps_its_lease_by_heartbeats() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = Fleet::start().await;
    let path = file(folder.path(), "input", 10);
    let job = fleet.submit(&path, 10).await;
    // Longer than the lease of 600 ms.
    let slow = ToyProver::new(Duration::from_millis(1500), Vice::None);
    let slow = fleet.prover("slow", slow);
    let idle = fleet.prover("idle", ToyProver::new(PAUSE, Vice::None));
    let client = fleet.client();
    within("the job", client.wait(job, PATIENCE, |_| {}))
        .await
        .unwrap();
    let slow = slow.finish().await.unwrap();
    let idle = idle.finish().await.unwrap();
    assert_eq!(
        (slow.accepted + idle.accepted, slow.late + idle.late),
        (2, 0)
    );
    fleet.stop().await;
}

/// Nobody could be heard of meanwhile: whoever lives keeps its lease.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_longer_than_a_lease_is_no_failure_of_those_who_live() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::new(Limits::default()));
    tick(&store);
    let blobs = Blobs::folder(folder.path()).unwrap();
    let start = async |address: &str| {
        let (queue, blobs) = (Arc::<MemoryStore>::clone(&store), blobs.clone());
        let settings = Settings {
            lease: Duration::from_millis(2000),
            heartbeat: Duration::from_millis(600),
            ..settings()
        };
        Fleet::start_on(queue, blobs, &["1"], settings, address).await
    };
    let fleet = start("127.0.0.1:0").await;
    let address = fleet.address.to_string();
    let path = file(folder.path(), "input", 10);
    let job = fleet.submit(&path, 10).await;
    let slow = ToyProver::new(Duration::from_millis(5000), Vice::None);
    let slow = fleet.prover("slow", slow);
    while fleet.client().job(job).await.unwrap().tasks.leased == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    within("the aggregator's end", fleet.stop()).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let fleet = start(&address).await;
    let client = fleet.client();
    within("the job", client.wait(job, PATIENCE, |_| {}))
        .await
        .unwrap();
    for task in store.tasks(job, 0, 9).await.unwrap() {
        assert_eq!(task.attempts, 0, "{task:?}");
    }
    assert_eq!(slow.finish().await.unwrap().accepted, 2);
    fleet.stop().await;
}

/// A plan holds a thread while it reads, and reading takes another one.
#[test]
fn more_submissions_at_a_time_than_there_are_threads_are_all_planned() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(4)
        .enable_all()
        .build();
    runtime.unwrap().block_on(submit_many());
}

async fn submit_many() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::new(Limits::default()));
    let blobs = Blobs::folder(folder.path()).unwrap();
    let settings = Settings {
        verifiers: 2,
        ..settings()
    };
    let fleet = Fleet::start_on(store, blobs, &["1"], settings, "127.0.0.1:0").await;
    let path = file(folder.path(), "input", 100);
    let blob = fleet.client().upload(&path, |_| {}).await.unwrap();
    let submissions = (1..=200).map(|leaf: u32| {
        let aggregator = Arc::clone(&fleet.aggregator);
        let submission = Submission {
            machine: MachineId {
                name: "toy".to_owned(),
                version: String::new(),
            },
            payload: leaf.to_string().into_bytes(),
            inputs: vec![blob],
            stream: String::new(),
            priority: 0,
            trace: String::new(),
        };
        tokio::spawn(async move { aggregator.submit(submission).await })
    });
    let submissions: Vec<_> = submissions.collect();
    for submission in submissions {
        let accepted = within("a submission", submission).await.unwrap().unwrap();
        assert_eq!(accepted.submitted, Submitted::New);
    }
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_a_prover_finishes_its_task() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = Fleet::start().await;
    let path = file(folder.path(), "input", 10);
    let job = fleet.submit(&path, 10).await;
    let prover = fleet.prover("p", ToyProver::new(Duration::from_millis(400), Vice::None));
    let client = fleet.client();
    while client.job(job).await.unwrap().tasks.leased == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let report = within("its end", prover.finish()).await.unwrap();
    assert_eq!(report.accepted, 1);
    let left = client.job(job).await.unwrap();
    assert_eq!((left.tasks.done, left.tasks.ready), (1, 1));
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_versions_are_served_side_by_side_and_never_meet() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::new(Limits::default()));
    tick(&store);
    let blobs = Blobs::open("memory:").unwrap();
    let fleet = Fleet::start_on(store, blobs, &["1", "2"], settings(), "127.0.0.1:0").await;
    let path = file(folder.path(), "input", 1000);
    let jobs = [
        (
            "1",
            Fleet::submit_by(&fleet.client(), "1", &path, 100).await,
        ),
        (
            "2",
            Fleet::submit_by(&fleet.client(), "2", &path, 100).await,
        ),
    ];
    // Without a version, it is for the newest.
    assert_eq!(fleet.submit(&path, 100).await, jobs[1].1);
    assert_ne!(jobs[0].1, jobs[1].1);
    let provers = ["1", "2"].map(|version| {
        let mut prover = ToyProver::new(PAUSE, Vice::None);
        prover.version = version.to_owned();
        fleet.prover(&format!("of-{version}"), prover)
    });
    let client = fleet.client();
    for (version, job) in jobs {
        let done = within("a job", client.wait(job, PATIENCE, |_| {})).await;
        assert_eq!(done.unwrap().state, JobState::Done);
        let store = fleet.aggregator.store();
        for task in store.tasks(job, 0, 100).await.unwrap() {
            assert_eq!(task.prover, format!("of-{version}"));
        }
    }
    for prover in provers {
        assert_eq!(prover.finish().await.unwrap().accepted, 20);
    }
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_answered_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = Fleet::start().await;
    let client = fleet.client();
    let id = "00112233445566778899aabbccddeeff".parse().unwrap();
    let error = client.job(id).await.unwrap_err().to_string();
    assert!(error.contains("starkwright status"), "{error}");
    let error = client
        .fetch(id, &folder.path().join("x"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("there is no job"), "{error}");
    client.cancel(id).await.unwrap_err();
    let missing = folder.path().join("missing");
    let error = client.upload(&missing, |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
    // Nobody listens there.
    let nowhere = Address {
        url: "127.0.0.1:9".to_owned(),
        ..Address::default()
    };
    let error = Client::new(&nowhere).unwrap().jobs(None, 1).await;
    assert!(
        matches!(error, Err(FleetError::Unreachable { .. })),
        "{error:?}"
    );
    // A machine that is not served, in a version that is not.
    let mut prover = ToyProver::new(PAUSE, Vice::None);
    prover.version = "2".to_owned();
    let ended = fleet.prover("new", prover).working.await.unwrap();
    let error = ended.unwrap_err().to_string();
    assert!(
        error.contains("toy 2 is not served here; served: toy 1"),
        "{error}"
    );
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_stops_and_can_be_queued_again() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = Fleet::start().await;
    let path = file(folder.path(), "input", 1000);
    let job = fleet.submit(&path, 100).await;
    let prover = fleet.prover("p", ToyProver::new(Duration::from_millis(50), Vice::None));
    let client = fleet.client();
    while client.job(job).await.unwrap().tasks.done == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    client.cancel(job).await.unwrap();
    let ended = client.wait(job, PATIENCE, |_| {}).await.unwrap();
    assert_eq!(ended.state, JobState::Cancelled);
    let done = ended.tasks.done;
    client.retry(job).await.unwrap();
    let ended = client.wait(job, PATIENCE, |_| {}).await.unwrap();
    assert_eq!(
        (ended.state, ended.tasks.done),
        (JobState::Done, 10 + 9 + 1)
    );
    let report = prover.finish().await.unwrap();
    assert!(report.accepted <= 20 && report.accepted + report.late >= 20 && done > 0);
    client.cancel(job).await.unwrap_err();
    fleet.stop().await;
}
