//! The bare permutations, for conformance tests and benchmarks.

use starkwright_hal::{HalError, HalField};

use super::kernels::{keccak_lanes, keccak_program, poseidon2_lanes, poseidon2_program, range};
use crate::{Arg, Buffer, Runtime};

/// Permutes states of p3's default Poseidon2 in place: `width` consecutive Montgomery words each. Enqueues only.
///
/// # Errors
/// [`HalError::InvalidArgument`] unless the buffer holds a power of two of states, [`HalError::Unsupported`] for a width
/// other than 16 and 24, driver failures.
pub fn poseidon2<F: HalField>(rt: &Runtime, width: usize, states: &Buffer) -> Result<(), HalError> {
    let tiles = include_str!("../../../cl/merkle_rows.cl");
    let part = include_str!("../../../cl/poseidon2_permute.cl");
    let program = poseidon2_program::<F>(rt, "poseidon2_permute", width, &[tiles, part])?;
    let kernel = rt.kernel(&program, "poseidon2_permute")?;
    let n = count("poseidon2", states, width)?;
    let (global, local) = range(rt, n, poseidon2_lanes(rt));
    rt.launch(
        &kernel,
        global,
        local,
        &[Arg::Buffer(states), Arg::U64(n as u64)],
    )
}

/// Permutes states of Keccak-f\[1600\] in place: 25 lanes of two words, the low word first. Enqueues only.
///
/// # Errors
/// As [`poseidon2`].
pub fn keccak_f(rt: &Runtime, states: &Buffer) -> Result<(), HalError> {
    let part = include_str!("../../../cl/keccak_permute.cl");
    let program = keccak_program(rt, "keccak_permute", part, "")?;
    let kernel = rt.kernel(&program, "keccak_permute")?;
    let n = count("keccak_f", states, 50)?;
    let (global, local) = range(rt, n, keccak_lanes(rt));
    rt.launch(
        &kernel,
        global,
        local,
        &[Arg::Buffer(states), Arg::U64(n as u64)],
    )
}

/// The number of states in a buffer.
fn count(op: &'static str, states: &Buffer, width: usize) -> Result<usize, HalError> {
    let words = states.words();
    match words.checked_div(width) {
        Some(n) if n.is_power_of_two() && n * width == words => Ok(n),
        _ => Err(HalError::invalid(
            op,
            format!("{words} words are no 2^k states of {width}"),
        )),
    }
}
