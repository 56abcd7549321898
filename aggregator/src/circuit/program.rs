//! A circuit as a program: the steps of the three machines, in the order in which their values come to be.

use p3_koala_bear::KoalaBear;

use super::layout::{CELL_WORDS, OPERANDS, fixed::Gate};

/// A cell of the write-once memory: eight words, created once, read any number of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell(pub(super) u32);

impl Cell {
    /// The cell's place in memory, from 0.
    pub(super) const fn place(self) -> usize {
        self.0 as usize
    }

    /// The cell's number on the bus: from 1, so that the tuple of all zeros is no cell's.
    pub(super) const fn number(self) -> u32 {
        self.0 + 1
    }
}

/// A cell that holds an element of the challenge field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ext(pub(super) Cell);

/// A cell that holds an element of the base field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Base(pub(super) Cell);

impl From<Base> for Ext {
    fn from(base: Base) -> Self {
        Self(base.0)
    }
}

/// A cell of eight words: a digest, or a block of a sponge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Octet(pub(super) Cell);

/// What a row's port does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Port {
    /// Nothing.
    #[default]
    Closed,
    /// Reads a cell.
    Read(Cell),
    /// Creates a cell.
    Create(Cell),
}

impl Port {
    /// The cell.
    pub(super) const fn cell(self) -> Option<Cell> {
        match self {
            Self::Closed => None,
            Self::Read(cell) | Self::Create(cell) => Some(cell),
        }
    }
}

/// How a permutation's input follows from the row before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// A sponge or transcript begins; the number is added to the capacity.
    Start(u8),
    /// A sponge or transcript goes on.
    Continue(u8),
    /// A step of a Merkle path: the weight of its bit in the index, and whether the path begins.
    Merkle { weight: KoalaBear, first: bool },
    /// Compression of what the input port reads with the digest of the row before.
    RollIn,
}

/// Where the words of the rate, or a sibling, come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// Zeros, or with a short block what the sponge keeps.
    None,
    /// A cell.
    Cell(Cell),
    /// The proof: so many words from this place of the input on.
    Input { at: usize, count: usize },
}

/// A row of the permutation machine.
#[derive(Clone, Debug)]
pub(super) struct Permutation {
    pub(super) link: Link,
    /// How many words of the rate it overwrites, where not all.
    pub(super) tail: Option<u8>,
    pub(super) words: Words,
    /// The index whose bit at this place says on which side the digest so far stands.
    pub(super) bit: Option<(Cell, u32)>,
    /// The child with whose challenge the block is summed up, and whether the sum goes on.
    pub(super) sum_of: Option<(usize, bool)>,
    pub(super) input: Port,
    pub(super) output: Port,
    /// The output port reads one of the cells from this one on: which one, the sum's second word says.
    pub(super) in_cap: bool,
    pub(super) sum: Port,
}

/// A row of the gate machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) gate: Gate<KoalaBear>,
    pub(super) ports: [Port; OPERANDS],
    pub(super) role: Role,
    /// Cells that are packed or spelled in this row, from the first on.
    pub(super) packed: [Port; 3],
    /// Number of the first of them on the bus, where any is open.
    pub(super) first_packed: Option<Cell>,
    /// All operands are words.
    pub(super) words: bool,
    /// The operands' cells may be read at places that only the proof decides.
    pub(super) counted: bool,
}

/// What a row of the gate machine is besides a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Role {
    /// Nothing.
    #[default]
    Gate,
    /// A dynamic read: operand a is the cell so many places behind the port's as operand d says.
    Pick,
    /// First row of a packing.
    PackFirst,
    /// Second row of a packing.
    PackSecond,
    /// First row of a spelling.
    Spell,
}

/// A number taken apart: rows `row` (where it is zero) to `row + bits`.
#[derive(Clone, Debug)]
pub(super) struct Decomposition {
    pub(super) number: Cell,
    pub(super) bits: usize,
    /// Whether the decomposition must be the canonical one; then there are 31 bits.
    pub(super) canonical: bool,
    /// Factors of the lowest bits, from the lowest on.
    pub(super) factors: Vec<KoalaBear>,
    /// After how many bits from the top the number is created as a cell, and the cell.
    pub(super) numbers: Vec<(usize, Cell)>,
    /// The same of the product.
    pub(super) products: Vec<(usize, Cell)>,
}

