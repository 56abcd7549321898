//! Permutations replayed, skipped, wrong, or exported without need.

use p3_field::PrimeCharacteristicRing;
use p3_matrix::Matrix;
use starkwright_prover::machine::keccak::sponge_columns::SPONGE_WIDTH;
use starkwright_prover::machine::keccak::{SegmentTrace, check_segment, public_values as pv};

use super::{BLOCK_ROWS, F, column, refused, set, two_blocks};
use crate::{full_block, refused_by, segment_at, some_state};

/// Column of the Keccak-f table's export flag, behind the 24 round flags.
const EXPORT: usize = 24;

/// From `row` on, the sponge's state is this, and so is the public state after.
fn continue_with(trace: &mut SegmentTrace<F>, row: usize, state: &[F]) {
    let start = column("state");
    let height = trace.sponge.height();
    for row in row..height {
        let cells = row * SPONGE_WIDTH + start;
        trace.sponge.values[cells..cells + 100].copy_from_slice(state);
    }
    trace.public_values[pv::STATE_AFTER..pv::STATE_AFTER + 100].copy_from_slice(state);
}

fn state_on(trace: &SegmentTrace<F>, row: usize) -> Vec<F> {
    let start = row * SPONGE_WIDTH + column("state");
    trace.sponge.values[start..start + 100].to_vec()
}

/// The second block's result is said to be the first one's.
#[test]
fn a_replayed_permutation() {
    let mut trace = two_blocks();
    let first_output = state_on(&trace, BLOCK_ROWS);
    continue_with(&mut trace, 2 * BLOCK_ROWS, &first_output);
    assert_eq!(refused_by(check_segment(&trace)), "bus keccak-f");
    // Exporting the first permutation a second time in place of the second does not help.
    let width = trace.permutation.width;
    let rows = BLOCK_ROWS * width;
    trace.permutation.values.copy_within(0..rows, rows);
    assert_eq!(refused_by(check_segment(&trace)), "bus keccak-f");
    // Nor does taking the first permutation's input along: the chained state is another.
    let mut trace = two_blocks();
    let first_input = state_on(&trace, BLOCK_ROWS - 1);
    let start = (2 * BLOCK_ROWS - 1) * SPONGE_WIDTH + column("state");
    trace.sponge.values[start..start + 100].copy_from_slice(&first_input);
    continue_with(&mut trace, 2 * BLOCK_ROWS, &first_output);
    let width = trace.permutation.width;
    trace
        .permutation
        .values
        .copy_within(0..BLOCK_ROWS * width, BLOCK_ROWS * width);
    assert_eq!(refused_by(check_segment(&trace)), "absorption");
}

/// The second block is absorbed and not permuted.
#[test]
fn a_skipped_permutation() {
    let mut trace = two_blocks();
    let input = state_on(&trace, 2 * BLOCK_ROWS - 1);
    continue_with(&mut trace, 2 * BLOCK_ROWS, &input);
    assert_eq!(refused_by(check_segment(&trace)), "bus keccak-f");
}

/// The second block is counted, but the state is the one before it.
#[test]
fn a_skipped_block() {
    let mut trace = two_blocks();
    let before = state_on(&trace, BLOCK_ROWS);
    continue_with(&mut trace, 2 * BLOCK_ROWS, &before);
    assert_eq!(refused_by(check_segment(&trace)), "bus keccak-f");
    // Inactive, so that nothing is looked up, it is not counted either.
    let one_block = segment_at(some_state(), 10, vec![full_block(1)]);
    let mut claim = one_block.clone();
    claim.statement.blocks_after += 1;
    claim.statement.bytes_after += 136;
    assert_eq!(refused(&claim), "totals");
    let mut trace = crate::trace::<F>(&claim);
    let height = trace.sponge.height();
    for row in BLOCK_ROWS..height {
        set(&mut trace, row, column("blocks"), 2);
        set(&mut trace, row, column("bytes"), 272);
    }
    assert_eq!(refused_by(check_segment(&trace)), "counts");
}

/// Swapping two blocks changes the chain.
#[test]
fn blocks_in_another_order() {
    let segment = segment_at(some_state(), 10, vec![full_block(1), full_block(2)]);
    let mut swapped = segment.clone();
    swapped.blocks.swap(0, 1);
    assert_eq!(refused(&swapped), "boundary states");
}

/// A wrong output in the Keccak-f table itself, exported and used.
#[test]
fn a_wrong_permutation() {
    let mut trace = two_blocks();
    let mut state = state_on(&trace, 2 * BLOCK_ROWS);
    state[99] += F::ONE;
    continue_with(&mut trace, 2 * BLOCK_ROWS, &state);
    // The last limb of the output is the last of `a_prime_prime`, which 64 bits and 4 limbs follow.
    let width = trace.permutation.width;
    let limb = (2 * BLOCK_ROWS - 1) * width + width - 4 - 64 - 1;
    trace.permutation.values[limb] += F::ONE;
    assert_eq!(refused_by(check_segment(&trace)), "p3-keccak-air");
}

/// Exports are bits on final rounds; one that nobody looks up, or none where one is, unbalances.
#[test]
fn exports_that_no_block_asks_for() {
    let width = two_blocks().permutation.width;
    let export = |row: usize, value: u32| {
        let mut trace = two_blocks();
        trace.permutation.values[row * width + EXPORT] = F::from_u32(value);
        refused_by(check_segment(&trace))
    };
    let last_round = |block: usize| BLOCK_ROWS * block + 23;
    assert_eq!(export(last_round(1), 1), "nothing");
    assert_eq!(export(last_round(2), 1), "bus keccak-f");
    assert_eq!(export(last_round(1), 0), "bus keccak-f");
    assert_eq!(export(last_round(1), 2), "p3-keccak-air");
    assert_eq!(export(last_round(1) - 1, 1), "p3-keccak-air");
}
