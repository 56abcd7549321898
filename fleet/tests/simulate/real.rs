//! Real provers, which take real time: threads on the queue, with a clock on the wall.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use starkwright_fleet::forecast::{ForecastSettings, Snapshot, forecast, measured_overhead};
use starkwright_fleet::store::{JobState, JobStore, Limits, MemoryStore, Proof, ProverInfo};
use starkwright_fleet::task::{Blob, BlobHash, JobId, NewJob};

use super::*;

fn submit(store: &MemoryStore, name: &str, leaves: u32) -> JobId {
    let id = JobId::of(&[name.as_bytes()]);
    let job = NewJob {
        id,
        machine: machine(),
        payload: Vec::new(),
        stream: String::new(),
        first: 0,
        count: 1,
        priority: 0,
        inputs: Vec::new(),
        trace: String::new(),
        tasks: tree(leaves).tasks().to_vec(),
    };
    block_on(store.submit(&job)).unwrap();
    id
}

/// Milliseconds that a kind takes; the provers do not know.
fn takes(kind: &str) -> u64 {
    match kind {
        "leaf" => 40,
        "lift" => 30,
        "wrap" => 60,
        _ => 20,
    }
}

/// Works the queue off with so many threads, and returns the seconds that it took.
fn work(store: &Arc<MemoryStore>, start: Instant, provers: usize, job: JobId) -> f64 {
    let begun = Instant::now();
    let now = move || start.elapsed().as_millis() as i64;
    let threads = (0..provers).map(|number| {
        let store = Arc::clone(store);
        thread::spawn(move || {
            let name = number.to_string();
            while block_on(store.job(job)).unwrap().state == JobState::Open {
                let claim = block_on(store.claim(&name, Duration::from_secs(600))).unwrap();
                let Some(claim) = claim else {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                };
                let proving = Instant::now();
                thread::sleep(Duration::from_millis(takes(&claim.spec.kind)));
                let proof = Proof {
                    blob: Blob {
                        hash: BlobHash::of(b""),
                        bytes: 0,
                    },
                    prover: name.clone(),
                    device: "thread".to_owned(),
                    seconds: proving.elapsed().as_secs_f64(),
                };
                // What fetching, delivering and verifying take.
                thread::sleep(Duration::from_millis(3));
                store.set_now(now());
                block_on(store.complete(claim.task, &proof)).unwrap();
            }
        })
    });
    let threads: Vec<_> = threads.collect();
    for thread in threads {
        thread.join().unwrap();
    }
    begun.elapsed().as_secs_f64()
}

#[test]
fn one_and_two_real_provers_take_what_was_predicted() {
    let start = Instant::now();
    let store = Arc::new(MemoryStore::new(Limits::default()));
    let register = |number: usize| {
        block_on(store.register(&ProverInfo {
            name: number.to_string(),
            device: "thread".to_owned(),
            memory: u64::MAX,
            machines: vec![machine()],
        }))
        .unwrap();
    };
    register(0);
    let warm = submit(&store, "warm-up", 4);
    work(&store, start, 1, warm);
    let view = block_on(store.job(warm)).unwrap();
    let tasks = block_on(store.tasks(warm, 0, 1000)).unwrap();
    let settings = ForecastSettings {
        overhead_s: measured_overhead(&view, &tasks).unwrap(),
        ..ForecastSettings::default()
    };
    for provers in [1, 2] {
        register(provers - 1);
        let job = submit(&store, &provers.to_string(), 12);
        let snapshot = block_on(Snapshot::take(store.as_ref(), None)).unwrap();
        let predicted = forecast(&snapshot, &settings).unwrap().jobs[0].eta_s;
        let took = work(&store, start, provers, job);
        println!("{provers}: {predicted:.3} s predicted, {took:.3} s taken");
        assert!((predicted - took).abs() < 0.15 * took);
    }
}
