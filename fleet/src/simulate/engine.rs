//! The loop over events.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

use super::fleet::{Fleet, Work};
use super::{
    Counts, Delays, JobOutcome, Record, Scenario, SimulationReport, Template, What, micros,
};
use crate::FleetError;
use crate::forecast::Paces;
use crate::store::{Claim, JobState, JobStore as _, Limits, MemoryStore, ProverInfo};
use crate::task::{JobId, TaskId, hex};

/// A task that is in work when the simulation begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running {
    /// Its job, by its number in the scenario: one that comes at the time 0.
    pub(crate) job: usize,
    /// The task.
    pub(crate) task: u32,
    /// Who works on it.
    pub(crate) prover: usize,
    /// For how much longer.
    pub(crate) remaining_s: f64,
}

/// What is to happen to a prover is void once it has ended the task that it was about: its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    Arrive(usize),
    Heartbeat { prover: usize, run: u64 },
    Deliver { prover: usize, run: u64 },
    Fail { prover: usize, run: u64 },
    Crash { prover: usize, run: u64 },
    Restart(usize),
}

pub(super) struct Engine<'a, O> {
    pub(super) scenario: &'a Scenario,
    pub(super) paces: Paces,
    pub(super) store: MemoryStore,
    pub(super) fleet: Fleet,
    pub(super) events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    pub(super) now: u64,
    pub(super) scheduled: u64,
    pub(super) rng: SmallRng,
    pub(super) jobs: Vec<JobOutcome>,
    pub(super) numbers: HashMap<JobId, usize>,
    /// Tasks of jobs that have ended since the queue was last relieved of them.
    pub(super) ended_tasks: usize,
    pub(super) end: u64,
    pub(super) counts: Counts,
    pub(super) trace: Sha256,
    pub(super) observe: O,
}

/// Ended jobs are archived when they have so many tasks: the queue's memory stays bounded.
const ARCHIVE_TASKS: usize = 200_000;

/// For tasks that are in work when the simulation begins: it ends with them.
const FOREVER: Duration = Duration::from_secs(400_000_000_000);

/// What the queue in memory answers: it never waits.
pub(super) fn at_once<T>(
    answer: impl Future<Output = Result<T, FleetError>>,
) -> Result<T, FleetError> {
    answer.now_or_never().unwrap_or_else(|| {
        Err(FleetError::Internal {
            why: "the queue in memory waited".to_owned(),
        })
    })
}

/// See [`super::simulate_observed`]; `running` are in work when it begins.
pub(crate) fn run(
    scenario: &Scenario,
    running: &[Running],
    observe: impl FnMut(&Record),
) -> Result<SimulationReport, FleetError> {
    let paces = scenario.check()?;
    let (fleet, infos) = Fleet::new(scenario);
    let store = MemoryStore::new(Limits {
        max_open: u64::MAX,
        max_attempts: scenario.rules.max_attempts,
        max_refused: scenario.rules.max_refused,
    });
    for info in &infos {
        at_once(store.register(info))?;
    }
    let mut engine = Engine {
        scenario,
        paces,
        store,
        fleet,
        events: BinaryHeap::new(),
        now: 0,
        scheduled: 0,
        rng: SmallRng::seed_from_u64(scenario.seed),
        jobs: Vec::new(),
        numbers: HashMap::new(),
        ended_tasks: 0,
        end: 0,
        counts: Counts::default(),
        trace: Sha256::new(),
        observe,
    };
    for (number, arrival) in scenario.arrivals.iter().enumerate() {
        engine.jobs.push(JobOutcome {
            submitted_s: arrival.at_s,
            ended_s: None,
            state: JobState::Open,
        });
        engine.at(micros(arrival.at_s), Event::Arrive(number));
    }
    engine.take_over(running)?;
    while engine.step()? {}
    Ok(engine.report())
}

