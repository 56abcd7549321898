//! Where everything stands in a row of the table.
//!
//! A row holds three independent machines side by side, one step of each:
//!
//! ```text
//!  main          │ permutation: input, rounds, output │ Horner sum, bit, high │ a b d o │ reads ×4, offset │ bits │
//!  preprocessed  │ what the next permutation is, ports│                       │ gate, ports, packing       │ step │
//! ```
//!
//! The columns' number depends on the degree of the challenge field alone; the preprocessed ones also on the lengths of
//! short last blocks ([`Layout::tails`]).

/// Words of a cell: a digest, the rate of the sponge, or an element of the challenge field and zeros.
pub const CELL_WORDS: usize = 8;
/// Words of a permutation's state.
pub const STATE: usize = 16;
/// Full rounds at either end of the permutation.
pub const HALF_FULL_ROUNDS: usize = 4;
/// Partial rounds of the permutation of width 16 over KoalaBear.
pub const PARTIAL_ROUNDS: usize = 20;
/// Columns of a permutation: its input, the state after every full round, the first word after every partial one's S-box.
pub const PERMUTATION: usize = STATE + 2 * HALF_FULL_ROUNDS * STATE + PARTIAL_ROUNDS;
/// Where a permutation's output stands: the state after the last round.
pub const OUTPUT: usize = PERMUTATION - STATE;
/// Operands of a gate, and the ports of its row.
pub const OPERANDS: usize = 4;
/// Children whose rows the permutation machine can sum up: each has its own challenge.
pub const CHILDREN: usize = 2;
/// Powers of a child's inverse challenge among the public values: one for each word of the rate.
pub const POWERS: usize = CELL_WORDS;

/// Numbers of the columns of the main trace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// Degree of the challenge field: words of an element.
    pub degree: usize,
    /// Lengths, below eight, of last blocks that overwrite only a part of the rate; ascending.
    pub tails: Vec<u8>,
}

impl Layout {
    /// Where the running sum over the absorbed words stands (`degree` words); on a Merkle path its first word is the
    /// index so far and its second the number of the cap's digest.
    pub const HORNER: usize = PERMUTATION;

    /// The direction bit of a Merkle step.
    #[must_use]
    pub const fn bit(&self) -> usize {
        Self::HORNER + self.degree
    }

    /// What the output port adds to its cell's number: which digest of a cap.
    #[must_use]
    pub const fn high(&self) -> usize {
        self.bit() + 1
    }

    /// Word `word` of operand `operand` (0: a, 1: b, 2: d, 3: o).
    #[must_use]
    pub const fn operand(&self, operand: usize, word: usize) -> usize {
        self.bit() + 2 + operand * self.degree + word
    }

    /// How often the cell of an operand's port is read, where that is not known beforehand.
    #[must_use]
    pub const fn operand_reads(&self, operand: usize) -> usize {
        self.operand(OPERANDS, 0) + operand
    }

    /// What the first port adds to its cell's number.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.operand_reads(OPERANDS)
    }

    /// Columns of the bit machine: see [`bits`].
    #[must_use]
    pub const fn bits(&self, column: usize) -> usize {
        self.offset() + 1 + column
    }

    /// Columns of the main trace.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.bits(bits::COLUMNS)
    }

    /// Preprocessed columns.
    #[must_use]
    pub const fn preprocessed_width(&self) -> usize {
        fixed::TAILS + self.tails.len()
    }

    /// Cells that a pair of packing rows spreads over, or takes from, operands: elements and cells.
    ///
    /// With degree 5, two rows hold 8 elements, which are the 40 words of 5 cells; with degree 4, one row holds 4
    /// elements and 2 cells.
    #[must_use]
    pub const fn pack(&self) -> Pack {
        if (OPERANDS * self.degree).is_multiple_of(CELL_WORDS) {
            Pack {
                rows: 1,
                cells: OPERANDS * self.degree / CELL_WORDS,
            }
        } else {
            Pack {
                rows: 2,
                cells: 2 * OPERANDS * self.degree / CELL_WORDS,
            }
        }
    }

    /// Public values: the statement's digest, then for each child the powers 1 to [`POWERS`] of its inverse batching
    /// challenge, `degree` words each.
    #[must_use]
    pub const fn public_values(&self) -> usize {
        CELL_WORDS + CHILDREN * POWERS * self.degree
    }

    /// Word `word` of power `power` (from 1) of a child's inverse challenge among the public values.
    #[must_use]
    pub const fn public_power(&self, child: usize, power: usize, word: usize) -> usize {
        CELL_WORDS + (child * POWERS + power - 1) * self.degree + word
    }
}

/// The size of a packing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pack {
    /// Rows.
    pub rows: usize,
    /// Cells.
    pub cells: usize,
}

impl Pack {
    /// Elements of the challenge field.
    #[must_use]
    pub const fn elements(self) -> usize {
        self.rows * OPERANDS
    }
}

