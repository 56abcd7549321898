//! Deleting one row of one circuit: what shows that it is gone.
//!
//! A row that creates a value is missed by every honest proof: the value's readers have no counterpart. A row that only reads
//! is an *assertion*: honest proofs do without it, so a false one must miss it. A false witness that breaks one assertion,
//! and nothing else, is accepted by the circuit without that row: it is the proof that the row is needed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use p3_air::BaseAir;
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::KoalaBear;
use p3_matrix::dense::RowMajorMatrix;
use p3_maybe_rayon::prelude::*;
use starkwright_aggregator::circuit::layout::fixed;
use starkwright_aggregator::circuit::{Assignment, Circuit, CircuitAir};
use starkwright_hal::ExtensionRule;
use starkwright_prover::machine::ConstraintNames;
use starkwright_prover::machine::check::{TableWitness, Violation, check_tables, evaluate_row};

type F = KoalaBear;

/// What a row only asserts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Assertion {
    /// A gate whose operands are all read.
    Gate(usize),
    /// A permutation's digest is a cell's, or one of a cap's.
    Digest(usize),
    /// A number is that of its bits.
    Number(usize),
}

impl Assertion {
    pub(crate) const fn row(self) -> usize {
        let (Self::Gate(row) | Self::Digest(row) | Self::Number(row)) = self;
        row
    }
}

/// The rows of a circuit by what their deletion does.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Rows that create a value that is read.
    pub(crate) creating: usize,
    /// Rows that create values which nobody reads, and read some: nothing misses them.
    pub(crate) unread: Vec<usize>,
    /// What is asserted.
    pub(crate) assertions: BTreeSet<Assertion>,
}

/// A circuit whose witnesses are judged.
pub(crate) struct Deletion<'a> {
    circuit: &'a Circuit,
    fixed: RowMajorMatrix<F>,
}

impl<'a> Deletion<'a> {
    pub(crate) fn new(circuit: &'a Circuit) -> Self {
        let fixed = circuit.air().preprocessed_trace().unwrap();
        Self { circuit, fixed }
    }

    fn fixed(&self, row: usize, column: usize) -> F {
        self.fixed.values[row * self.fixed.width + column]
    }

    fn height(&self) -> usize {
        1 << self.circuit.log_height()
    }

    /// Sorts the rows of the gate machine, the digests that paths and hashes end at, and the numbers taken apart.
    pub(crate) fn rows(&self) -> Rows {
        let mut rows = Rows::default();
        let reads = |count: F| count == F::NEG_ONE;
        for row in 0..self.height() {
            if reads(self.fixed(row, fixed::OUTPUT[1])) {
                rows.assertions.insert(Assertion::Digest(row));
            }
            if reads(self.fixed(row, fixed::NUMBER[1])) {
                rows.assertions.insert(Assertion::Number(row));
            }
            let counts = fixed::OPERAND_COUNT
                .into_iter()
                .chain(fixed::PACKED_COUNT)
                .map(|column| self.fixed(row, column));
            let counts: Vec<F> = counts.collect();
            let counted = self.fixed(row, fixed::READS) + self.fixed(row, fixed::SPELL_READS);
            let gate = self.fixed(row, fixed::GATE.lo) == F::ONE;
            if counted != F::ZERO || counts.iter().any(|&n| n != F::ZERO && !reads(n)) {
                rows.creating += 1;
            } else if gate && reads(counts[3]) {
                rows.assertions.insert(Assertion::Gate(row));
            } else if gate && counts.iter().any(|&n| reads(n)) {
                rows.unread.push(row);
            }
        }
        rows
    }

    fn table<'b>(&'b self, assignment: &'b Assignment) -> TableWitness<'b, F, CircuitAir> {
        TableWitness {
            air: self.circuit.air(),
            preprocessed: Some(&self.fixed),
            trace: &assignment.trace,
            public_values: &assignment.public_values,
        }
    }

    /// What a witness breaks.
    pub(crate) fn judge(&self, assignment: &Assignment) -> Judgement {
        let table = self.table(assignment);
        let reports: Vec<_> = (0..self.height())
            .into_par_iter()
            .map(|row| evaluate_row(&table, row))
            .collect();
        let mut judgement = Judgement::default();
        let mut others = false;
        let mut net: HashMap<Vec<u32>, F> = HashMap::new();
        for (row, report) in reports.into_iter().enumerate() {
            for index in report.violated {
                match self.circuit.air().constraint_name(index) {
                    "gate" => judgement.gates.insert(row),
                    _ => std::mem::replace(&mut others, true),
                };
            }
            if others || judgement.gates.len() > 1 {
                continue;
            }
            for message in report.messages {
                let tuple = message.fields.iter().map(F::as_canonical_u32).collect();
                *net.entry(tuple).or_default() += message.count;
            }
        }
        net.retain(|_, count| *count != F::ZERO);
        if !others {
            judgement.alone = self.alone(assignment, &judgement.gates, &net);
        }
        judgement
    }

