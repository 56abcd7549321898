//! Laying a program out as a table: its preprocessed columns.

use std::sync::Arc;

use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::KoalaBear;
use p3_matrix::dense::RowMajorMatrix;
use starkwright_hal::Extension;

use super::air::{CircuitAir, READS_A_ROW};
use super::assign::{Assignment, Source, assign};
use super::bits::TOP_BITS;
use super::builder::Builder;
use super::layout::{Layout, OPERANDS, fixed};
use super::program::{Cost, Line, Link, Permutation, Port, Program, Role};
use crate::AggregatorError;

/// A circuit, laid out: a table and the program that fills it.
#[derive(Clone, Debug)]
pub struct Circuit {
    air: CircuitAir,
    program: Program,
    log_height: usize,
    sections: Vec<(String, Cost)>,
}

impl Builder {
    /// Lays the circuit out in a table of `2^log_height` rows.
    ///
    /// # Errors
    /// [`AggregatorError::TooManyRows`] where a machine takes more, [`AggregatorError::Unbound`] where a value would be
    /// bound to nothing.
    pub fn compile(self, log_height: usize) -> Result<Circuit, AggregatorError> {
        let cost = self.cost();
        let height = 1usize << log_height.min(MAX_LOG_HEIGHT);
        let sections = self.sections().to_vec();
        if let Some(why) = self.unbound {
            return Err(AggregatorError::Unbound { why });
        }
        if self.program.statement.is_none() {
            let why = "the statement's digest is not published";
            return Err(AggregatorError::Unbound { why });
        }
        if !self.program.is_ordered() {
            let why = "a cell is read before it is created";
            return Err(AggregatorError::Unbound { why });
        }
        let Self {
            layout,
            rule,
            program,
            ..
        } = self;
        for (machine, rows) in [
            ("permutation", cost.permutations),
            ("gate", cost.gates),
            ("bit", cost.bits),
        ] {
            if rows > height {
                return Err(AggregatorError::TooManyRows {
                    machine,
                    rows,
                    height,
                });
            }
        }
        let preprocessed = Fixed::new(&layout, &program, height).matrix;
        Ok(Circuit {
            air: CircuitAir::new(layout, rule, Arc::new(preprocessed)),
            program,
            log_height,
            sections,
        })
    }
}

impl Circuit {
    /// The table.
    #[must_use]
    pub const fn air(&self) -> &CircuitAir {
        &self.air
    }

    /// The base-2 logarithm of its height.
    #[must_use]
    pub const fn log_height(&self) -> usize {
        self.log_height
    }

    /// Words of input that an assignment takes.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.program.inputs
    }

    /// Rows that each machine takes.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.program.cost()
    }

    /// Rows by named part.
    #[must_use]
    pub fn sections(&self) -> &[(String, Cost)] {
        &self.sections
    }

    /// Assigns all values from the words of the input.
    ///
    /// # Errors
    /// [`AggregatorError::Input`] where the input has another length than [`Self::inputs`]; the source's own errors.
    pub fn assign<E: Extension<KoalaBear>>(
        &self,
        mut source: impl Source,
    ) -> Result<Assignment, AggregatorError> {
        assign::<E>(
            &self.program,
            self.air.layout(),
            self.log_height,
            &mut source,
        )
    }
}

/// The preprocessed columns while they are filled.
struct Fixed<'a> {
    layout: &'a Layout,
    reads: &'a [u32],
    matrix: RowMajorMatrix<KoalaBear>,
}

impl<'a> Fixed<'a> {
    fn new(layout: &'a Layout, program: &'a Program, height: usize) -> Self {
        let width = layout.preprocessed_width();
        let mut fixed = Self {
            layout,
            reads: &program.reads,
            matrix: RowMajorMatrix::new(KoalaBear::zero_vec(height * width), width),
        };
        for (row, permutation) in program.permutations.iter().enumerate() {
            fixed.permutation(row, permutation);
        }
        for (row, line) in program.lines.iter().enumerate() {
            fixed.line(row, line);
        }
        let mut row = 0;
        for decomposition in &program.decompositions {
            fixed.decomposition(row, decomposition);
            row += decomposition.bits + 1;
        }
        fixed
    }

    fn set(&mut self, row: usize, column: usize, value: KoalaBear) {
        let width = self.matrix.width;
        self.matrix.values[row * width + column] = value;
    }

    fn flag(&mut self, row: usize, column: usize) {
        self.set(row, column, KoalaBear::ONE);
    }

    /// A port's number and count.
    fn port(&mut self, row: usize, number: usize, count: usize, port: Port) {
        let Some(cell) = port.cell() else {
            return;
        };
        let reads = match port {
            Port::Create(cell) => KoalaBear::from_u32(self.reads[cell.place()]),
            _ => KoalaBear::NEG_ONE,
        };
        self.set(row, number, KoalaBear::from_u32(cell.number()));
        self.set(row, count, reads);
    }

