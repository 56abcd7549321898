//! The status page of a fleet of toys, to look at: `cargo run -p starkwright-fleet --example toy_page -- 127.0.0.1:9090`.
//! It works until it is interrupted.
#![allow(clippy::unwrap_used, reason = "it shows a page, and nothing depends on it")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use support::fleet::{Fleet, file};
use support::toy::{ToyProver, Vice};

#[tokio::main]
async fn main() {
    let address = std::env::args().nth(1);
    let fleet = Fleet::start().await;
    let address = address.as_deref().unwrap_or("127.0.0.1:9090");
    let (address, _page) = support::watch::serve(&fleet.aggregator, address).await;
    println!("http://{address}/");
    let mut provers = Vec::new();
    for (name, device, pause, vice) in [
        ("rack1-a", "NVIDIA H100 80GB HBM3", 120, Vice::None),
        ("rack1-b", "NVIDIA H100 80GB HBM3", 130, Vice::None),
        ("desk.4090", "NVIDIA GeForce RTX 4090", 260, Vice::None),
        ("spare-cpu", "AMD EPYC 9554 64-Core Processor", 900, Vice::None),
        ("liar", "a device that says <b>nothing</b> true", 50, Vice::Lies),
    ] {
        let mut prover = ToyProver::new(Duration::from_millis(pause), vice);
        prover.device = device.to_owned();
        provers.push(fleet.prover(name, prover));
    }
    let folder = tempfile::tempdir().unwrap();
    for round in 0_usize.. {
        for (name, bytes, leaf) in [("small", 1000, 125), ("odd", 2300, 100), ("wide", 9000, 50)] {
            let path = file(folder.path(), name, bytes + 100 * round);
            fleet.submit(&path, leaf).await;
        }
        if round == 0 {
            // Too many tasks to draw one by one.
            let path = file(folder.path(), "huge", 60_000);
            fleet.submit(&path, 50).await;
        }
        while fleet.client().jobs(Some(starkwright_fleet::store::JobState::Open), 9).await.unwrap().len() > 3 {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}
