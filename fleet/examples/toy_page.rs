//! The status page of a fleet of toys, to look at: `cargo run -p starkwright-fleet --example toy_page -- 127.0.0.1:9090`.
//! It works until it is interrupted.
#![allow(
    clippy::unwrap_used,
    reason = "it shows a page, and nothing depends on it"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use starkwright_fleet::aggregator::Submission;
use starkwright_fleet::blobs::Blobs;
use starkwright_fleet::client::Client;
use starkwright_fleet::store::{JobState, Limits, MemoryStore};
use support::fleet::{Fleet, file, settings, tick};
use support::toy::{ToyProver, Vice};

/// Two versions of the machine: their queues are worked on side by side.
const VERSIONS: [&str; 2] = ["1", "2"];

#[tokio::main]
async fn main() {
    let store = Arc::new(MemoryStore::new(Limits::default()));
    tick(&store);
    let blobs = Blobs::open("memory:").unwrap();
    let fleet = Fleet::start_on(store, blobs, &VERSIONS, settings(), "127.0.0.1:0").await;
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:9090");
    let (address, _page) = support::watch::serve(&fleet.aggregator, address).await;
    println!("http://{address}/");
    let mut provers = Vec::new();
    for (name, device, version, pause, vice) in [
        ("rack1-a", "NVIDIA H100 80GB HBM3", "1", 120, Vice::None),
        ("rack1-b", "NVIDIA H100 80GB HBM3", "1", 130, Vice::None),
        ("desk.4090", "NVIDIA GeForce RTX 4090", "2", 260, Vice::None),
        ("spare-cpu", "AMD EPYC 9554", "2", 900, Vice::None),
        ("liar", "a <b>false</b> device", "2", 50, Vice::Lies),
    ] {
        let mut prover = ToyProver::new(Duration::from_millis(pause), vice);
        version.clone_into(&mut prover.version);
        device.clone_into(&mut prover.device);
        provers.push(fleet.prover(name, prover));
    }
    let folder = tempfile::tempdir().unwrap();
    let client = fleet.client();
    for round in 0_usize.. {
        // The last one has too many tasks to draw one by one.
        for (stream, bytes, leaf, version) in [
            ("small", 1000, 125, "1"),
            ("odd", 2300, 100, "2"),
            ("wide", 9000, 50, "1"),
            ("next", 3300, 100, "2"),
            ("huge", 60_000, 50, "1"),
        ] {
            let path = file(folder.path(), stream, bytes + 100 * round);
            submit(&client, &path, leaf, stream, version).await;
        }
        while client.jobs(Some(JobState::Open), 9).await.unwrap().len() > 3 {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

async fn submit(client: &Client, path: &std::path::Path, leaf: u64, stream: &str, version: &str) {
    let submission = Submission {
        machine: support::toy::id(version),
        payload: leaf.to_string().into_bytes(),
        inputs: vec![client.upload(path, |_| {}).await.unwrap()],
        stream: stream.to_owned(),
        priority: 0,
        trace: String::new(),
    };
    client.submit(submission).await.unwrap();
}
