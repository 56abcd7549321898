//! Proof-of-work search: the smallest canonical witness.
//!
//! Candidates are tested in ascending batches. Within a batch every hit goes through an atomic minimum, so the first
//! batch with a hit yields the smallest witness whatever the order of its work-items. See `grinding_challenger.rs`,
//! `duplex_challenger.rs` and `serializing_challenger.rs` of p3-challenger 0.8 for the puzzles.

use starkwright_hal::{HalError, HalField, Puzzle};

use super::merkle::kernels::{
    field_options, keccak_lanes, keccak_program, poseidon2_lanes, poseidon2_program, range,
};
use crate::{Arg, Buffer, DeviceKind, Kernel, Runtime};

/// Bytes of a block of Keccak-256.
const BLOCK: usize = 136;
/// Blocks that the kernel's message may have.
const BLOCKS: usize = 2;

/// The smallest canonical element that, put into the puzzle, gives a sample whose low `bits` bits are zero. Zero for
/// zero bits, as in p3. Waits once for each batch of candidates.
///
/// # Errors
/// [`HalError::InvalidArgument`] for difficulties from the field's size on, slots beyond the state, or a puzzle without
/// a solution; [`HalError::Unsupported`] for a Keccak prefix beyond two blocks; driver failures.
pub fn grind<F: HalField>(rt: &Runtime, puzzle: &Puzzle<F>, bits: usize) -> Result<F, HalError> {
    if bits >= 31 || (1u32 << bits) >= F::ORDER_U32 {
        return Err(HalError::invalid(
            "grind",
            format!("{bits} bits exceed the field"),
        ));
    }
    if bits == 0 {
        return Ok(F::ZERO);
    }
    let mask = (1u32 << bits) - 1;
    match puzzle {
        Puzzle::Poseidon2 {
            state,
            slot,
            output,
        } => {
            if *slot >= state.len() || *output >= state.len() {
                return Err(HalError::invalid("grind", "a slot beyond the state"));
            }
            let part = include_str!("../../cl/grind_poseidon2.cl");
            let program = poseidon2_program::<F>(rt, "grind_poseidon2", 16, &[part])?;
            let words = state.map(HalField::montgomery_word);
            let buffer = rt.upload(&words)?;
            let search = Search {
                kernel: rt.kernel(&program, "grind_poseidon2")?,
                lanes: poseidon2_lanes(rt),
                puzzle: [
                    Arg::Buffer(&buffer),
                    Arg::U32(*slot as u32),
                    Arg::U32(*output as u32),
                    Arg::U32(mask),
                ],
            };
            search.smallest(rt, bits)
        }
        Puzzle::Keccak256 { prefix } => {
            let part = include_str!("../../cl/grind_keccak.cl");
            let program = keccak_program(rt, "grind_keccak", part, &field_options::<F>())?;
            let (message, blocks) = message(prefix)?;
            let buffer = rt.upload(&message)?;
            let search = Search {
                kernel: rt.kernel(&program, "grind_keccak")?,
                lanes: keccak_lanes(rt),
                puzzle: [
                    Arg::Buffer(&buffer),
                    Arg::U32(blocks as u32),
                    Arg::U32(prefix.len() as u32),
                    // The challenger reads the digest's bytes from its end: the sample is the last word, bytes reversed.
                    Arg::U32(mask.swap_bytes()),
                ],
            };
            search.smallest(rt, bits)
        }
    }
}

/// The padded message with zeros for the candidate's four bytes, in words, and its number of blocks.
fn message(prefix: &[u8]) -> Result<(Vec<u32>, usize), HalError> {
    let length = prefix.len() + size_of::<u32>();
    // Padding takes at least a byte.
    let blocks = length / BLOCK + 1;
    if blocks > BLOCKS {
        let why = format!("a Keccak puzzle over {} bytes", prefix.len());
        return Err(HalError::unsupported("grind", why));
    }
    let mut bytes = prefix.to_vec();
    bytes.resize(blocks * BLOCK, 0);
    bytes[length] ^= 0x01;
    bytes[blocks * BLOCK - 1] ^= 0x80;
    Ok((
        bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&word| u32::from_le_bytes(word))
            .collect(),
        blocks,
    ))
}

/// Candidates of a launch: a quarter of those expected, so that few are tested beyond the witness, and few waits are
/// needed. A GPU tests so many at once that fewer would save no time; a simulator of one takes minutes for as many.
fn batch(kind: DeviceKind, simulated: bool, bits: usize) -> u32 {
    let least = if kind == DeviceKind::Gpu && !simulated {
        16
    } else {
        10
    };
    1 << bits.saturating_sub(2).clamp(least, 20)
}

/// A puzzle ready to be searched.
struct Search<'a> {
    kernel: Kernel,
    /// Candidates of a work-item.
    lanes: usize,
    /// The kernel's arguments that describe the puzzle.
    puzzle: [Arg<'a>; 4],
}

impl Search<'_> {
    fn smallest<F: HalField>(&self, rt: &Runtime, bits: usize) -> Result<F, HalError> {
        let batch = batch(rt.info().kind, rt.info().is_simulated(), bits);
        let to_montgomery = F::from_u64(1 << 32).montgomery_word();
        let found: Buffer = rt.upload(&[u32::MAX])?;
        for base in (0..F::ORDER_U32).step_by(batch as usize) {
            let [buffer, a, b, c] = self.puzzle;
            let args = [
                buffer,
                a,
                b,
                c,
                Arg::U32(base),
                Arg::U32(batch),
                Arg::U32(to_montgomery),
                Arg::Buffer(&found),
            ];
            let (global, local) = range(rt, batch as usize, self.lanes);
            rt.launch(&self.kernel, global, local, &args)?;
            let mut witness = [0u32];
            rt.read(&found, 0, &mut witness)?;
            if witness[0] < F::ORDER_U32 {
                return Ok(F::from_u32(witness[0]));
            }
        }
        Err(HalError::invalid(
            "grind",
            "no element of the field solves this puzzle",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_kept_busy_by_easy_puzzles() {
        let of =
            |kind, simulated| [1, 16, 18, 20, 30].map(|bits| batch(kind, simulated, bits).ilog2());
        assert_eq!(of(DeviceKind::Cpu, false), [10, 14, 16, 18, 20]);
        assert_eq!(of(DeviceKind::Gpu, false), [16, 16, 16, 18, 20]);
        assert_eq!(of(DeviceKind::Gpu, true), [10, 14, 16, 18, 20]);
    }
}
