//! Proofs on receipt: verified against their own task, or refused and kept for inspection.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tracing::Instrument;

use super::Aggregator;
use crate::FleetError;
use crate::machine::MachineError;
use crate::point::Point;
use crate::store::{Completed, JobState, Proof, Refusal};
use crate::task::TaskId;
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
        let (machine, ..) = self.store.task(task).await?;
        Ok(self.machine(&machine)?.max_proof_bytes())
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
        let (machine, state, spec) = self.store.task(task).await?;
        let kind = Kind::of(&machine, &spec.kind);
        if state == JobState::Cancelled || state == JobState::Failed {
            self.metrics.delivered(&kind, "closed");
            return Ok(Delivered::Closed(state));
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
        let put = self.blobs.put(bytes).await;
        let blob = put.inspect_err(|_| self.metrics.blob_error())?;
        points.meet(Point::Stored);
        if let Err(error) = verified {
            let refusal = Refusal {
                task,
                prover: prover.to_owned(),
                blob,
                why: error.to_string(),
                at: 0,
            };
            let quarantined = self.store.refuse(&refusal, token).await?;
            tracing::warn!(%task, prover, quarantined, why = %refusal.why, "proof refused");
            self.metrics.delivered(&kind, "refused");
            self.wake(1);
            return Ok(Delivered::Refused {
                why: refusal.why,
                quarantined,
            });
        }
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
}