    /// The assertion that is broken, where it is one: a gate on a balanced memory, or a reader of other words than the
    /// creator's, who without the reader counts one less.
    fn alone(
        &self,
        assignment: &Assignment,
        gates: &BTreeSet<usize>,
        net: &HashMap<Vec<u32>, F>,
    ) -> Option<Broken> {
        let tuples: Vec<_> = net.iter().collect();
        match (gates.first(), gates.len(), tuples.as_slice()) {
            (Some(&row), 1, []) => Some(Broken {
                assertion: Assertion::Gate(row),
                cell: 0,
            }),
            (None, _, &[one, other]) if one.0[0] == other.0[0] && *one.1 + *other.1 == F::ZERO => {
                let (tuple, _) = [one, other].into_iter().find(|(_, n)| **n == F::NEG_ONE)?;
                let assertion = self.reader(assignment, tuple)?;
                let cell = tuple[0];
                Some(Broken { assertion, cell })
            }
            _ => None,
        }
    }

    /// The permutation or the number whose port reads these words.
    fn reader(&self, assignment: &Assignment, tuple: &[u32]) -> Option<Assertion> {
        let table = self.table(assignment);
        let reads = |row: usize| {
            let mut messages = evaluate_row(&table, row).messages.into_iter();
            messages.any(|message| {
                let fields = message.fields.iter().map(F::as_canonical_u32);
                message.count == F::NEG_ONE && fields.eq(tuple.iter().copied())
            })
        };
        let asserted = self.rows().assertions.into_iter();
        asserted
            .filter(|assertion| !matches!(assertion, Assertion::Gate(_)))
            .find(|assertion| reads(assertion.row()))
    }

    /// Checks everything without the assertion: a witness that breaks it alone is accepted.
    pub(crate) fn accepts_without(
        &self,
        rule: ExtensionRule,
        broken: Broken,
        assignment: &Assignment,
    ) -> Result<(), Violation> {
        let mut columns = self.fixed.clone();
        let width = columns.width;
        let row = broken.assertion.row();
        let gate = fixed::GATE;
        let cleared = match broken.assertion {
            Assertion::Gate(_) => vec![
                gate.qa, gate.qb, gate.la, gate.lb, gate.ld, gate.lo, gate.k, gate.k1,
            ],
            Assertion::Digest(_) => vec![fixed::OUTPUT[1]],
            Assertion::Number(_) => vec![fixed::NUMBER[1]],
        };
        for column in cleared {
            columns.values[row * width + column] = F::ZERO;
        }
        if broken.cell > 0 {
            let place = self.creator(broken.cell);
            columns.values[place] -= F::ONE;
        }
        let layout = self.circuit.air().layout().clone();
        let air = CircuitAir::new(layout, rule, Arc::new(columns.clone()));
        check_tables(&[TableWitness {
            air: &air,
            preprocessed: Some(&columns),
            trace: &assignment.trace,
            public_values: &assignment.public_values,
        }])
    }

    /// Where the count of a cell's creator stands.
    fn creator(&self, cell: u32) -> usize {
        // Number, place behind it, count, and the flag that a column counts as well.
        let operands = fixed::OPERAND.into_iter().zip(fixed::OPERAND_COUNT);
        let mut ports: Vec<(usize, u32, usize, Option<usize>)> = operands
            .map(|(number, count)| (number, 0, count, Some(fixed::READS)))
            .collect();
        for (place, count) in (0..).zip(fixed::PACKED_COUNT) {
            let counted = (place == 0).then_some(fixed::SPELL_READS);
            ports.push((fixed::PACKED, place, count, counted));
        }
        for [number, count] in [
            fixed::INPUT,
            fixed::SUM,
            fixed::NUMBER,
            fixed::PRODUCT,
            [fixed::OUTPUT[0], fixed::OUTPUT[1]],
        ] {
            ports.push((number, 0, count, None));
        }
        let creates = |row: usize, port: &(usize, u32, usize, Option<usize>)| {
            let &(number, place, count, counted) = port;
            let [number, count] = [number, count].map(|column| self.fixed(row, column));
            let counted = counted.is_some_and(|flag| self.fixed(row, flag) == F::ONE);
            number != F::ZERO
                && number + F::from_u32(place) == F::from_u32(cell)
                && count != F::NEG_ONE
                && (count != F::ZERO || counted)
        };
        (0..self.height())
            .find_map(|row| {
                let port = ports.iter().find(|port| creates(row, port))?;
                Some(row * self.fixed.width + port.2)
            })
            .unwrap()
    }
}

/// What a witness breaks.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    /// Every gate that does not hold.
    pub(crate) gates: BTreeSet<usize>,
    /// The assertion that does not hold, where everything else does.
    pub(crate) alone: Option<Broken>,
}

/// An assertion that a witness breaks, and the number of the cell that it reads in vain; 0 for a gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Broken {
    pub(crate) assertion: Assertion,
    cell: u32,
}
