//! Several tables in one proof.

use p3_air::symbolic::SymbolicExpressionExt;
use p3_air::{Air, BaseAir, DebugConstraintBuilder};
use p3_batch_stark::common::{GlobalPreprocessed, PreprocessedInstanceMeta};
use p3_batch_stark::folder::{
    ProverConstraintFolderWithLookups, VerifierConstraintFolderWithLookups,
};
use p3_batch_stark::{
    BatchProof, CommonData, ProverData, StarkInstance, prove_batch, verify_batch,
};
use p3_field::Algebra;
use p3_lookup::InteractionSymbolicBuilder;
use p3_matrix::dense::RowMajorMatrix;
use p3_uni_stark::StarkGenericConfig;
use starkwright_hal::{Backend, Commitment, Extension, HalField};

use super::caps::Caps;
use super::{OpenCounts, check_tables, log_height, unwrap_proving};
use crate::ProverError;
use crate::challenger::Protocol;
use crate::config::{DeviceConfig, StockConfig, device_config, stock_config};
use crate::phases::{Phase, PhaseSeconds, Phases};
use crate::profile::LeafParameters;
use crate::security::{OpenCount, pack_lookups};

/// p3's proof of several tables, as a stock verifier takes it.
pub type StockBatchProof<F, E, S> = BatchProof<StockConfig<F, E, S>>;

/// An AIR that can be proven on the back end `B` and verified by stock p3: any AIR generic over its builder.
pub trait BatchAir<F, E, S, B>:
    BaseAir<F>
    + Air<InteractionSymbolicBuilder<F, E>>
    + for<'a> Air<DebugConstraintBuilder<'a, F, E>>
    + for<'a> Air<ProverConstraintFolderWithLookups<'a, DeviceConfig<F, E, S, B>>>
    + for<'a> Air<VerifierConstraintFolderWithLookups<'a, StockConfig<F, E, S>>>
    + Clone
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    B: Backend<F>,
{
}

impl<F, E, S, B, A> BatchAir<F, E, S, B> for A
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    B: Backend<F>,
    A: BaseAir<F>
        + Air<InteractionSymbolicBuilder<F, E>>
        + for<'a> Air<DebugConstraintBuilder<'a, F, E>>
        + for<'a> Air<ProverConstraintFolderWithLookups<'a, DeviceConfig<F, E, S, B>>>
        + for<'a> Air<VerifierConstraintFolderWithLookups<'a, StockConfig<F, E, S>>>
        + Clone,
{
}

/// Proves tables of fixed heights on a device. Set-up commits to preprocessed columns once.
pub struct BatchProver<F, E, S, B, A>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    B: Backend<F>,
{
    config: DeviceConfig<F, E, S, B>,
    phases: Phases,
    parameters: LeafParameters,
    airs: Vec<A>,
    log_heights: Vec<usize>,
    data: ProverData<DeviceConfig<F, E, S, B>>,
    open_counts: Vec<OpenCount>,
}

