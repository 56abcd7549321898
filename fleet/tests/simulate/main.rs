//! The simulator: bounds that no scheduler without idle provers can miss, determinism, faults.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use starkwright_fleet::simulate::{Faults, Scenario, SimulatedProver, poisson, simulate};
use starkwright_fleet::store::Limits;
use starkwright_fleet::task::{JobId, MachineId, NewJob, Place, TaskSpec};

fn machine() -> MachineId {
    MachineId {
        name: "toy".to_owned(),
        version: "1".to_owned(),
    }
}

fn provers(count: usize) -> Vec<SimulatedProver> {
    let prover = SimulatedProver {
        device: "device".to_owned(),
        memory: u64::MAX,
        machines: vec![machine()],
        pace: BTreeMap::new(),
        other_pace: 0.01,
    };
    vec![prover; count]
}

fn job(name: &str, tasks: Vec<(u64, Vec<u32>, u8)>) -> NewJob {
    let task = |(index, (work, children, urgency)): (usize, (u64, Vec<u32>, u8))| TaskSpec {
        kind: format!("kind {}", work % 3),
        place: Place {
            owner: 0,
            level: 0,
            index: index as u64,
            count: 1,
        },
        circuit: String::new(),
        urgency,
        children,
        input: None,
        payload: Vec::new(),
        memory: 0,
        work,
    };
    NewJob {
        id: JobId::of(&[name.as_bytes()]),
        machine: machine(),
        payload: Vec::new(),
        stream: String::new(),
        first: 0,
        count: 1,
        priority: 0,
        inputs: Vec::new(),
        trace: String::new(),
        tasks: tasks.into_iter().enumerate().map(task).collect(),
    }
}

/// Any graph: each task takes some before it, the last one all that nobody else takes.
fn graph() -> impl Strategy<Value = NewJob> {
    let task = (
        1..200u64,
        prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        0..4u8,
    );
    prop::collection::vec(task, 1..120).prop_map(|drawn| {
        let mut tasks: Vec<(u64, Vec<u32>, u8)> = Vec::new();
        let mut taken = vec![false; drawn.len()];
        for (number, (work, children, urgency)) in drawn.into_iter().enumerate() {
            let children = if number == 0 { Vec::new() } else { children };
            let children: Vec<u32> = children
                .iter()
                .map(|child| child.index(number) as u32)
                .collect();
            children
                .iter()
                .for_each(|&child| taken[child as usize] = true);
            tasks.push((work, children, urgency));
        }
        let last = tasks.len() - 1;
        let loose = (0..last as u32).filter(|&number| !taken[number as usize]);
        let loose: Vec<u32> = loose.collect();
        tasks[last].1.extend(loose);
        job("job", tasks)
    })
}

/// A tree as the fleet's machines have them: leaf, lift, shrink, joins of two, a wrap.
fn tree(name: &str, leaves: u32) -> NewJob {
    let mut tasks: Vec<(u64, Vec<u32>, u8)> = Vec::new();
    let mut row = Vec::new();
    for _ in 0..leaves {
        let leaf = tasks.len() as u32;
        tasks.push((300, Vec::new(), 0));
        tasks.push((100, vec![leaf], 1));
        tasks.push((60, vec![leaf + 1], 2));
        row.push(leaf + 2);
    }
    while row.len() > 1 {
        let mut above = Vec::new();
        for pair in row.chunks(2) {
            match pair {
                [left, right] => {
                    above.push(tasks.len() as u32);
                    tasks.push((60, vec![*left, *right], 3));
                }
                _ => above.push(pair[0]),
            }
        }
        row = above;
    }
    tasks.push((500, row, 5));
    job(name, tasks)
}

/// Total work and longest chain, in seconds.
fn bounds(job: &NewJob) -> (f64, f64) {
    let mut chains: Vec<f64> = Vec::new();
    for task in &job.tasks {
        let below = task.children.iter().map(|&child| chains[child as usize]);
        chains.push(below.fold(0.0, f64::max) + task.work as f64 * 0.01);
    }
    let total = job.tasks.iter().map(|task| task.work as f64 * 0.01).sum();
    (total, chains.iter().copied().fold(0.0, f64::max))
}

