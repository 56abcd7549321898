//! Segments that begin, stop or end as they must not.

use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_matrix::Matrix;
use starkwright_prover::machine::keccak::sponge_columns::SPONGE_WIDTH;
use starkwright_prover::machine::keccak::{
    Block, SegmentTrace, check_segment, public_values as pv,
};

use super::{BLOCK_ROWS, F, column, refused, set, two_blocks};
use crate::{bytes, full_block, refused_by, segment_at, some_state, trace, violated_on_row};

#[test]
fn a_first_segment_that_is_not_fresh() {
    let fresh = segment_at([0; 25], 0, vec![full_block(1)]);
    assert_eq!(refused(&fresh), "nothing");
    // A chosen state, with the true result.
    let mut state = segment_at(some_state(), 10, vec![full_block(1)]);
    state.statement.first = true;
    for name in ["blocks_before", "bytes_before", "state", "index"] {
        let mut segment = fresh.clone();
        match name {
            "blocks_before" => {
                segment.statement.blocks_before = 1;
                segment.statement.blocks_after = 2;
            }
            "bytes_before" => {
                segment.statement.bytes_before = 136;
                segment.statement.bytes_after = 272;
            }
            "state" => {
                segment = segment_at(some_state(), 0, vec![full_block(1)]);
                assert!(segment.statement.first);
            }
            _ => segment.statement.index = 1,
        }
        assert_eq!(refused(&segment), "first segment", "{name}");
    }
    assert_eq!(refused(&state), "first segment");
    // A multiple of 2^32 and of the modulus: no limb of it is zero modulo p unless it is zero.
    for blocks in [1 << 32, u64::from(F::ORDER_U32)] {
        let mut segment = segment_at([0; 25], blocks, vec![full_block(1)]);
        segment.statement.index = 0;
        assert_eq!(refused(&segment), "nothing");
        segment.statement.first = true;
        assert_eq!(refused(&segment), "first segment");
    }
}

/// Block 1 is inactive and block 2 active again, with state, counts and permutations to match.
#[test]
fn active_after_inactive() {
    let one = trace::<F>(&segment_at(some_state(), 10, vec![full_block(1)]));
    let mut gap = two_blocks();
    let rows = |blocks: std::ops::Range<usize>| {
        BLOCK_ROWS * SPONGE_WIDTH * blocks.start..BLOCK_ROWS * SPONGE_WIDTH * blocks.end
    };
    // The second block moves one place down, the inactive rows of the shorter segment take its.
    gap.sponge.values.copy_within(rows(1..2), rows(2..3).start);
    gap.sponge.values[rows(1..2)].copy_from_slice(&one.sponge.values[rows(1..2)]);
    // The statement's limbs on rows 17 to 19 are this segment's, not the shorter one's.
    for row in 17..20 {
        let bits = |block: usize| {
            let start = (BLOCK_ROWS * block + row) * SPONGE_WIDTH;
            start + column("block_bits")..start + column("state")
        };
        gap.sponge.values.copy_within(bits(0), bits(1).start);
    }
    assert_eq!(refused_by(check_segment(&gap)), "activity");
    assert_eq!(violated_on_row(&gap, 2 * BLOCK_ROWS - 1), Some("activity"));
    let height = gap.sponge.height();
    for row in (0..height).filter(|&row| row != 2 * BLOCK_ROWS - 1) {
        assert_eq!(
            violated_on_row(&gap, row),
            None,
            "the gap is the only fault, row {row}"
        );
    }
}

/// The table begins with a block's second row, so that the block's first lane is left out.
#[test]
fn a_block_that_begins_late() {
    let mut trace = two_blocks();
    trace.sponge.values.rotate_left(SPONGE_WIDTH);
    assert_eq!(violated_on_row(&trace, 0), Some("row in block"));
}

#[test]
fn another_machine_and_flags_that_are_none() {
    for (index, value, name) in [
        (pv::ID, 1, "identity"),
        (pv::VERSION, 2, "identity"),
        (pv::FIRST, 2, "flags"),
        (pv::LAST, 2, "flags"),
    ] {
        let mut trace = two_blocks();
        trace.public_values[index] = F::from_u32(value);
        assert_eq!(violated_on_row(&trace, 0), Some(name));
    }
}

#[test]
fn a_segment_of_no_block() {
    let mut segment = segment_at(some_state(), 10, vec![]);
    assert_eq!(refused(&segment), "activity");
    segment.statement.last = true;
    assert_eq!(refused(&segment), "activity");
}

/// A block in the table's tail, which is too short for a permutation.
#[test]
fn a_block_cut_off_by_the_end() {
    let mut trace = trace::<F>(&segment_at(some_state(), 10, vec![full_block(1); 85]));
    check_segment(&trace).unwrap();
    let height = trace.sponge.height();
    for row in height - 8..height {
        set(&mut trace, row, column("active"), 1);
    }
    let last = height - 1;
    set(&mut trace, last, column("absorbing"), 1);
    assert_eq!(violated_on_row(&trace, last), Some("activity"));
}

/// More blocks than the shape holds, and a context of another field, are errors.
#[test]
fn segments_without_a_trace() {
    let mut segment = segment_at(some_state(), 10, vec![full_block(1); 86]);
    SegmentTrace::<F>::generate(&segment).unwrap_err();
    segment.blocks.pop();
    SegmentTrace::<F>::generate(&segment).unwrap();
    segment.statement.context[0] = F::ORDER_U32;
    SegmentTrace::<F>::generate(&segment).unwrap_err();
    assert_eq!(Block::closing(&bytes(1, 136)), None);
}

/// Limbs of the state before that are no limbs: the same lane mod p, split at another place.
#[test]
fn state_limbs_out_of_range() {
    for (limb, name) in [(0, "absorption"), (99, "bus keccak-f")] {
        let mut trace = two_blocks();
        let start = column("state");
        // Limb `limb` takes 2^16 from the next one, or the other way round.
        let rows = if limb == 0 { 0..1 } else { 0..BLOCK_ROWS };
        for row in rows {
            trace.sponge.values[row * SPONGE_WIDTH + start + limb] += F::from_u32(1 << 16);
        }
        trace.public_values[pv::STATE_BEFORE + limb] += F::from_u32(1 << 16);
        assert_eq!(refused_by(check_segment(&trace)), name);
    }
}
