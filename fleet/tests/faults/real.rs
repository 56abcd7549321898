//! Real proofs, at the tiny parameters of the tests, through the deaths of those who make and verify them.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use starkwright_fleet::aggregator::Submission;
use starkwright_fleet::client::Client;
use starkwright_fleet::keccak::KeccakJob;
use starkwright_fleet::machine::Machine;
use starkwright_fleet::store::{JobState, Limits, MemoryStore};
use starkwright_fleet::task::JobId;
use starkwright_prover::profile::Profile;

use super::host::{Host, Process};
use super::support::fleet::{Fleet, Prover, WORK, settings, tick};
use super::support::tiny::{self, BLOCKS};
use super::{dice, scale};

/// Three files, of one, two and one segments.
async fn submit(host: &Host, client: &Client) -> JobId {
    let mut inputs = Vec::new();
    for (name, bytes) in [("a", 10), ("b", 2 * BLOCKS * 136 - 17), ("c", 5000)] {
        let path = super::support::fleet::file(host.folder.path(), name, bytes);
        inputs.push(client.upload(&path, |_| {}).await.unwrap());
    }
    let payload = KeccakJob {
        profile: Profile::Conjectured100,
        segment_blocks: BLOCKS,
        context: [7; 8],
        first: 2,
        old: [3; 8],
    };
    let submission = Submission {
        machine: tiny::id(),
        payload: payload.to_payload().unwrap(),
        inputs,
        stream: String::new(),
        priority: 0,
        trace: String::new(),
    };
    client.submit(submission).await.unwrap().job
}

/// The bytes of a run without faults.
async fn expected(host: &Host) -> Vec<u8> {
    let store = Arc::new(MemoryStore::new(Limits::default()));
    tick(&store);
    let machine: Arc<dyn Machine> = Arc::new(tiny::machine());
    let blobs = starkwright_fleet::blobs::Blobs::open("memory:").unwrap();
    let settings = starkwright_fleet::aggregator::Settings {
        lease: Duration::from_secs(30),
        ..settings()
    };
    let fleet = Fleet::start_with(store, blobs, vec![machine], settings, "127.0.0.1:0").await;
    let prover = Prover::start(fleet.address(WORK), "p", vec![Arc::new(tiny::prover())]);
    let client = fleet.client();
    let job = submit(host, &client).await;
    let ended = client.wait(job, Duration::from_secs(60), |_| {}).await;
    assert_eq!(ended.unwrap().state, JobState::Done);
    let output = host.folder.path().join("expected");
    client.fetch(job, &output).await.unwrap();
    prover.finish().await.unwrap();
    fleet.stop().await;
    std::fs::read(output).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_real_proofs_are_the_same() {
    let kills = scale(0, 20);
    if kills == 0 {
        // Some minutes.
        return;
    }
    let mut dice = dice("kills with real proofs");
    let mut host = Host::new();
    host.lease = Duration::from_secs(3);
    let keys = host.folder.path().join("keys.json");
    std::fs::write(&keys, tiny::keys_text()).unwrap();
    host.real = Some(keys);
    let mut roles = vec![Process::start(host.aggregator())];
    roles.extend(["a", "b"].map(|name| Process::start(host.prover(name))));
    let client = host.client();
    while client.jobs(None, 1).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let job = submit(&host, &client).await;
    let mut killed = 0;
    while killed < kills
        && host
            .counts(job)
            .await
            .is_none_or(|tasks| tasks.unproven() > 0)
    {
        tokio::time::sleep(Duration::from_millis(dice.random_range(100..4000))).await;
        let role = dice.random_range(0..roles.len());
        roles[role].restart();
        killed += 1;
    }
    println!("killed {killed} times");
    assert_eq!(host.result(job).await, expected(&host).await);
    host.audit(&tiny::machine()).await;
}
