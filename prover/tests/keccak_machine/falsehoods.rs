//! Witnesses that are consistent throughout and state a falsehood. Each test names the constraint
//! that must refuse it, so that no other mistake of the forger hides a missing constraint.

use p3_baby_bear::BabyBear;
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::KoalaBear;
use p3_matrix::Matrix;
use starkwright_prover::machine::keccak::sponge_columns::{SPONGE_COLUMNS, SPONGE_WIDTH};
use starkwright_prover::machine::keccak::{
    Block, RATE_BYTES, Segment, SegmentTrace, check_segment, public_values as pv,
};

use crate::{
    bytes, closing_block, full_block, refused_by, segment_at, some_state, trace, violated_on_row,
};

type F = KoalaBear;

const BLOCK_ROWS: usize = 24;
const EXPORT: usize = 24;

/// First column of a named group.
fn column(name: &str) -> usize {
    SPONGE_COLUMNS.iter().find(|group| group.name == name).unwrap().columns.start
}

fn set(trace: &mut SegmentTrace<F>, row: usize, column: usize, value: u32) {
    trace.sponge.values[row * SPONGE_WIDTH + column] = F::from_u32(value);
}

/// Sets the bits from `column` on to those of `word`.
fn set_bits<G: PrimeField32>(trace: &mut SegmentTrace<G>, row: usize, column: usize, word: u64, len: usize) {
    for bit in 0..len {
        let cell = row * SPONGE_WIDTH + column + bit;
        trace.sponge.values[cell] = G::from_bool(word >> bit & 1 == 1);
    }
}

fn refused(segment: &Segment) -> String {
    refused_by(check_segment(&trace::<F>(segment)))
}

// Lengths

/// Claims `bytes_after` and tries every carry there is in the table's last row.
fn wrong_length<G: PrimeField32>(blocks_before: u64, blocks: Vec<Block>, bytes_after: u64) {
    let mut segment = segment_at(some_state(), blocks_before, blocks);
    let truth = segment.statement.bytes_after;
    assert_ne!(truth, bytes_after);
    segment.statement.bytes_after = bytes_after;
    let mut trace = trace::<G>(&segment);
    let last = trace.sponge.height() - 1;
    for row in 0..3 * BLOCK_ROWS {
        assert_eq!(violated_on_row(&trace, row), None, "the forgery is consistent on row {row}");
    }
    for carries in 0..1 << 10 {
        set_bits(&mut trace, last, column("block_bits"), carries, 8);
        set_bits(&mut trace, last, column("state_bits"), carries >> 8, 2);
        assert_eq!(violated_on_row(&trace, last), Some("totals"), "carries {carries:#x}");
    }
}

/// 15,790,320 blocks are 128 bytes short of 2^31, and 31,580,641 are 120 short of 2^32.
#[test]
fn lengths_that_wrap() {
    for (blocks_before, power) in [(15_790_320_u64, 1_u64 << 31), (31_580_641, 1 << 32)] {
        let before = blocks_before * 136;
        assert!(before < power && before + 136 > power);
        let blocks = || vec![full_block(1), closing_block(2, 9)];
        let truth = before + 145;
        for wrong in [
            truth - power,
            truth + power,
            truth + 1,
            truth - 136,
            truth + (1 << 16),
            truth - (1 << 16),
            truth + (1 << 48),
        ] {
            wrong_length::<KoalaBear>(blocks_before, blocks(), wrong);
        }
        for modulus in [u64::from(KoalaBear::ORDER_U32), u64::from(BabyBear::ORDER_U32)] {
            wrong_length::<KoalaBear>(blocks_before, blocks(), truth + modulus);
            wrong_length::<BabyBear>(blocks_before, blocks(), truth + modulus);
            wrong_length::<BabyBear>(blocks_before, blocks(), truth - modulus);
        }
    }
}