/// A step: what to compute next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// A row of the permutation machine.
    Permute(usize),
    /// Operand o from the others; where o is read, nothing.
    Gate(usize),
    /// Operand d from o: `o / (QA a + QB b)`, zero for zero.
    Divide(usize),
    /// A dynamic read, counted at its creator.
    Pick(usize),
    /// Elements and cells from each other, from this row on: elements from the input, from cells, or both known.
    Pack(usize, PackFrom),
    /// Words and a cell from each other.
    Spell(usize, PackFrom),
    /// A decomposition.
    Decompose(usize),
}

/// What a packing starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PackFrom {
    /// Elements are known: cells follow.
    Elements,
    /// Elements are new: their words are the input's from here on; cells follow.
    Input(usize),
    /// Cells are known: elements follow.
    Cells,
}

/// A part of the input.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Steps before it.
    pub(super) step: usize,
    /// Words of input before it.
    pub(super) input: usize,
    /// Cells on whose values its words may depend.
    pub(super) known: Vec<Cell>,
}

/// Rows of each machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Cost {
    /// Permutations.
    pub permutations: usize,
    /// Gates and packings.
    pub gates: usize,
    /// Rows of the bit machine.
    pub bits: usize,
}

/// A circuit, before it is laid out as a table.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) cells: usize,
    pub(super) inputs: usize,
    pub(super) steps: Vec<Step>,
    pub(super) permutations: Vec<Permutation>,
    pub(super) lines: Vec<Line>,
    pub(super) decompositions: Vec<Decomposition>,
    /// How often each cell is read at places known beforehand.
    pub(super) reads: Vec<u32>,
    /// The inverse batching challenge of each child.
    pub(super) challenges: [Option<Cell>; super::layout::CHILDREN],
    /// The statement's digest.
    pub(super) statement: Option<Cell>,
    /// Parts of the input behind the first.
    pub(super) parts: Vec<Part>,
}

impl Program {
    /// Whether every step reads only what steps before it, or itself, have created.
    pub(super) fn is_ordered(&self) -> bool {
        let mut created = vec![false; self.cells];
        self.steps.iter().all(|&step| {
            let mut read = Vec::new();
            let mut visit = |port: Port| match port {
                Port::Closed => {}
                Port::Create(cell) => created[cell.place()] = true,
                Port::Read(cell) => read.push(cell),
            };
            match step {
                Step::Permute(row) => {
                    let row = &self.permutations[row];
                    [row.input, row.output, row.sum]
                        .into_iter()
                        .for_each(&mut visit);
                    if let Some((number, _)) = row.bit {
                        visit(Port::Read(number));
                    }
                }
                Step::Gate(line) | Step::Divide(line) | Step::Pick(line) => {
                    self.lines[line].ports.into_iter().for_each(visit);
                }
                Step::Pack(line, _) | Step::Spell(line, _) => {
                    let second = self.lines.get(line + 1).filter(|next| {
                        next.role == Role::PackSecond || matches!(step, Step::Spell(..))
                    });
                    for line in core::iter::once(&self.lines[line]).chain(second) {
                        line.ports
                            .into_iter()
                            .chain(line.packed)
                            .for_each(&mut visit);
                    }
                }
                Step::Decompose(at) => {
                    let decomposition = &self.decompositions[at];
                    visit(Port::Read(decomposition.number));
                    let made = decomposition.numbers.iter().chain(&decomposition.products);
                    made.for_each(|&(_, cell)| visit(Port::Create(cell)));
                }
            }
            read.into_iter().all(|cell| created[cell.place()])
        })
    }

    /// Rows that each machine takes.
    pub(super) fn cost(&self) -> Cost {
        Cost {
            permutations: self.permutations.len(),
            gates: self.lines.len(),
            bits: self.decompositions.iter().map(|d| d.bits + 1).sum(),
        }
    }
}

/// The words of a cell.
pub(super) type CellWords = [KoalaBear; CELL_WORDS];