    fn permutation(&mut self, row: usize, permutation: &Permutation) {
        let [number, count] = fixed::INPUT;
        self.port(row, number, count, permutation.input);
        let [number, count, in_cap] = fixed::OUTPUT;
        self.port(row, number, count, permutation.output);
        self.set(row, in_cap, KoalaBear::from_bool(permutation.in_cap));
        self.port(row, fixed::SUM[0], fixed::SUM[1], permutation.sum);
        // The rest says how a row follows from the one before, and stands there. The first row follows from none.
        let Some(before) = row.checked_sub(1) else {
            return;
        };
        match permutation.link {
            Link::Start(add) => {
                self.flag(before, fixed::START);
                self.set(before, fixed::ADD, KoalaBear::from_u8(add));
            }
            Link::Continue(add) => {
                self.flag(before, fixed::CONTINUE);
                self.set(before, fixed::ADD, KoalaBear::from_u8(add));
            }
            Link::Merkle { weight, first } => {
                self.flag(before, fixed::MERKLE);
                self.set(before, fixed::MERKLE_ON, KoalaBear::from_bool(!first));
                self.set(before, fixed::WEIGHT, weight);
            }
            Link::RollIn => self.flag(before, fixed::ROLL_IN),
        }
        if let Some((child, goes_on)) = permutation.sum_of {
            self.flag(before, fixed::HORNER[child]);
            self.set(
                before,
                fixed::HORNER_ON[child],
                KoalaBear::from_bool(goes_on),
            );
        }
        if let Some(tail) = permutation.tail
            && let Some(place) = self.layout.tails.iter().position(|&known| known == tail)
        {
            self.flag(before, fixed::TAILS + place);
        }
    }

    fn line(&mut self, row: usize, line: &Line) {
        for operand in 0..OPERANDS {
            let (number, count) = (fixed::OPERAND[operand], fixed::OPERAND_COUNT[operand]);
            self.port(row, number, count, line.ports[operand]);
        }
        let (at, gate) = (fixed::GATE, line.gate);
        for (column, value) in [
            (at.qa, gate.qa),
            (at.qb, gate.qb),
            (at.la, gate.la),
            (at.lb, gate.lb),
            (at.ld, gate.ld),
            (at.lo, gate.lo),
            (at.k, gate.k),
            (at.k1, gate.k1),
        ] {
            self.set(row, column, value);
        }
        match line.role {
            Role::Gate => {}
            Role::Pick => self.flag(row, fixed::PICK),
            Role::PackFirst => self.flag(row, fixed::PACK_FIRST),
            Role::PackSecond => self.flag(row, fixed::PACK_SECOND),
            Role::Spell => self.flag(row, fixed::SPELL),
        }
        self.set(row, fixed::WORDS, KoalaBear::from_bool(line.words));
        let reads = if line.role == Role::Spell {
            fixed::SPELL_READS
        } else {
            fixed::READS
        };
        self.set(row, reads, KoalaBear::from_bool(line.counted));
        if let Some(first) = line.first_packed {
            self.set(row, fixed::PACKED, KoalaBear::from_u32(first.number()));
        }
        for (place, &port) in line.packed.iter().enumerate() {
            let count = match port {
                Port::Closed => KoalaBear::ZERO,
                Port::Read(_) => KoalaBear::NEG_ONE,
                Port::Create(cell) => KoalaBear::from_u32(self.reads[cell.place()]),
            };
            self.set(row, fixed::PACKED_COUNT[place], count);
        }
    }

    fn decomposition(&mut self, row: usize, decomposition: &super::program::Decomposition) {
        let bits = decomposition.bits;
        self.flag(row, fixed::RESET);
        for taken in 0..bits {
            self.flag(row + taken, fixed::STEP);
            if let Some(&factor) = decomposition.factors.get(bits - 1 - taken) {
                self.set(row + taken, fixed::FACTOR, factor - KoalaBear::ONE);
            }
        }
        if decomposition.canonical {
            self.flag(row + 1, fixed::ONES_START);
            for taken in 1..TOP_BITS {
                self.flag(row + taken, fixed::ONES_STEP);
            }
            self.flag(row + TOP_BITS, fixed::NOTE);
            for taken in TOP_BITS..bits {
                self.flag(row + taken, fixed::KEEP);
            }
            self.flag(row + bits, fixed::CANONICAL);
        }
        let [number, count] = fixed::NUMBER;
        self.port(row + bits, number, count, Port::Read(decomposition.number));
        for &(taken, cell) in &decomposition.numbers {
            self.port(row + taken, number, count, Port::Create(cell));
        }
        let [number, count] = fixed::PRODUCT;
        for &(taken, cell) in &decomposition.products {
            self.port(row + taken, number, count, Port::Create(cell));
        }
    }
}

/// Tables are at most this high: fewer cells are then read than the field has elements, so no number of reads wraps.
const MAX_LOG_HEIGHT: usize = 24;
const _: () = assert!(((READS_A_ROW as u64) << MAX_LOG_HEIGHT) < KoalaBear::ORDER_U32 as u64);
