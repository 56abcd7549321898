//! Hashing in circuits: sponges over rows, transcripts' permutations, Merkle paths, as p3 has them.
//!
//! The permutation machine works in the order of its rows: a sponge, or a path from a leaf to a digest of the cap, is a run
//! of rows, and what a row does not take from the row before comes through its input port or from the proof.

use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::KoalaBear;

use super::builder::Builder;
use super::layout::CELL_WORDS;
use super::program::{Base, Cell, Ext, Link, Octet, Permutation, Port, Step, Words};

/// A row of the permutation machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row(usize);

/// What a block's words are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// A cell.
    Cell(Octet),
    /// So many words of the proof, at most eight.
    Input(usize),
    /// None: the rate stays.
    Nothing,
}

/// A row that does nothing: it starts a sponge over zeros.
pub(super) fn idle() -> Permutation {
    Permutation {
        link: Link::Start(0),
        tail: None,
        words: Words::None,
        bit: None,
        sum_of: None,
        input: Port::Closed,
        output: Port::Closed,
        in_cap: false,
        sum: Port::Closed,
    }
}

/// The index of a query's row on a Merkle path, and where the path ends.
#[derive(Clone, Copy, Debug)]
pub struct PathIndex {
    /// The number whose bits, from bit `first_bit` on, lead from the leaf up.
    pub number: Base,
    /// The bit of the leaf's step.
    pub first_bit: u32,
    /// An element whose first word is the number of the path's bits alone (the first step's bit has weight 1), and whose
    /// second word is the place in the cap where the path ends.
    pub end: Ext,
}

/// Steps of a path: 2^30 is the largest power of two below KoalaBear's modulus.
const MAX_STEPS: usize = 30;

impl Builder {
    /// The last row so far.
    #[must_use]
    pub fn last_row(&self) -> Row {
        Row(self.program.permutations.len() - 1)
    }

    fn permute(&mut self, permutation: Permutation) -> Row {
        self.program.permutations.push(permutation);
        let row = self.program.permutations.len() - 1;
        self.program.steps.push(Step::Permute(row));
        Row(row)
    }

    fn block(&mut self, link: Link, block: Block, tail: Option<usize>) -> Row {
        let tail = tail
            .filter(|&tail| tail < CELL_WORDS)
            .map(|tail| tail as u8);
        if tail.is_some_and(|tail| !self.layout.tails.contains(&tail)) {
            self.refuse("a short block of a length that the circuit did not announce");
        }
        let (words, input) = match block {
            Block::Cell(octet) => (Words::Cell(octet.0), self.read(octet.0)),
            Block::Input(count) => {
                let at = self.input(count);
                (Words::Input { at, count }, Port::Closed)
            }
            Block::Nothing => (Words::None, Port::Closed),
        };
        self.permute(Permutation {
            link,
            tail,
            words,
            input,
            ..idle()
        })
    }

    /// The cell of a row's output's first eight words: a digest, or what a transcript squeezes.
    pub fn output(&mut self, row: Row) -> Octet {
        match self.program.permutations[row.0].output {
            Port::Create(cell) => return Octet(cell),
            Port::Closed => {}
            // It would be compared no more.
            Port::Read(_) => self.refuse("the cell of a digest that is compared already"),
        }
        let cell = self.cell();
        self.program.permutations[row.0].output = Port::Create(cell);
        Octet(cell)
    }

    /// The cell of a row's rate, for a block that came from the proof.
    pub fn block_cell(&mut self, row: Row) -> Octet {
        if let Some(cell) = self.program.permutations[row.0].input.cell() {
            return Octet(cell);
        }
        let cell = self.cell();
        self.program.permutations[row.0].input = Port::Create(cell);
        Octet(cell)
    }

    /// The cell of the sum after a row.
    pub fn sum(&mut self, row: Row) -> Ext {
        if let Some(cell) = self.program.permutations[row.0].sum.cell() {
            return Ext(cell);
        }
        if self.program.permutations[row.0].sum_of.is_none() {
            self.refuse("the sum of a row that is not summed up");
        }
        let cell = self.cell();
        self.program.permutations[row.0].sum = Port::Create(cell);
        Ext(cell)
    }

    /// A transcript's first permutation (state zero), or the one after `previous`, which must be the last row so far. With
    /// `absorbed` words (at least one) it absorbs a block whose words behind them are zero; with none it squeezes.
    pub fn duplex(&mut self, previous: Option<Row>, block: Block, absorbed: usize) -> Row {
        if previous.is_some_and(|previous| previous != self.last_row()) {
            self.refuse("a transcript goes on behind other rows");
        }
        let add = absorbed as u8;
        let link = match previous {
            None => Link::Start(add),
            Some(_) => Link::Continue(add),
        };
        let tail = (absorbed == 0).then_some(0);
        self.block(link, block, tail)
    }

