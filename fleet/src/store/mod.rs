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
//! - a task has at most one proof, and it never changes, unless it is lost ([`JobStore::unprove`]);
//! - any verified proof is accepted while its task is unproven and waits for no other, whoever holds the lease and however late
//!   it comes;
//! - failure, heartbeat, release and refusal act only under the token of the current lease, which is drawn at every claim;
//! - a task is ready exactly when all its children are done and it is neither leased nor done.

mod memory;
mod outcome;
mod sql;
mod state;
mod views;

use std::time::Duration;

use async_trait::async_trait;
use rand::RngExt;

use crate::FleetError;
use crate::task::{Blob, BlobHash, JobId, NewJob, TaskId};

pub use memory::MemoryStore;
pub use outcome::{
    Claim, Completed, Expired, Failed, Proof, ProverInfo, Refusal, Refused, Submitted,
};
pub use sql::{SqlStore, open_store};
pub use state::{JobState, TaskCounts, TaskState};
pub use views::{Backlog, JobView, ProverView, RATE_WEIGHT, Rate, Standing, TaskView};

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

/// Leases that one prover holds at most: it works on one task at a time, and those whose answers were lost run out.
pub(crate) const MAX_HELD: u32 = 64;

/// Tasks that are read at a time.
const PAGE: u32 = 10_000;

/// A job's tasks, all of them.
pub(crate) async fn all_tasks(
    store: &dyn JobStore,
    id: JobId,
) -> Result<Vec<TaskView>, FleetError> {
    let mut tasks = Vec::new();
    loop {
        let page = store.tasks(id, tasks.len() as u32, PAGE).await?;
        let last = page.len() < PAGE as usize;
        tasks.extend(page);
        if last {
            return Ok(tasks);
        }
    }
}

/// The token of a new lease.
fn lease_token() -> i64 {
    rand::rng().random_range(1..i64::MAX)
}

/// Milliseconds of a duration, for a store's clock.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

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
    /// after all others. Nothing for a prover that holds 64 leases.
    ///
    /// # Errors
    /// [`FleetError::UnknownProver`], [`FleetError::Quarantined`].
    async fn claim(&self, prover: &str, lease: Duration) -> Result<Option<Claim>, FleetError>;

    /// Prolongs leases of this prover's, and says of each whether it still holds.
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

    /// A proof was refused. Where the current lease of its task is this one, and this prover's, it is noted, the task is ready
    /// again, and the prover is quarantined when it is one too many: then it loses its other leases too. Under any other
    /// lease nothing changes: nobody can bring a refusal on another's name, and one that is sent twice counts once. No
    /// attempt is used up: a lying prover must not fail a job.
    ///
    /// # Errors
    /// [`FleetError::UnknownTask`], [`FleetError::UnknownProver`].
    async fn refuse(&self, refusal: &Refusal, token: i64) -> Result<Refused, FleetError>;

    /// Takes back the leases that have run out, each a failed attempt; and, as nobody's failure, those that would run out later
    /// than `longest` from now: the clock was set back after they were given, and nobody would wait that long for a prover
    /// that is gone.
    ///
    /// # Errors
    /// The store's.
    async fn expire(&self, longest: Duration) -> Result<Vec<Expired>, FleetError>;

    /// A task as it was planned, which is what its proof is verified against, and where it and its job stand.
    ///
    /// # Errors
    /// [`FleetError::UnknownTask`].
    async fn task(&self, task: TaskId) -> Result<Standing, FleetError>;

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

    /// Queues a failed or cancelled job again: what is proven stays proven, attempts at the rest start anew.
    ///
    /// # Errors
    /// [`FleetError::UnknownJob`], [`FleetError::State`], [`FleetError::Full`].
    async fn retry(&self, id: JobId) -> Result<(), FleetError>;

    /// A proof is lost: where its task is done by it, and its job failed or was called off, the task is to be done again once the
    /// job is, and what takes its proof waits for it. Says whether that is so.
    ///
    /// # Errors
    /// [`FleetError::UnknownTask`].
    async fn unprove(&self, task: TaskId, proof: &Blob) -> Result<bool, FleetError>;

    /// Every prover that has registered and was not forgotten.
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

    /// Drops the tasks of jobs that ended longer than `age` ago, and refusals as old. The jobs and their results stay; one that
    /// failed or was called off is a new one when it is submitted again. Returns how many jobs were archived.
    ///
    /// # Errors
    /// The store's.
    async fn archive(&self, age: Duration) -> Result<u64, FleetError>;

    /// Forgets provers that were not heard of for longer than `age`, hold no lease and are not quarantined. Returns how many.
    ///
    /// # Errors
    /// The store's.
    async fn forget(&self, age: Duration) -> Result<u64, FleetError>;

    /// The store's clock: milliseconds since 1970.
    ///
    /// # Errors
    /// The store's.
    async fn now(&self) -> Result<i64, FleetError>;
}