/// Columns of the bit machine.
pub mod bits {
    /// The bit.
    pub const BIT: usize = 0;
    /// The number whose bits, from the top, have been taken.
    pub const NUMBER: usize = 1;
    /// The number when its top seven bits had been taken.
    pub const TOP: usize = 2;
    /// Product of the top seven bits.
    pub const ALL_ONES: usize = 3;
    /// Product of the factors of the bits that are 1.
    pub const PRODUCT: usize = 4;
    /// How many columns.
    pub const COLUMNS: usize = 5;
}

/// Preprocessed columns. "Next" means: says how the *next* row's step follows from this row's.
pub mod fixed {
    /// Next permutation starts a sponge or a transcript: its capacity is zero.
    pub const START: usize = 0;
    /// Next permutation goes on with a sponge or a transcript: its capacity is this one's output.
    pub const CONTINUE: usize = 1;
    /// Next: what is added to the first word of the capacity (a transcript's count of absorbed words).
    pub const ADD: usize = 2;
    /// Next permutation compresses this one's digest with a sibling, in the order that its bit says.
    pub const MERKLE: usize = 3;
    /// Next: it is not the first step of a path, so the index goes on.
    pub const MERKLE_ON: usize = 4;
    /// Next: the weight of its bit in the index.
    pub const WEIGHT: usize = 5;
    /// Next permutation compresses what its input port reads with this one's digest.
    pub const ROLL_IN: usize = 6;
    /// Next: its block is summed up with the powers of the first child, then the second child.
    pub const HORNER: [usize; 2] = [7, 9];
    /// Next: the sum goes on.
    pub const HORNER_ON: [usize; 2] = [8, 10];
    /// The input port: number of the cell, how often it is read (−1 reads it).
    pub const INPUT: [usize; 2] = [11, 12];
    /// The output port: number, count, whether the number is shifted by the high column.
    pub const OUTPUT: [usize; 3] = [13, 14, 15];
    /// The sum's port: number and count.
    pub const SUM: [usize; 2] = [16, 17];
    /// The operands' ports: numbers.
    pub const OPERAND: [usize; 4] = [18, 19, 20, 21];
    /// The operands' ports: counts.
    pub const OPERAND_COUNT: [usize; 4] = [22, 23, 24, 25];
    /// The gate `(QA a + QB b) d + LA a + LB b + LD d + K + K1 X = LO o`.
    pub const GATE: Gate<usize> = Gate {
        qa: 26,
        qb: 27,
        la: 28,
        lb: 29,
        ld: 30,
        lo: 31,
        k: 32,
        k1: 33,
    };
    /// First row of a packing.
    pub const PACK_FIRST: usize = 34;
    /// Second row of a packing.
    pub const PACK_SECOND: usize = 35;
    /// First row of a spelling: eight cells with one word each, and the cell with all of them.
    pub const SPELL: usize = 36;
    /// Operands are words: all but their first one are zero.
    pub const WORDS: usize = 37;
    /// Number of the first cell of a packing or spelling in this row.
    pub const PACKED: usize = 38;
    /// Counts of the up to three cells of this row.
    pub const PACKED_COUNT: [usize; 3] = [39, 40, 41];
    /// The offset column is the first word of operand d; elsewhere it is zero.
    pub const PICK: usize = 42;
    /// The operands' counts have the reads columns added.
    pub const READS: usize = 43;
    /// The bit machine starts: number 0, product 1.
    pub const RESET: usize = 44;
    /// Next row of the bit machine takes a bit.
    pub const STEP: usize = 45;
    /// Next: the factor of its bit, minus 1.
    pub const FACTOR: usize = 46;
    /// The number is noted as the top.
    pub const NOTE: usize = 47;
    /// Next: the top stays.
    pub const KEEP: usize = 48;
    /// The product of the top bits starts with this bit.
    pub const ONES_START: usize = 49;
    /// Next: the product of the top bits takes its bit, or with [`KEEP`] stays.
    pub const ONES_STEP: usize = 50;
    /// The number must be canonical: with all top bits 1, no lower one is.
    pub const CANONICAL: usize = 51;
    /// The number's port: number of the cell, count.
    pub const NUMBER: [usize; 2] = [52, 53];
    /// The product's port: number of the cell, count.
    pub const PRODUCT: [usize; 2] = [54, 55];
    /// The spelled cell's count has the first reads column added.
    pub const SPELL_READS: usize = 56;
    /// Flags for the lengths of short last blocks start here: the next permutation overwrites only so many words.
    pub const TAILS: usize = 57;

    /// The coefficients of a gate.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct Gate<T> {
        /// Of `a d`.
        pub qa: T,
        /// Of `b d`.
        pub qb: T,
        /// Of `a`.
        pub la: T,
        /// Of `b`.
        pub lb: T,
        /// Of `d`.
        pub ld: T,
        /// Of `o`, on the other side.
        pub lo: T,
        /// The constant.
        pub k: T,
        /// The constant's second word.
        pub k1: T,
    }
}
