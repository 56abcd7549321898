//! A thousand provers and a hundred thousand tasks take seconds.

use std::time::Instant;

use starkwright_fleet::simulate::{Scenario, simulate};

use super::*;

fn timed(what: &str, scenario: &Scenario) {
    let start = Instant::now();
    let report = simulate(scenario).unwrap();
    let took = start.elapsed().as_secs_f64();
    let tasks = report.counts.proofs;
    assert!(report.all_done());
    println!(
        "{what}: {tasks} tasks in {took:.2} s, {:.0} tasks/s",
        tasks as f64 / took
    );
    // Twenty times what two shared cores take.
    assert!(took < 40.0, "{took}");
}

#[test]
fn a_hundred_thousand_tasks_take_seconds() {
    let one = plain(1000, vec![at(0.0, &tree(25_000))]);
    timed("one job, 1000 provers", &one);
    let job = tree(25);
    let many = (0..1000).map(|number| at(f64::from(number) * 0.3, &job));
    timed("1000 jobs, 1000 provers", &plain(1000, many.collect()));
    // Half of the provers can do nothing of it.
    let mut mixed = one;
    mixed
        .provers
        .insert(0, ProverGroup::equal(500, "cpu", &machine()));
    mixed.provers[0].machines[0].name = "other".to_owned();
    mixed.provers[1].count = 500;
    mixed.faults.crash = 0.01;
    mixed.rules.max_attempts = 50;
    timed("half of them idle, with crashes", &mixed);
}
