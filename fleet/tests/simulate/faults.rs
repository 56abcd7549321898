//! Whatever goes wrong, every job is done with one proof for each task.

use std::collections::BTreeSet;

use proptest::prelude::*;
use starkwright_fleet::simulate::{What, simulate, simulate_observed};
use starkwright_fleet::store::JobState;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_task_ends_with_one_proof(
        seed: u64,
        provers in 1..24_u32,
        leaves in 1..40_u32,
        (crash, fail, cut_off) in (0.0..0.3_f64, 0.0..0.3_f64, 0.0..0.3_f64),
        (spread, lease, late) in (0.0..1.0_f64, 1.0..20.0_f64, 0.0..40.0_f64),
        liars in 0..4_u32,
    ) {
        let jobs = [(0.0, leaves), (3.0, leaves / 2 + 1), (200.0, 1)];
        let mut scenario = plain(provers, jobs.map(|(s, leaves)| at(s, &tree(leaves))).to_vec());
        scenario.seed = seed;
        scenario.provers[0].count = provers + liars;
        scenario.faults.crash = crash;
        scenario.faults.restart_s = 5.0;
        scenario.faults.fail = fail;
        scenario.faults.cut_off = cut_off;
        scenario.faults.cut_off_s = late;
        scenario.faults.liars = liars;
        scenario.faults.spread = spread;
        scenario.rules.lease_s = lease;
        scenario.rules.heartbeat_s = lease / 3.0;
        // A job is to survive any number of them here.
        scenario.rules.max_attempts = u32::MAX;
        let mut proven = BTreeSet::new();
        let mut claimed = BTreeSet::new();
        let mut twice = false;
        let mut before_children = false;
        let report = simulate_observed(&scenario, |record| match record.what {
            What::Claimed => {
                claimed.insert((record.job, record.task));
                let job = &scenario.arrivals[record.job as usize].job;
                let children = &job.tasks()[record.task as usize].children;
                before_children |= children.iter().any(|child| !proven.contains(&(record.job, *child)));
            }
            What::Proven => twice |= !proven.insert((record.job, record.task)),
            _ => {}
        }).unwrap();
        prop_assert!(report.all_done());
        prop_assert!(!twice && !before_children);
        let tasks: usize = scenario.arrivals.iter().map(|arrival| arrival.job.tasks().len()).sum();
        prop_assert_eq!(proven.len(), tasks);
        prop_assert_eq!(claimed.len(), tasks);
        prop_assert_eq!(report.counts.proofs, tasks as u64);
        prop_assert!(report.counts.quarantined <= u64::from(liars));
    }
}

#[test]
fn late_proofs_are_kept() {
    // Every prover is cut off, always: no lease holds, and still every job is done.
    let mut scenario = plain(3, vec![at(0.0, &tree(12))]);
    scenario.faults.cut_off = 1.0;
    scenario.faults.cut_off_s = 30.0;
    scenario.rules.lease_s = 10.0;
    scenario.rules.heartbeat_s = 3.0;
    scenario.rules.max_attempts = 100;
    let report = simulate(&scenario).unwrap();
    assert!(report.all_done());
    assert!(report.counts.expired > 0);
    assert_eq!(report.counts.proofs as usize, tree(12).tasks().len());
}

#[test]
fn a_heartbeat_keeps_a_task_that_is_longer_than_a_lease() {
    let mut scenario = plain(2, vec![at(0.0, &tree(4))]);
    scenario.rules.lease_s = 0.5;
    scenario.rules.heartbeat_s = 0.2;
    let report = simulate(&scenario).unwrap();
    assert_eq!((report.counts.expired, report.counts.duplicates), (0, 0));
}

#[test]
fn attempts_are_bounded_and_jobs_of_nobody_stay_open() {
    let mut scenario = plain(2, vec![at(0.0, &tree(4)), at(1.0, &tree(4))]);
    scenario.faults.crash = 1.0;
    let report = simulate(&scenario).unwrap();
    assert!(report.jobs.iter().all(|job| job.state == JobState::Failed));
    assert_eq!(report.delay, None);
    // Nobody but liars: quarantined, one after the other.
    scenario.faults.crash = 0.0;
    scenario.faults.liars = 2;
    let report = simulate(&scenario).unwrap();
    assert!(report.jobs.iter().all(|job| job.state == JobState::Open));
    assert_eq!((report.counts.proofs, report.counts.quarantined), (0, 2));
}
