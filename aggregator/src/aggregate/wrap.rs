//! Wrapping an aggregated file: seal, then wrap.

use std::path::Path;

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use starkwright_hal::{
    Backend, Extension, Keccak256Merkle, KoalaBear4, KoalaBear5, Poseidon2Merkle,
};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::keccak_file::Val;
use starkwright_prover::profile::Profile;

use super::verify::check_top;
use super::{Interrupted, refuse_output};
use crate::AggregatorError;
use crate::node::{Circuits, Layers, NodeVerifiers, Verifiers, keccak_heights};
use crate::node_file::{Kind, NodeFile};
use crate::statement::TreeStatement;

/// What was wrapped.
#[derive(Clone, Debug)]
pub struct WrapReport {
    /// What it states: what the file states.
    pub statement: TreeStatement,
    /// Its profile.
    pub profile: Profile,
    /// Bytes of p3's proof, and of the whole file.
    pub proof_bytes: u64,
    /// See [`Self::proof_bytes`].
    pub file_bytes: u64,
}

/// Asked before each step of a wrap: [`Interrupted`] stops it there.
pub type GoOn<'a> = &'a dyn Fn() -> Result<(), Interrupted>;

/// Wraps the join or close at `input` into `output`, which appears whole or not at all.
///
/// # Errors
/// [`AggregatorError::Io`], [`AggregatorError::NodeFile`], [`AggregatorError::NotATop`] for a file that is none of a tree's
/// root, [`AggregatorError::WrapInterrupted`], [`ProverError::Rejected`](starkwright_prover::ProverError::Rejected) where its proof is false, and the device's.
pub fn wrap<B: Backend<Val>>(
    device: &B,
    input: &Path,
    output: &Path,
    go_on: GoOn<'_>,
) -> Result<WrapReport, AggregatorError> {
    refuse_output(output, &[input.to_owned()])?;
    let file = NodeFile::read(input)?;
    match file.profile {
        Profile::Proven100 => run::<KoalaBear5, B>(device, &file, output, go_on),
        Profile::Conjectured100 => run::<KoalaBear4, B>(device, &file, output, go_on),
    }
}

fn run<E, B>(
    device: &B,
    file: &NodeFile,
    output: &Path,
    go_on: GoOn<'_>,
) -> Result<WrapReport, AggregatorError>
where
    E: Extension<Val>,
    B: Backend<Val>,
    Poseidon2Merkle: Protocol<Val, E>,
    Keccak256Merkle: Protocol<Val, E>,
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    let profile = file.profile;
    let circuits = Circuits::<E, B>::new(device, profile)?;
    let top = file.node::<E>()?;
    let key = circuits.keys().of_kind(file.kind)?;
    check_top(file, circuits.keys())?;
    // A false proof is the file's fault, and is said to be.
    NodeVerifiers::<E>::new(profile)?.verify(file.kind, &top)?;
    let wrong = |what: &str, error: AggregatorError| AggregatorError::WrongProof {
        device: device.caps().selector,
        node: what.to_owned(),
        why: error.to_string(),
    };
    let go_on = || go_on().map_err(|Interrupted| AggregatorError::WrapInterrupted);
    go_on()?;
    let seal = circuits.seal()?;
    go_on()?;
    let sealed = seal.prove((key, &top), circuits.allowed())?;
    sealed
        .verify(&seal.node().verifier())
        .map_err(|error| wrong("a seal", error))?;
    go_on()?;
    let wrap = circuits.wrap()?;
    go_on()?;
    let wrapped = wrap.prove(&seal, &sealed)?;
    wrapped
        .verify(&wrap.verifier())
        .map_err(|error| wrong("a wrap", error))?;
    let verifiers = Verifiers::new::<E>(&Layers::of(profile), &keccak_heights())?;
    let made = NodeFile::of_wrap(profile, &verifiers.wrap_shape::<E>()?, &wrapped)?;
    debug_assert_eq!(made.kind, Kind::Wrap);
    go_on()?;
    let file_bytes = made.write(output)?;
    Ok(WrapReport {
        statement: wrapped.statement,
        profile,
        proof_bytes: made.proof_bytes() as u64,
        file_bytes,
    })
}
