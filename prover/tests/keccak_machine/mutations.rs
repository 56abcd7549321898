//! Every column of both tables and every public value changed, one cell at a time.
//!
//! A changed cell is seen by two row windows, the one it is the current row of and the one before.
//! The witness is refused when a constraint fails on either, or when the messages they send change:
//! everything else balances the honest messages, so other messages do not balance.

use p3_baby_bear::BabyBear;
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::KoalaBear;
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use proptest::prelude::*;
use starkwright_prover::machine::check::{Message, TableWitness, evaluate_row};
use starkwright_prover::machine::keccak::sponge_columns::{SPONGE_COLUMNS, SPONGE_WIDTH};
use starkwright_prover::machine::keccak::{
    KeccakTable, Segment, SegmentTrace, check_segment, public_values as pv,
};

use crate::{closing_block, full_block, segment_at, some_state, trace, violated_on_row};

/// Rows per block.
const BLOCK: usize = 24;

/// Three blocks, the last one padded in its 13th lane, behind 1000 blocks: no flag is trivial.
fn last_segment() -> Segment {
    segment_at(
        some_state(),
        1000,
        vec![full_block(1), full_block(2), closing_block(3, 100)],
    )
}

/// Messages of both windows that see `row`, or `None` where a constraint fails.
fn messages<F: PrimeField32>(
    table: &TableWitness<'_, F, KeccakTable>,
    row: usize,
) -> Option<Vec<Message<F>>> {
    let height = table.trace.height();
    let reports = [(row + height - 1) % height, row].map(|row| evaluate_row(table, row));
    reports
        .iter()
        .all(|report| report.violated.is_empty())
        .then(|| {
            reports
                .into_iter()
                .flat_map(|report| report.messages)
                .collect()
        })
}

/// A witness whose cells are changed one at a time.
struct Mutant<F> {
    trace: SegmentTrace<F>,
    /// 0 is the Keccak-f table, 1 the sponge.
    table: usize,
    row: usize,
    /// What the honest witness sends on the windows that see `row`.
    honest: Vec<Message<F>>,
}

impl<F: PrimeField32> Mutant<F> {
    fn new(trace: SegmentTrace<F>, table: usize) -> Self {
        let mut mutant = Self {
            trace,
            table,
            row: 0,
            honest: Vec::new(),
        };
        mutant.go_to(0);
        mutant
    }

    fn matrix(&mut self) -> &mut RowMajorMatrix<F> {
        if self.table == 0 {
            &mut self.trace.permutation
        } else {
            &mut self.trace.sponge
        }
    }

    fn go_to(&mut self, row: usize) {
        self.row = row;
        self.honest = messages(&self.trace.tables()[self.table], row).unwrap();
    }

    /// Whether the witness is refused once the cell in `column` holds `value` of what it held.
    fn refused(&mut self, column: usize, value: impl FnOnce(F) -> F) -> bool {
        let row = self.row;
        let matrix = self.matrix();
        let cell = row * matrix.width + column;
        let old = matrix.values[cell];
        matrix.values[cell] = value(old);
        assert_ne!(matrix.values[cell], old);
        let changed = messages(&self.trace.tables()[self.table], self.row);
        self.matrix().values[cell] = old;
        changed.as_ref() != Some(&self.honest)
    }
}

/// The sponge cells that may hold either bit, by row: module docs, "Cells that may hold anything".
fn is_free(row: usize, height: usize, active_blocks: usize, column: usize) -> bool {
    let block_bits = &SPONGE_COLUMNS[7].columns;
    let state_bits = &SPONGE_COLUMNS[8].columns;
    if !block_bits.contains(&column) && !state_bits.contains(&column) {
        return false;
    }
    let (block, row_in_block) = (row / BLOCK, row % BLOCK);
    if row == height - 1 {
        // The carries of the totals: 8 block bits, 5 state bits.
        return if block_bits.contains(&column) {
            column >= block_bits.start + 8
        } else {
            column >= state_bits.start + 5
        };
    }
    match row_in_block {
        0..17 => block >= active_blocks,
        17 | 18 => false,
        // The carries of the alignment: 24 state bits.
        19 => column >= state_bits.start + 24,
        _ => true,
    }
}

fn flip<F: PrimeField32>(value: F) -> F {
    F::ONE - value
}

fn far<F: PrimeField32>(value: F) -> F {
    value + F::from_u32(0x1234_5678)
}

#[test]
fn sponge_cells() {
    let segment = last_segment();
    let mut mutant = Mutant::new(trace::<KoalaBear>(&segment), 1);
    let height = mutant.trace.sponge.height();
    // All active blocks, one inactive block, and the table's tail.
    for row in (0..4 * BLOCK).chain(height - BLOCK..height) {
        mutant.go_to(row);
        for column in 0..SPONGE_WIDTH {
            let free = is_free(row, height, segment.blocks.len(), column);
            assert_eq!(
                mutant.refused(column, flip),
                !free,
                "row {row}, column {column}"
            );
            assert!(mutant.refused(column, far), "row {row}, column {column}");
        }
    }
}

