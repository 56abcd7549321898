//! `max(W/n, L) <= delay <= W/n + L` for n equal provers without faults (R. L. Graham, 1966 and 1969), whatever the tasks.

use proptest::prelude::*;
use starkwright_fleet::simulate::{Bound, Scenario, doubling, simulate};

use super::*;

/// Any graph: work of each task, and where its children are to be found.
fn any_job() -> impl Strategy<Value = Arc<Template>> {
    let task = (
        1..1000_u64,
        prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    );
    prop::collection::vec(task, 1..120).prop_map(|wanted| {
        let mut tasks: Vec<TaskSpec> = Vec::new();
        let mut taken = vec![false; wanted.len()];
        for (number, (work, children)) in wanted.iter().enumerate() {
            let mut children: Vec<u32> = match number {
                0 => Vec::new(),
                _ => children
                    .iter()
                    .map(|child| child.index(number) as u32)
                    .collect(),
            };
            if number + 1 == wanted.len() {
                children.extend((0..number as u32).filter(|&child| !taken[child as usize]));
            }
            children.sort_unstable();
            children.dedup();
            for &child in &children {
                taken[child as usize] = true;
            }
            tasks.push(task_of(number, *work, children));
        }
        Arc::new(Template::new(machine(), tasks).unwrap())
    })
}

fn task_of(number: usize, work: u64, children: Vec<u32>) -> TaskSpec {
    super::task(number, "leaf", work, children)
}

fn bound(scenario: &Scenario) -> Bound {
    let seconds = |task: &TaskSpec| {
        let rate = scenario.rates.iter().find(|rate| rate.kind == task.kind);
        rate.unwrap().seconds_per_work * task.work as f64 + scenario.overhead_s
    };
    let jobs = scenario.arrivals.iter();
    let bounds = jobs.map(|arrival| Bound::of(arrival.job.tasks(), seconds));
    bounds.fold(Bound::default(), Bound::and)
}

fn holds(scenario: &Scenario) -> Result<(), TestCaseError> {
    let (bound, provers) = (bound(scenario), scenario.provers());
    let report = simulate(scenario).unwrap();
    prop_assert!(report.all_done());
    let (low, high) = (bound.at_least(provers), bound.at_most(provers));
    // Sums of microseconds as seconds.
    let slack = 1e-9 * high;
    prop_assert!(
        low - slack <= report.end_s && report.end_s <= high + slack,
        "{provers} provers: {low} <= {} <= {high}",
        report.end_s
    );
    let tasks: usize = scenario
        .arrivals
        .iter()
        .map(|arrival| arrival.job.tasks().len())
        .sum();
    prop_assert_eq!(report.counts.proofs, tasks as u64);
    prop_assert_eq!(report.counts.claimed, tasks as u64);
    Ok(())
}

proptest! {
    #[test]
    fn any_graph_is_done_within_the_bound(
        jobs in prop::collection::vec((any_job(), -2..2_i32), 1..4),
        provers in prop_oneof![8 => 1..65_u32, 1 => 65..1001_u32],
        overhead in 0.0..2.0_f64,
        seed: u64,
    ) {
        let mut scenario = plain(provers, Vec::new());
        scenario.seed = seed;
        scenario.overhead_s = overhead;
        for (job, priority) in jobs {
            scenario.arrivals.push(Arrival { at_s: 0.0, job, priority });
        }
        holds(&scenario)?;
    }

    #[test]
    fn trees_are_done_within_the_bound(leaves in 1..200_u32, provers in 1..65_u32, seed: u64) {
        let mut scenario = plain(provers, vec![at(0.0, &tree(leaves))]);
        scenario.seed = seed;
        holds(&scenario)?;
    }

    #[test]
    fn the_same_seed_is_the_same_run(seed: u64, provers in 1..20_u32) {
        let mut scenario = plain(provers, vec![at(0.0, &tree(20)), at(7.0, &tree(9))]);
        scenario.seed = seed;
        scenario.faults.spread = 0.3;
        scenario.faults.crash = 0.05;
        scenario.faults.fail = 0.05;
        let once = simulate(&scenario).unwrap();
        prop_assert_eq!(&once, &simulate(&scenario).unwrap());
        scenario.seed = seed.wrapping_add(1);
        prop_assert_ne!(once.trace, simulate(&scenario).unwrap().trace);
    }
}

#[test]
fn a_thousand_provers_keep_the_bound() {
    for leaves in [1, 2, 999, 3000] {
        for provers in doubling(1000) {
            holds(&plain(provers, vec![at(0.0, &tree(leaves))])).unwrap();
        }
    }
}

#[test]
fn one_prover_takes_the_work_and_enough_take_the_chain() {
    let scenario = plain(1, vec![at(0.0, &tree(64))]);
    let bound = bound(&scenario);
    assert_eq!(simulate(&scenario).unwrap().end_s, bound.work_s);
    assert_eq!(simulate(&scenario).unwrap().utilisation, 1.0);
    let many = plain(64, vec![at(0.0, &tree(64))]);
    assert_eq!(simulate(&many).unwrap().end_s, bound.chain_s);
}
