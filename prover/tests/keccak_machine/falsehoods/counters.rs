//! Lengths and counts near 2^16, 2^31, 2^32, 2^64 and the modulus, under any carries.

use p3_baby_bear::BabyBear;
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::KoalaBear;
use p3_matrix::Matrix;
use starkwright_prover::machine::check::evaluate_row;
use starkwright_prover::machine::keccak::sponge_air::CONSTRAINTS;
use starkwright_prover::machine::keccak::{Block, SegmentTrace, public_values as pv};

use super::{BLOCK_ROWS, F, column, set_bits};
use crate::{closing_block, full_block, segment_at, some_state, trace, violated_on_row};

/// Claims `bytes_after` and tries every carry there is in the table's last row.
fn wrong_length<G: PrimeField32>(blocks_before: u64, blocks: Vec<Block>, bytes_after: u64) {
    let mut segment = segment_at(some_state(), blocks_before, blocks);
    let truth = segment.statement.bytes_after;
    assert_ne!(truth, bytes_after);
    segment.statement.bytes_after = bytes_after;
    let mut trace = trace::<G>(&segment);
    let last = trace.sponge.height() - 1;
    for row in 0..3 * BLOCK_ROWS {
        assert_eq!(
            violated_on_row(&trace, row),
            None,
            "the forgery is consistent on row {row}"
        );
    }
    for carries in 0..1 << 10 {
        set_bits(&mut trace, last, column("block_bits"), carries, 8);
        set_bits(&mut trace, last, column("state_bits"), carries >> 8, 2);
        assert_eq!(
            violated_on_row(&trace, last),
            Some("totals"),
            "carries {carries:#x}"
        );
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
        for modulus in [
            u64::from(KoalaBear::ORDER_U32),
            u64::from(BabyBear::ORDER_U32),
        ] {
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

/// The true length with a limb that takes 2^16 from the next one: the totals hold with other
/// carries, and only the limbs' range refuses a second encoding.
#[test]
fn a_length_in_another_encoding() {
    let blocks = vec![full_block(1), closing_block(2, 9)];
    let mut trace = trace::<F>(&segment_at(some_state(), 15_790_320, blocks));
    let last = trace.sponge.height() - 1;
    // 0x8000_0011 as limbs 0x1_0011 and 0x7fff, without the carry that the true limbs need.
    let limbs = &mut trace.public_values[pv::BYTES_AFTER..];
    assert_eq!([limbs[0], limbs[1]], [0x0011, 0x8000].map(F::from_u32));
    limbs[0] = F::from_u32(0x1_0011);
    limbs[1] = F::from_u32(0x7fff);
    set_bits(&mut trace, last, column("block_bits"), 0, 8);
    assert_eq!(violated_on_row(&trace, last), None);
    assert_eq!(violated_on_row(&trace, 17), Some("limbs"));
}

/// One block more or less than was absorbed, and 2^16, 2^32 or a modulus more, under any carries.
#[test]
fn wrong_block_counts() {
    let segment = segment_at(some_state(), 65_535, vec![full_block(1), full_block(2)]);
    let truth = segment.statement.blocks_after;
    let modulus = u64::from(F::ORDER_U32);
    for wrong in [
        truth - 1,
        truth + 1,
        truth - 2,
        truth - (1 << 16),
        truth + (1 << 32),
        truth + modulus,
    ] {
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
    for shift in [
        1,
        -1,
        136,
        -136,
        1 << 16,
        1 << 31,
        1 << 32,
        -(1 << 32),
        modulus,
        -modulus,
    ] {
        let mut segment = true_segment.clone();
        let statement = &mut segment.statement;
        let shifted = |bytes: u64| u64::try_from(i128::from(bytes) + shift).unwrap();
        statement.bytes_before = shifted(statement.bytes_before);
        statement.bytes_after = shifted(statement.bytes_after);
        let mut trace = trace::<F>(&segment);
        let last = trace.sponge.height() - 1;
        assert_eq!(
            violated_on_row(&trace, last),
            None,
            "before and after agree"
        );
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
        let start: usize = CONSTRAINTS
            .iter()
            .take_while(|(name, _)| *name != "alignment")
            .map(|(_, size)| size)
            .sum();
        evaluate_row(&trace.tables()[1], row)
            .violated
            .first()
            .is_none_or(|&index| index > start + limb)
    }
    search(trace, row, 0)
}
