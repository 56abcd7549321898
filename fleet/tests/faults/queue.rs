//! The queue's own troubles: databases, disks, clocks, crowds of jobs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::seq::SliceRandom;
use starkwright_fleet::blobs::Blobs;
use starkwright_fleet::store::{JobState, Limits, SqlStore};
use starkwright_fleet::task::JobId;

use super::host::{Host, LEAF, Process, free_address};
use super::support::fleet::{Fleet, file, settings};
use super::support::postgres::Postgres;
use super::support::toy::{ToyProver, Vice};
use super::{dice, scale};

#[tokio::test(flavor = "multi_thread")]
async fn jobs_submitted_twice_at_a_time_and_out_of_order_are_done_once() {
    let mut dice = dice("the order of submissions");
    let host = Arc::new(Host::new());
    let _aggregator = Process::start(host.aggregator());
    let _provers = ["a", "b"].map(|name| Process::start(host.prover(name)));
    let mut names: Vec<String> = (0..8)
        .flat_map(|job| vec![format!("job {job}"); 3])
        .collect();
    names.shuffle(&mut dice);
    // A file is written by whoever submits it first, so that nobody reads half of one.
    for name in &names {
        host.write(name, 10);
    }
    let submits = names.into_iter().map(|name| {
        let host = Arc::clone(&host);
        tokio::spawn(async move {
            let job = host.send(&name).await;
            (name, job)
        })
    });
    let mut jobs: Vec<(String, JobId)> = Vec::new();
    for submit in submits.collect::<Vec<_>>() {
        jobs.push(submit.await.unwrap());
    }
    jobs.sort();
    jobs.dedup();
    assert_eq!(jobs.len(), 8, "one submission became two jobs");
    host.settle(&jobs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_and_comes_back_is_waited_for() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let server = Arc::new(server);
    let host = Host::on(server.database());
    let _aggregator = Process::start(host.aggregator());
    let _provers = ["a", "b"].map(|name| Process::start(host.prover(name)));
    let job = host.submit("job", 60).await;
    let gone = Arc::clone(&server);
    let away = Duration::from_secs(scale(2, 60) as u64);
    tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(300));
        gone.down();
        std::thread::sleep(away);
        gone.up();
    })
    .await
    .unwrap();
    host.settle(&[("job".to_owned(), job)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_aggregators_share_a_queue_and_one_of_them_dies() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let mut dice = dice("two aggregators");
    let host = Host::on(server.database());
    let other = free_address();
    let mut first = Process::start(host.aggregator());
    let mut second = Process::start(host.aggregator_at(other));
    let _provers = [
        Process::start(host.prover("a")),
        Process::start(host.prover("b")),
        Process::start(host.prover_of("c", other)),
        Process::start(host.prover_of("d", other)),
    ];
    let mut jobs = Vec::new();
    for number in 0..scale(3, 30) {
        let name = format!("job {number}");
        jobs.push((name.clone(), host.submit(&name, 24).await));
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..200))).await;
        let dying = if dice.random() {
            &mut first
        } else {
            &mut second
        };
        dying.kill();
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..300))).await;
        dying.up();
    }
    host.settle(&jobs).await;
}

/// A file system of its own that is nearly full, then has room again.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_loses_nothing() {
    let try_it = "mount -t tmpfs -o size=1m tmpfs /tmp";
    let tried = std::process::Command::new("unshare")
        .args(["-rm", "sh", "-c", try_it])
        .output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        println!("missing: namespaces: this system lets nobody mount a small file system");
        return;
    }
    let mut host = Host::new();
    let disk = host.folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    host.store = format!("sqlite://{}", disk.join("queue.db").display());
    let shell = format!(
        "mount -t tmpfs -o size=32m tmpfs '{}' && exec \"$0\" \"$@\"",
        disk.display()
    );
    let through = ["unshare", "-rm", "sh", "-c", &shell].map(str::to_owned);
    let aggregator = Process::start_through(host.aggregator(), &through);
    let _prover = Process::start(host.prover("a"));
    let first = host.submit("first", 8).await;
    host.result(first).await;
    // Seen through its process, the disk is filled up to the last byte.
    let inside = format!("/proc/{}/root{}/ballast", aggregator.id(), disk.display());
    let mut ballast = std::fs::File::create(&inside).unwrap();
    let mut filled = 0u64;
    while std::io::Write::write(&mut ballast, &[1; 4096]).is_ok_and(|written| written > 0) {
        filled += 1;
    }
    assert!(filled > 10, "the disk was full before");
    host.write("second", 100);
    let refused = host.try_to_send("second").await.unwrap_err().to_string();
    assert!(refused.contains("make room on its disk"), "{refused}");
    // It answers what it can answer without writing.
    assert_eq!(host.state(first).await, JobState::Done);
    std::fs::remove_file(&inside).unwrap();
    drop(ballast);
    let second = host.send("second").await;
    let found = host.result(second).await;
    assert_eq!(found, host.expected("second").await);
}

/// The clock of a queue jumps by hours while a job runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_only_delays() {
    let mut dice = dice("jumps of the clock");
    let host = Host::new();
    let limits = Limits {
        max_attempts: 100,
        ..Limits::default()
    };
    let store = Arc::new(SqlStore::open(&host.store, limits).await.unwrap());
    let start = Instant::now();
    let ticking = Arc::clone(&store);
    let jumps: Vec<i64> = (0..10)
        .map(|_| dice.random_range(-3_600_000..3_600_000))
        .collect();
    let clock = tokio::spawn(async move {
        loop {
            let elapsed = start.elapsed().as_millis() as i64;
            let jump = jumps[(elapsed / 200) as usize % jumps.len()];
            ticking.stop_clock(10_000_000 + elapsed + jump);
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    });
    let blobs = Blobs::folder(&host.proofs()).unwrap();
    let fleet = Fleet::start_on(store, blobs, &["1"], settings(), "127.0.0.1:0").await;
    let path = file(host.folder.path(), "job", 60 * LEAF);
    let job = fleet.submit(&path, LEAF as u64).await;
    let pause = Duration::from_millis(30);
    let provers = ["a", "b"].map(|name| fleet.prover(name, ToyProver::new(pause, Vice::None)));
    let client = fleet.client();
    let waiting = client.wait(job, Duration::from_secs(60), |_| {});
    let done = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    assert_eq!(
        done.expect("the job is stuck").unwrap().state,
        JobState::Done
    );
    let output = host.folder.path().join("proof");
    client.fetch(job, &output).await.unwrap();
    assert_eq!(std::fs::read(output).unwrap(), host.expected("job").await);
    for prover in provers {
        prover.finish().await.unwrap();
    }
    fleet.stop().await;
    clock.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_with_a_long_queue_goes_on_at_once() {
    let host = Host::new();
    let mut aggregator = Process::start(host.aggregator());
    let mut jobs = Vec::new();
    for number in 0..scale(200, 10_000) {
        let name = format!("job {number}");
        host.write(&name, 1);
        jobs.push((name.clone(), host.send(&name).await));
    }
    aggregator.kill();
    let _prover = Process::start(host.prover("a"));
    let start = Instant::now();
    aggregator.up();
    host.until(jobs[0].1, "it goes on", |tasks| tasks.done > 0)
        .await;
    assert!(start.elapsed() < Duration::from_secs(60), "not at once");
    println!(
        "{} jobs queued; the first proof {:?} after the start",
        jobs.len(),
        start.elapsed()
    );
    let _provers = ["b", "c"].map(|name| Process::start(host.prover(name)));
    for (_, job) in &jobs {
        host.result(*job).await;
    }
    host.settle(&jobs[..3]).await;
}