#[test]
fn keccak_f_cells() {
    let mut mutant = Mutant::new(trace::<BabyBear>(&last_segment()), 0);
    let (width, height) = (
        mutant.trace.permutation.width,
        mutant.trace.permutation.height(),
    );
    // First, middle and last round of an exported permutation, rounds of one that is not, the tail.
    for row in [
        BLOCK,
        BLOCK + 11,
        2 * BLOCK - 1,
        5 * BLOCK,
        6 * BLOCK - 1,
        height - 1,
    ] {
        mutant.go_to(row);
        for column in 0..width {
            assert!(mutant.refused(column, flip), "row {row}, column {column}");
            assert!(mutant.refused(column, far), "row {row}, column {column}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Seeded cells anywhere in either table.
    #[test]
    fn any_cell(
        table in 0_usize..2,
        row in 0_usize..2048,
        column in any::<prop::sample::Index>(),
        delta in 2_u32..BabyBear::ORDER_U32,
    ) {
        let honest = trace::<BabyBear>(&segment_at([0; 25], 0, vec![full_block(4); 85]));
        let mut mutant = Mutant::new(honest, table);
        mutant.go_to(row);
        let column = column.index(mutant.matrix().width);
        // A bit plus 2..p-2 is no bit; p-1 would flip a 1.
        let delta = BabyBear::from_u32(delta.min(BabyBear::ORDER_U32 - 2));
        let refused = mutant.refused(column, |value| value + delta);
        prop_assert!(refused, "table {}, row {}, column {}", table, row, column);
    }
}

/// The shortcut of [`Mutant::refused`] agrees with the full check.
#[test]
fn full_checks_agree() {
    let honest = trace::<KoalaBear>(&last_segment());
    check_segment(&honest).unwrap();
    for (row, column) in [(0, 24), (23, 25), (30, 200), (47, 38), (2047, 28)] {
        let mut changed = honest.clone();
        changed.sponge.values[row * SPONGE_WIDTH + column] += KoalaBear::TWO;
        check_segment(&changed).unwrap_err();
    }
    let mut changed = honest.clone();
    let export = 23 * changed.permutation.width + 24;
    changed.permutation.values[export] = KoalaBear::ZERO;
    check_segment(&changed).unwrap_err();
}

/// The public values that may be changed alone, with the reason in the module's docs.
fn is_free_public_value(index: usize, value: KoalaBear, segment: &Segment) -> bool {
    (pv::CONTEXT..pv::INDEX).contains(&index)
        // A first segment that does not say so: no chain begins with it.
        || index == pv::FIRST && segment.statement.first && value == KoalaBear::ZERO
}

fn public_values_of(segment: &Segment) {
    let mut trace = trace::<KoalaBear>(segment);
    let height = trace.sponge.height();
    // Rows that read public values come first, for speed; a free value passes all rows.
    let end_of_blocks = BLOCK * segment.blocks.len() - 1;
    let rows: Vec<usize> = [0, 17, 18, 19, end_of_blocks, height - 1]
        .into_iter()
        .chain(0..height)
        .collect();
    for index in 0..pv::NUM_PUBLIC_VALUES {
        let old = trace.public_values[index];
        let others = [
            flip(old),
            old + KoalaBear::TWO,
            old + KoalaBear::from_u32(1 << 16),
        ];
        for value in others.into_iter().filter(|&value| value != old) {
            trace.public_values[index] = value;
            let accepted = rows
                .iter()
                .all(|&row| violated_on_row(&trace, row).is_none());
            let free = is_free_public_value(index, value, segment);
            assert_eq!(accepted, free, "public value {index} set to {value}");
        }
        trace.public_values[index] = old;
    }
}

#[test]
fn public_values() {
    public_values_of(&last_segment());
    public_values_of(&segment_at(
        [0; 25],
        0,
        vec![full_block(1), closing_block(2, 0)],
    ));
    let inner = segment_at(some_state(), 85, vec![full_block(7); 85]);
    public_values_of(&inner);
}

/// The index of a segment that is not the first is free in the constraints, but only as a number:
/// the bits of row 19 must spell it.
#[test]
fn another_index_needs_its_bits() {
    let mut segment = last_segment();
    segment.statement.index = 0xfedc_ba98_7654_3210;
    check_segment(&trace::<KoalaBear>(&segment)).unwrap();
    segment.statement.first = true;
    check_segment(&trace::<KoalaBear>(&segment)).unwrap_err();
}

/// Random statements and blocks that are true are accepted, whatever the counters.
#[test]
fn true_statements_with_large_counters() {
    let last_start = u64::MAX / 136 - 84;
    for blocks_before in [
        481,
        482,
        15_790_320,
        31_580_641,
        (1 << 47) / 136,
        u64::MAX / 136 - 3,
        last_start,
    ] {
        let blocks = vec![full_block(5), full_block(6), closing_block(7, 11)];
        let segment = segment_at(some_state(), blocks_before, blocks);
        segment.statement.validate().unwrap();
        check_segment(&trace::<BabyBear>(&segment)).unwrap();
    }
}
