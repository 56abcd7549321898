//! From a submission to a queued job.

use std::io::{self, Read};
use std::sync::Arc;

use tracing::{Instrument, Span};

use super::Aggregator;
use crate::FleetError;
use crate::blobs::Blobs;
use crate::machine::Inputs;
use crate::point::Point;
use crate::protocol::{MAX_INPUTS, MAX_PAYLOAD, unprovable};
use crate::store::{JobState, Submitted};
use crate::task::{Blob, JobId, MachineId, NewJob};
use crate::watch::trace;

/// What somebody wants proven.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The machine; with an empty version, the newest that is served.
    pub machine: MachineId,
    /// In the machine's encoding.
    pub payload: Vec<u8>,
    /// What it reads: stored before.
    pub inputs: Vec<Blob>,
    /// The chain of ranges that it belongs to; empty: none.
    pub stream: String,
    /// Larger first.
    pub priority: i32,
    /// The caller's trace, as W3C's `traceparent`; empty: none.
    pub trace: String,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The job's name.
    pub job: JobId,
    /// Whether it is new.
    pub submitted: Submitted,
    /// Its tasks.
    pub tasks: u64,
}

impl Submission {
    /// The name of its job under this version of the machine.
    fn id(&self, machine: &MachineId) -> JobId {
        let mut inputs = Vec::with_capacity(32 * self.inputs.len());
        for input in &self.inputs {
            inputs.extend(input.hash.0);
        }
        JobId::of(&[
            machine.name.as_bytes(),
            machine.version.as_bytes(),
            &self.payload,
            &inputs,
            self.stream.as_bytes(),
        ])
    }
}

/// Blobs, for a machine that plans.
struct Stored {
    blobs: Blobs,
    runtime: tokio::runtime::Handle,
}

impl Inputs for Stored {
    fn open(&self, blob: &Blob) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(self.blobs.reader(&self.runtime, *blob)?))
    }
}

impl Aggregator {
    /// Plans a job and queues it. The same submission again is the same job.
    ///
    /// # Errors
    /// [`FleetError::UnknownMachine`], [`FleetError::Malformed`], [`FleetError::UnknownBlob`] for an input that is not
    /// stored, [`FleetError::Unprovable`], [`FleetError::Full`], the stores'.
    pub async fn submit(&self, submission: Submission) -> Result<Accepted, FleetError> {
        let machine = self.machine(&submission.machine)?;
        let id = submission.id(&machine.id());
        match self.store.job(id).await {
            // Of an archived job that ended without a proof nothing is left: it is planned anew.
            Ok(job) if job.archived && job.state.may_be_retried() => {}
            Ok(job) => {
                return Ok(Accepted {
                    job: id,
                    submitted: Submitted::Known(job.state),
                    tasks: job.tasks.all(),
                });
            }
            Err(FleetError::UnknownJob { .. }) => {}
            Err(error) => return Err(error),
        }
        let span = tracing::info_span!("submit", job = %id, machine = %machine.id());
        // A call's own span, where there is one, hangs under the given one already.
        if Span::current().is_none() {
            trace::adopt(&span, &submission.trace);
        }
        self.queue(submission, id, &span)
            .instrument(span.clone())
            .await
    }

    async fn queue(
        &self,
        mut submission: Submission,
        id: JobId,
        span: &Span,
    ) -> Result<Accepted, FleetError> {
        submission.trace = trace::of_job(span, &submission.trace);
        let job = self.plan(submission, id).await?;
        let tasks = job.tasks.len() as u64;
        let ready = job.tasks.iter().filter(|task| task.children.is_empty());
        let ready = ready.count() as u64;
        self.settings.points.meet(Point::Planned);
        let submitted = self.store.submit(&job).await?;
        self.settings.points.meet(Point::Queued);
        if submitted == Submitted::New {
            tracing::info!(job = %id, tasks, "queued");
            self.wake(ready);
            // While it was planned nothing named the inputs: one that was old, and collected meanwhile, has to be sent again.
            // The job waits for it, for a while.
            self.expect_stored(&job.inputs).await?;
        }
        Ok(Accepted {
            job: id,
            submitted,
            tasks,
        })
    }