impl<F, E, S, B, A> BatchProver<F, E, S, B, A>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    B: Backend<F>,
    A: BatchAir<F, E, S, B>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    /// Prepares the tables, one AIR with the log2 of its height each.
    ///
    /// # Errors
    /// [`ProverError::Security`] where a bus or a lookup count is malformed, a count declares a bound that no constraint
    /// is found for, or the quotient does not fit the blow-up; device failures while committing to preprocessed columns,
    /// and [`HalError::Mismatch`](starkwright_hal::HalError::Mismatch) where the device's hash is not p3's.
    pub fn setup(
        device: &B,
        parameters: &LeafParameters,
        airs: Vec<A>,
        log_heights: Vec<usize>,
    ) -> Result<Self, ProverError> {
        Self::prepare(device, parameters, airs, log_heights, OpenCounts::Refused)
    }

    /// As [`Self::setup`], where the caller answers for the bounds in [`Self::open_counts`]: that they follow from the
    /// constraints by an argument that [`check_setup`](crate::security::check_setup) does not see. If they do not, the
    /// lookups prove nothing.
    ///
    /// # Errors
    /// As [`Self::setup`], apart from those bounds.
    pub fn setup_with_open_counts(
        device: &B,
        parameters: &LeafParameters,
        airs: Vec<A>,
        log_heights: Vec<usize>,
    ) -> Result<Self, ProverError> {
        Self::prepare(device, parameters, airs, log_heights, OpenCounts::Accepted)
    }

    /// The counts whose declared bounds were taken on the caller's word: none after [`Self::setup`].
    #[must_use]
    pub fn open_counts(&self) -> &[OpenCount] {
        &self.open_counts
    }

    fn prepare(
        device: &B,
        parameters: &LeafParameters,
        airs: Vec<A>,
        log_heights: Vec<usize>,
        rule: OpenCounts,
    ) -> Result<Self, ProverError> {
        let open_counts = check_tables::<F, E, A>(&airs, &log_heights, parameters, rule)?;
        let phases = Phases::default();
        let config = device_config::<F, E, S, B>(device, parameters, &phases)?;
        let data = ProverData::from_airs_and_degrees(&config, &airs, &log_heights)
            .map_err(unwrap_proving)?;
        Ok(Self {
            config,
            phases,
            parameters: *parameters,
            airs,
            log_heights,
            data,
            open_counts,
        })
    }

    /// The commitment to preprocessed columns, where a table has any.
    #[must_use]
    pub fn preprocessed(&self) -> Option<&Commitment<F, S>> {
        let preprocessed = self.data.common.preprocessed.as_ref();
        preprocessed.map(|global| &global.commitment)
    }

    /// Times extensions and trees apart: see [`Phases::split`].
    pub fn split_phases(&self) {
        self.phases.split();
    }

    /// Where the time of the proofs so far went; the count starts again.
    #[must_use]
    pub fn take_phases(&self) -> PhaseSeconds {
        self.phases.take()
    }

    /// Proves one trace for each table, in row-major natural order, with its public values.
    ///
    /// A trace that breaks a constraint gives a proof that does not verify; with debug assertions p3 refuses it by
    /// a panic, naming the constraint.
    ///
    /// # Errors
    /// [`ProverError::Shape`] where a trace does not fit its table; device failures.
    #[allow(
        clippy::missing_panics_doc,
        reason = "p3's own check, in debug builds only"
    )]
    pub fn prove(
        &self,
        traces: &[&RowMajorMatrix<F>],
        public_values: &[Vec<F>],
    ) -> Result<StockBatchProof<F, E, S>, ProverError> {
        self.check_traces(traces, public_values)?;
        self.config.pcs().failure().forget();
        self.phases.start();
        // p3 begins with copies of the traces, which would come on top of what the last proof left.
        self.config.pcs().device().trim();
        let instances = StarkInstance::new_multiple(&self.airs, traces, public_values);
        let proof = prove_batch(&self.config, &instances, &self.data).map_err(unwrap_proving)?;
        self.config.pcs().failure().check()?;
        self.phases.lap(Phase::Other);
        // The same fields in the stock configuration: the types of both are p3's.
        Ok(BatchProof {
            commitments: proof.commitments,
            opened_values: proof.opened_values,
            opening_proof: proof.opening_proof,
            lookup_terminals: proof.lookup_terminals,
            degree_bits: proof.degree_bits,
            lookup_pow_witness: proof.lookup_pow_witness,
            ood_pow_witness: proof.ood_pow_witness,
        })
    }

    /// The verifier of these tables, by stock p3. Its commitment to preprocessed columns is this prover's: a verifier
    /// that trusts no prover uses [`BatchVerifier::setup`].
    #[must_use]
    pub fn verifier(&self) -> BatchVerifier<F, E, S, A> {
        let preprocessed =
            self.data
                .common
                .preprocessed
                .as_ref()
                .map(|global| GlobalPreprocessed {
                    commitment: global.commitment.clone(),
                    instances: global.instances.clone(),
                    matrix_to_instance: global.matrix_to_instance.clone(),
                });
        BatchVerifier {
            config: stock_config::<F, E, S>(&self.parameters),
            caps: Caps::new(&self.parameters, &self.log_heights),
            airs: self.airs.clone(),
            log_heights: self.log_heights.clone(),
            common: CommonData::new(preprocessed, self.data.common.lookups.clone()),
        }
    }

    fn check_traces(
        &self,
        traces: &[&RowMajorMatrix<F>],
        public_values: &[Vec<F>],
    ) -> Result<(), ProverError> {
        let shape = |why: String| Err(ProverError::Shape { why });
        if traces.len() != self.airs.len() || public_values.len() != self.airs.len() {
            return shape(format!(
                "{} traces and {} lists of public values for {} tables",
                traces.len(),
                public_values.len(),
                self.airs.len()
            ));
        }
        for (i, ((air, trace), values)) in
            self.airs.iter().zip(traces).zip(public_values).enumerate()
        {
            let height = trace.values.len().checked_div(trace.width).unwrap_or(0);
            if trace.width != air.width() || log_height(height)? != self.log_heights[i] {
                return shape(format!(
                    "table {i}: a trace of {height} rows and {} columns, expected 2^{} and {}",
                    trace.width,
                    self.log_heights[i],
                    air.width()
                ));
            }
            if values.len() != air.num_public_values() {
                return shape(format!(
                    "table {i}: {} public values, expected {}",
                    values.len(),
                    air.num_public_values()
                ));
            }
        }
        Ok(())
    }
}

