//! Fills both tables from a segment.

use core::borrow::BorrowMut;

use p3_field::PrimeField32;
use p3_keccak_air::{KeccakCols, NUM_KECCAK_COLS, generate_trace_rows};
use p3_matrix::dense::RowMajorMatrix;
use p3_maybe_rayon::prelude::*;

use super::segments::{Block, Segment, absorb, keccak_f};
use super::sponge_columns::{
    ABSORBING, ACTIVE, ALIGN_CARRIES, BLOCK_BITS, BLOCKS, BLOCKS_ROW, BYTES, BYTES_ROW, CARRY_BITS,
    CLOSING, INDEX_ROW, LIMB_BITS, LIMBS, OPEN, PERMUTE_ROW, RATE_LANES, ROWS_PER_BLOCK,
    SPONGE_WIDTH, STATE, STATE_BITS, STEP,
};
use super::statement::{SegmentStatement, State, StatementError, limbs};
use super::{KeccakTable, RATE_BYTES};
use crate::machine::check::TableWitness;

/// Both tables of one segment, in natural row order, and the public values.
#[derive(Clone, Debug)]
pub struct SegmentTrace<F> {
    /// The Keccak-f table, [`NUM_KECCAK_COLS`] wide.
    pub permutation: RowMajorMatrix<F>,
    /// The sponge table, [`SPONGE_WIDTH`] wide, of the same height.
    pub sponge: RowMajorMatrix<F>,
    /// The sponge table's public values; the Keccak-f table has none.
    pub public_values: Vec<F>,
}

/// Why a segment has no trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// More blocks than the shape holds.
    #[error("{blocks} blocks do not fit a segment of {capacity}")]
    TooManyBlocks {
        /// Blocks in the segment.
        blocks: usize,
        /// Blocks that fit.
        capacity: usize,
    },
    /// The statement cannot be stated in this field.
    #[error(transparent)]
    Statement(#[from] StatementError),
}

impl<F: PrimeField32> SegmentTrace<F> {
    /// Fills the tables. The rows follow from the segment's blocks and statement; whether those tell
    /// the truth is for the constraints to say, not for this function.
    ///
    /// # Errors
    /// When the blocks exceed the shape, or the context is not canonical in this field.
    pub fn generate(segment: &Segment) -> Result<Self, TraceError> {
        let (blocks, capacity) = (segment.blocks.len(), segment.shape.capacity());
        if blocks > capacity {
            return Err(TraceError::TooManyBlocks { blocks, capacity });
        }
        let public_values = segment.statement.to_public_values()?;
        let mut inputs = Vec::with_capacity(capacity);
        let plans = plan(segment, &mut inputs);
        let sponge = sponge_table(segment, &plans);
        inputs.resize(capacity, [0; 25]);
        let permutation = permutation_table(inputs, blocks);
        Ok(Self {
            permutation,
            sponge,
            public_values,
        })
    }

    /// The tables with their AIRs and public values, in the machine's order, for
    /// [`crate::machine::check`].
    #[must_use]
    pub fn tables(&self) -> [TableWitness<'_, F, KeccakTable>; 2] {
        let [permutation, sponge] = &KeccakTable::ALL;
        [
            TableWitness {
                air: permutation,
                preprocessed: None,
                trace: &self.permutation,
                public_values: &[],
            },
            TableWitness {
                air: sponge,
                preprocessed: None,
                trace: &self.sponge,
                public_values: &self.public_values,
            },
        ]
    }
}

/// The Keccak-f table for these inputs, the first `exported` of which answer on the bus.
///
/// `inputs` fills the height: `24 * inputs.len()` rounds up to it.
fn permutation_table<F: PrimeField32>(inputs: Vec<State>, exported: usize) -> RowMajorMatrix<F> {
    let mut table = generate_trace_rows(inputs, 0);
    let blocks = table
        .values
        .chunks_exact_mut(ROWS_PER_BLOCK * NUM_KECCAK_COLS);
    for block in blocks.take(exported) {
        let last_round: &mut KeccakCols<F> = block[PERMUTE_ROW * NUM_KECCAK_COLS..].borrow_mut();
        last_round.export = F::ONE;
    }
    table
}

/// What a block's 24 rows are filled from. Without a block they are inactive.
struct Plan<'a> {
    block: Option<&'a Block>,
    /// State before the block.
    state: State,
    /// Active blocks before it in the segment.
    blocks: usize,
    /// Message bytes before it in the segment.
    bytes: usize,
}

/// One plan per block, a last one for the inactive rows, and the permutations' inputs.
fn plan<'a>(segment: &'a Segment, inputs: &mut Vec<State>) -> Vec<Plan<'a>> {
    let mut state = segment.statement.state_before;
    let mut bytes = 0;
    let mut plans = Vec::with_capacity(segment.blocks.len() + 1);
    for (blocks, block) in segment.blocks.iter().enumerate() {
        plans.push(Plan {
            block: Some(block),
            state,
            blocks,
            bytes,
        });
        let input = absorb(&state, block);
        inputs.push(input);
        state = keccak_f(input);
        bytes += block.message_len;
    }
    plans.push(Plan {
        block: None,
        state,
        blocks: segment.blocks.len(),
        bytes,
    });
    plans
}