fn scenario(arrivals: Vec<(f64, NewJob)>, provers: Vec<SimulatedProver>) -> Scenario {
    Scenario {
        arrivals,
        provers,
        faults: Faults::default(),
        lease: Duration::from_secs(30),
        limits: Limits::default(),
        seed: 7,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// max(W/n, L) <= delay <= W/n + L (R. L. Graham, 1966), for every graph and number of provers.
    #[test]
    fn delays_are_within_grahams_bounds(job in graph(), count in 1..64usize) {
        let (work, chain) = bounds(&job);
        let tasks = job.tasks.len() as u64;
        let report = simulate(&scenario(vec![(0.0, job)], provers(count))).unwrap();
        let delay = report.delay_within(1.0).unwrap();
        let share = work / count as f64;
        prop_assert!(delay >= share.max(chain) - 1e-3, "{delay} < max({share}, {chain})");
        prop_assert!(delay <= share + chain + 1e-3, "{delay} > {share} + {chain}");
        prop_assert_eq!((report.proofs, report.duplicates), (tasks, 0));
    }

    /// Whatever goes wrong, every job ends done, with one proof a task, and the same seed gives the same.
    #[test]
    fn faults_delay_and_lose_nothing(seed: u64, count in 1..20usize, leaves in 1..12u32) {
        let jobs: Vec<(f64, NewJob)> = (0..3).map(|at| (f64::from(at), tree(&at.to_string(), leaves))).collect();
        let tasks: usize = jobs.iter().map(|(_, job)| job.tasks.len()).sum();
        let mut scenario = scenario(jobs, provers(count));
        scenario.seed = seed;
        scenario.limits.max_attempts = 1000;
        scenario.faults = Faults {
            crash: 0.2,
            restart: Duration::from_secs(20),
            fail: 0.1,
            slow: 0.1,
            slowness: 50.0,
        };
        let report = simulate(&scenario).unwrap();
        prop_assert!(report.jobs.iter().all(|job| job.done.is_some()), "{:?}", report.jobs);
        prop_assert_eq!(report.proofs, tasks as u64);
        prop_assert_eq!(&simulate(&scenario).unwrap(), &report);
    }
}

#[test]
fn a_thousand_provers_and_a_hundred_thousand_tasks() {
    let jobs: Vec<(f64, NewJob)> = poisson(0.5, 40, 3)
        .into_iter()
        .enumerate()
        .map(|(number, at)| (at, tree(&number.to_string(), 640)))
        .collect();
    let tasks: usize = jobs.iter().map(|(_, job)| job.tasks.len()).sum();
    assert!(tasks > 100_000);
    let few = simulate(&scenario(jobs.clone(), provers(100))).unwrap();
    let many = simulate(&scenario(jobs, provers(1000))).unwrap();
    assert_eq!((few.proofs, many.proofs), (tasks as u64, tasks as u64));
    let (few_delay, many_delay) = (
        few.delay_within(0.95).unwrap(),
        many.delay_within(0.95).unwrap(),
    );
    assert!(
        many_delay < few_delay / 2.0,
        "{few_delay} s, {many_delay} s"
    );
    assert!(few.utilisation > 0.9, "{}", few.utilisation);
}

#[test]
fn mixed_devices_take_what_they_hold_at_their_own_pace() {
    let mut job = tree("job", 8);
    for task in &mut job.tasks {
        // Only the large device holds wraps and joins.
        task.memory = if task.work == 60 || task.work == 500 {
            1 << 34
        } else {
            1 << 20
        };
    }
    let mut mixed = provers(3);
    mixed[0].memory = 1 << 30;
    mixed[1].memory = 1 << 30;
    mixed[2].other_pace = 0.001;
    let tasks = job.tasks.len() as u64;
    let report = simulate(&scenario(vec![(0.0, job.clone())], mixed.clone())).unwrap();
    assert_eq!(report.proofs, tasks);
    // Without it, nothing ends.
    mixed.pop();
    let report = simulate(&scenario(vec![(0.0, job)], mixed)).unwrap();
    assert_eq!(report.jobs[0].done, None);
    assert_eq!(report.proofs, 16);
}

#[test]
fn scenarios_that_are_none_are_refused() {
    assert!(simulate(&scenario(Vec::new(), Vec::new())).is_err());
    let mut slow = provers(1);
    slow[0].other_pace = f64::NAN;
    assert!(simulate(&scenario(Vec::new(), slow)).is_err());
    let late = vec![(f64::INFINITY, tree("job", 1))];
    assert!(simulate(&scenario(late, provers(1))).is_err());
}
