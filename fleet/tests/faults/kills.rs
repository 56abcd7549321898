//! Processes that die: at random moments, and at every moment that matters.

use std::time::Duration;

use rand::RngExt;
use starkwright_fleet::point::Point;

use super::host::{Host, Process};
use super::role::Role;
use super::{dice, scale};

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_the_fleet_makes_the_same_proofs() {
    let mut dice = dice("kills at random moments");
    let host = Host::new();
    let mut roles = vec![Process::start(host.aggregator())];
    roles.extend(["a", "b", "c"].map(|name| Process::start(host.prover(name))));
    let mut jobs = Vec::new();
    let mut kills = [0; 4];
    // Half of the kills are the aggregator's.
    let each = scale(8, 200);
    while kills[0] < each || kills[1..].iter().sum::<usize>() < each {
        let name = format!("job {}", jobs.len());
        let job = host.submit(&name, 24).await;
        jobs.push((name, job));
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(dice.random_range(0..120))).await;
            let role = if dice.random() {
                0
            } else {
                dice.random_range(1..4)
            };
            // Down for a while, or hardly.
            roles[role].kill();
            tokio::time::sleep(Duration::from_millis(dice.random_range(0..40))).await;
            roles[role].up();
            kills[role] += 1;
        }
    }
    println!(
        "killed: {kills:?} (aggregator, provers); jobs: {}",
        jobs.len()
    );
    host.settle(&jobs).await;
}

/// A job during which this role dies at this point, for the `nth` time that it meets it.
async fn dies_at(point: Point, nth: u32) {
    let host = Host::new();
    let dies = |role: Role, dying: bool| Role {
        dies: dying.then(|| (format!("{point:?}"), nth)),
        ..role
    };
    let mut aggregator = Process::start(dies(host.aggregator(), !point.is_provers()));
    let mut prover = Process::start(dies(host.prover("a"), point.is_provers()));
    let host = std::sync::Arc::new(host);
    let submitting = tokio::spawn({
        let host = std::sync::Arc::clone(&host);
        async move {
            // More than one submission, so that there is an `nth` one.
            let mut jobs = Vec::new();
            for number in 0..3 {
                let name = format!("job {number}");
                jobs.push((name.clone(), host.submit(&name, 4).await));
            }
            jobs
        }
    });
    let dying = if point.is_provers() {
        &mut prover
    } else {
        &mut aggregator
    };
    dying.revive().await;
    let jobs = submitting.await.unwrap();
    host.settle(&jobs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_any_two_steps_loses_and_doubles_nothing() {
    for nth in 1..=scale(1, 3) as u32 {
        for point in Point::ALL {
            println!("dies at {point:?}, meeting {nth}");
            dies_at(point, nth).await;
        }
    }
}
