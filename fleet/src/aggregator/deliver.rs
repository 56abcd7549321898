//! Proofs on receipt: verified against their own task, or refused and kept for inspection.

use std::sync::Arc;

use bytes::Bytes;

use super::Aggregator;
use crate::FleetError;
use crate::machine::MachineError;
use crate::point::Point;
use crate::store::{Completed, JobState, Proof, Refusal};
use crate::task::TaskId;

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
        if state == JobState::Cancelled || state == JobState::Failed {
            return Ok(Delivered::Closed(state));
        }
        let device = self.device_of(prover).await?;
        let machine = Arc::clone(self.machine(&machine)?);
        // The semaphore is never closed.
        let permit = Arc::clone(&self.verifying).acquire_owned().await.ok();
        let proof = bytes.clone();
        let verifying = tokio::task::spawn_blocking(move || {
            let verified = machine.verify(&spec, &proof);
            drop(permit);
            verified
        });
        // A verifier that panics has not accepted: whoever sent this is not believed either.
        let verified = verifying.await.unwrap_or_else(|error| {
            Err(MachineError::Rejected(format!(
                "the verifier ended: {error}"
            )))
        });
        points.meet(Point::Verified);
        let blob = self.blobs.put(bytes).await?;
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
                self.wake(u64::from(ready));
                if job_done {
                    tracing::info!(job = %task.job, "done");
                    self.ended.notify_waiters();
                }
                Delivered::Accepted
            }
            Completed::Duplicate => Delivered::Duplicate,
            Completed::Closed(state) => Delivered::Closed(state),
        })
    }
}
