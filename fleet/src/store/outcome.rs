//! What operations take and answer.

use serde::{Deserialize, Serialize};

use super::JobState;
use crate::task::{Blob, MachineId, TaskId, TaskSpec};

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It is queued.
    New,
    /// It had been submitted before, and is in this state.
    Known(JobState),
}

/// A prover, as it registers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProverInfo {
    /// Its name: unique in the fleet.
    pub name: String,
    /// Its device's name; rates are kept by it.
    pub device: String,
    /// Device memory in bytes.
    pub memory: u64,
    /// What it can prove.
    pub machines: Vec<MachineId>,
}

/// A leased task: what a prover needs to do it.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The task.
    pub task: TaskId,
    /// Proves that the lease is still this one: known to whoever claimed it, and not to be guessed.
    pub token: i64,
    /// Its job's machine.
    pub machine: MachineId,
    /// Its job's trace.
    pub trace: String,
    /// The task itself.
    pub spec: TaskSpec,
    /// Proofs of its children, in order.
    pub children: Vec<Blob>,
}

/// A proof that was verified and is in the store of proofs.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    /// Where it is.
    pub blob: Blob,
    /// Who made it.
    pub prover: String,
    /// On which device.
    pub device: String,
    /// In how many seconds, by the prover's own clock.
    pub seconds: f64,
}

/// What became of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completed {
    /// It is the task's proof now.
    Accepted {
        /// Tasks that it made ready.
        ready: u32,
        /// Whether its job is done with it.
        job_done: bool,
    },
    /// The task had a proof already.
    Duplicate,
    /// The job is no longer open.
    Closed(JobState),
}

/// What became of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The task is ready again.
    Again {
        /// Attempts that are left.
        left: u32,
    },
    /// It was the last attempt: the job has failed.
    JobFailed,
    /// The lease is not, or no longer, this one: nothing changed.
    NotYours,
}

/// A lease that ran out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The task.
    pub task: TaskId,
    /// Who held it.
    pub prover: String,
    /// What became of it.
    pub outcome: Failed,
}

/// A proof that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The task that it was meant for.
    pub task: TaskId,
    /// Who sent it.
    pub prover: String,
    /// The bytes, kept for inspection.
    pub blob: Blob,
    /// Why it was refused.
    pub why: String,
    /// When, in milliseconds since 1970 by the store's clock.
    pub at: i64,
}

/// What became of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It counts against the prover, and the task is ready again.
    Counted {
        /// Whether the prover is quarantined now.
        quarantined: bool,
    },
    /// The lease is not, or no longer, the sender's: nothing changed.
    NotYours,
}
