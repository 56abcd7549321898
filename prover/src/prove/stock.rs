//! Stock p3 as a prover: the oracle that device proofs are compared with, and the reference of the benchmarks.
//!
//! p3's own commitment scheme and prove loop, under a challenger that grinds for the smallest witness so that its
//! bytes are defined ([`Grinding`]).

use p3_air::symbolic::SymbolicExpressionExt;
use p3_air::{Air, BaseAir, DebugConstraintBuilder};
use p3_batch_stark::folder::ProverConstraintFolderWithLookups;
use p3_batch_stark::{BatchProof, ProverData, StarkInstance, prove_batch};
use p3_field::Algebra;
use p3_lookup::InteractionSymbolicBuilder;
use p3_matrix::dense::RowMajorMatrix;
use p3_uni_stark::{ProvingError, StarkConfig};
use starkwright_hal::{Cpu, Extension, HalField};

use super::{OpenCounts, StockBatchProof, check_tables};
use crate::ProverError;
use crate::challenger::{Failure, Grinding, Protocol};
use crate::config::{StockPcs, stock_pcs};
use crate::phases::Phases;
use crate::profile::LeafParameters;

/// Stock p3 with the rule of the smallest witness.
pub type OracleConfig<F, E, S> =
    StarkConfig<StockPcs<F, E, S>, E, Grinding<<S as Protocol<F, E>>::Transcript, Cpu<F>>>;

/// The configuration of stock p3 with the rule of the smallest witness.
#[must_use]
pub fn oracle_config<F, E, S>(parameters: &LeafParameters) -> OracleConfig<F, E, S>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
{
    let challenger = Grinding::new(
        S::transcript(),
        Cpu::new(),
        Failure::default(),
        Phases::default(),
    );
    StarkConfig::new(stock_pcs::<F, E, S>(parameters), challenger)
        .with_lookup_proof_of_work_bits(parameters.lookup_pow_bits)
        .with_ood_proof_of_work_bits(parameters.ood_pow_bits)
}

/// Proves tables of fixed heights with p3 alone.
pub struct StockBatchProver<F, E, S, A>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
{
    config: OracleConfig<F, E, S>,
    airs: Vec<A>,
    data: ProverData<OracleConfig<F, E, S>>,
}

impl<F, E, S, A> StockBatchProver<F, E, S, A>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    A: BaseAir<F>
        + Air<InteractionSymbolicBuilder<F, E>>
        + for<'a> Air<DebugConstraintBuilder<'a, F, E>>
        + for<'a> Air<ProverConstraintFolderWithLookups<'a, OracleConfig<F, E, S>>>
        + Clone,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    /// Prepares the tables, one AIR with the log2 of its height each.
    ///
    /// # Errors
    /// [`ProverError::Security`] as [`BatchProver::setup`](super::BatchProver::setup).
    pub fn setup(
        parameters: &LeafParameters,
        airs: Vec<A>,
        log_heights: &[usize],
    ) -> Result<Self, ProverError> {
        check_tables::<F, E, A>(&airs, log_heights, parameters, OpenCounts::Accepted)?;
        let config = oracle_config::<F, E, S>(parameters);
        let data =
            ProverData::from_airs_and_degrees(&config, &airs, log_heights).map_err(stock_error)?;
        Ok(Self { config, airs, data })
    }

    /// Proves one trace for each table with its public values.
    ///
    /// # Errors
    /// What p3 reports.
    pub fn prove(
        &self,
        traces: &[&RowMajorMatrix<F>],
        public_values: &[Vec<F>],
    ) -> Result<StockBatchProof<F, E, S>, ProverError> {
        if traces.len() != self.airs.len() || public_values.len() != self.airs.len() {
            return Err(ProverError::Shape {
                why: "one trace for each table".to_owned(),
            });
        }
        let instances = StarkInstance::new_multiple(&self.airs, traces, public_values);
        let proof = prove_batch(&self.config, &instances, &self.data).map_err(stock_error)?;
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
}

fn stock_error(error: ProvingError<p3_fri::FriProverError>) -> ProverError {
    let ProvingError::Pcs { source, .. } = error;
    ProverError::Fri(source)
}
