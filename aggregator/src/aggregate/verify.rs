//! Verifying nodes and wraps, and files of them.

use std::path::{Path, PathBuf};

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::{Algebra, PrimeField32};
use starkwright_hal::{Extension, Keccak256Merkle, KoalaBear4, KoalaBear5, Poseidon2Merkle};
use starkwright_prover::ProverError;
use starkwright_prover::challenger::Protocol;
use starkwright_prover::keccak_file::{Val, digest, segment_security};
use starkwright_prover::machine::keccak::SegmentShape;
use starkwright_prover::profile::Profile;
use starkwright_prover::security::{Security, require_count};

use crate::AggregatorError;
use crate::node::{Keys, Layers, Verifiers, keccak_heights, rate_layers};
use crate::node_file::{Kind, NodeFile};
use crate::statement::{Digest, Level, TreeStatement, accumulate, item_of};

/// What a verifier of aggregated files asks for.
#[derive(Clone, Copy, Debug)]
pub struct VerifyOptions<'a> {
    /// The least profile accepted.
    pub least: Profile,
    /// The context expected.
    pub context: [u32; 8],
    /// The files, in order, that the proof must be about; none: any.
    pub inputs: &'a [PathBuf],
}

/// What an aggregated file was found to say.
#[derive(Clone, Debug)]
pub struct VerifyReport {
    /// What its proof is: a join, a close or a wrap.
    pub kind: Kind,
    /// Its profile.
    pub profile: Profile,
    /// Security of the weakest proof that a tree of this profile can hold.
    pub security: Security,
    /// What it states: items `first_index .. first_index + count` lead from `begin` to `end`.
    pub statement: TreeStatement,
    /// Bytes of p3's proof.
    pub proof_bytes: u64,
}

/// Verifies an aggregated file: a join's, a close's or a wrap's. Keys, parameters and tables are this library's.
///
/// # Errors
/// [`AggregatorError::Io`], [`AggregatorError::NodeFile`] where it is no such file, and
/// [`ProverError::Rejected`] where its proof is invalid, weaker than asked for, or about something else.
pub fn verify(path: &Path, options: &VerifyOptions<'_>) -> Result<VerifyReport, AggregatorError> {
    let file = NodeFile::read(path)?;
    if !file.profile.satisfies(options.least) {
        return Err(rejected(format!(
            "its profile is {}, at least {} is asked for; prove again with --profile {}, or accept less",
            file.profile, options.least, options.least
        )));
    }
    let security = match file.profile {
        Profile::Proven100 => check::<KoalaBear5>(&file)?,
        Profile::Conjectured100 => check::<KoalaBear4>(&file)?,
    };
    let statement = file.statement;
    let context = statement.context.map(|element| element.as_canonical_u32());
    if context != options.context {
        return Err(rejected("its context is not the one expected (--context)"));
    }
    require_count(file.profile, statement.count).map_err(|error| rejected(error.to_string()))?;
    if !options.inputs.is_empty() {
        compare(&statement, options.inputs)?;
    }
    Ok(VerifyReport {
        kind: file.kind,
        profile: file.profile,
        security,
        statement,
        proof_bytes: file.proof_bytes() as u64,
    })
}

/// What a tree's root states, beyond what its proof shows: items, and the root of this version's keys. A join only says that
/// its children have the root that it states; whether it is ours is checked here, or by a seal.
pub(super) fn check_top(file: &NodeFile, keys: &Keys) -> Result<(), AggregatorError> {
    // No lift or shrink states items; that its proof would not hold is not the point.
    let leaf = matches!(file.kind, Kind::Lift { .. } | Kind::Shrink { .. });
    if leaf || file.statement.level != Level::Items {
        return Err(rejected("it is about segments, and no whole file"));
    }
    if file.statement.allowed_root != keys.allowed(file.profile)?.root() {
        return Err(rejected("its tree allows other keys than this version's"));
    }
    Ok(())
}

fn rejected(why: impl Into<String>) -> AggregatorError {
    ProverError::Rejected { why: why.into() }.into()
}

fn check<E>(file: &NodeFile) -> Result<Security, AggregatorError>
where
    E: Extension<Val>,
    Poseidon2Merkle: Protocol<Val, E>,
    Keccak256Merkle: Protocol<Val, E>,
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    let keys = Keys::of(file.profile)?;
    check_top(file, &keys)?;
    let verifiers = Verifiers::new::<E>(&Layers::of(file.profile), &keccak_heights())?;
    match file.kind {
        Kind::Wrap => file
            .wrap::<E>(&verifiers.wrap_shape::<E>()?)?
            .verify(&verifiers.wrap::<E>(&keys)?)?,
        kind => {
            let key = keys
                .of_kind(kind)
                .map_err(|error| rejected(error.to_string()))?;
            file.node::<E>()?.verify(&verifiers.node::<E>(key)?)?;
        }
    }
    let layers = rate_layers::<E>(file.profile)?;
    let mut rated: Vec<Security> = layers.into_iter().map(|(_, rated)| rated).collect();
    // Which shapes the segments have is not stated: the weakest that may be.
    for shape in SegmentShape::all() {
        rated.push(segment_security::<E>(file.profile, shape)?);
    }
    rated
        .into_iter()
        .min_by(|a, b| a.bits.total_cmp(&b.bits))
        .ok_or(AggregatorError::NoInput)
}

/// Whether these files, in this order, are the items of the statement.
fn compare(statement: &TreeStatement, inputs: &[PathBuf]) -> Result<(), AggregatorError> {
    if inputs.len() as u64 != statement.count {
        return Err(rejected(format!(
            "it is about {} files, {} are given",
            statement.count,
            inputs.len()
        )));
    }
    let mut accumulator: Digest = statement.begin;
    for (place, input) in inputs.iter().enumerate() {
        // As many as the statement counts: no index beyond its last one.
        let position = statement.first_index + place as u64;
        let (digest, length) = digest(input)?;
        accumulator = accumulate(position, &accumulator, &item_of(&digest, length));
    }
    if accumulator != statement.end {
        return Err(rejected(
            "it is about other files than those given, or in another order",
        ));
    }
    Ok(())
}
