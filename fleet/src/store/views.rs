//! How things stand: what is shown, and what forecasts are made from.

use serde::{Deserialize, Serialize};

use super::{JobState, ProverInfo, TaskCounts, TaskState};
use crate::task::{Blob, JobId, MachineId, Place, TaskSpec};

/// A job, as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobView {
    /// Its name.
    pub id: JobId,
    /// Its machine.
    pub machine: MachineId,
    /// Its stream, empty: none.
    pub stream: String,
    /// First item of its range.
    pub first: u64,
    /// Items of its range.
    pub count: u64,
    /// Its priority.
    pub priority: i32,
    /// Its state.
    pub state: JobState,
    /// Its tasks by state; of an archived job only those done.
    pub tasks: TaskCounts,
    /// When it was submitted: milliseconds since 1970 by the store's clock.
    pub submitted: i64,
    /// When it reached its last state, where it is no longer open.
    pub ended: Option<i64>,
    /// Its proof.
    pub result: Option<Blob>,
    /// Why it failed.
    pub error: String,
    /// Its trace.
    pub trace: String,
    /// Whether its tasks have been archived.
    pub archived: bool,
}

/// A task, as it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskView {
    /// Its number in the plan.
    pub number: u32,
    /// Its kind.
    pub kind: String,
    /// Where it stands.
    pub place: Place,
    /// Its children.
    pub children: Vec<u32>,
    /// Its state.
    pub state: TaskState,
    /// Failed attempts.
    pub attempts: u32,
    /// Who works on it, or has done it.
    pub prover: String,
    /// Its proof.
    pub proof: Option<Blob>,
    /// How long it took.
    pub seconds: Option<f64>,
    /// Its amount of work.
    pub work: u64,
}

/// A prover, as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProverView {
    /// What it said of itself.
    #[serde(flatten)]
    pub info: ProverInfo,
    /// Tasks that it holds.
    pub leased: u64,
    /// Tasks that it has done.
    pub done: u64,
    /// Proofs of its that were refused since it was last released.
    pub refused: u32,
    /// Why it is quarantined; empty: it is not.
    pub quarantined: String,
    /// When it was last heard of: milliseconds since 1970 by the store's clock.
    pub seen: i64,
}

/// A task as it was planned, and where it and its job stand.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The job's machine.
    pub machine: MachineId,
    /// The job's state.
    pub job: JobState,
    /// The task's.
    pub state: TaskState,
    /// What has to be proven.
    pub spec: TaskSpec,
}

/// How fast a device does a kind of task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// The device.
    pub device: String,
    /// The machine's name.
    pub machine: String,
    /// The kind of task.
    pub kind: String,
    /// Tasks measured.
    pub samples: u64,
    /// Seconds for a unit of work: a mean that forgets, the newest task weighing an eighth.
    pub seconds_per_work: f64,
}

/// Unproven work of open jobs, by kind: what forecasts are made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Backlog {
    /// The machine's name.
    pub machine: String,
    /// The kind of task.
    pub kind: String,
    /// Tasks in each state.
    pub tasks: TaskCounts,
    /// Their work together, of those that are unproven.
    pub work: u64,
}

/// Weight of the newest task in a rate.
pub const RATE_WEIGHT: f64 = 0.125;
