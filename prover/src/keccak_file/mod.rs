//! The first real job: prove that a file has a Keccak-256 digest, and check such proofs.
//!
//! ```text
//!  file ── Segmenter ──► segment ──► tables ──► BatchProver (device) ──► stock verifier ──► ProofWriter ──► proof file
//!          O(segment) memory                                             before it is kept     resumable
//! ```
//!
//! [`prove`] streams a file of any size in segments, verifies every proof with stock p3 before it writes it, keeps
//! finished segments when it is interrupted and resumes from them. [`verify`] reads a proof file segment by segment.
//! Parameters, AIRs and allowed heights come from this crate, never from the file. The proofs are **not
//! zero-knowledge**: they reveal bytes of their input.

mod prove;
mod stack;
mod verify;

use p3_koala_bear::KoalaBear;
use starkwright_hal::Poseidon2Merkle;

pub use prove::{Estimate, Interrupted, Progress, ProveOptions, ProveReport, prove};
pub use verify::{VerifyOptions, VerifyReport, verify};

use crate::ProverError;
use crate::machine::Machine;
use crate::machine::keccak::{KeccakMachine, KeccakTable, SegmentShape};
use crate::profile::Profile;
use crate::proof_file::MachineTag;
use crate::security::{Arithmetic, CommitmentHash, Security, TableShape, require};

/// The field everything is proven in.
pub type Val = KoalaBear;
/// The Merkle scheme of leaves: cheap to verify in the next layer's circuit.
pub type Merkle = Poseidon2Merkle;

/// Context elements are below this: the field's order.
pub const CONTEXT_LIMIT: u32 = <Val as p3_field::PrimeField32>::ORDER_U32;

/// The machines whose files this crate reads.
pub const MACHINES: [MachineTag; 1] = [MachineTag {
    id: KeccakMachine::ID,
    version: KeccakMachine::VERSION,
}];

/// What the prover must refuse or can promise for a segment of this shape.
fn tables<E>(shape: SegmentShape) -> Vec<TableShape>
where
    E: starkwright_hal::Extension<Val>,
    p3_air::symbolic::SymbolicExpressionExt<Val, E>: p3_field::Algebra<E>,
{
    KeccakTable::ALL
        .iter()
        .map(|table| TableShape::from_air::<Val, E, _>(table, shape.log_height()))
        .collect()
}

/// The security of a segment of this shape under this profile, or a refusal.
fn security<E>(profile: Profile, shape: SegmentShape) -> Result<Security, ProverError>
where
    E: starkwright_hal::Extension<Val>,
    p3_air::symbolic::SymbolicExpressionExt<Val, E>: p3_field::Algebra<E>,
{
    let arithmetic = Arithmetic::new::<Val>(CommitmentHash::Poseidon2);
    Ok(require(profile, &arithmetic, &tables::<E>(shape))?)
}
