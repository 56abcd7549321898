//! A single table without lookups.

use p3_air::{Air, BaseAir, DebugConstraintBuilder};
use p3_matrix::dense::RowMajorMatrix;
use p3_uni_stark::{
    PreprocessedProverData, PreprocessedVerifierKey, Proof, ProverConstraintFolder,
    StarkGenericConfig, SymbolicAirBuilder, VerifierConstraintFolder, prove_with_preprocessed,
    setup_preprocessed, verify_with_preprocessed,
};
use starkwright_hal::{Backend, Extension, HalField};

use super::caps::Caps;
use super::{log_height, unwrap_proving};
use crate::ProverError;
use crate::challenger::Protocol;
use crate::config::{DeviceConfig, StockConfig, device_config, stock_config};
use crate::phases::{Phase, PhaseSeconds, Phases};
use crate::profile::LeafParameters;

/// p3's proof of a single table, as a stock verifier takes it.
pub type StockProof<F, E, S> = Proof<StockConfig<F, E, S>>;

/// An AIR that p3-uni-stark can prove on the back end `B`: any AIR generic over its builder.
pub trait UniAir<F, E, S, B>:
    BaseAir<F>
    + Air<SymbolicAirBuilder<F>>
    + for<'a> Air<DebugConstraintBuilder<'a, F>>
    + for<'a> Air<ProverConstraintFolder<'a, DeviceConfig<F, E, S, B>>>
    + p3_uni_stark::QuotientAir<DeviceConfig<F, E, S, B>>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    B: Backend<F>,
{
}

impl<F, E, S, B, A> UniAir<F, E, S, B> for A
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    B: Backend<F>,
    A: BaseAir<F>
        + Air<SymbolicAirBuilder<F>>
        + for<'a> Air<DebugConstraintBuilder<'a, F>>
        + for<'a> Air<ProverConstraintFolder<'a, DeviceConfig<F, E, S, B>>>
        + p3_uni_stark::QuotientAir<DeviceConfig<F, E, S, B>>,
{
}

/// Proves a single table of a fixed height on a device.
pub struct UniProver<F, E, S, B, A>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    B: Backend<F>,
{
    config: DeviceConfig<F, E, S, B>,
    phases: Phases,
    air: A,
    log_height: usize,
    preprocessed: Option<PreprocessedProverData<DeviceConfig<F, E, S, B>>>,
}

impl<F, E, S, B, A> UniProver<F, E, S, B, A>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    B: Backend<F>,
    A: UniAir<F, E, S, B>,
{
    /// Prepares the table, and commits to its preprocessed columns.
    ///
    /// # Errors
    /// Device failures; [`HalError::Mismatch`](starkwright_hal::HalError::Mismatch) where its hash is not p3's.
    pub fn setup(
        device: &B,
        parameters: &LeafParameters,
        air: A,
        log_height: usize,
    ) -> Result<Self, ProverError> {
        let phases = Phases::default();
        let config = device_config::<F, E, S, B>(device, parameters, &phases)?;
        let preprocessed = setup_preprocessed(&config, &air, log_height)
            .map_err(unwrap_proving)?
            .map(|(data, _)| data);
        Ok(Self {
            config,
            phases,
            air,
            log_height,
            preprocessed,
        })
    }

    /// Where the time of the proofs so far went; the count starts again.
    #[must_use]
    pub fn take_phases(&self) -> PhaseSeconds {
        self.phases.take()
    }

    /// Proves a trace in row-major natural order with its public values.
    ///
    /// # Errors
    /// [`ProverError::Shape`] where the trace does not fit the table; device failures.
    pub fn prove(
        &self,
        trace: RowMajorMatrix<F>,
        public_values: &[F],
    ) -> Result<StockProof<F, E, S>, ProverError> {
        let height = trace.values.len().checked_div(trace.width).unwrap_or(0);
        if trace.width != self.air.width() || log_height(height)? != self.log_height {
            return Err(ProverError::Shape {
                why: format!(
                    "a trace of {height} rows and {} columns, expected 2^{} and {}",
                    trace.width,
                    self.log_height,
                    self.air.width()
                ),
            });
        }
        if public_values.len() != self.air.num_public_values() {
            return Err(ProverError::Shape {
                why: "a wrong number of public values".to_owned(),
            });
        }
        self.config.pcs().failure().forget();
        self.phases.start();
        // p3 begins with copies of the traces, which would come on top of what the last proof left.
        self.config.pcs().device().trim();
        let proof = prove_with_preprocessed(
            &self.config,
            &self.air,
            trace,
            public_values,
            self.preprocessed.as_ref(),
        )
        .map_err(unwrap_proving)?;
        self.config.pcs().failure().check()?;
        self.phases.lap(Phase::Other);
        Ok(Proof {
            commitments: proof.commitments,
            opened_values: proof.opened_values,
            opening_proof: proof.opening_proof,
            degree_bits: proof.degree_bits,
            ood_pow_witness: proof.ood_pow_witness,
        })
    }
}