    async fn expect_stored(&self, inputs: &[Blob]) -> Result<(), FleetError> {
        for input in inputs {
            if !self.blobs.have(input).await? {
                return Err(FleetError::UnknownBlob { hash: input.hash });
            }
        }
        Ok(())
    }

    /// Plans a submission without queueing it: for a caller that inserts it within its own transaction.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn plan_job(&self, mut submission: Submission) -> Result<NewJob, FleetError> {
        let id = submission.id(&self.machine(&submission.machine)?.id());
        submission.trace = trace::of_job(&Span::current(), &submission.trace);
        self.plan(submission, id).await
    }

    #[tracing::instrument(skip_all)]
    async fn plan(&self, submission: Submission, id: JobId) -> Result<NewJob, FleetError> {
        let machine = Arc::clone(self.machine(&submission.machine)?);
        if submission.payload.len() > MAX_PAYLOAD || submission.inputs.len() > MAX_INPUTS {
            return Err(FleetError::Malformed {
                what: "submission",
                why: format!("more than {MAX_PAYLOAD} bytes of payload or {MAX_INPUTS} inputs"),
            });
        }
        if submission.stream.len() > 100 {
            return Err(FleetError::Malformed {
                what: "stream",
                why: "its name is longer than 100 bytes".to_owned(),
            });
        }
        self.expect_stored(&submission.inputs).await?;
        let stored = Stored {
            blobs: self.blobs.clone(),
            runtime: tokio::runtime::Handle::current(),
        };
        // The semaphore is never closed.
        let permit = Arc::clone(&self.planning).acquire_owned().await.ok();
        let planning = tokio::task::spawn_blocking(move || {
            let planned = machine.plan(&submission.payload, &submission.inputs, &stored);
            drop(permit);
            (machine.id(), submission, planned)
        });
        let (machine, submission, planned) =
            planning.await.map_err(|error| FleetError::Internal {
                why: format!("planning ended: {error}"),
            })?;
        let planned = planned.map_err(|error| unprovable(&error))?;
        let job = NewJob {
            id,
            machine,
            payload: submission.payload,
            stream: submission.stream,
            first: planned.first,
            count: planned.count,
            priority: submission.priority,
            inputs: submission.inputs,
            trace: submission.trace,
            tasks: planned.tasks,
        };
        job.check()?;
        Ok(job)
    }

    /// Calls a job off.
    ///
    /// # Errors
    /// [`FleetError::UnknownJob`], [`FleetError::State`].
    pub async fn cancel(&self, id: JobId) -> Result<(), FleetError> {
        self.store.cancel(id).await?;
        self.ended.notify_waiters();
        Ok(())
    }

    /// Calls off every open job of a stream that reaches beyond `from`.
    ///
    /// # Errors
    /// The queue's.
    pub async fn cancel_suffix(&self, stream: &str, from: u64) -> Result<Vec<JobId>, FleetError> {
        let cancelled = self.store.cancel_suffix(stream, from).await?;
        self.ended.notify_waiters();
        Ok(cancelled)
    }

    /// Queues a failed or cancelled job again. What is proven stays proven, unless its proof is lost.
    ///
    /// # Errors
    /// [`FleetError::UnknownJob`], [`FleetError::State`], [`FleetError::Full`].
    pub async fn retry(&self, id: JobId) -> Result<(), FleetError> {
        if self.store.job(id).await?.state.may_be_retried() {
            self.restore(id).await?;
        }
        self.store.retry(id).await?;
        let job = self.store.job(id).await?;
        debug_assert_ne!(job.state, JobState::Failed);
        self.wake(job.tasks.ready);
        Ok(())
    }
}
