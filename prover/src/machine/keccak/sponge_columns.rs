//! Columns of the sponge table: 24 rows a block, one rate lane on each of the first 17.
//!
//! | columns | name | holds |
//! |---|---|---|
//! | 0..24 | `step` | one-hot row-in-block flags |
//! | 24 | `absorbing` | 1 on the 17 lane rows of an active block |
//! | 25 | `active` | 1 on all 24 rows of a block that is absorbed |
//! | 26 | `closing` | 1 on all 24 rows of the file's last block, the one with the padding |
//! | 27 | `blocks` | active blocks that ended before this row, in this segment |
//! | 28 | `bytes` | message bytes on the rows before this one, in this segment |
//! | 29..38 | `open` | `open[i]`: the message reaches byte `i` of this row's lane (`open[8]`: the next lane) |
//! | 38..102 | `block_bits` | bits of this row's block lane, least significant first |
//! | 102..166 | `state_bits` | bits of the state lane that the block lane is XORed into |
//! | 166..266 | `state` | 25 lanes of four 16-bit limbs, least significant first |
//!
//! `state` starts a block as the state before it, in lane order `x + 5y`. On each lane row its first
//! lane is the one to absorb into, and the rate part (lanes 0..17) moves up by one lane with the
//! XORed lane entering at the end: after 17 rows the order is restored and all rate lanes are
//! absorbed. Rows 17 to 23 hold the permutation's input; the row after row 23 holds its output.
//!
//! The bit columns are free on the rows that absorb nothing, so the checks of the statement's limbs
//! use them there (`limb_bits`).

use core::ops::Range;

/// Rows a block occupies, one per Keccak-f round, so that both tables have the same height.
pub const ROWS_PER_BLOCK: usize = 24;
/// Rate lanes of Keccak-256.
pub const RATE_LANES: usize = 17;
/// Row on which the last lane of a block is absorbed.
pub(super) const LAST_LANE_ROW: usize = RATE_LANES - 1;
/// Row that sends the permutation's input and output on the bus.
pub(super) const PERMUTE_ROW: usize = ROWS_PER_BLOCK - 1;
/// Row whose bit columns are the limbs of the byte counters: before, then after.
pub(super) const BYTES_ROW: usize = 17;
/// Row whose bit columns are the limbs of the block counters: before, then after.
pub(super) const BLOCKS_ROW: usize = 18;
/// Row whose bit columns are the limbs of the segment's index, then [`ALIGN_CARRIES`] carries.
pub(super) const INDEX_ROW: usize = 19;

/// Limbs of a 64-bit lane or counter.
pub const LIMBS: usize = 4;
/// Bits of a limb.
pub const LIMB_BITS: usize = 16;
/// Limbs of the whole state.
pub const STATE_LIMBS: usize = 25 * LIMBS;
/// Limbs of the rate part.
pub const RATE_LIMBS: usize = RATE_LANES * LIMBS;
/// Carries of `136 * blocks_before = bytes_before`, each of [`CARRY_BITS`] bits.
pub(super) const ALIGN_CARRIES: usize = LIMBS - 1;
/// Bits of a carry that may exceed 1.
pub(super) const CARRY_BITS: usize = 8;

pub(super) const STEP: usize = 0;
pub(super) const ABSORBING: usize = STEP + ROWS_PER_BLOCK;
pub(super) const ACTIVE: usize = ABSORBING + 1;
pub(super) const CLOSING: usize = ACTIVE + 1;
pub(super) const BLOCKS: usize = CLOSING + 1;
pub(super) const BYTES: usize = BLOCKS + 1;
pub(super) const OPEN: usize = BYTES + 1;
pub(super) const BLOCK_BITS: usize = OPEN + 9;
pub(super) const STATE_BITS: usize = BLOCK_BITS + 64;
pub(super) const STATE: usize = STATE_BITS + 64;
/// Width of the sponge table.
pub const SPONGE_WIDTH: usize = STATE + STATE_LIMBS;

/// A named range of columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnGroup {
    /// The name used in the module's table.
    pub name: &'static str,
    /// The columns.
    pub columns: Range<usize>,
}

/// All columns of the sponge table, named, in order and without gaps.
pub const SPONGE_COLUMNS: [ColumnGroup; 10] = [
    ColumnGroup {
        name: "step",
        columns: STEP..ABSORBING,
    },
    ColumnGroup {
        name: "absorbing",
        columns: ABSORBING..ACTIVE,
    },
    ColumnGroup {
        name: "active",
        columns: ACTIVE..CLOSING,
    },
    ColumnGroup {
        name: "closing",
        columns: CLOSING..BLOCKS,
    },
    ColumnGroup {
        name: "blocks",
        columns: BLOCKS..BYTES,
    },
    ColumnGroup {
        name: "bytes",
        columns: BYTES..OPEN,
    },
    ColumnGroup {
        name: "open",
        columns: OPEN..BLOCK_BITS,
    },
    ColumnGroup {
        name: "block_bits",
        columns: BLOCK_BITS..STATE_BITS,
    },
    ColumnGroup {
        name: "state_bits",
        columns: STATE_BITS..STATE,
    },
    ColumnGroup {
        name: "state",
        columns: STATE..SPONGE_WIDTH,
    },
];

/// One row of the sponge table, read by name.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpongeRow<'a, T> {
    pub(super) step: &'a [T],
    pub(super) absorbing: T,
    pub(super) active: T,
    pub(super) closing: T,
    pub(super) blocks: T,
    pub(super) bytes: T,
    pub(super) open: &'a [T],
    pub(super) block_bits: &'a [T],
    pub(super) state_bits: &'a [T],
    pub(super) state: &'a [T],
}

impl<'a, T: Copy> SpongeRow<'a, T> {
    /// Names the columns of `row`, which holds [`SPONGE_WIDTH`] cells: every builder hands an AIR
    /// rows of the width that the AIR declares.
    pub(super) fn new(row: &'a [T]) -> Self {
        Self {
            step: &row[STEP..ABSORBING],
            absorbing: row[ABSORBING],
            active: row[ACTIVE],
            closing: row[CLOSING],
            blocks: row[BLOCKS],
            bytes: row[BYTES],
            open: &row[OPEN..BLOCK_BITS],
            block_bits: &row[BLOCK_BITS..STATE_BITS],
            state_bits: &row[STATE_BITS..STATE],
            state: &row[STATE..SPONGE_WIDTH],
        }
    }
}

/// Bits of limb `limb` in a 64-column group of bits.
pub(super) fn limb_bits<T>(bits: &[T], limb: usize) -> &[T] {
    &bits[LIMB_BITS * limb..LIMB_BITS * (limb + 1)]
}

/// Bits of carry `carry` in a group of bits that holds carries of [`CARRY_BITS`] bits.
pub(super) fn carry_bits<T>(bits: &[T], carry: usize) -> &[T] {
    &bits[CARRY_BITS * carry..CARRY_BITS * (carry + 1)]
}
