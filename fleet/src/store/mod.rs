//! The queue: jobs, their tasks, and who works on them.
//!
//! ```text
//!              submit                 claim                 complete
//!   (planned) ───────► waiting ─────► ready ─────► leased ───────────► done
//!                 last child done ┘     ▲            │
//!                                       └────────────┘ fail, expire, refuse, release
//!                                                    └──► failed   (attempts used up; the job fails with it)
//! ```
//!
//! One trait, [`JobStore`]; [`MemoryStore`] is its model, with a clock that is set by hand: the simulator runs on it, and
//! the database's store is tested against it.
//!
//! What holds in every store, whatever crashes:
//! - a task has at most one proof, and it never changes;
//! - any verified proof is accepted while its task is unproven, whoever holds the lease and however late it comes;
//! - failure, heartbeat and release act only under the token of the current lease, which changes at every claim;
//! - a task is ready exactly when all its children are done and it is neither leased nor done.

mod memory;
mod sql;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::FleetError;
use crate::task::{Blob, BlobHash, JobId, MachineId, NewJob, TaskId, TaskSpec};

pub use memory::MemoryStore;
pub use sql::{SqlStore, open_store};

/// What bounds a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most unproven tasks in open jobs: a submit that would exceed it is refused.
    pub max_open: u64,
    /// How often a task is tried before its job fails.
    pub max_attempts: u32,
    /// Proofs of a prover that may be refused before it is quarantined.
    pub max_refused: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_open: 1_000_000,
            max_attempts: 5,
            max_refused: 3,
        }
    }
}

/// A state of a job. The numbers are the databases'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Tasks are to be done.
    Open = 0,
    /// Its proof is there.
    Done = 1,
    /// A task was tried too often.
    Failed = 2,
    /// Somebody called it off.
    Cancelled = 3,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Open, Self::Done, Self::Failed, Self::Cancelled];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A state of a task. The numbers are the databases'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// A child's proof is missing.
    Waiting = 0,
    /// Anybody may claim it.
    Ready = 1,
    /// Somebody works on it.
    Leased = 2,
    /// Its proof is there.
    Done = 3,
    /// It was tried too often.
    Failed = 4,
}

impl TaskState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Ready,
        Self::Leased,
        Self::Done,
        Self::Failed,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Leased => "leased",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

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
    /// Proves that the lease is still this one.
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

/// A job, as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobView {
    /// Its name.
    pub id: JobId,
    /// Its machine.
    pub machine: MachineId,
    /// Its payload.
    #[serde(skip)]
    pub payload: Vec<u8>,
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

/// Tasks by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCounts {
    /// A child's proof is missing.
    pub waiting: u64,
    /// Anybody may claim it.
    pub ready: u64,
    /// Somebody works on it.
    pub leased: u64,
    /// Its proof is there.
    pub done: u64,
    /// It was tried too often.
    pub failed: u64,
}

impl TaskCounts {
    /// The count of a state.
    pub const fn of(&mut self, state: TaskState) -> &mut u64 {
        match state {
            TaskState::Waiting => &mut self.waiting,
            TaskState::Ready => &mut self.ready,
            TaskState::Leased => &mut self.leased,
            TaskState::Done => &mut self.done,
            TaskState::Failed => &mut self.failed,
        }
    }

    /// Tasks without a proof.
    #[must_use]
    pub const fn unproven(&self) -> u64 {
        self.waiting + self.ready + self.leased + self.failed
    }

    /// All tasks.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.unproven() + self.done
    }
}

/// A task, as it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskView {
    /// Its number in the plan.
    pub number: u32,
    /// Its kind.
    pub kind: String,
    /// Where it stands.
    pub place: crate::task::Place,
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

