//! Events in order of time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use futures::FutureExt;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::{Scenario, SimulatedJob, SimulatedProver, SimulationReport};
use crate::FleetError;
use crate::store::{Claim, Completed, JobStore, MemoryStore, Proof, ProverInfo};
use crate::task::{Blob, BlobHash, JobId, MachineId};

/// What happens at a time.
enum Event {
    /// A job is submitted, by its place in the scenario.
    Arrive(usize),
    /// A prover ends its task, well or not.
    Finish {
        prover: usize,
        claim: Box<Claim>,
        seconds: f64,
        fails: bool,
    },
    /// A prover dies.
    Crash(usize),
    /// A prover that died is there again.
    Back(usize),
    /// The first lease may have run out.
    Expire,
}

/// Virtual milliseconds, the queue's unit, in steps of a microsecond: events that are nearer are at one time.
type Time = u64;

fn time(seconds: f64) -> Time {
    (seconds * 1e6).round() as Time
}

fn seconds(time: Time) -> f64 {
    time as f64 / 1e6
}

/// What MemoryStore does is done at once.
fn at_once<T>(future: impl Future<Output = Result<T, FleetError>>) -> Result<T, FleetError> {
    future.now_or_never().unwrap_or_else(|| {
        Err(FleetError::Internal {
            why: "the queue in memory waited".to_owned(),
        })
    })
}

struct Simulation<'a> {
    scenario: &'a Scenario,
    store: MemoryStore,
    events: BinaryHeap<Reverse<(Time, u64)>>,
    pending: BTreeMap<u64, Event>,
    next: u64,
    now: Time,
    rng: SmallRng,
    /// Provers without a task, by what they can do: those of one kind are equal before the queue.
    idle: BTreeMap<usize, Vec<usize>>,
    kind: Vec<usize>,
    busy: f64,
    jobs: Vec<SimulatedJob>,
    place: BTreeMap<JobId, usize>,
    report: SimulationReport,
}

pub(super) fn run(scenario: &Scenario) -> Result<SimulationReport, FleetError> {
    check(scenario)?;
    let mut simulation = Simulation {
        scenario,
        store: MemoryStore::new(scenario.limits),
        events: BinaryHeap::new(),
        pending: BTreeMap::new(),
        next: 0,
        now: 0,
        rng: SmallRng::seed_from_u64(scenario.seed),
        idle: BTreeMap::new(),
        kind: kinds(&scenario.provers),
        busy: 0.0,
        jobs: Vec::new(),
        place: BTreeMap::new(),
        report: SimulationReport {
            jobs: Vec::new(),
            end: 0.0,
            proofs: 0,
            duplicates: 0,
            expired: 0,
            failed: 0,
            utilisation: 0.0,
        },
    };
    simulation.begin()?;
    while let Some(Reverse((at, number))) = simulation.events.pop() {
        let Some(event) = simulation.pending.remove(&number) else {
            continue;
        };
        simulation.now = at;
        simulation.store.set_now((at / 1000) as i64);
        simulation.happen(event)?;
        simulation.hand_out()?;
    }
    let end = seconds(simulation.now);
    let span = end * scenario.provers.len() as f64;
    let mut report = simulation.report;
    report.jobs = simulation.jobs;
    report.end = end;
    report.utilisation = if span > 0.0 {
        simulation.busy / span
    } else {
        0.0
    };
    Ok(report)
}

fn check(scenario: &Scenario) -> Result<(), FleetError> {
    let wrong = |why: &str| FleetError::Settings {
        why: why.to_owned(),
    };
    if scenario.provers.is_empty() {
        return Err(wrong("a simulation needs a prover"));
    }
    let positive = |value: &f64| value.is_finite() && *value > 0.0;
    let paces = scenario.provers.iter();
    let mut paces = paces.flat_map(|prover| prover.pace.values().chain([&prover.other_pace]));
    if !paces.all(positive) {
        return Err(wrong("a pace is a positive number of seconds"));
    }
    let times = scenario.arrivals.iter();
    if !times.clone().all(|(at, _)| at.is_finite() && *at >= 0.0) {
        return Err(wrong("arrivals come at a number of seconds from 0"));
    }
    Ok(())
}

/// Numbers provers by what the queue knows of them.
fn kinds(provers: &[SimulatedProver]) -> Vec<usize> {
    let mut known: Vec<(u64, &[MachineId])> = Vec::new();
    let mut kinds = Vec::with_capacity(provers.len());
    for prover in provers {
        let key = (prover.memory, prover.machines.as_slice());
        let found = known.iter().position(|known| *known == key);
        kinds.push(found.unwrap_or_else(|| {
            known.push(key);
            known.len() - 1
        }));
    }
    kinds
}

fn name(prover: usize) -> String {
    format!("prover-{prover}")
}

