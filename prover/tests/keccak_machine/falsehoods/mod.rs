//! Witnesses that are consistent throughout and state a falsehood. Each test names the constraint
//! that must refuse it, so that no other mistake of the forger hides a missing constraint.

mod counters;
mod ends;
mod padding;
mod permutations;

use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::KoalaBear;
use starkwright_prover::machine::keccak::sponge_columns::{SPONGE_COLUMNS, SPONGE_WIDTH};
use starkwright_prover::machine::keccak::{Segment, SegmentTrace, check_segment};

use crate::{full_block, refused_by, segment_at, some_state, trace};

type F = KoalaBear;

const BLOCK_ROWS: usize = 24;

/// First column of a named group.
fn column(name: &str) -> usize {
    SPONGE_COLUMNS
        .iter()
        .find(|group| group.name == name)
        .unwrap()
        .columns
        .start
}

fn set(trace: &mut SegmentTrace<F>, row: usize, column: usize, value: u32) {
    trace.sponge.values[row * SPONGE_WIDTH + column] = F::from_u32(value);
}

/// Sets the `len` bits from `column` on to those of `word`.
fn set_bits<G: PrimeField32>(
    trace: &mut SegmentTrace<G>,
    row: usize,
    column: usize,
    word: u64,
    len: usize,
) {
    for bit in 0..len {
        let cell = row * SPONGE_WIDTH + column + bit;
        trace.sponge.values[cell] = G::from_bool(word >> bit & 1 == 1);
    }
}

/// What refuses the segment's witness.
fn refused(segment: &Segment) -> String {
    refused_by(check_segment(&trace::<F>(segment)))
}

fn two_blocks() -> SegmentTrace<F> {
    trace(&segment_at(
        some_state(),
        10,
        vec![full_block(1), full_block(2)],
    ))
}
