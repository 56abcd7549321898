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
pub use stack::SegmentVerifiers;
pub use verify::{VerifyOptions, VerifyReport, digest, verify};

use crate::ProverError;
use crate::machine::Machine;
use crate::machine::keccak::{KeccakMachine, KeccakTable, STATEMENT_BYTES, SegmentShape};
use crate::profile::Profile;
use crate::proof_file::{Limits, MachineTag};
use crate::security::{Arithmetic, CommitmentHash, Security, TableShape, require};

/// The field everything is proven in.
pub type Val = KoalaBear;
/// The Merkle scheme of leaves: cheap to verify in the next layer's circuit.
pub type Merkle = Poseidon2Merkle;

/// Context elements are below this: the field's order.
pub const CONTEXT_LIMIT: u32 = <Val as p3_field::PrimeField32>::ORDER_U32;

/// The machine whose segments these files hold: Keccak-256. No other's are read here.
pub const MACHINE: MachineTag = MachineTag {
    id: KeccakMachine::ID,
    version: KeccakMachine::VERSION,
};

/// Longest proof that is read. The largest expected one, of 2^17 rows under `proven100`, takes three quarters of it;
/// decoding a hostile one of this length takes about 150 MB.
pub const MAX_PROOF_BYTES: u32 = 2 << 20;

/// What is read of files that may come from strangers.
pub const LIMITS: Limits<'static> = Limits {
    machines: &[MACHINE],
    max_statement_bytes: STATEMENT_BYTES as u32,
    max_proof_bytes: MAX_PROOF_BYTES,
};

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

/// The security of a segment of this shape under this profile.
///
/// # Errors
/// [`ProverError::Security`] where it misses the profile.
pub fn segment_security<E>(profile: Profile, shape: SegmentShape) -> Result<Security, ProverError>
where
    E: starkwright_hal::Extension<Val>,
    p3_air::symbolic::SymbolicExpressionExt<Val, E>: p3_field::Algebra<E>,
{
    let arithmetic = Arithmetic::new::<Val>(CommitmentHash::Poseidon2);
    Ok(require(profile, &arithmetic, &tables::<E>(shape))?)
}

#[cfg(test)]
mod tests {
    use starkwright_hal::{KoalaBear4, KoalaBear5};

    use super::*;
    use crate::proof_size::expected_proof_bytes;

    /// No listed shape is near the limit: sizes vary by less than a per cent.
    #[test]
    fn every_listed_proof_fits_the_limit() {
        for shape in SegmentShape::all() {
            for (profile, tables) in [
                (Profile::Proven100, tables::<KoalaBear5>(shape)),
                (Profile::Conjectured100, tables::<KoalaBear4>(shape)),
            ] {
                let expected =
                    expected_proof_bytes(&profile.leaf(), CommitmentHash::Poseidon2, &tables);
                assert!(1.1 * expected < f64::from(MAX_PROOF_BYTES), "{expected}");
            }
        }
    }
}
