//! The real queue in virtual time: what so many provers would make of such arrivals.
//!
//! ```text
//!  arrivals ──► MemoryStore (claims, leases, attempts: the same code as in a fleet) ◄──► simulated provers
//!                      ▲                                                                       │
//!                 virtual clock ◄── events in order of time: arrive, finish, crash, come back ─┘
//! ```
//!
//! Nothing sleeps and nothing is proven: a task takes its work times the pace of its prover's device. With equal provers and
//! without faults, n of them need between max(W/n, L) and W/n + L for a job of total work W whose longest chain is L: they
//! never idle while a task is ready (R. L. Graham, "Bounds for certain multiprocessing anomalies", 1966).

mod arrivals;
mod engine;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::FleetError;
use crate::store::Limits;
use crate::task::{JobId, MachineId, NewJob};

pub use arrivals::{MAX_ARRIVALS, poisson, read_arrivals};

/// A prover as it is simulated.
#[derive(Clone, Debug)]
pub struct SimulatedProver {
    /// Its device's name.
    pub device: String,
    /// Device memory in bytes.
    pub memory: u64,
    /// What it can prove.
    pub machines: Vec<MachineId>,
    /// Seconds for a unit of work, by kind of task.
    pub pace: BTreeMap<String, f64>,
    /// The pace of kinds that are not listed.
    pub other_pace: f64,
}

/// What goes wrong, each with a probability for a task.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// The prover dies in the middle, and is back after [`Self::restart`].
    pub crash: f64,
    /// How long a prover that died is away.
    pub restart: Duration,
    /// The device fails in the middle.
    pub fail: f64,
    /// The prover takes so many times longer as [`Self::slowness`] says.
    pub slow: f64,
    /// See [`Self::slow`].
    pub slowness: f64,
}

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Jobs, and when they are submitted: seconds from the beginning.
    pub arrivals: Vec<(f64, NewJob)>,
    /// The provers.
    pub provers: Vec<SimulatedProver>,
    /// What goes wrong.
    pub faults: Faults,
    /// How long a lease holds without a heartbeat.
    pub lease: Duration,
    /// The queue's limits.
    pub limits: Limits,
    /// Decides everything that is drawn.
    pub seed: u64,
}

/// A job that was simulated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SimulatedJob {
    /// Its name.
    pub id: JobId,
    /// Seconds from the beginning until it was submitted.
    pub submitted: f64,
    /// Until it was done; none: it failed, or was refused.
    pub done: Option<f64>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulationReport {
    /// Jobs, in the order of their submission.
    pub jobs: Vec<SimulatedJob>,
    /// Seconds until the last event.
    pub end: f64,
    /// Proofs that were accepted.
    pub proofs: u64,
    /// Proofs that came when their task had one.
    pub duplicates: u64,
    /// Leases that ran out.
    pub expired: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Share of the provers' time spent proving.
    pub utilisation: f64,
}

impl SimulationReport {
    /// Delays of the jobs that are done, in seconds, the shortest first.
    #[must_use]
    pub fn delays(&self) -> Vec<f64> {
        let done = self.jobs.iter();
        let done = done.filter_map(|job| Some(job.done? - job.submitted));
        let mut delays: Vec<f64> = done.collect();
        delays.sort_by(f64::total_cmp);
        delays
    }

    /// The delay that this share of the jobs stays within; none where a job is not done.
    #[must_use]
    pub fn delay_within(&self, share: f64) -> Option<f64> {
        let delays = self.delays();
        if delays.len() < self.jobs.len() {
            return None;
        }
        let at = (share.clamp(0.0, 1.0) * delays.len() as f64).ceil() as usize;
        delays.get(at.saturating_sub(1)).copied()
    }
}

/// Runs a scenario.
///
/// # Errors
/// [`FleetError::Settings`] where there are no provers, or a pace or time is no positive number; [`FleetError::Plan`] for a
/// job that is none.
pub fn simulate(scenario: &Scenario) -> Result<SimulationReport, FleetError> {
    engine::run(scenario)
}
