//! Proofs of any AIR on any device, verified by stock p3.
//!
//! [`BatchProver`] proves several tables that talk through lookups (p3-batch-stark), [`UniProver`] a single one
//! without lookups (p3-uni-stark). Both return p3's own proof types in p3's own configuration
//! ([`StockConfig`](crate::config::StockConfig)), so that nothing of ours is needed to verify. Where the quotient is
//! computed, on the host or on the device, is not part of this interface.

mod batch;
mod caps;
mod stock;
mod uni;

use p3_air::Air;
use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use p3_lookup::InteractionSymbolicBuilder;
use p3_uni_stark::ProvingError;
use starkwright_hal::{Extension, HalField};

pub use batch::{BatchAir, BatchProver, BatchVerifier, StockBatchProof};
pub use stock::{OracleConfig, StockBatchProver, oracle_config};
pub use uni::{StockProof, UniAir, UniProver, UniVerifier};

use crate::ProverError;
use crate::profile::LeafParameters;
use crate::security::{
    self, Arithmetic, CommitmentHash, OpenCount, SecurityError, SetupError, TableShape,
};

/// p3's error with the phase, or ours.
fn unwrap_proving(error: ProvingError<ProverError>) -> ProverError {
    let ProvingError::Pcs { phase, source } = error;
    tracing::debug!(phase, "proving stopped");
    source
}

/// What happens to a count that declares a bound for which no constraint is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OpenCounts {
    /// It is refused.
    Refused,
    /// Its author argues the bound; it is listed.
    Accepted,
}

/// Refuses tables whose lookups are not sound, that the parameters do not carry, or that a cap would leave unbound.
/// Returns the open counts, where they are accepted.
fn check_tables<F, E, A>(
    airs: &[A],
    log_heights: &[usize],
    parameters: &LeafParameters,
    rule: OpenCounts,
) -> Result<Vec<OpenCount>, ProverError>
where
    F: HalField,
    E: Extension<F>,
    A: Air<InteractionSymbolicBuilder<F, E>>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    if airs.len() != log_heights.len() {
        return Err(ProverError::Shape {
            why: "one height for each AIR".to_owned(),
        });
    }
    let open = security::check_setup::<F, E, A>(airs, log_heights).map_err(SecurityError::from)?;
    if rule == OpenCounts::Refused && !open.is_empty() {
        return Err(SecurityError::from(SetupError::OpenCounts { open }).into());
    }
    let shapes: Vec<TableShape> = airs
        .iter()
        .zip(log_heights)
        .map(|(air, &log_height)| TableShape::from_air::<F, E, A>(air, log_height))
        .collect();
    // The hash plays no part in whether tables fit.
    let arithmetic = Arithmetic::new::<F>(CommitmentHash::Poseidon2);
    security::check_fit(parameters, &arithmetic, &shapes)?;
    // p3 binds no row of a matrix shorter than the cap.
    let least = log_heights
        .iter()
        .min()
        .map_or(0, |log| log + parameters.log_blowup);
    if parameters.cap_height > least {
        return Err(ProverError::Shape {
            why: format!(
                "a cap of 2^{} digests over a matrix of 2^{least} rows",
                parameters.cap_height
            ),
        });
    }
    Ok(open)
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

/// What the tests of both provers share: a table of one column of bits, and parameters for speed.
#[cfg(test)]
mod bits {
    use p3_air::{Air, AirBuilder, BaseAir, WindowAccess};
    use p3_matrix::dense::RowMajorMatrix;
    use starkwright_hal::{HalError, HalField};

    use crate::profile::{LeafParameters, Profile};

    /// Log2 of the rows.
    pub(super) const LOG_HEIGHT: usize = 5;

    #[derive(Clone)]
    pub(super) struct Bits;

    impl<F> BaseAir<F> for Bits {
        fn width(&self) -> usize {
            1
        }
    }

    impl<AB: AirBuilder> Air<AB> for Bits {
        fn eval(&self, builder: &mut AB) {
            let bit = builder.main().current_slice()[0];
            builder.assert_bool(bit);
        }
    }

    pub(super) fn trace<F: HalField>() -> RowMajorMatrix<F> {
        let bits = (0..1u32 << LOG_HEIGHT).map(|i| F::from_u32(i % 2));
        RowMajorMatrix::new(bits.collect(), 1)
    }

    pub(super) fn parameters() -> LeafParameters {
        LeafParameters {
            num_queries: 3,
            batch_pow_bits: 1,
            commit_pow_bits: 1,
            query_pow_bits: 1,
            ..Profile::Proven100.leaf()
        }
    }

    /// What a proof leaves behind that recorded this failure and then ended by another error.
    pub(super) fn left_behind() -> HalError {
        HalError::unsupported("grind", "left behind")
    }
}