fn sponge_table<F: PrimeField32>(segment: &Segment, plans: &[Plan<'_>]) -> RowMajorMatrix<F> {
    let mut values = F::zero_vec(segment.shape.height() * SPONGE_WIDTH);
    let spare_bits = spare_row_bits(&segment.statement);
    values
        .par_chunks_mut(ROWS_PER_BLOCK * SPONGE_WIDTH)
        .enumerate()
        .for_each(|(block, rows)| {
            let plan = &plans[block.min(plans.len() - 1)];
            for (row_in_block, row) in rows.chunks_exact_mut(SPONGE_WIDTH).enumerate() {
                fill_row(row, row_in_block, plan);
                if let Some(bits) = spare_bits
                    .iter()
                    .find(|bits| bits.row_in_block == row_in_block)
                {
                    put_bits(&mut row[BLOCK_BITS..STATE_BITS], bits.block_bits);
                    put_bits(&mut row[STATE_BITS..STATE], bits.state_bits);
                }
            }
        });
    let last_row = values.len() - SPONGE_WIDTH;
    // The last plan is that of the inactive rows: it has counted everything.
    if let Some(end) = plans.last() {
        put_totals(&mut values[last_row..], &segment.statement, end);
    }
    RowMajorMatrix::new(values, SPONGE_WIDTH)
}

fn fill_row<F: PrimeField32>(row: &mut [F], row_in_block: usize, plan: &Plan<'_>) {
    let lane_row = row_in_block < RATE_LANES;
    let (mut message_len, mut bytes_before) = (RATE_BYTES, 0);
    let mut state = plan.state;
    row[STEP + row_in_block] = F::ONE;
    if let Some(block) = plan.block {
        message_len = block.message_len;
        bytes_before = message_len.min(8 * row_in_block);
        row[ACTIVE] = F::ONE;
        row[CLOSING] = F::from_bool(block.closing);
        let lanes = block.lanes();
        for (lane, word) in state.iter_mut().zip(lanes).take(row_in_block) {
            *lane ^= word;
        }
        if lane_row {
            row[ABSORBING] = F::ONE;
            put_bits(&mut row[BLOCK_BITS..STATE_BITS], lanes[row_in_block]);
            put_bits(&mut row[STATE_BITS..STATE], state[row_in_block]);
            state[..RATE_LANES].rotate_left(row_in_block);
        }
    }
    row[BLOCKS] = F::from_usize(plan.blocks);
    row[BYTES] = F::from_usize(plan.bytes + bytes_before);
    for (byte, open) in row[OPEN..BLOCK_BITS].iter_mut().enumerate() {
        *open = F::from_bool(!lane_row || 8 * row_in_block + byte <= message_len);
    }
    for (slots, lane) in row[STATE..].chunks_exact_mut(LIMBS).zip(state) {
        for (slot, limb) in slots.iter_mut().zip(limbs(lane)) {
            *slot = F::from_u16(limb);
        }
    }
}

/// Bits of a row that absorbs nothing, as two words.
struct SpareBits {
    row_in_block: usize,
    block_bits: u64,
    state_bits: u64,
}

/// The statement's limbs and the alignment's carries, which rows 17 to 19 of every block hold.
fn spare_row_bits(statement: &SegmentStatement) -> [SpareBits; 3] {
    let row = |row_in_block, block_bits, state_bits| SpareBits {
        row_in_block,
        block_bits,
        state_bits,
    };
    let (mut carry, mut carries) = (0, 0);
    for (i, limb) in limbs(statement.blocks_before)
        .into_iter()
        .take(ALIGN_CARRIES)
        .enumerate()
    {
        carry = (RATE_BYTES as u64 * u64::from(limb) + carry) >> LIMB_BITS;
        carries |= carry << (CARRY_BITS * i);
    }
    [
        row(BYTES_ROW, statement.bytes_before, statement.bytes_after),
        row(BLOCKS_ROW, statement.blocks_before, statement.blocks_after),
        row(INDEX_ROW, statement.index, carries),
    ]
}

/// The carries of `after = before + count`, which the table's last row holds: the bytes' first carry
/// in the block bits, then in the state bits the bytes' other two and the blocks' three.
fn put_totals<F: PrimeField32>(row: &mut [F], statement: &SegmentStatement, end: &Plan<'_>) {
    let carries = |before: u64, count: usize| {
        let mut carry = count as u64;
        limbs(before).map(|limb| {
            carry = (u64::from(limb) + carry) >> LIMB_BITS;
            carry
        })
    };
    let bytes = carries(statement.bytes_before, end.bytes);
    let blocks = carries(statement.blocks_before, end.blocks);
    put_bits(&mut row[BLOCK_BITS..STATE_BITS], bytes[0]);
    let rest = [bytes[1], bytes[2], blocks[0], blocks[1], blocks[2]];
    let word = rest.iter().rev().fold(0, |word, carry| word << 1 | carry);
    put_bits(&mut row[STATE_BITS..STATE], word);
}

/// Writes a word's bits, least significant first.
fn put_bits<F: PrimeField32>(slots: &mut [F], word: u64) {
    for (bit, slot) in slots.iter_mut().enumerate() {
        *slot = F::from_bool(word >> bit & 1 == 1);
    }
}
