//! Which circuits steps are proven with, in digests.

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::{Algebra, PrimeField32};
use sha2::{Digest as _, Sha256};
use starkwright_hal::{Extension, Poseidon2Merkle};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::keccak_file::Val;
use starkwright_prover::machine::Machine;
use starkwright_prover::machine::keccak::KeccakMachine;
use starkwright_prover::profile::Profile;
use starkwright_prover::security::TableShape;

use super::step::StepKind;
use super::wire;
use crate::AggregatorError;
use crate::circuit::CircuitAir;
use crate::node::{Keys, Layers, NodeKey, NodeVerifiers, hex};
use crate::{node_file, wrap_encoding};

/// The version of everything that two machines must share to prove one tree: 16 hexadecimal digits over all committed keys,
/// the layers of both profiles, the machine's identity, and the versions of the encodings.
///
/// # Errors
/// [`AggregatorError::KeyFile`] where a key file is damaged.
pub fn circuits_version() -> Result<String, AggregatorError> {
    let mut hash = Sha256::new();
    hash.update(KeccakMachine::ID.to_le_bytes());
    hash.update(KeccakMachine::VERSION.to_le_bytes());
    hash.update([wire::VERSION]);
    hash.update(node_file::FORMAT.to_le_bytes());
    hash.update(wrap_encoding::VERSION.to_le_bytes());
    for profile in Profile::ALL {
        hash.update(Keys::of(profile)?.to_json(profile)?);
        // The wrap's parameters stand in no key.
        hash.update(format!("{:?}", Layers::of(profile)));
    }
    Ok(hex(&hash.finalize()[..8]))
}

/// A circuit's name: SHA-256, in hexadecimal digits, over kind, height, profile, machine and the digests of its verifying key.
/// A leaf has none: its tables follow from machine and height. A wrap has its seal's too.
pub(super) fn circuit_key(
    kind: StepKind,
    profile: Profile,
    keys: &Keys,
) -> Result<String, AggregatorError> {
    let mut hash = Sha256::new();
    hash.update(kind.name());
    hash.update(profile.name());
    let leaf = |hash: &mut Sha256, log_height: u8| {
        hash.update([log_height]);
        hash.update(KeccakMachine::ID.to_le_bytes());
        hash.update(KeccakMachine::VERSION.to_le_bytes());
    };
    let node = |hash: &mut Sha256, key: &NodeKey| {
        for element in key.digest() {
            hash.update(element.as_canonical_u32().to_le_bytes());
        }
    };
    match (kind, kind.file()) {
        (StepKind::Leaf { log_height }, _) => leaf(&mut hash, log_height),
        (StepKind::Wrap, _) | (_, None) => {
            node(&mut hash, &keys.seal);
            for digest in &keys.wrap {
                hash.update(digest);
            }
        }
        (_, Some(file)) => {
            if let StepKind::Lift { log_leaf } | StepKind::Shrink { log_leaf } = kind {
                leaf(&mut hash, log_leaf);
            }
            node(&mut hash, keys.of_kind(file)?);
        }
    }
    Ok(hex(&hash.finalize()))
}

/// Cells of a step's tables: rows times columns of the main and preprocessed traces and of the lookups, in elements of the
/// base field. The measure of work.
pub(super) fn cells<E>(kind: StepKind, nodes: &NodeVerifiers<E>) -> Result<u64, AggregatorError>
where
    E: Extension<Val>,
    Poseidon2Merkle: Protocol<Val, E>,
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    let circuit = |air: &CircuitAir, log_height: usize| {
        of_table::<E>(&TableShape::from_air::<Val, E, _>(air, log_height))
    };
    let tables = nodes.verifiers();
    Ok(match kind {
        StepKind::Leaf { log_height } => KeccakMachine::tables()
            .iter()
            .map(|table| TableShape::from_air::<Val, E, _>(table, usize::from(log_height)))
            .map(|shape| of_table::<E>(&shape))
            .sum(),
        StepKind::Lift { log_leaf } => {
            let (air, (log_height, _)) = tables.lift_table::<E>(usize::from(log_leaf))?;
            circuit(&air, *log_height)
        }
        StepKind::Shrink { .. } | StepKind::Join | StepKind::Close => {
            let (air, (log_height, _)) = tables.uniform_table::<E>();
            circuit(&air, *log_height)
        }
        StepKind::Wrap => {
            let (seal, (log_seal, _)) = tables.seal_table::<E>();
            let (wrap, (log_wrap, _)) = tables.wrap_table::<E>()?;
            circuit(&seal, *log_seal) + circuit(&wrap, *log_wrap)
        }
    })
}

fn of_table<E: Extension<Val>>(shape: &TableShape) -> u64 {
    let columns = shape.width + shape.preprocessed_width + shape.num_lookups * E::DIMENSION;
    (columns as u64) << shape.log_height
}
