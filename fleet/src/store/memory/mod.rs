//! The queue in memory: the model of every other store, and what the simulator runs on. Its clock is set by hand.

mod end;
mod lease;
mod queue;
mod view;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{
    Backlog, Claim, Completed, Expired, Failed, JobState, JobStore, JobView, Limits, Proof,
    ProverInfo, ProverView, Rate, Refusal, Refused, Standing, Submitted, TaskView,
};
use crate::FleetError;
use crate::task::{Blob, BlobHash, JobId, NewJob, TaskId};
use queue::Queue;

/// See the module.
pub struct MemoryStore {
    limits: Limits,
    queue: Mutex<Queue>,
}

impl MemoryStore {
    /// An empty queue, at the time 0.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            queue: Mutex::default(),
        }
    }

    /// Sets the clock: milliseconds since 1970.
    pub fn set_now(&self, now: i64) {
        self.queue().now = now;
    }

    /// When the first lease runs out.
    #[must_use]
    pub fn next_expiry(&self) -> Option<i64> {
        self.queue().leases.first().map(|&(expires, _)| expires)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // No operation panics half-way: see the tests.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl JobStore for MemoryStore {
    async fn submit(&self, new: &NewJob) -> Result<Submitted, FleetError> {
        self.queue().submit(new, self.limits)
    }

    async fn register(&self, info: &ProverInfo) -> Result<(), FleetError> {
        self.queue().register(info)
    }

    async fn claim(&self, name: &str, lease: Duration) -> Result<Option<Claim>, FleetError> {
        self.queue().claim(name, lease)
    }

    async fn heartbeat(
        &self,
        name: &str,
        held: &[(TaskId, i64)],
        lease: Duration,
    ) -> Result<Vec<bool>, FleetError> {
        self.queue().heartbeat(name, held, lease)
    }

    async fn complete(&self, id: TaskId, proof: &Proof) -> Result<Completed, FleetError> {
        self.queue().complete(id, proof)
    }

    async fn fail(&self, id: TaskId, token: i64, why: &str) -> Result<Failed, FleetError> {
        self.queue().fail(id, token, why, self.limits)
    }

    async fn release(&self, id: TaskId, token: i64) -> Result<bool, FleetError> {
        self.queue().release(id, token)
    }

    async fn refuse(&self, refusal: &Refusal, token: i64) -> Result<Refused, FleetError> {
        self.queue().refuse(refusal, token, self.limits)
    }

    async fn expire(&self, longest: Duration) -> Result<Vec<Expired>, FleetError> {
        self.queue().expire(longest, self.limits)
    }

    async fn task(&self, id: TaskId) -> Result<Standing, FleetError> {
        self.queue().task(id)
    }

    async fn job(&self, id: JobId) -> Result<JobView, FleetError> {
        Ok(self.queue().job(id)?.view())
    }

    async fn jobs(&self, state: Option<JobState>, limit: u32) -> Result<Vec<JobView>, FleetError> {
        self.queue().jobs(state, limit)
    }

    async fn tasks(&self, id: JobId, from: u32, limit: u32) -> Result<Vec<TaskView>, FleetError> {
        self.queue().tasks(id, from, limit)
    }

    async fn cancel(&self, id: JobId) -> Result<(), FleetError> {
        self.queue().cancel(id)
    }

    async fn cancel_suffix(&self, stream: &str, from: u64) -> Result<Vec<JobId>, FleetError> {
        self.queue().cancel_suffix(stream, from)
    }

    async fn retry(&self, id: JobId) -> Result<(), FleetError> {
        self.queue().retry(id, self.limits)
    }

    async fn unprove(&self, task: TaskId, proof: &Blob) -> Result<bool, FleetError> {
        self.queue().unprove(task, proof)
    }

    async fn provers(&self) -> Result<Vec<ProverView>, FleetError> {
        self.queue().provers()
    }

    async fn release_prover(&self, name: &str) -> Result<(), FleetError> {
        self.queue().release_prover(name)
    }

    async fn refusals(&self, limit: u32) -> Result<Vec<Refusal>, FleetError> {
        self.queue().refusals(limit)
    }

    async fn rates(&self) -> Result<Vec<Rate>, FleetError> {
        self.queue().rates()
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, FleetError> {
        self.queue().backlog()
    }

    async fn referenced(&self, blobs: &[BlobHash]) -> Result<Vec<bool>, FleetError> {
        self.queue().referenced(blobs)
    }

    async fn archive(&self, age: Duration) -> Result<u64, FleetError> {
        self.queue().archive(age)
    }

    async fn forget(&self, age: Duration) -> Result<u64, FleetError> {
        self.queue().forget(age)
    }

    async fn now(&self) -> Result<i64, FleetError> {
        Ok(self.queue().now)
    }
}
