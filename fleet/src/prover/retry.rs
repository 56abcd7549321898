//! Asking again: with pauses that grow, until the patience is used up.

use std::time::{Duration, Instant};

use rand::RngExt;
use tokio::sync::watch;
use tonic::{Code, Response, Status};

use crate::FleetError;
use crate::protocol::{from_status, is_passing};

/// How long and where.
pub(super) struct Retry {
    address: String,
    patience: Duration,
    stop: watch::Receiver<bool>,
}

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Retry {
    pub(super) fn new(address: &str, patience: Duration, stop: watch::Receiver<bool>) -> Self {
        Self {
            address: address.to_owned(),
            patience,
            stop,
        }
    }

    /// Calls until it succeeds or fails for good. Once the prover is told to stop, its patience is at most ten seconds.
    pub(super) async fn call<T, R>(&self, request: impl Fn() -> R) -> Result<T, FleetError>
    where
        R: Future<Output = Result<Response<T>, Status>>,
    {
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let status = match request().await {
                Ok(reply) => return Ok(reply.into_inner()),
                Err(status) => status,
            };
            let patience = if *self.stop.borrow() {
                self.patience.min(Duration::from_secs(10))
            } else {
                self.patience
            };
            if !is_passing(&status) || start.elapsed() + pause > patience {
                return Err(match status.code() {
                    Code::NotFound if status.message().contains("no prover") => {
                        FleetError::UnknownProver {
                            name: status.message().to_owned(),
                        }
                    }
                    _ => from_status(&self.address, &status),
                });
            }
            tracing::debug!(address = self.address, %status, "asking again");
            // Spread, so that a fleet does not come back all at once.
            let spread = rand::rng().random_range(0.5..1.5);
            tokio::time::sleep(pause.mul_f64(spread)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