impl Simulation<'_> {
    fn begin(&mut self) -> Result<(), FleetError> {
        for (number, prover) in self.scenario.provers.iter().enumerate() {
            at_once(self.store.register(&ProverInfo {
                name: name(number),
                device: prover.device.clone(),
                memory: prover.memory,
                machines: prover.machines.clone(),
            }))?;
        }
        // Taken from the end: the first prover comes first.
        for number in (0..self.scenario.provers.len()).rev() {
            self.rest(number);
        }
        for at in 0..self.scenario.arrivals.len() {
            let when = time(self.scenario.arrivals[at].0);
            self.schedule(when, Event::Arrive(at));
        }
        Ok(())
    }

    fn rest(&mut self, prover: usize) {
        self.idle.entry(self.kind[prover]).or_default().push(prover);
    }

    fn schedule(&mut self, at: Time, event: Event) {
        let number = self.next;
        self.next += 1;
        self.pending.insert(number, event);
        self.events.push(Reverse((at, number)));
    }

    fn happen(&mut self, event: Event) -> Result<(), FleetError> {
        match event {
            Event::Arrive(at) => {
                let job = &self.scenario.arrivals[at].1;
                self.place.insert(job.id, self.jobs.len());
                self.jobs.push(SimulatedJob {
                    id: job.id,
                    submitted: seconds(self.now),
                    done: None,
                });
                match at_once(self.store.submit(job)) {
                    // A full queue refuses; the job stays undone.
                    Ok(_) | Err(FleetError::Full { .. }) => Ok(()),
                    Err(error) => Err(error),
                }
            }
            Event::Finish {
                prover,
                claim,
                seconds,
                fails,
            } => {
                self.rest(prover);
                if fails {
                    self.report.failed += 1;
                    let failed = self.store.fail(claim.task, claim.token, "simulated");
                    return at_once(failed).map(drop);
                }
                self.deliver(prover, &claim, seconds)
            }
            Event::Crash(prover) => {
                let back = time(self.scenario.faults.restart.as_secs_f64());
                self.schedule(self.now + back, Event::Back(prover));
                Ok(())
            }
            Event::Back(prover) => {
                self.rest(prover);
                Ok(())
            }
            Event::Expire => {
                let expired = at_once(self.store.expire())?;
                self.report.expired += expired.len() as u64;
                Ok(())
            }
        }
    }

    fn deliver(&mut self, prover: usize, claim: &Claim, took: f64) -> Result<(), FleetError> {
        let proof = Proof {
            blob: Blob {
                hash: BlobHash::of(claim.task.to_string().as_bytes()),
                bytes: 1,
            },
            prover: name(prover),
            device: self.scenario.provers[prover].device.clone(),
            seconds: took,
        };
        match at_once(self.store.complete(claim.task, &proof))? {
            Completed::Accepted { job_done, .. } => {
                self.report.proofs += 1;
                if job_done && let Some(&at) = self.place.get(&claim.task.job) {
                    self.jobs[at].done = Some(seconds(self.now));
                }
            }
            Completed::Duplicate => self.report.duplicates += 1,
            Completed::Closed(_) => {}
        }
        Ok(())
    }

    /// The heartbeats of a prover that lives for so many seconds, in one: how long its lease holds from now.
    fn beat(&self, prover: usize, claim: &Claim, seconds: f64) -> Duration {
        let lease = Duration::from_secs_f64(seconds) + self.scenario.lease;
        let held = [(claim.task, claim.token)];
        let kept = at_once(self.store.heartbeat(&name(prover), &held, lease));
        debug_assert!(kept.is_ok_and(|holds| holds == [true]));
        lease
    }

    /// Every idle prover that finds a task takes it.
    fn hand_out(&mut self) -> Result<(), FleetError> {
        let kinds: Vec<usize> = self.idle.keys().copied().collect();
        for kind in kinds {
            while let Some(prover) = self.idle.get_mut(&kind).and_then(Vec::pop) {
                let claim = at_once(self.store.claim(&name(prover), self.scenario.lease))?;
                let Some(claim) = claim else {
                    self.rest(prover);
                    break;
                };
                self.start(prover, claim);
            }
        }
        Ok(())
    }

    fn start(&mut self, prover: usize, claim: Claim) {
        let faults = self.scenario.faults;
        let device = &self.scenario.provers[prover];
        let pace = device
            .pace
            .get(&claim.spec.kind)
            .unwrap_or(&device.other_pace);
        let mut takes = pace * claim.spec.work as f64;
        if faults.slow > 0.0 && self.rng.random_bool(faults.slow.min(1.0)) {
            takes *= faults.slowness.max(1.0);
        }
        if faults.crash > 0.0 && self.rng.random_bool(faults.crash.min(1.0)) {
            let until = takes * self.rng.random::<f64>();
            self.busy += until;
            let lease = self.beat(prover, &claim, until);
            self.schedule(self.now + time(until), Event::Crash(prover));
            // Found out when its lease runs out; the queue counts whole milliseconds.
            self.schedule(self.now + time(lease.as_secs_f64() + 1e-3), Event::Expire);
            return;
        }
        let fails = faults.fail > 0.0 && self.rng.random_bool(faults.fail.min(1.0));
        self.busy += takes;
        self.beat(prover, &claim, takes);
        self.schedule(
            self.now + time(takes),
            Event::Finish {
                prover,
                claim: Box::new(claim),
                seconds: takes,
                fails,
            },
        );
    }
}
