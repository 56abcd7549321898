//! What is counted as it happens. Names and meanings: docs/fleet-watching.md.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::spread::{BYTES, LONG, SECONDS, SHORT, Spread};
use super::throughput::Throughput;
use crate::FleetError;
use crate::store::JobState;
use crate::task::MachineId;

/// What all names begin with.
pub(super) const PREFIX: &str = "starkwright_fleet";

/// Devices that are told apart; names of further ones become `other`. They come from outside.
const MAX_DEVICES: usize = 64;

/// A kind of task of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Kind {
    pub(crate) machine: String,
    pub(crate) kind: String,
}

impl Kind {
    pub(crate) fn of(machine: &MachineId, kind: &str) -> Self {
        Self {
            machine: machine.name.clone(),
            kind: kind.to_owned(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    machine: String,
    kind: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OnDevice {
    machine: String,
    kind: String,
    device: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfMachine {
    machine: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

/// The counters and histograms of one aggregator, from its start.
pub struct Metrics {
    registry: Registry,
    submitted: Family<OfMachine, Counter>,
    ended: Family<InState, Counter>,
    claimed: Family<Kind, Counter>,
    proofs: Family<Outcome, Counter>,
    failures: Counter,
    expired: Counter,
    released: Counter,
    store_errors: Family<Operation, Counter>,
    blob_errors: Counter,
    task_seconds: Spread<OnDevice>,
    verify_seconds: Spread<Kind>,
    claim_seconds: Spread<Kind>,
    proof_bytes: Spread<Kind>,
    job_delay: Spread<OfMachine>,
    store_seconds: Spread<Operation>,
    pub(super) throughput: Throughput,
    devices: Mutex<BTreeSet<String>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let on = &mut registry;
        let task_seconds = "Proving a task, by the prover's clock, in seconds";
        let job_delay = "From a job's submission to its proof, in seconds";
        let claim_seconds = "From a prover's asking to its task, in seconds";
        let metrics = Self {
            task_seconds: Spread::register(on, "task_seconds", task_seconds, SECONDS),
            verify_seconds: Spread::register(
                on,
                "verify_seconds",
                "Verifying a proof, in seconds",
                SECONDS,
            ),
            claim_seconds: Spread::register(on, "claim_seconds", claim_seconds, SECONDS),
            proof_bytes: Spread::register(on, "proof_bytes", "A proof's length in bytes", BYTES),
            job_delay: Spread::register(on, "job_delay_seconds", job_delay, LONG),
            store_seconds: Spread::register(
                on,
                "store_seconds",
                "The queue's answers, in seconds",
                SHORT,
            ),
            submitted: Family::default(),
            ended: Family::default(),
            claimed: Family::default(),
            proofs: Family::default(),
            failures: Counter::default(),
            expired: Counter::default(),
            released: Counter::default(),
            store_errors: Family::default(),
            blob_errors: Counter::default(),
            throughput: Throughput::new(),
            devices: Mutex::default(),
            registry: Registry::default(),
        };
        on.register("jobs_submitted", "Jobs queued", metrics.submitted.clone());
        on.register(
            "jobs_ended",
            "Jobs that are no longer open",
            metrics.ended.clone(),
        );
        on.register("tasks_claimed", "Leases given out", metrics.claimed.clone());
        on.register(
            "proofs",
            "Proofs that provers delivered",
            metrics.proofs.clone(),
        );
        on.register(
            "task_failures",
            "Tasks that provers failed at",
            metrics.failures.clone(),
        );
        on.register(
            "leases_expired",
            "Leases that ran out",
            metrics.expired.clone(),
        );
        on.register(
            "leases_released",
            "Tasks given back undone",
            metrics.released.clone(),
        );
        on.register(
            "store_errors",
            "Errors of the queue's database",
            metrics.store_errors.clone(),
        );
        on.register(
            "blob_errors",
            "Errors of the store of proofs",
            metrics.blob_errors.clone(),
        );
        for state in [JobState::Done, JobState::Failed, JobState::Cancelled] {
            // Known from the start: an alert needs a zero to rise from.
            metrics.ended(state, 0);
        }
        Self {
            registry,
            ..metrics
        }
    }

    pub(super) const fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(super) fn submitted(&self, machine: &MachineId) {
        self.submitted.get_or_create(&of(machine)).inc();
    }

    pub(super) fn ended(&self, state: JobState, jobs: usize) {
        let state = state.name();
        self.ended
            .get_or_create(&InState { state })
            .inc_by(jobs as u64);
    }

    pub(super) fn job_done(&self, machine: &MachineId, delay: Duration) {
        self.ended(JobState::Done, 1);
        self.job_delay.observe(&of(machine), delay.as_secs_f64());
    }

    pub(super) fn claimed(&self, kind: &Kind) {
        self.claimed.get_or_create(kind).inc();
    }

    pub(super) fn failed(&self) {
        self.failures.inc();
    }

    pub(super) fn expired(&self, leases: usize) {
        self.expired.inc_by(leases as u64);
    }

    pub(super) fn released(&self) {
        self.released.inc();
    }

    /// The queue answered an operation after so long, or with this error.
    pub(super) fn stored(
        &self,
        operation: &'static str,
        took: Duration,
        error: Option<&FleetError>,
    ) {
        let operation = Operation { operation };
        self.store_seconds.observe(&operation, took.as_secs_f64());
        // Others are answers: an unknown job, a full queue.
        let failed = matches!(
            error,
            Some(
                FleetError::Database { .. }
                    | FleetError::Damaged { .. }
                    | FleetError::Internal { .. }
            )
        );
        let errors = self.store_errors.get_or_create(&operation);
        errors.inc_by(u64::from(failed));
    }

    /// The store of proofs failed.
    pub(crate) fn blob_error(&self) {
        self.blob_errors.inc();
    }

    /// A prover got a task after so long.
    pub(crate) fn waited(&self, kind: &Kind, waited: Duration) {
        self.claim_seconds.observe(kind, waited.as_secs_f64());
    }

    /// A proof was verified in so long, whatever came out.
    pub(crate) fn verified(&self, kind: &Kind, took: Duration) {
        self.verify_seconds.observe(kind, took.as_secs_f64());
    }

    /// A proof was dealt with: `accepted`, `duplicate`, `closed` or `refused`.
    pub(crate) fn delivered(&self, kind: &Kind, outcome: &'static str) {
        let Kind { machine, kind } = kind.clone();
        let outcome = Outcome {
            machine,
            kind,
            outcome,
        };
        self.proofs.get_or_create(&outcome).inc();
    }

    /// A proof is its task's: of so many bytes, made on this device in so many seconds.
    pub(crate) fn accepted(&self, kind: &Kind, device: &str, bytes: u64, seconds: f64) {
        self.delivered(kind, "accepted");
        self.throughput.count();
        self.proof_bytes.observe(kind, bytes as f64);
        let labels = OnDevice {
            machine: kind.machine.clone(),
            kind: kind.kind.clone(),
            device: self.device(device),
        };
        self.task_seconds.observe(&labels, seconds);
    }

    /// The device's name as a label.
    fn device(&self, name: &str) -> String {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        if !devices.contains(name) {
            if devices.len() >= MAX_DEVICES {
                return "other".to_owned();
            }
            devices.insert(name.to_owned());
        }
        name.to_owned()
    }
}

fn of(machine: &MachineId) -> OfMachine {
    OfMachine {
        machine: machine.name.clone(),
    }
}
