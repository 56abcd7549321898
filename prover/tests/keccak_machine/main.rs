//! Tests of the Keccak-256 machine: statements, constraints, and forged witnesses. Proofs are in
//! `keccak_machine_proofs.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod evaluator;
mod falsehoods;
mod files;
mod mutations;
mod shape;

use p3_field::PrimeField32;
use starkwright_prover::machine::check::{Violation, evaluate_row};
use starkwright_prover::machine::keccak::{
    Block, RATE_BYTES, Segment, SegmentShape, SegmentStatement, SegmentTrace, Segmenter, State,
};

/// The smallest shape: 2^11 rows, 85 blocks.
fn small() -> SegmentShape {
    SegmentShape::from_capacity(85).unwrap()
}

/// Reproducible bytes (splitmix64).
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)).to_le_bytes()
    })
    .flatten()
    .take(len)
    .collect()
}

fn full_block(seed: u64) -> Block {
    Block::full(bytes(seed, RATE_BYTES).try_into().unwrap())
}

fn closing_block(seed: u64, len: usize) -> Block {
    Block::closing(&bytes(seed, len)).unwrap()
}

/// All segments of a file, of the smallest shape.
fn segments(file: &[u8]) -> Vec<Segment> {
    Segmenter::new(file, small(), [0; 8])
        .collect::<Result<_, _>>()
        .unwrap()
}

/// A segment somewhere in a file: these blocks absorbed after `blocks_before` full ones, from this
/// state. The statement is true by an independent Keccak-f (tiny-keccak's).
fn segment_at(state_before: State, blocks_before: u64, blocks: Vec<Block>) -> Segment {
    let mut state_after = state_before;
    for block in &blocks {
        for (lane, word) in state_after.iter_mut().zip(block.lanes()) {
            *lane ^= word;
        }
        tiny_keccak::keccakf(&mut state_after);
    }
    let bytes_before = blocks_before * RATE_BYTES as u64;
    let message_bytes: usize = blocks.iter().map(|block| block.message_len).sum();
    let first = blocks_before == 0;
    let statement = SegmentStatement {
        context: [0; 8],
        index: u64::from(!first),
        state_before,
        state_after,
        blocks_before,
        blocks_after: blocks_before + blocks.len() as u64,
        bytes_before,
        bytes_after: bytes_before.wrapping_add(message_bytes as u64),
        first,
        last: blocks.last().is_some_and(|block| block.closing),
    };
    Segment {
        shape: small(),
        statement,
        blocks,
    }
}

/// A state that no one chose.
fn some_state() -> State {
    let words = bytes(77, 200);
    std::array::from_fn(|i| u64::from_le_bytes(words[8 * i..8 * i + 8].try_into().unwrap()))
}

fn trace<F: PrimeField32>(segment: &Segment) -> SegmentTrace<F> {
    SegmentTrace::generate(segment).unwrap()
}

/// Name of the first constraint of the sponge table that a row violates.
fn violated_on_row<F: PrimeField32>(trace: &SegmentTrace<F>, row: usize) -> Option<&'static str> {
    use starkwright_prover::machine::ConstraintNames;
    let sponge = &trace.tables()[1];
    evaluate_row(sponge, row)
        .violated
        .first()
        .map(|&index| sponge.air.constraint_name(index))
}

/// The name of the constraint, or the bus, that refuses a witness.
fn refused_by(result: Result<(), Violation>) -> String {
    match result {
        Ok(()) => "nothing".to_owned(),
        Err(Violation::Constraint { name, .. }) => name.to_owned(),
        Err(Violation::Unbalanced { bus, .. }) => format!("bus {bus}"),
        Err(other) => other.to_string(),
    }
}