impl<O: FnMut(&Record)> Engine<'_, O> {
    pub(super) fn at(&mut self, time: u64, event: Event) {
        // The second entry keeps the order of simultaneous events.
        self.events.push(Reverse((time, self.scheduled, event)));
        self.scheduled += 1;
    }

    fn advance(&mut self, time: u64) {
        self.now = time;
        self.store.set_now((time / 1000) as i64);
    }

    pub(super) fn record(&mut self, what: What, prover: usize, job: usize, task: u32) {
        let record = Record {
            at_us: self.now,
            what,
            prover: prover as u32,
            job: job as u32,
            task,
        };
        let mut bytes = [0; 21];
        bytes[..8].copy_from_slice(&record.at_us.to_le_bytes());
        bytes[8] = what as u8;
        bytes[9..13].copy_from_slice(&record.prover.to_le_bytes());
        bytes[13..17].copy_from_slice(&record.job.to_le_bytes());
        bytes[17..].copy_from_slice(&task.to_le_bytes());
        self.trace.update(bytes);
        (self.observe)(&record);
    }

    pub(super) fn template(&self, job: usize) -> Arc<Template> {
        Arc::clone(&self.scenario.arrivals[job].job)
    }

    pub(super) fn job_number(&self, id: TaskId) -> usize {
        self.numbers.get(&id.job).copied().unwrap_or_default()
    }

    /// The next event, and whatever can be handed out then. Says whether there was one.
    fn step(&mut self) -> Result<bool, FleetError> {
        let next = self.events.peek().map(|&Reverse((time, ..))| time);
        let expiry = self
            .store
            .next_expiry()
            .map(|at| (at.max(0) as u64).saturating_mul(1000));
        match (next, expiry) {
            (None, None) => return Ok(false),
            (Some(time), expiry) if expiry.is_none_or(|expiry| time <= expiry) => {
                if let Some(Reverse((_, _, event))) = self.events.pop() {
                    self.advance(time);
                    self.happen(event)?;
                }
            }
            (_, Some(expiry)) => {
                self.advance(expiry);
                self.expire()?;
            }
            (Some(_), None) => {}
        }
        self.hand_out()?;
        if self.ended_tasks > ARCHIVE_TASKS {
            self.ended_tasks = 0;
            at_once(self.store.archive(Duration::ZERO))?;
        }
        Ok(true)
    }

    /// Everything that is ready goes to whoever is idle and can do it.
    fn hand_out(&mut self) -> Result<(), FleetError> {
        let lease = Duration::from_secs_f64(self.scenario.rules.lease_s);
        for class in 0..self.fleet.classes.len() {
            while self.fleet.classes[class].awake
                && let Some(prover) = self.fleet.classes[class].idle.pop_front()
            {
                match at_once(self.store.claim(&self.fleet.provers[prover].name, lease)) {
                    Ok(Some(claim)) => self.start(prover, claim)?,
                    Ok(None) => {
                        self.fleet.classes[class].idle.push_front(prover);
                        self.fleet.classes[class].awake = false;
                    }
                    // It never works again.
                    Err(FleetError::Quarantined { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn start(&mut self, prover: usize, claim: Claim) -> Result<(), FleetError> {
        let faults = &self.scenario.faults;
        let state = &self.fleet.provers[prover];
        let seconds = self.paces.seconds(
            &state.device,
            &claim.machine.name,
            &claim.spec.kind,
            claim.spec.work,
        );
        let mut seconds = seconds.ok_or_else(|| FleetError::Internal {
            why: format!("a task of kind {:?} has no rate", claim.spec.kind),
        })? * state.slowdown;
        if faults.spread > 0.0 {
            seconds *= 1.0 + faults.spread * (2.0 * self.rng.random::<f64>() - 1.0);
        }
        let takes = micros(seconds + self.scenario.overhead_s);
        let run = state.run;
        let drawn: f64 = self.rng.random();
        let within = (takes as f64 * self.rng.random::<f64>()) as u64;
        let (end, event, silent) = if drawn < faults.crash {
            (within, Event::Crash { prover, run }, false)
        } else if drawn < faults.crash + faults.fail {
            (within, Event::Fail { prover, run }, false)
        } else if drawn < faults.crash + faults.fail + faults.cut_off {
            let late = takes.saturating_add(micros(faults.cut_off_s));
            (late, Event::Deliver { prover, run }, true)
        } else {
            (takes, Event::Deliver { prover, run }, false)
        };
        self.at(self.now.saturating_add(end), event);
        let heartbeat = micros(self.scenario.rules.heartbeat_s);
        if end > heartbeat && !silent {
            self.at(
                self.now.saturating_add(heartbeat),
                Event::Heartbeat { prover, run },
            );
        }
        self.work(prover, claim, seconds);
        Ok(())
    }

    fn work(&mut self, prover: usize, claim: Claim, seconds: f64) {
        let id = claim.task;
        self.counts.claimed += 1;
        self.record(What::Claimed, prover, self.job_number(id), id.number);
        self.fleet.provers[prover].work = Some(Work {
            claim,
            seconds,
            since: self.now,
        });
    }

    /// Puts provers to the tasks that they work on when the simulation begins. The queue hands out what it finds best:
    /// everything that is ready is claimed, and what nobody works on is given back.
    fn take_over(&mut self, running: &[Running]) -> Result<(), FleetError> {
        if running.is_empty() {
            return Ok(());
        }
        while let Some(&Reverse((0, _, event))) = self.events.peek() {
            self.events.pop();
            self.happen(event)?;
        }
        let machines = self.scenario.arrivals.iter();
        let machines = machines.map(|arrival| arrival.job.machine().clone());
        let everything = ProverInfo {
            name: "everything".to_owned(),
            device: String::new(),
            memory: u64::MAX,
            machines: machines.collect(),
        };
        at_once(self.store.register(&everything))?;
        let mut wanted: HashMap<(usize, u32), Running> = HashMap::new();
        for task in running {
            wanted.insert((task.job, task.task), *task);
        }
        let mut back = Vec::new();
        while !wanted.is_empty()
            && let Some(claim) = at_once(self.store.claim(&everything.name, FOREVER))?
        {
            let key = (self.job_number(claim.task), claim.task.number);
            match wanted.remove(&key) {
                Some(task) if self.fleet.provers[task.prover].work.is_none() => {
                    let (prover, seconds) = (task.prover, task.remaining_s.max(0.0));
                    let run = self.fleet.provers[prover].run;
                    let class = self.fleet.provers[prover].class;
                    let idle = &mut self.fleet.classes[class].idle;
                    idle.retain(|&other| other != prover);
                    self.at(micros(seconds), Event::Deliver { prover, run });
                    self.work(prover, claim, seconds);
                }
                _ => back.push((claim.task, claim.token)),
            }
        }
        for (task, token) in back {
            at_once(self.store.release(task, token))?;
        }
        self.hand_out()
    }

    fn report(self) -> SimulationReport {
        let delays = self.jobs.iter().filter_map(JobOutcome::delay_s);
        let end_s = self.end as f64 / 1e6;
        let provers = self.fleet.provers.len() as u32;
        let busy: u64 = self.fleet.provers.iter().map(|prover| prover.busy).sum();
        let span = end_s * f64::from(provers);
        let utilisation = if span > 0.0 {
            (busy as f64 / 1e6 / span).min(1.0)
        } else {
            0.0
        };
        SimulationReport {
            provers,
            delay: Delays::of(delays.collect()),
            jobs: self.jobs,
            end_s,
            utilisation,
            counts: self.counts,
            trace: hex(&self.trace.finalize()),
        }
    }
}