/// Verifies proofs of tables of fixed heights, by stock p3.
pub struct BatchVerifier<F, E, S, A>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
{
    config: StockConfig<F, E, S>,
    caps: Caps,
    airs: Vec<A>,
    log_heights: Vec<usize>,
    common: CommonData<StockConfig<F, E, S>>,
}

impl<F, E, S, A> BatchVerifier<F, E, S, A>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    A: BaseAir<F>
        + Air<InteractionSymbolicBuilder<F, E>>
        + for<'a> Air<VerifierConstraintFolderWithLookups<'a, StockConfig<F, E, S>>>
        + Clone,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    /// Prepares the verifier from AIRs, heights and parameters alone, preprocessed columns committed by p3 here.
    ///
    /// # Errors
    /// As [`BatchProver::setup`].
    pub fn setup(
        parameters: &LeafParameters,
        airs: Vec<A>,
        log_heights: Vec<usize>,
    ) -> Result<Self, ProverError> {
        Self::prepare(parameters, airs, log_heights, OpenCounts::Refused)
    }

    /// As [`BatchProver::setup_with_open_counts`].
    ///
    /// # Errors
    /// As [`Self::setup`], apart from those bounds.
    pub fn setup_with_open_counts(
        parameters: &LeafParameters,
        airs: Vec<A>,
        log_heights: Vec<usize>,
    ) -> Result<Self, ProverError> {
        Self::prepare(parameters, airs, log_heights, OpenCounts::Accepted)
    }

    /// As [`Self::setup`], where the preprocessed columns are known by their commitment alone: a verifying key. The AIRs'
    /// own preprocessed values are not looked at, only how many columns there are.
    ///
    /// # Errors
    /// As [`Self::setup`]; [`ProverError::Shape`] for a commitment where no table has preprocessed columns, or one of
    /// another size than theirs.
    pub fn with_commitment(
        parameters: &LeafParameters,
        airs: Vec<A>,
        log_heights: Vec<usize>,
        commitment: Commitment<F, S>,
    ) -> Result<Self, ProverError> {
        check_tables::<F, E, A>(&airs, &log_heights, parameters, OpenCounts::Refused)?;
        let mut matrix_to_instance = Vec::new();
        let mut instances = Vec::new();
        for (table, (air, &degree_bits)) in airs.iter().zip(&log_heights).enumerate() {
            let width = air.preprocessed_width();
            instances.push((width > 0).then_some(PreprocessedInstanceMeta {
                matrix_index: matrix_to_instance.len(),
                width,
                degree_bits,
            }));
            if width > 0 {
                matrix_to_instance.push(table);
            }
        }
        if matrix_to_instance.is_empty() {
            return Err(ProverError::Shape {
                why: "a commitment to preprocessed columns, of which the tables have none"
                    .to_owned(),
            });
        }
        let caps = Caps::new(parameters, &log_heights);
        if !caps.fits::<F, S>(&commitment) {
            return Err(ProverError::Shape {
                why: "a commitment to preprocessed columns of another size".to_owned(),
            });
        }
        let lookups = airs.iter().zip(&log_heights);
        let lookups = lookups.map(|(air, &log)| pack_lookups::<F, E, A>(air, log).0);
        let preprocessed = GlobalPreprocessed {
            commitment,
            instances,
            matrix_to_instance,
        };
        Ok(Self {
            config: stock_config::<F, E, S>(parameters),
            caps,
            common: CommonData::new(Some(preprocessed), lookups.collect()),
            airs,
            log_heights,
        })
    }

    fn prepare(
        parameters: &LeafParameters,
        airs: Vec<A>,
        log_heights: Vec<usize>,
        rule: OpenCounts,
    ) -> Result<Self, ProverError> {
        check_tables::<F, E, A>(&airs, &log_heights, parameters, rule)?;
        let config = stock_config::<F, E, S>(parameters);
        let data =
            ProverData::from_airs_and_degrees(&config, &airs, &log_heights).map_err(|error| {
                ProverError::Shape {
                    why: error.to_string(),
                }
            })?;
        Ok(Self {
            config,
            caps: Caps::new(parameters, &log_heights),
            airs,
            log_heights,
            common: data.common,
        })
    }

    /// Verifies a proof by p3's `verify_batch`, after checking that it is of exactly these heights and sizes of commitments.
    ///
    /// # Errors
    /// [`ProverError::Rejected`] with p3's reason.
    pub fn verify(
        &self,
        proof: &StockBatchProof<F, E, S>,
        public_values: &[Vec<F>],
    ) -> Result<(), ProverError> {
        if proof.degree_bits != self.log_heights {
            return Err(ProverError::Rejected {
                why: format!(
                    "heights {:?}, expected {:?}",
                    proof.degree_bits, self.log_heights
                ),
            });
        }
        let counts = self.airs.iter().map(BaseAir::num_public_values);
        if !public_values.iter().map(Vec::len).eq(counts) {
            return Err(ProverError::Rejected {
                why: "a wrong number of public values".to_owned(),
            });
        }
        let commitments = &proof.commitments;
        let columns = [&commitments.main, &commitments.quotient_chunks]
            .into_iter()
            .chain(&commitments.permutation);
        self.caps
            .check::<F, S>(columns, &proof.opening_proof.commit_phase_commits)?;
        verify_batch(&self.config, &self.airs, proof, public_values, &self.common).map_err(
            |error| ProverError::Rejected {
                why: error.to_string(),
            },
        )
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
        let prover = BatchProver::<KoalaBear, KoalaBear5, Poseidon2Merkle, _, _>::setup(
            &Cpu::new(),
            &parameters(),
            vec![Bits],
            vec![LOG_HEIGHT],
        )
        .unwrap();
        prover.config.pcs().failure().record(left_behind());
        let proof = prover.prove(&[&trace()], &[vec![]]).unwrap();
        prover.verifier().verify(&proof, &[vec![]]).unwrap();
    }
}
