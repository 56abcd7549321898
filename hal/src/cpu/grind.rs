//! The smallest proof-of-work witness, by p3's permutations.

use p3_field::PackedValue;
use p3_keccak::Keccak256Hash;
use p3_maybe_rayon::prelude::*;
use p3_symmetric::{CryptographicHasher, Permutation};

use crate::{HalError, HalField, Puzzle};

/// Candidates that all threads search together, at most; an easy puzzle is solved within a smaller first batch.
const LARGEST_BATCH: u32 = 1 << 16;
/// Size of the first batch; each is twice as large as the one before.
const FIRST_BATCH: u32 = 1 << 9;

/// The smallest canonical candidate that solves the puzzle at this difficulty.
pub(super) fn smallest_witness<F: HalField>(
    puzzle: &Puzzle<F>,
    bits: usize,
) -> Result<F, HalError> {
    if bits >= 31 || (1u64 << bits) >= u64::from(F::ORDER_U32) {
        return Err(HalError::invalid(
            "grind",
            format!("{bits} bits exceed the field"),
        ));
    }
    if bits == 0 {
        return Ok(F::ZERO);
    }
    let mask = (1u32 << bits) - 1;
    let found = match puzzle {
        Puzzle::Poseidon2 {
            state,
            slot,
            output,
        } => {
            if *slot >= 16 || *output >= 16 {
                return Err(HalError::invalid("grind", "a slot beyond the state"));
            }
            let perm = F::poseidon2_16();
            let lanes = F::Packing::WIDTH as u32;
            search::<F>(lanes, |first| {
                let candidates = F::Packing::from_fn(|lane| {
                    // Beyond the last element the search repeats it: never a smaller hit.
                    F::from_u32((first + lane as u32).min(F::ORDER_U32 - 1))
                });
                let mut packed = state.map(F::Packing::from);
                packed[*slot] = candidates;
                perm.permute_mut(&mut packed);
                let sampled = packed[*output].as_slice();
                sampled
                    .iter()
                    .position(|sample| sample.as_canonical_u32() & mask == 0)
                    .map(|lane| first + lane as u32)
            })
        }
        Puzzle::Keccak256 { prefix } => search::<F>(1, |candidate| {
            let word = F::from_u32(candidate).montgomery_word();
            let message = prefix.iter().copied().chain(word.to_le_bytes());
            let digest: [u8; 32] = Keccak256Hash.hash_iter(message);
            // The challenger pops the digest from its end.
            let sample = u32::from_le_bytes([digest[31], digest[30], digest[29], digest[28]]);
            (sample & mask == 0).then_some(candidate)
        }),
    };
    // Fewer than p candidates pass at most, and 2^bits < p: a miss over the whole field has probability below 1/e at
    // worst and about zero at the difficulties profiles use.
    found
        .filter(|&w| w < F::ORDER_U32)
        .map(F::from_u32)
        .ok_or_else(|| HalError::invalid("grind", "no element of the field solves this puzzle"))
}

/// The smallest hit: batches in ascending order, and within a batch the hit of the smallest candidate, whichever
/// thread finds one first.
fn search<F: HalField>(lanes: u32, test: impl Fn(u32) -> Option<u32> + Sync) -> Option<u32> {
    let (mut start, mut size) = (0, FIRST_BATCH);
    while start < F::ORDER_U32 {
        let end = (start + size).min(F::ORDER_U32);
        let hit = (0..(end - start).div_ceil(lanes))
            .into_par_iter()
            .find_map_first(|i| test(start + i * lanes));
        if hit.is_some() {
            return hit;
        }
        (start, size) = (end, (2 * size).min(LARGEST_BATCH));
    }
    None
}