/// The queue. All times are the store's own: a prover's or an aggregator's clock decides nothing.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Queues a job: all of it or nothing.
    ///
    /// # Errors
    /// [`FleetError::Plan`]; [`FleetError::Full`], decided under the same lock as the insertion.
    async fn submit(&self, job: &NewJob) -> Result<Submitted, FleetError>;

    /// Registers a prover, or renews what it says of itself.
    ///
    /// # Errors
    /// The store's.
    async fn register(&self, prover: &ProverInfo) -> Result<(), FleetError>;

    /// Leases the task that comes first among those that the prover can do: of jobs by priority; in them the most urgent;
    /// then of the lowest range, the oldest job, the lowest number. Tasks that this prover was the last one to fail come
    /// after all others.
    ///
    /// # Errors
    /// [`FleetError::UnknownProver`], [`FleetError::Quarantined`].
    async fn claim(&self, prover: &str, lease: Duration) -> Result<Option<Claim>, FleetError>;

    /// Prolongs leases, and says of each whether it still holds.
    ///
    /// # Errors
    /// [`FleetError::UnknownProver`].
    async fn heartbeat(
        &self,
        prover: &str,
        held: &[(TaskId, i64)],
        lease: Duration,
    ) -> Result<Vec<bool>, FleetError>;

    /// Books a proof that was verified, and that is in the store of proofs already.
    ///
    /// # Errors
    /// [`FleetError::UnknownTask`].
    async fn complete(&self, task: TaskId, proof: &Proof) -> Result<Completed, FleetError>;

    /// A prover could not do its task: another attempt, elsewhere first.
    ///
    /// # Errors
    /// [`FleetError::UnknownTask`].
    async fn fail(&self, task: TaskId, token: i64, why: &str) -> Result<Failed, FleetError>;

    /// A prover gives its task back undone: no attempt is used up. Says whether the lease still was this one.
    ///
    /// # Errors
    /// [`FleetError::UnknownTask`].
    async fn release(&self, task: TaskId, token: i64) -> Result<bool, FleetError>;

    /// A proof was refused. It is noted, the task is ready again where the lease still is this one, and the prover is
    /// quarantined when it is one too many: then it loses its other leases too. Says whether it is quarantined. No attempt
    /// is used up: a lying prover must not fail a job.
    ///
    /// # Errors
    /// [`FleetError::UnknownTask`], [`FleetError::UnknownProver`].
    async fn refuse(&self, refusal: &Refusal, token: i64) -> Result<bool, FleetError>;

    /// Takes back the leases that have run out, each a failed attempt.
    ///
    /// # Errors
    /// The store's.
    async fn expire(&self) -> Result<Vec<Expired>, FleetError>;

    /// A task as it was planned, with its job's machine and state: what its proof is verified against.
    ///
    /// # Errors
    /// [`FleetError::UnknownTask`].
    async fn task(&self, task: TaskId) -> Result<(MachineId, JobState, TaskSpec), FleetError>;

    /// A job.
    ///
    /// # Errors
    /// [`FleetError::UnknownJob`].
    async fn job(&self, id: JobId) -> Result<JobView, FleetError>;

    /// The newest jobs, at most `limit`; only those in `state` where one is given.
    ///
    /// # Errors
    /// The store's.
    async fn jobs(&self, state: Option<JobState>, limit: u32) -> Result<Vec<JobView>, FleetError>;

    /// A job's tasks from number `from`, at most `limit`.
    ///
    /// # Errors
    /// [`FleetError::UnknownJob`].
    async fn tasks(&self, id: JobId, from: u32, limit: u32) -> Result<Vec<TaskView>, FleetError>;

    /// Calls a job off.
    ///
    /// # Errors
    /// [`FleetError::UnknownJob`]; [`FleetError::State`] where it is done or failed.
    async fn cancel(&self, id: JobId) -> Result<(), FleetError>;

    /// Calls off every open job of a stream whose range reaches beyond `from`: begins at it or later, or contains it.
    /// Returns them.
    ///
    /// # Errors
    /// The store's.
    async fn cancel_suffix(&self, stream: &str, from: u64) -> Result<Vec<JobId>, FleetError>;

    /// Queues a failed or cancelled job again: what is proven stays proven, attempts start anew.
    ///
    /// # Errors
    /// [`FleetError::UnknownJob`], [`FleetError::State`], [`FleetError::Full`].
    async fn retry(&self, id: JobId) -> Result<(), FleetError>;

    /// Every prover that ever registered.
    ///
    /// # Errors
    /// The store's.
    async fn provers(&self) -> Result<Vec<ProverView>, FleetError>;

    /// Lets a quarantined prover work again.
    ///
    /// # Errors
    /// [`FleetError::UnknownProver`].
    async fn release_prover(&self, name: &str) -> Result<(), FleetError>;

    /// The newest refusals, at most `limit`.
    ///
    /// # Errors
    /// The store's.
    async fn refusals(&self, limit: u32) -> Result<Vec<Refusal>, FleetError>;

    /// Rates of every device and kind measured.
    ///
    /// # Errors
    /// The store's.
    async fn rates(&self) -> Result<Vec<Rate>, FleetError>;

    /// Work of the open jobs, by machine and kind.
    ///
    /// # Errors
    /// The store's.
    async fn backlog(&self) -> Result<Vec<Backlog>, FleetError>;

    /// Which of these blobs something refers to: an input of a job, a proof, a result, a refusal.
    ///
    /// # Errors
    /// The store's.
    async fn referenced(&self, blobs: &[BlobHash]) -> Result<Vec<bool>, FleetError>;

    /// Drops the tasks of jobs that ended longer than `age` ago, and refusals as old. The jobs and their results stay.
    /// Returns how many jobs were archived.
    ///
    /// # Errors
    /// The store's.
    async fn archive(&self, age: Duration) -> Result<u64, FleetError>;

    /// The store's clock: milliseconds since 1970.
    ///
    /// # Errors
    /// The store's.
    async fn now(&self) -> Result<i64, FleetError>;
}
