//! Writing circuits: values are cells, and every method that makes one adds the row that creates it.

mod arithmetic;
mod numbers;
mod packing;

use std::collections::HashMap;

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use starkwright_hal::ExtensionRule;

pub use numbers::{Decomposed, inverse_point_factors};

use super::layout::{CELL_WORDS, CHILDREN, Layout};
use super::program::{Cell, Cost, Ext, Line, Octet, PackFrom, Part, Port, Program, Role, Step};

/// Writes a circuit.
///
/// Values that come from the proof are *inputs*: the builder numbers their words in the order of the calls, and whoever
/// assigns values hands the words over in that order. Nothing is known of an input but what constraints say.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(super) layout: Layout,
    pub(super) rule: ExtensionRule,
    pub(super) program: Program,
    constants: HashMap<KoalaBear, Ext>,
    x: Option<Ext>,
    sections: Vec<(String, Cost)>,
    /// Cells next to each other that count their readers: the first one, and how many. A reader may choose among them.
    choices: HashMap<Cell, usize>,
    /// What the circuit leaves unbound, if anything: it then does not compile.
    pub(super) unbound: Option<&'static str>,
}

/// Lines at the top of the gate machine that hold the public values.
const PUBLIC_LINES: usize = 3;

impl Builder {
    /// An empty circuit over the challenge field with this rule; `tails` are the lengths of short last blocks that its
    /// sponges may have.
    #[must_use]
    pub fn new(rule: ExtensionRule, tails: &[u8]) -> Self {
        let mut tails = tails.to_vec();
        tails.sort_unstable();
        tails.dedup();
        tails.retain(|&tail| usize::from(tail) < CELL_WORDS);
        let layout = Layout {
            degree: rule.degree(),
            tails,
        };
        let program = Program {
            cells: 0,
            inputs: 0,
            steps: Vec::new(),
            permutations: vec![super::sponge::idle()],
            lines: vec![Line::default(); PUBLIC_LINES],
            decompositions: Vec::new(),
            reads: Vec::new(),
            challenges: [None; CHILDREN],
            statement: None,
            parts: Vec::new(),
        };
        Self {
            layout,
            rule,
            program,
            constants: HashMap::new(),
            x: None,
            sections: Vec::new(),
            choices: HashMap::new(),
            unbound: None,
        }
    }

    /// Degree of the challenge field.
    #[must_use]
    pub const fn degree(&self) -> usize {
        self.layout.degree
    }

    /// The least number of elements that fill whole cells and whole packings.
    #[must_use]
    pub const fn elements_in_whole_cells(&self) -> usize {
        self.layout.pack().elements()
    }

    /// Words of input so far.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.program.inputs
    }

    /// Rows so far.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.program.cost()
    }

    /// Runs a part of the circuit and books its rows under a name.
    pub fn section<R>(&mut self, name: &str, part: impl FnOnce(&mut Self) -> R) -> R {
        let before = self.cost();
        let result = part(self);
        let after = self.cost();
        let cost = Cost {
            permutations: after.permutations - before.permutations,
            gates: after.gates - before.gates,
            bits: after.bits - before.bits,
        };
        match self.sections.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => {
                sum.permutations += cost.permutations;
                sum.gates += cost.gates;
                sum.bits += cost.bits;
            }
            None => self.sections.push((name.to_owned(), cost)),
        }
        result
    }

    /// Rows by named part.
    #[must_use]
    pub fn sections(&self) -> &[(String, Cost)] {
        &self.sections
    }

    // ---- cells, ports, rows ----

    pub(super) fn cell(&mut self) -> Cell {
        // Cells are fewer than rows times ports: below 2^32.
        let cell = Cell(self.program.cells as u32);
        self.program.cells += 1;
        self.program.reads.push(0);
        cell
    }

    pub(super) fn read(&mut self, cell: Cell) -> Port {
        self.program.reads[cell.place()] += 1;
        Port::Read(cell)
    }

    pub(super) fn input(&mut self, words: usize) -> usize {
        let at = self.program.inputs;
        self.program.inputs += words;
        at
    }

    fn line(&mut self, line: Line) -> usize {
        self.program.lines.push(line);
        self.program.lines.len() - 1
    }

    // ---- parts of the input ----

    /// Begins a part of the input: its words may depend on the values of these cells, which whoever assigns values is told.
    /// Returns the part's number; inputs before the first call are part 0.
    pub fn part(&mut self, known: &[Ext]) -> usize {
        self.program.parts.push(Part {
            step: self.program.steps.len(),
            input: self.program.inputs,
            known: known.iter().map(|value| value.0).collect(),
        });
        self.program.parts.len()
    }

    // ---- public values ----

    /// Makes the statement's digest public, and the challenges by whose powers children are summed up
    /// ([`Self::set_challenge`]): the second one repeats the first where there is one child, and without any both are 1.
    /// Called once, at the end.
    pub fn publish(&mut self, statement: Octet) {
        if self.program.statement.is_some() {
            self.unbound = Some("two statements are published");
        }
        self.program.statement = Some(statement.0);
        let first = match self.program.challenges[0] {
            Some(first) => first,
            None => self.constant(KoalaBear::ONE).0,
        };
        for child in 0..CHILDREN {
            let challenge = *self.program.challenges[child].get_or_insert(first);
            self.program.lines[0].ports[child] = self.read(challenge);
        }
        let elements: Vec<Port> = (0..2).map(|_| Port::Create(self.cell())).collect();
        let packed = self.read(statement.0);
        let line = &mut self.program.lines[1];
        line.role = Role::PackFirst;
        line.ports[..2].copy_from_slice(&elements);
        line.packed[0] = packed;
        line.first_packed = Some(statement.0);
        if self.layout.pack().rows == 2 {
            self.program.lines[2].role = Role::PackSecond;
        }
        self.program.steps.push(Step::Pack(1, PackFrom::Cells));
    }

    /// The challenge by whose powers a child's rows are summed up: set once, before the rows are absorbed. It becomes
    /// public with the statement, which is what binds the sums to it.
    pub fn set_challenge(&mut self, child: usize, challenge: Ext) {
        if self.program.statement.is_some() || self.program.challenges[child].is_some() {
            self.unbound = Some("a child's challenge is set twice, or behind the statement");
        }
        self.program.challenges[child] = Some(challenge.0);
    }

    /// A reader may choose among so many cells from this one on.
    pub(super) fn offer(&mut self, first: Cell, count: usize) {
        self.choices.insert(first, count);
    }

    /// Refuses a choice among anything but cells that were offered for it, from the first one on.
    pub(super) fn expect_offered(&mut self, cells: impl ExactSizeIterator<Item = Cell>) {
        let count = cells.len();
        let mut cells = cells.enumerate().peekable();
        let first = cells.peek().map(|&(_, first)| first);
        let offered = first.is_some_and(|first| {
            self.choices
                .get(&first)
                .is_some_and(|&offered| count <= offered)
                && cells.all(|(at, cell)| cell.place() == first.place() + at)
        });
        if !offered {
            self.refuse(
                "a choice among cells that are no neighbours, or do not count their readers",
            );
        }
    }

    /// Makes the circuit one that does not compile: some value would be bound to nothing.
    pub(crate) fn refuse(&mut self, why: &'static str) {
        self.unbound.get_or_insert(why);
    }
}
