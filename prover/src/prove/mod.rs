//! Proofs of any AIR on any device, verified by stock p3.
//!
//! [`BatchProver`] proves several tables that talk through lookups (p3-batch-stark), [`UniProver`] a single one
//! without lookups (p3-uni-stark). Both return p3's own proof types in p3's own configuration
//! ([`StockConfig`](crate::config::StockConfig)), so that nothing of ours is needed to verify. Where the quotient is
//! computed, on the host or on the device, is not part of this interface.

mod batch;
mod stock;
mod uni;

use p3_uni_stark::ProvingError;

pub use batch::{BatchAir, BatchProver, BatchVerifier, StockBatchProof};
pub use stock::{OracleConfig, StockBatchProver, oracle_config};
pub use uni::{StockProof, UniAir, UniProver, UniVerifier};

use crate::ProverError;

/// p3's error with the phase, or ours.
fn unwrap_proving(error: ProvingError<ProverError>) -> ProverError {
    let ProvingError::Pcs { phase, source } = error;
    tracing::debug!(phase, "proving stopped");
    source
}

/// The log2 of a table's height.
fn log_height(height: usize) -> Result<usize, ProverError> {
    if height.is_power_of_two() {
        Ok(height.ilog2() as usize)
    } else {
        Err(ProverError::Shape {
            why: format!("a table of {height} rows; the height must be a power of two"),
        })
    }
}
