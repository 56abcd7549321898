//! What has to be done from time to time: leases that ran out, old jobs, blobs that nothing names.

use std::time::Duration;

use tokio::time::Instant;

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

    /// Archives old jobs, forgets provers as old, and collects blobs. Returns how many jobs and blobs.
    ///
    /// # Errors
    /// The stores'.
    pub async fn tidy(&self) -> Result<(u64, u64), FleetError> {
        let archived = self.store.archive(self.settings.keep).await?;
        self.store.forget(self.settings.keep).await?;
        let collected = self
            .blobs
            .collect(&*self.store, self.settings.grace)
            .await?;
        Ok((archived, collected))
    }

    /// Sweeps until [`Self::stop`]. What fails is tried again at the next turn. Tidying takes its time, and leases run out
    /// meanwhile.
    pub(super) async fn sweep(&self) {
        let sweeping = async { tokio::join!(self.expire_leases(), self.keep_tidy()) };
        tokio::select! {
            _ = sweeping => {}
            () = self.stopped() => {}
        }
    }

    /// Heartbeats reach nobody while the aggregator, or its queue, is down: whoever lives gets a lease's time to be heard of
    /// again before leases run out.
    async fn expire_leases(&self) {
        let lease = self.settings.lease;
        let pause = (lease / 8).clamp(Duration::from_millis(20), Duration::from_secs(5));
        let mut up = Instant::now();
        loop {
            let turn = Instant::now();
            tokio::time::sleep(pause).await;
            if turn.elapsed() > pause + lease / 2 {
                // It was stopped itself.
                up = Instant::now();
            }
            let swept = if up.elapsed() < lease {
                self.store.now().await.map(drop)
            } else {
                self.expire().await.map(drop)
            };
            if let Err(error) = swept {
                tracing::warn!(%error, "cannot take back leases");
                up = Instant::now();
            }
        }
    }

    async fn keep_tidy(&self) {
        loop {
            tokio::time::sleep(TIDY).await;
            match self.tidy().await {
                Ok((0, 0)) => {}
                Ok((archived, collected)) => tracing::info!(archived, collected, "tidied"),
                Err(error) => tracing::warn!(%error, "cannot tidy"),
            }
        }
    }
}