/// A carry out of the top limb is not dropped: a file of 2^64 bytes and more has no statement.
#[test]
fn lengths_beyond_64_bits() {
    let blocks_before = u64::MAX / 136;
    let truth = u128::from(blocks_before) * 136 + 136;
    assert!(truth > u128::from(u64::MAX));
    let blocks = vec![full_block(1)];
    let segment = segment_at(some_state(), blocks_before, blocks.clone());
    assert_eq!(segment.statement.bytes_after, truth as u64);
    let mut trace = trace::<F>(&segment);
    let last = trace.sponge.height() - 1;
    for carries in 0..1 << 10 {
        set_bits(&mut trace, last, column("block_bits"), carries, 8);
        set_bits(&mut trace, last, column("state_bits"), carries >> 8, 2);
        assert_eq!(violated_on_row(&trace, last), Some("totals"));
    }
}

/// One block more or less than was absorbed, and 2^16, 2^32 or a modulus more, under any carries.
#[test]
fn wrong_block_counts() {
    let segment = segment_at(some_state(), 65_535, vec![full_block(1), full_block(2)]);
    let truth = segment.statement.blocks_after;
    let modulus = u64::from(F::ORDER_U32);
    for wrong in [truth - 1, truth + 1, truth - 2, truth - (1 << 16), truth + (1 << 32), truth + modulus] {
        let mut segment = segment.clone();
        segment.statement.blocks_after = wrong;
        let mut trace = trace::<F>(&segment);
        let last = trace.sponge.height() - 1;
        for carries in 0..1 << 3 {
            set_bits(&mut trace, last, column("state_bits") + 2, carries, 3);
            assert_eq!(violated_on_row(&trace, last), Some("totals"));
        }
    }
}

/// Byte and block counters before the segment that tell different lengths, under any carries.
#[test]
fn counters_that_disagree() {
    let row = 19;
    let true_segment = segment_at(some_state(), 31_580_642, vec![full_block(1)]);
    let modulus = i128::from(F::ORDER_U32);
    for shift in [1, -1, 136, -136, 1 << 16, 1 << 31, 1 << 32, -(1 << 32), modulus, -modulus] {
        let mut segment = true_segment.clone();
        let statement = &mut segment.statement;
        let shifted = |bytes: u64| u64::try_from(i128::from(bytes) + shift).unwrap();
        statement.bytes_before = shifted(statement.bytes_before);
        statement.bytes_after = shifted(statement.bytes_after);
        let mut trace = trace::<F>(&segment);
        let last = trace.sponge.height() - 1;
        assert_eq!(violated_on_row(&trace, last), None, "before and after agree");
        assert!(!carries_exist(&mut trace, row), "shift by {shift}");
    }
    assert!(carries_exist(&mut trace::<F>(&true_segment), row));
}

/// Whether some three 8-bit carries satisfy the alignment on `row`. The constraint of limb `i`
/// decides carry `i` once those below it are set.
fn carries_exist(trace: &mut SegmentTrace<F>, row: usize) -> bool {
    fn search(trace: &mut SegmentTrace<F>, row: usize, limb: usize) -> bool {
        if limb == 3 {
            return violated_on_row(trace, row).is_none();
        }
        (0..256).any(|carry| {
            set_bits(trace, row, column("state_bits") + 8 * limb, carry, 8);
            limb_holds(trace, row, limb) && search(trace, row, limb + 1)
        })
    }
    fn limb_holds(trace: &SegmentTrace<F>, row: usize, limb: usize) -> bool {
        use starkwright_prover::machine::check::evaluate_row;
        use starkwright_prover::machine::keccak::sponge_air::CONSTRAINTS;
        let start: usize = CONSTRAINTS
            .iter()
            .take_while(|(name, _)| *name != "alignment")
            .map(|(_, size)| size)
            .sum();
        evaluate_row(&trace.tables()[1], row).violated.is_none_or(|index| index > start + limb)
    }
    search(trace, row, 0)
}

// Padding

#[test]
fn padding_in_the_middle() {
    // The file goes on after a block that is padded and says so.
    let blocks = vec![full_block(1), closing_block(2, 50), full_block(3), closing_block(4, 7)];
    assert_eq!(refused(&segment_at(some_state(), 10, blocks)), "closing block");
    // It does not say so: its message just ends early.
    let mut hidden = closing_block(2, 50);
    hidden.closing = false;
    let blocks = vec![full_block(1), hidden, full_block(3), closing_block(4, 7)];
    assert_eq!(refused(&segment_at(some_state(), 10, blocks)), "message end");
}

