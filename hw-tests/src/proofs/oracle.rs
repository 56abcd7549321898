//! The same proof twice: by a device's prover, and by p3's own.

use p3_air::symbolic::SymbolicExpressionExt;
use p3_air::{Air, BaseAir, DebugConstraintBuilder};
use p3_batch_stark::folder::{
    ProverConstraintFolderWithLookups, VerifierConstraintFolderWithLookups,
};
use p3_field::Algebra;
use p3_lookup::InteractionSymbolicBuilder;
use p3_matrix::dense::RowMajorMatrix;
use p3_uni_stark::{
    QuotientAir, SymbolicAirBuilder, VerifierConstraintFolder, prove_with_preprocessed,
    setup_preprocessed,
};
use starkwright_hal::{Backend, Cpu, Extension, HalField};
use starkwright_prover::ProverError;
use starkwright_prover::challenger::Protocol;
use starkwright_prover::config::StockConfig;
use starkwright_prover::profile::LeafParameters;
use starkwright_prover::prove::{
    BatchAir, BatchProver, BatchVerifier, OracleConfig, StockBatchProver, UniAir, UniProver,
    UniVerifier, oracle_config,
};

/// An AIR that stock p3 proves with lookups: any AIR generic over its builder.
pub trait OracleAir<F: HalField, E: Extension<F>, S: Protocol<F, E>>:
    BaseAir<F>
    + Air<InteractionSymbolicBuilder<F, E>>
    + for<'a> Air<DebugConstraintBuilder<'a, F, E>>
    + for<'a> Air<ProverConstraintFolderWithLookups<'a, OracleConfig<F, E, S>>>
    + Clone
{
}

impl<F, E, S, A> OracleAir<F, E, S> for A
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    A: BaseAir<F>
        + Air<InteractionSymbolicBuilder<F, E>>
        + for<'a> Air<DebugConstraintBuilder<'a, F, E>>
        + for<'a> Air<ProverConstraintFolderWithLookups<'a, OracleConfig<F, E, S>>>
        + Clone,
{
}

/// Several tables proven by stock p3: the proof's bytes.
///
/// # Errors
/// p3's.
pub fn stock_batch<F, E, S, A>(
    parameters: &LeafParameters,
    airs: &[A],
    traces: &[&RowMajorMatrix<F>],
    public_values: &[Vec<F>],
) -> Result<Vec<u8>, String>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    A: OracleAir<F, E, S>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    let log_heights: Vec<usize> = traces.iter().map(|trace| log_height(trace)).collect();
    let proof = StockBatchProver::<F, E, S, A>::setup(parameters, airs.to_vec(), &log_heights)
        .and_then(|prover| prover.prove(traces, public_values))
        .map_err(|error| format!("stock: {error}"))?;
    postcard::to_allocvec(&proof).map_err(|e| e.to_string())
}

/// Several tables proven on a device and verified by stock p3, which knows only AIRs, heights and parameters: the proof's
/// bytes. The proof is read back from its bytes first, and must not verify with another public value.
///
/// # Errors
/// The prover's, or [`ProverError::Rejected`].
pub fn device_batch<F, E, S, B, A>(
    device: &B,
    parameters: &LeafParameters,
    airs: &[A],
    traces: &[&RowMajorMatrix<F>],
    public_values: &[Vec<F>],
) -> Result<Vec<u8>, ProverError>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    B: Backend<F>,
    A: BatchAir<F, E, S, B>
        + for<'a> Air<VerifierConstraintFolderWithLookups<'a, StockConfig<F, E, S>>>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    let log_heights: Vec<usize> = traces.iter().map(|trace| log_height(trace)).collect();
    let prover = BatchProver::<F, E, S, B, A>::setup(
        device,
        parameters,
        airs.to_vec(),
        log_heights.clone(),
    )?;
    let proof = prover.prove(traces, public_values)?;
    let bytes = postcard::to_allocvec(&proof).map_err(unreadable)?;
    let proof = postcard::from_bytes(&bytes).map_err(unreadable)?;
    let verifier = BatchVerifier::<F, E, S, A>::setup(parameters, airs.to_vec(), log_heights)?;
    verifier.verify(&proof, public_values)?;
    let mut lie = public_values.to_vec();
    if let Some(value) = lie.iter_mut().flatten().next() {
        *value += F::ONE;
        must_reject(verifier.verify(&proof, &lie))?;
    }
    Ok(bytes)
}

/// A single table proven by stock p3: the proof's bytes.
///
/// # Errors
/// p3's.
pub fn stock_uni<F, E, S, A>(
    parameters: &LeafParameters,
    air: &A,
    trace: RowMajorMatrix<F>,
    public_values: &[F],
) -> Result<Vec<u8>, String>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    A: UniAir<F, E, S, Cpu<F>> + QuotientAir<OracleConfig<F, E, S>>,
{
    let config = oracle_config::<F, E, S>(parameters);
    let preprocessed = setup_preprocessed(&config, air, log_height(&trace))
        .map_err(|e| format!("stock: {e}"))?
        .map(|(data, _)| data);
    let proof = prove_with_preprocessed(&config, air, trace, public_values, preprocessed.as_ref())
        .map_err(|e| format!("stock: {e}"))?;
    postcard::to_allocvec(&proof).map_err(|e| e.to_string())
}

/// A single table proven on a device and verified by stock p3; as [`device_batch`]. `air` makes the same AIR each time.
///
/// # Errors
/// As [`device_batch`].
pub fn device_uni<F, E, S, B, A>(
    device: &B,
    parameters: &LeafParameters,
    air: impl Fn() -> A,
    trace: RowMajorMatrix<F>,
    public_values: &[F],
) -> Result<Vec<u8>, ProverError>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    B: Backend<F>,
    A: UniAir<F, E, S, B>
        + BaseAir<F>
        + Air<SymbolicAirBuilder<F>>
        + for<'a> Air<VerifierConstraintFolder<'a, StockConfig<F, E, S>>>
        + QuotientAir<StockConfig<F, E, S>>,
{
    let log_height = log_height(&trace);
    let prover = UniProver::<F, E, S, B, A>::setup(device, parameters, air(), log_height)?;
    let proof = prover.prove(trace, public_values)?;
    let bytes = postcard::to_allocvec(&proof).map_err(unreadable)?;
    let proof = postcard::from_bytes(&bytes).map_err(unreadable)?;
    let verifier = UniVerifier::<F, E, S, A>::setup(parameters, air(), log_height)?;
    verifier.verify(&proof, public_values)?;
    if let Some((first, rest)) = public_values.split_first() {
        let lie: Vec<F> = std::iter::once(*first + F::ONE)
            .chain(rest.iter().copied())
            .collect();
        must_reject(verifier.verify(&proof, &lie))?;
    }
    Ok(bytes)
}

/// The log2 of a table's height; heights that are no power of two are for the prover to refuse.
fn log_height<F: HalField>(trace: &RowMajorMatrix<F>) -> usize {
    let height = trace.values.len().checked_div(trace.width).unwrap_or(0);
    height.max(1).ilog2() as usize
}

fn unreadable(error: postcard::Error) -> ProverError {
    ProverError::Rejected {
        why: format!("the proof's bytes: {error}"),
    }
}

fn must_reject(result: Result<(), ProverError>) -> Result<(), ProverError> {
    match result {
        Err(ProverError::Rejected { .. }) => Ok(()),
        Err(other) => Err(other),
        Ok(()) => Err(ProverError::Rejected {
            why: "verifies with another public value".to_owned(),
        }),
    }
}
