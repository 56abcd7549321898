//! A queue that is watched: every operation is timed, every event counted. It decides nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::metrics::{Kind, Metrics};
use crate::FleetError;
use crate::store::{
    Backlog, Claim, Completed, Expired, Failed, JobState, JobStore, JobView, Proof, ProverInfo,
    ProverView, Rate, Refusal, Refused, Standing, Submitted, TaskView,
};
use crate::task::{Blob, BlobHash, JobId, NewJob, TaskId};

/// See the module.
pub(crate) struct Watched {
    store: Arc<dyn JobStore>,
    metrics: Arc<Metrics>,
}

impl Watched {
    pub(crate) fn new(store: Arc<dyn JobStore>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }

    async fn timed<T>(
        &self,
        operation: &'static str,
        answer: impl Future<Output = Result<T, FleetError>>,
    ) -> Result<T, FleetError> {
        let start = Instant::now();
        let answer = answer.await;
        self.metrics
            .stored(operation, start.elapsed(), answer.as_ref().err());
        answer
    }

    /// Counts a job that is done, with its delay by the store's clock.
    async fn job_done(&self, id: JobId) {
        match self.store.job(id).await {
            Ok(job) => {
                let delay = job.ended.unwrap_or(job.submitted) - job.submitted;
                let delay = Duration::from_millis(u64::try_from(delay).unwrap_or(0));
                self.metrics.job_done(&job.machine, delay);
            }
            // The proof is booked all the same.
            Err(error) => tracing::warn!(job = %id, %error, "its delay is not counted"),
        }
    }

    fn failed(&self, outcome: Failed) {
        if outcome == Failed::JobFailed {
            self.metrics.ended(JobState::Failed, 1);
        }
    }
}

#[async_trait]
impl JobStore for Watched {
    async fn submit(&self, job: &NewJob) -> Result<Submitted, FleetError> {
        let submitted = self.timed("submit", self.store.submit(job)).await?;
        if submitted == Submitted::New {
            self.metrics.submitted(&job.machine);
        }
        Ok(submitted)
    }

    async fn claim(&self, prover: &str, lease: Duration) -> Result<Option<Claim>, FleetError> {
        let claim = self.timed("claim", self.store.claim(prover, lease)).await?;
        if let Some(claim) = &claim {
            self.metrics
                .claimed(&Kind::of(&claim.machine, &claim.spec.kind));
        }
        Ok(claim)
    }

    async fn complete(&self, task: TaskId, proof: &Proof) -> Result<Completed, FleetError> {
        let completed = self
            .timed("complete", self.store.complete(task, proof))
            .await?;
        if let Completed::Accepted { job_done: true, .. } = completed {
            self.job_done(task.job).await;
        }
        Ok(completed)
    }

    async fn fail(&self, task: TaskId, token: i64, why: &str) -> Result<Failed, FleetError> {
        let outcome = self
            .timed("fail", self.store.fail(task, token, why))
            .await?;
        if outcome != Failed::NotYours {
            self.metrics.failed();
        }
        self.failed(outcome);
        Ok(outcome)
    }

    async fn release(&self, task: TaskId, token: i64) -> Result<bool, FleetError> {
        let held = self
            .timed("release", self.store.release(task, token))
            .await?;
        if held {
            self.metrics.released();
        }
        Ok(held)
    }

    async fn expire(&self, longest: Duration) -> Result<Vec<Expired>, FleetError> {
        let expired = self.timed("expire", self.store.expire(longest)).await?;
        self.metrics.expired(expired.len());
        expired.iter().for_each(|lease| self.failed(lease.outcome));
        Ok(expired)
    }

    async fn cancel(&self, id: JobId) -> Result<(), FleetError> {
        // Called off twice, it ended once.
        let open = self.store.job(id).await?.state == JobState::Open;
        self.timed("cancel", self.store.cancel(id)).await?;
        self.metrics.ended(JobState::Cancelled, usize::from(open));
        Ok(())
    }

    async fn cancel_suffix(&self, stream: &str, from: u64) -> Result<Vec<JobId>, FleetError> {
        let cancelling = self.store.cancel_suffix(stream, from);
        let jobs = self.timed("cancel_suffix", cancelling).await?;
        self.metrics.ended(JobState::Cancelled, jobs.len());
        Ok(jobs)
    }

    async fn register(&self, prover: &ProverInfo) -> Result<(), FleetError> {
        self.timed("register", self.store.register(prover)).await
    }

    async fn heartbeat(
        &self,
        prover: &str,
        held: &[(TaskId, i64)],
        lease: Duration,
    ) -> Result<Vec<bool>, FleetError> {
        let beating = self.store.heartbeat(prover, held, lease);
        self.timed("heartbeat", beating).await
    }

    async fn refuse(&self, refusal: &Refusal, token: i64) -> Result<Refused, FleetError> {
        self.timed("refuse", self.store.refuse(refusal, token))
            .await
    }

    async fn task(&self, task: TaskId) -> Result<Standing, FleetError> {
        self.timed("task", self.store.task(task)).await
    }

    async fn job(&self, id: JobId) -> Result<JobView, FleetError> {
        self.timed("job", self.store.job(id)).await
    }

    async fn jobs(&self, state: Option<JobState>, limit: u32) -> Result<Vec<JobView>, FleetError> {
        self.timed("jobs", self.store.jobs(state, limit)).await
    }

    async fn tasks(&self, id: JobId, from: u32, limit: u32) -> Result<Vec<TaskView>, FleetError> {
        self.timed("tasks", self.store.tasks(id, from, limit)).await
    }

    async fn retry(&self, id: JobId) -> Result<(), FleetError> {
        self.timed("retry", self.store.retry(id)).await
    }

    async fn unprove(&self, task: TaskId, proof: &Blob) -> Result<bool, FleetError> {
        self.timed("unprove", self.store.unprove(task, proof)).await
    }

    async fn provers(&self) -> Result<Vec<ProverView>, FleetError> {
        self.timed("provers", self.store.provers()).await
    }

    async fn release_prover(&self, name: &str) -> Result<(), FleetError> {
        let releasing = self.store.release_prover(name);
        self.timed("release_prover", releasing).await
    }

    async fn refusals(&self, limit: u32) -> Result<Vec<Refusal>, FleetError> {
        self.timed("refusals", self.store.refusals(limit)).await
    }

    async fn rates(&self) -> Result<Vec<Rate>, FleetError> {
        self.timed("rates", self.store.rates()).await
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, FleetError> {
        self.timed("backlog", self.store.backlog()).await
    }

    async fn referenced(&self, blobs: &[BlobHash]) -> Result<Vec<bool>, FleetError> {
        self.timed("referenced", self.store.referenced(blobs)).await
    }

    async fn archive(&self, age: Duration) -> Result<u64, FleetError> {
        self.timed("archive", self.store.archive(age)).await
    }

    async fn forget(&self, age: Duration) -> Result<u64, FleetError> {
        self.timed("forget", self.store.forget(age)).await
    }

    async fn now(&self) -> Result<i64, FleetError> {
        self.timed("now", self.store.now()).await
    }
}