/// Verifies proofs of a single table of a fixed height, by stock p3.
pub struct UniVerifier<F, E, S, A>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
{
    config: StockConfig<F, E, S>,
    caps: Caps,
    air: A,
    log_height: usize,
    preprocessed: Option<PreprocessedVerifierKey<StockConfig<F, E, S>>>,
}

impl<F, E, S, A> UniVerifier<F, E, S, A>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    A: BaseAir<F>
        + Air<SymbolicAirBuilder<F>>
        + for<'a> Air<VerifierConstraintFolder<'a, StockConfig<F, E, S>>>
        + p3_uni_stark::QuotientAir<StockConfig<F, E, S>>,
{
    /// Prepares the verifier from the AIR, its height and the parameters alone.
    ///
    /// # Errors
    /// [`ProverError::Shape`] where the preprocessed columns do not fit.
    pub fn setup(
        parameters: &LeafParameters,
        air: A,
        log_height: usize,
    ) -> Result<Self, ProverError> {
        let config = stock_config::<F, E, S>(parameters);
        let preprocessed = setup_preprocessed(&config, &air, log_height)
            .map_err(|error| ProverError::Shape {
                why: error.to_string(),
            })?
            .map(|(_, key)| key);
        Ok(Self {
            config,
            caps: Caps::new(parameters, &[log_height]),
            air,
            log_height,
            preprocessed,
        })
    }

    /// Verifies a proof by p3's `verify`, after checking that it is of exactly this height.
    ///
    /// # Errors
    /// [`ProverError::Rejected`] with p3's reason.
    pub fn verify(
        &self,
        proof: &StockProof<F, E, S>,
        public_values: &[F],
    ) -> Result<(), ProverError> {
        if proof.degree_bits != self.log_height {
            return Err(ProverError::Rejected {
                why: format!(
                    "height 2^{}, expected 2^{}",
                    proof.degree_bits, self.log_height
                ),
            });
        }
        if public_values.len() != self.air.num_public_values() {
            return Err(ProverError::Rejected {
                why: "a wrong number of public values".to_owned(),
            });
        }
        let columns = [&proof.commitments.trace, &proof.commitments.quotient_chunks];
        self.caps.check::<F, S>(
            columns.into_iter(),
            &proof.opening_proof.commit_phase_commits,
        )?;
        verify_with_preprocessed(
            &self.config,
            &self.air,
            proof,
            public_values,
            self.preprocessed.as_ref(),
        )
        .map_err(|error| ProverError::Rejected {
            why: format!("{error:?}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use p3_koala_bear::KoalaBear;
    use starkwright_hal::{Cpu, KoalaBear5, Poseidon2Merkle};

    use super::super::bits::{Bits, LOG_HEIGHT, left_behind, parameters, trace};
    use super::*;

    #[test]
    fn a_failure_left_behind_is_not_the_next_proofs() {
        let prover = UniProver::<KoalaBear, KoalaBear5, Poseidon2Merkle, _, _>::setup(
            &Cpu::new(),
            &parameters(),
            Bits,
            LOG_HEIGHT,
        )
        .unwrap();
        prover.config.pcs().failure().record(left_behind());
        let proof = prover.prove(trace(), &[]).unwrap();
        UniVerifier::<KoalaBear, KoalaBear5, Poseidon2Merkle, _>::setup(
            &parameters(),
            Bits,
            LOG_HEIGHT,
        )
        .unwrap()
        .verify(&proof, &[])
        .unwrap();
    }
}
