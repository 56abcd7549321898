//! Whole jobs of a toy machine over a store of blobs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use starkwright_fleet::aggregator::Submission;
use starkwright_fleet::blobs::Blobs;
use starkwright_fleet::client::blob_of_file;
use starkwright_fleet::store::{JobState, Limits, MemoryStore};
use starkwright_fleet::task::MachineId;

use super::damage::overwrite;
use super::support::fleet::{Fleet, file, settings, tick};
use super::support::toy::{ToyProver, Vice};

const PATIENCE: Duration = Duration::from_secs(60);

async fn fleet(url: &str) -> Fleet {
    let store = Arc::new(MemoryStore::new(Limits::default()));
    tick(&store);
    let blobs = Blobs::open(url).unwrap();
    Fleet::start_on(store, blobs, &["1"], settings(), "127.0.0.1:0").await
}

pub(crate) async fn whole(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(url).await;
    let provers =
        ["a", "b"].map(|name| fleet.prover(name, ToyProver::new(Duration::ZERO, Vice::None)));
    let path = file(folder.path(), "input", 300_000);
    let job = fleet.submit(&path, 20_000).await;
    let client = fleet.client();
    let done = client.wait(job, PATIENCE, |_| {}).await.unwrap();
    assert_eq!((done.state, done.tasks.done), (JobState::Done, 15 + 14 + 1));
    let output = folder.path().join("proof");
    client.fetch(job, &output).await.unwrap();
    let proof = std::fs::read(&output).unwrap();
    assert!(proof.starts_with(b"toy proof of a wrap"));
    for prover in provers {
        prover.finish().await.unwrap();
    }
    fleet.stop().await;
}

/// A proof that others still have to take is lost: it is made again when the job is queued again.
pub(crate) async fn a_lost_proof_is_made_again(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(url).await;
    let path = file(folder.path(), "input", 1000);
    let client = fleet.client();
    let prover = fleet.prover("p", ToyProver::new(Duration::from_millis(50), Vice::None));
    let job = fleet.submit(&path, 100).await;
    while client.job(job).await.unwrap().tasks.done < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    client.cancel(job).await.unwrap();
    let store = fleet.aggregator.store();
    let tasks = store.tasks(job, 0, 100).await.unwrap();
    let waiting = tasks.iter().filter(|task| task.proof.is_none());
    let mut taken = waiting.flat_map(|task| &task.children);
    let lost = taken.find_map(|&child| tasks[child as usize].proof);
    let lost = lost.unwrap();
    overwrite(url, &lost, Bytes::from_static(b"short")).await;
    client.retry(job).await.unwrap();
    let done = client.wait(job, PATIENCE, |_| {}).await.unwrap();
    assert_eq!((done.state, done.tasks.done), (JobState::Done, 20));
    let blobs = fleet.aggregator.blobs();
    assert_eq!(blobs.get(&lost).await.unwrap().len() as u64, lost.bytes);
    prover.finish().await.unwrap();
    fleet.stop().await;
}

pub(crate) async fn a_damaged_input_is_uploaded_again(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(url).await;
    let path = file(folder.path(), "input", 1000);
    let blob = blob_of_file(&path).unwrap();
    let client = fleet.client();
    client.upload(&path, |_| {}).await.unwrap();
    overwrite(url, &blob, Bytes::from(vec![7; 1000])).await;
    let submission = Submission {
        machine: MachineId {
            name: "toy".to_owned(),
            version: String::new(),
        },
        payload: b"100".to_vec(),
        inputs: vec![blob],
        stream: String::new(),
        priority: 0,
        trace: String::new(),
    };
    let error = client.submit(submission).await.unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
    // The same once more, as a submitter would.
    let prover = fleet.prover("p", ToyProver::new(Duration::ZERO, Vice::None));
    let job = fleet.submit(&path, 100).await;
    let done = client.wait(job, PATIENCE, |_| {}).await.unwrap();
    assert_eq!(done.state, JobState::Done);
    prover.finish().await.unwrap();
    fleet.stop().await;
}
