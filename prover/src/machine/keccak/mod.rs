//! The Keccak-256 machine: knowledge of bytes with a given Keccak-256 digest and length.
//!
//! Keccak-256 is the sponge of FIPS 202 over Keccak-f\[1600\] with 136 bytes of rate, and with
//! Keccak's original padding: `0x01`, zeros, `0x80` (SHA3-256 begins with `0x06`). A file is
//! absorbed block by block; it is cut into segments of a listed number of blocks, one proof each.
//! The last block holds the padding, so an empty file is one block.
//!
//! It is **not zero-knowledge**: a proof may reveal the bytes it is about.
//!
//! # Two tables
//!
//! | table | width | rows | what it does |
//! |---|---|---|---|
//! | Keccak-f ([`KeccakTable::Permutation`]) | 2633 | 24 a permutation | `p3-keccak-air`'s constraints; answers on the bus with (input, output) |
//! | sponge ([`KeccakTable::Sponge`]) | 266 | 24 a block | absorbs, pads, counts, states; looks up (state, state') on row 23 |
//!
//! Both have the same height, one of [`LOG_HEIGHTS`]; a height of 2^k holds ⌊2^k / 24⌋ blocks.
//! Constraints have degree 3 at most and each table has one interaction, so two quotient chunks
//! suffice. There are no preprocessed columns.
//!
//! # Where to read
//!
//! | what | where |
//! |---|---|
//! | columns | [`sponge_columns`] |
//! | what each group of constraints says and excludes | [`sponge_air`] |
//! | why the bus is sound | [`permutation_air`] |
//! | public values | [`public_values`] |
//! | statement, and chaining statements to a file | [`SegmentStatement`], [`chain`] |
//! | cutting a stream into segments, filling the tables | [`Segmenter`], [`SegmentTrace`] |
//!
//! # Cells that may hold anything
//!
//! A witness is free in these cells only; nothing that is stated depends on them.
//!
//! - **Sponge, bit columns (still bits)** on rows that neither absorb nor hold the statement's
//!   limbs: rows 20 to 23 of every block; state bits 24 to 63 of row 19; lane rows of inactive
//!   blocks and of the table's tail, except 8 block bits and 5 state bits of the table's last row.
//!   No other constraint reads them.
//! - **Keccak-f, whole permutations** that are not exported: any input, with its true output. The
//!   bus does not see them. Within a permutation no cell is free.
//! - **Public values**: the context, which the segment does not depend on (a proof is bound to it by
//!   the transcript, which absorbs all public values); the index, when `first` is 0; and `first`
//!   may be 0 where it could be 1. What comes before a segment is for [`chain`] or an aggregator
//!   to say, and both demand `first` at the beginning.
//!
//! # Bounds behind the arithmetic
//!
//! The field's modulus must exceed 2^25 and the height must not exceed 2^20 (the bytes' first carry
//! has 8 bits). Both are met by every listed height over the 31-bit fields. A verifier must accept
//! listed heights only.

use p3_air::{Air, BaseAir};
use p3_field::PrimeField32;
use p3_keccak_air::NUM_KECCAK_COLS;
use p3_lookup::InteractionBuilder;

mod chain;
pub mod permutation_air;
pub mod public_values;
mod segments;
mod shape;
pub mod sponge_air;
pub mod sponge_columns;
mod statement;
mod trace;

pub use chain::{Chain, ChainError, FileStatement, chain};
pub use segments::{Block, MessageError, Segment, SegmentError, Segmenter};
pub use shape::{LOG_HEIGHTS, SegmentShape};
pub use statement::{STATEMENT_BYTES, SegmentStatement, State, StatementError};
pub use trace::{SegmentTrace, TraceError};

use super::check::{Violation, check_tables};
use super::{ConstraintNames, Machine};
use sponge_columns::{RATE_LANES, SPONGE_WIDTH};

/// Bytes of a block: the rate of Keccak-256.
pub const RATE_BYTES: usize = 8 * RATE_LANES;
/// Name of the bus on which permutations are looked up: 100 input and 100 output limbs.
pub const BUS: &str = "keccak-f";

/// The machine. See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub enum KeccakMachine {}

impl Machine for KeccakMachine {
    const NAME: &'static str = "keccak-256";
    /// The letters `K256` as a big-endian number.
    const ID: u32 = u32::from_be_bytes(*b"K256");
    const VERSION: u32 = 1;

    type Table = KeccakTable;
    type Statement = SegmentStatement;
    type StatementError = StatementError;

    fn tables() -> Vec<KeccakTable> {
        KeccakTable::ALL.to_vec()
    }

    fn log_heights() -> &'static [usize] {
        &LOG_HEIGHTS
    }

    fn public_values<F: PrimeField32>(
        statement: &SegmentStatement,
    ) -> Result<Vec<Vec<F>>, StatementError> {
        statement.validate()?;
        Ok(vec![Vec::new(), statement.to_public_values()?])
    }
}

/// The machine's tables, as one type that `p3-batch-stark` proves, over any field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeccakTable {
    /// Keccak-f permutations.
    Permutation,
    /// The sponge, and the statement.
    Sponge,
}

impl KeccakTable {
    /// The tables in the order in which a proof holds them.
    pub const ALL: [Self; 2] = [Self::Permutation, Self::Sponge];
}

impl<F> BaseAir<F> for KeccakTable {
    fn width(&self) -> usize {
        match self {
            Self::Permutation => NUM_KECCAK_COLS,
            Self::Sponge => SPONGE_WIDTH,
        }
    }

    fn num_public_values(&self) -> usize {
        match self {
            Self::Permutation => 0,
            Self::Sponge => public_values::NUM_PUBLIC_VALUES,
        }
    }
}

impl<AB: InteractionBuilder> Air<AB> for KeccakTable {
    fn eval(&self, builder: &mut AB) {
        match self {
            Self::Permutation => permutation_air::eval(builder),
            Self::Sponge => sponge_air::eval(builder),
        }
    }
}

impl ConstraintNames for KeccakTable {
    fn table_name(&self) -> &'static str {
        match self {
            Self::Permutation => "keccak-f",
            Self::Sponge => "sponge",
        }
    }

    fn constraint_name(&self, index: usize) -> &'static str {
        match self {
            Self::Permutation => "p3-keccak-air",
            Self::Sponge => sponge_air::constraint_name(index),
        }
    }
}

/// Checks a segment's tables: every constraint on every row, and the bus. See [`super::check`].
///
/// # Errors
/// The first violation, by the constraint's name.
pub fn check_segment<F: PrimeField32>(trace: &SegmentTrace<F>) -> Result<(), Violation> {
    check_tables(&trace.tables())
}