#[test]
fn two_paddings() {
    let blocks = vec![closing_block(1, 50), closing_block(2, 60)];
    assert_eq!(refused(&segment_at(some_state(), 10, blocks)), "closing block");
    let blocks = vec![closing_block(1, 50), closing_block(1, 50)];
    assert_eq!(refused(&segment_at([0; 25], 0, blocks)), "closing block");
}

/// In one block: the message ends at byte 5, and again at byte 40.
#[test]
fn a_message_that_goes_on_after_its_end() {
    let mut block = closing_block(1, 40);
    block.bytes[5] = 0x01;
    for byte in 6..40 {
        block.bytes[byte] = 0;
    }
    let mut trace = trace::<F>(&segment_at(some_state(), 10, vec![block]));
    check_segment(&trace).unwrap();
    let open = column("open");
    for byte in 6..=8 {
        set(&mut trace, 0, open + byte, 0);
    }
    // Reopened at once in the next lane: the link between lanes breaks.
    assert_eq!(violated_on_row(&trace, 0), Some("message end"));
    // Reopened within a lane.
    for byte in 6..=7 {
        set(&mut trace, 0, open + byte, 0);
    }
    set(&mut trace, 0, open + 8, 1);
    assert_eq!(violated_on_row(&trace, 0), Some("message end"));
}

#[test]
fn a_last_segment_without_padding() {
    let mut segment = segment_at(some_state(), 10, vec![full_block(1), full_block(2)]);
    segment.statement.last = true;
    assert_eq!(refused(&segment), "closing block");
    // The last block calls itself closing, but is all message.
    segment.blocks[1].closing = true;
    assert_eq!(refused(&segment), "message end");
}

#[test]
fn padding_in_a_segment_that_is_not_the_last() {
    let mut segment = segment_at(some_state(), 10, vec![full_block(1), closing_block(2, 30)]);
    segment.statement.last = false;
    assert_eq!(refused(&segment), "closing block");
    segment.blocks[1].closing = false;
    assert_eq!(refused(&segment), "message end");
}

/// The padding must stand where the counted bytes end, and be Keccak's.
#[test]
fn paddings_of_the_wrong_form() {
    let with = |change: &dyn Fn(&mut [u8; RATE_BYTES])| {
        let mut block = closing_block(1, 100);
        change(&mut block.bytes);
        refused(&segment_at(some_state(), 10, vec![full_block(2), block]))
    };
    assert_eq!(with(&|_| {}), "nothing");
    // SHA3-256's domain byte; a bit too many; none; the final bit missing; hidden bytes.
    assert_eq!(with(&|bytes| bytes[100] = 0x06), "padding");
    assert_eq!(with(&|bytes| bytes[100] = 0x81), "padding");
    assert_eq!(with(&|bytes| bytes[100] = 0x00), "padding");
    assert_eq!(with(&|bytes| bytes[135] = 0x00), "padding");
    assert_eq!(with(&|bytes| bytes[135] = 0x81), "padding");
    assert_eq!(with(&|bytes| bytes[101] = 0x01), "padding");
    assert_eq!(with(&|bytes| bytes[134] = 0x40), "padding");
    // At byte 135 both ends of the padding meet.
    let mut block = closing_block(1, 135);
    assert_eq!(block.bytes[135], 0x81);
    block.bytes[135] = 0x80;
    assert_eq!(refused(&segment_at(some_state(), 10, vec![block])), "padding");
    block.bytes[135] = 0x01;
    assert_eq!(refused(&segment_at(some_state(), 10, vec![block])), "padding");
}

/// The digest of a file with the length of a shorter or longer one: the bytes are the same, the
/// message is said to end elsewhere.
#[test]
fn a_length_other_than_the_padding_says() {
    for len in [0, 99, 101, 135] {
        let mut block = closing_block(1, 100);
        block.message_len = len;
        assert_eq!(refused(&segment_at(some_state(), 10, vec![block])), "padding");
    }
}

// Permutations

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

fn two_blocks() -> SegmentTrace<F> {
    trace(&segment_at(some_state(), 10, vec![full_block(1), full_block(2)]))
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
    trace.permutation.values.copy_within(0..BLOCK_ROWS * width, BLOCK_ROWS * width);
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

// Segments

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
        assert_eq!(violated_on_row(&gap, row), None, "the gap is the only fault, row {row}");
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
