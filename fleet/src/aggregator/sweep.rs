//! What has to be done from time to time: leases that ran out, old jobs, blobs that nothing names.

use std::time::Duration;

use super::Aggregator;
use crate::FleetError;
use crate::store::Failed;

/// How often old jobs are archived and blobs collected.
const TIDY: Duration = Duration::from_secs(600);

impl Aggregator {
    /// Takes back the leases that have run out. Returns how many.
    ///
    /// # Errors
    /// The queue's.
    pub async fn expire(&self) -> Result<u64, FleetError> {
        let expired = self.store.expire(self.settings.lease * 2).await?;
        for lease in &expired {
            tracing::warn!(task = %lease.task, prover = lease.prover, "lease expired");
            match lease.outcome {
                Failed::JobFailed => self.ended.notify_waiters(),
                _ => self.wake(1),
            }
        }
        Ok(expired.len() as u64)
    }

    /// Archives old jobs and collects blobs. Returns how many of each.
    ///
    /// # Errors
    /// The stores'.
    pub async fn tidy(&self) -> Result<(u64, u64), FleetError> {
        let archived = self.store.archive(self.settings.keep).await?;
        let collected = self
            .blobs
            .collect(&*self.store, self.settings.grace)
            .await?;
        Ok((archived, collected))
    }

    /// Sweeps until [`Self::stop`]. What fails is tried again at the next turn.
    pub(super) async fn sweep(&self) {
        let pause =
            (self.settings.lease / 8).clamp(Duration::from_millis(20), Duration::from_secs(5));
        let mut tidied = tokio::time::Instant::now();
        let sweeping = async {
            loop {
                tokio::time::sleep(pause).await;
                if let Err(error) = self.expire().await {
                    tracing::warn!(%error, "cannot take back leases");
                }
                if tidied.elapsed() >= TIDY {
                    tidied = tokio::time::Instant::now();
                    match self.tidy().await {
                        Ok((0, 0)) => {}
                        Ok((archived, collected)) => tracing::info!(archived, collected, "tidied"),
                        Err(error) => tracing::warn!(%error, "cannot tidy"),
                    }
                }
            }
        };
        tokio::select! {
            () = sweeping => {}
            () = self.stopped() => {}
        }
    }
}
