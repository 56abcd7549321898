//! Proofs on receipt: verified against their own task, or refused and kept for inspection.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tracing::Instrument;

use super::Aggregator;
use crate::FleetError;
use crate::machine::MachineError;
use crate::point::Point;
use crate::protocol::text;
use crate::store::{Completed, JobState, Proof, Refusal, Refused, Standing, TaskState};
use crate::task::{Blob, TaskId};
use crate::watch::Kind;

/// What became of a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It is its task's.
    Accepted,
    /// The task had one already.
    Duplicate,
    /// The job is no longer open.
    Closed(JobState),
    /// It is not what its task expects.
    Refused {
        /// Why.
        why: String,
        /// Whether its prover is quarantined now.
        quarantined: bool,
    },
}

impl Aggregator {
    /// Longest proof of a task that is read, in bytes.
    ///
    /// # Errors
    /// [`FleetError::UnknownTask`], [`FleetError::UnknownMachine`].
    pub(super) async fn proof_limit(&self, task: TaskId) -> Result<u64, FleetError> {
        let task = self.store.task(task).await?;
        Ok(self.machine(&task.machine)?.max_proof_bytes())
    }

    /// Takes a proof: verifies it against its task's statement, key and profile, stores it, and books it, in this order. A
    /// proof is welcome while its task is unproven, whoever made it and however late.
    ///
    /// # Errors
    /// [`FleetError::UnknownTask`], [`FleetError::UnknownMachine`], [`FleetError::UnknownProver`], the stores'. A proof that
    /// is refused is no error: see [`Delivered`].
    pub async fn deliver(
        &self,
        prover: &str,
        (task, token): (TaskId, i64),
        bytes: Bytes,
        seconds: f64,
    ) -> Result<Delivered, FleetError> {
        let points = &self.settings.points;
        points.meet(Point::Arrived);
        let Standing {
            machine,
            job,
            state,
            spec,
        } = self.store.task(task).await?;
        let kind = Kind::of(&machine, &spec.kind);
        if job == JobState::Cancelled || job == JobState::Failed {
            self.metrics.delivered(&kind, "closed");
            return Ok(Delivered::Closed(job));
        }
        // What is done needs no proof any more, true or false.
        // Nor what waits for others, which were lost since it was asked for.
        if job == JobState::Done || matches!(state, TaskState::Done | TaskState::Waiting) {
            self.metrics.delivered(&kind, "duplicate");
            return Ok(Delivered::Duplicate);
        }
        let device = self.device_of(prover).await?;
        let machine = Arc::clone(self.machine(&machine)?);
        // The semaphore is never closed.
        let permit = Arc::clone(&self.verifying).acquire_owned().await.ok();
        let start = Instant::now();
        let proof = bytes.clone();
        let verifying = tokio::task::spawn_blocking(move || {
            let verified = machine.verify(&spec, &proof);
            drop(permit);
            verified
        });
        // A verifier that panics has not accepted: whoever sent this is not believed either.
        let span = tracing::info_span!("verify", %task, prover, kind = kind.kind);
        let verified = verifying.instrument(span).await.unwrap_or_else(|error| {
            Err(MachineError::Rejected(format!(
                "the verifier ended: {error}"
            )))
        });
        self.metrics.verified(&kind, start.elapsed());
        points.meet(Point::Verified);
        if let Err(error) = verified {
            self.metrics.delivered(&kind, "refused");
            let why = text(&error.to_string(), 2000);
            return self.refuse(prover, (task, token), bytes, why).await;
        }
        let blob = self.put(bytes).await?;
        points.meet(Point::Stored);
        let proof = Proof {
            blob,
            prover: prover.to_owned(),
            device,
            seconds: if seconds.is_finite() {
                seconds.clamp(0.0, 1e9)
            } else {
                0.0
            },
        };
        let completed = self.store.complete(task, &proof).await?;
        points.meet(Point::Booked);
        Ok(match completed {
            Completed::Accepted { ready, job_done } => {
                tracing::debug!(%task, prover, seconds, ready, "proof accepted");
                let Proof {
                    device, seconds, ..
                } = &proof;
                self.metrics.accepted(&kind, device, blob.bytes, *seconds);
                self.wake(u64::from(ready));
                if job_done {
                    tracing::info!(job = %task.job, "done");
                    self.ended.notify_waiters();
                }
                Delivered::Accepted
            }
            Completed::Duplicate => {
                self.metrics.delivered(&kind, "duplicate");
                Delivered::Duplicate
            }
            Completed::Closed(state) => {
                self.metrics.delivered(&kind, "closed");
                Delivered::Closed(state)
            }
        })
    }

    async fn put(&self, bytes: Bytes) -> Result<Blob, FleetError> {
        let put = self.blobs.put(bytes).await;
        put.inspect_err(|_| self.metrics.blob_error())
    }

    /// A proof that is none is kept, and counts, only from whoever has its task: anybody else's changes nothing.
    async fn refuse(
        &self,
        prover: &str,
        (task, token): (TaskId, i64),
        bytes: Bytes,
        why: String,
    ) -> Result<Delivered, FleetError> {
        // Prolonged, so that it does not run out between this look and the note.
        let lease = self.settings.lease;
        let held = self
            .store
            .heartbeat(prover, &[(task, token)], lease)
            .await?;
        let mut quarantined = false;
        if held == [true] {
            let refusal = Refusal {
                task,
                prover: prover.to_owned(),
                blob: self.put(bytes).await?,
                why: why.clone(),
                at: 0,
            };
            if let Refused::Counted { quarantined: now } =
                self.store.refuse(&refusal, token).await?
            {
                quarantined = now;
                self.wake(1);
            }
        }
        tracing::warn!(%task, prover, quarantined, why, "proof refused");
        Ok(Delivered::Refused { why, quarantined })
    }
}