    /// A sponge over `width` words from the proof, eight a row: p3's `PaddingFreeSponge`. With `child`, the words are also
    /// summed up with the powers of that child's challenge. Returns the rows.
    pub fn hash_input(&mut self, width: usize, child: Option<usize>) -> Vec<Row> {
        (0..width.div_ceil(CELL_WORDS))
            .map(|block| {
                let words = (width - block * CELL_WORDS).min(CELL_WORDS);
                let link = if block == 0 {
                    Link::Start(0)
                } else {
                    Link::Continue(0)
                };
                let row = self.block(link, Block::Input(words), Some(words));
                self.program.permutations[row.0].sum_of = child.map(|child| (child, block > 0));
                row
            })
            .collect()
    }

    /// A sponge over whole cells.
    pub fn hash_cells(&mut self, octets: &[Octet]) -> Octet {
        match self.absorb_cells(octets) {
            Some(row) => self.output(row),
            // The hash of nothing is the state's first words: zeros.
            None => Octet(self.constant(KoalaBear::ZERO).cell()),
        }
    }

    /// Asserts that the hash of whole cells, at least one, is this digest.
    pub fn assert_hash(&mut self, octets: &[Octet], digest: Octet) {
        match self.absorb_cells(octets) {
            Some(row) => self.assert_digest(row, digest),
            None => self.refuse("the hash of nothing is compared with a digest"),
        }
    }

    /// The last row of a sponge over whole cells.
    fn absorb_cells(&mut self, octets: &[Octet]) -> Option<Row> {
        let mut last = None;
        for (block, &octet) in octets.iter().enumerate() {
            let link = if block == 0 {
                Link::Start(0)
            } else {
                Link::Continue(0)
            };
            last = Some(self.block(link, Block::Cell(octet), None));
        }
        last
    }

    /// Goes up a Merkle path from a row's digest, which must be the last row so far: `steps` siblings from the proof.
    /// Returns the path's last row, which is the leaf's own where there are no steps.
    pub fn climb(&mut self, leaf: Row, steps: usize, index: PathIndex) -> Row {
        if leaf != self.last_row() {
            self.refuse("a path that does not begin at the row before");
        }
        // Its bits are the index's only where they cannot sum up to it in two ways: below the modulus.
        if steps > MAX_STEPS {
            self.refuse("a path of more steps than an index has bits");
        }
        let mut last = leaf;
        for step in 0..steps {
            let at = self.input(CELL_WORDS);
            let weight = KoalaBear::TWO.exp_u64(step as u64);
            last = self.permute(Permutation {
                link: Link::Merkle {
                    weight,
                    first: step == 0,
                },
                words: Words::Input {
                    at,
                    count: CELL_WORDS,
                },
                bit: Some((index.number.cell(), index.first_bit + step as u32)),
                ..idle()
            });
        }
        let row = &self.program.permutations[last.0];
        let taken = row.sum_of.is_some() || row.sum != Port::Closed;
        if taken {
            self.refuse("a path without steps from a row that is summed up");
        }
        self.program.permutations[last.0].sum = self.read(index.end.cell());
        last
    }

    /// Compresses a digest so far with that of `joining`, which must be the last row so far: rows of a smaller height join a
    /// path.
    pub fn roll_in(&mut self, digest: Octet, joining: Row) -> Row {
        if joining != self.last_row() {
            self.refuse("rows join a path behind other rows");
        }
        let input = self.read(digest.0);
        self.permute(Permutation {
            link: Link::RollIn,
            words: Words::Cell(digest.0),
            input,
            ..idle()
        })
    }

    /// Asserts that a row's digest is the cap's: the cell behind `cap[0]` by as many places as the second word of the
    /// row's index says. The cap's cells are those of [`Self::input_cap`].
    pub fn assert_in_cap(&mut self, row: Row, cap: &[Octet]) {
        let permutation = &self.program.permutations[row.0];
        if !matches!(permutation.sum, Port::Read(_)) || permutation.output != Port::Closed {
            self.refuse("a digest is compared with a cap at no index");
        }
        self.expect_offered(cap.iter().map(|octet| octet.0));
        let Some(first) = cap.first() else { return };
        let permutation = &mut self.program.permutations[row.0];
        permutation.output = Port::Read(first.0);
        permutation.in_cap = true;
    }

    /// Asserts that a row's digest is this cell's.
    pub fn assert_digest(&mut self, row: Row, digest: Octet) {
        if self.program.permutations[row.0].output != Port::Closed {
            self.refuse("a digest is compared twice");
        }
        let port = self.read(digest.0);
        self.program.permutations[row.0].output = port;
    }
}

impl Ext {
    pub(super) const fn cell(self) -> Cell {
        self.0
    }
}

impl Base {
    pub(super) const fn cell(self) -> Cell {
        self.0
    }
}

/// The bit of a number at a place.
pub(super) fn bit_of(number: KoalaBear, place: u32) -> bool {
    number.as_canonical_u32() >> place & 1 == 1
}
