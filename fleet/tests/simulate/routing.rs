//! Mixed devices: tasks go to provers that can hold them, and nobody waits for ever.

use proptest::prelude::*;
use starkwright_fleet::simulate::{Scenario, What, simulate_observed};

use super::*;

const GB: u64 = 1 << 30;

/// Leaves need 2 GiB, lifts 10 GiB, everything else 1 GiB.
fn mixed_job(leaves: u32) -> Arc<Template> {
    let job = TreeJob {
        machine: machine(),
        leaf: vec![
            step("leaf", 1, 2 * GB),
            step("lift", 1, 10 * GB),
            step("shrink", 1, GB),
        ],
        join: step("join", 1, GB),
        root: vec![step("close", 1, GB), step("wrap", 1, 10 * GB)],
    };
    Arc::new(job.template(leaves).unwrap())
}

fn group(count: u32, device: &str, gigabytes: u64) -> ProverGroup {
    ProverGroup {
        memory: gigabytes * GB,
        ..ProverGroup::equal(count, device, &machine())
    }
}

proptest! {
    #[test]
    fn a_task_never_goes_to_a_prover_that_cannot_hold_it(
        seed: u64,
        (small, middle, large) in (0..8_u32, 0..8_u32, 1..4_u32),
        jobs in prop::collection::vec((0.0..100.0_f64, 1..20_u32), 1..6),
    ) {
        let mut other = group(2, "cpu", 100);
        other.machines = vec![MachineId { name: "other".into(), version: "1".into() }];
        let scenario = Scenario {
            seed,
            rates: rates(),
            provers: vec![group(small, "cpu", 1), other, group(middle, "cpu", 4), group(large, "gpu", 16)],
            arrivals: jobs.iter().map(|&(s, leaves)| at(s, &mixed_job(leaves))).collect(),
            ..Scenario::default()
        };
        let memory: Vec<u64> = scenario
            .provers
            .iter()
            .flat_map(|group| {
                let of_toy = group.machines[0].name == "toy";
                std::iter::repeat_n(if of_toy { group.memory } else { 0 }, group.count as usize)
            })
            .collect();
        let mut wrong = false;
        let report = simulate_observed(&scenario, |record| {
            if record.what == What::Claimed {
                let job = &scenario.arrivals[record.job as usize].job;
                wrong |= job.tasks()[record.task as usize].memory > memory[record.prover as usize];
            }
        }).unwrap();
        prop_assert!(!wrong && report.all_done());
    }
}

#[test]
fn large_tasks_do_not_starve_behind_small_ones() {
    // One large prover, which small jobs would keep busy for ever: the first job's large tasks still come first on it,
    // whenever it ends a task.
    let small = TreeJob {
        machine: machine(),
        leaf: vec![step("leaf", 1, GB)],
        join: step("join", 1, GB),
        root: vec![],
    };
    let small = Arc::new(small.template(8).unwrap());
    let mut arrivals = vec![at(0.0, &mixed_job(4))];
    arrivals.extend((0..2000).map(|number| at(f64::from(number), &small)));
    let scenario = Scenario {
        rates: rates(),
        provers: vec![group(4, "cpu", 4), group(1, "gpu", 16)],
        arrivals,
        ..Scenario::default()
    };
    let report = simulate_observed(&scenario, |_| ()).unwrap();
    assert!(report.all_done());
    let first = report.jobs[0].delay_s().unwrap();
    let last = report.jobs.last().unwrap().delay_s().unwrap();
    assert!(last > 1000.0, "the fleet is not overloaded: {last}");
    // Each of its tasks waits for one task of others at most, and joins of others come before its leaves.
    assert!(first < 300.0, "{first}");
}
