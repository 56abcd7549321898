//! Writing circuits: values are cells, and every method that makes one adds the row that creates it.

use std::collections::HashMap;

use p3_field::{Field, PrimeCharacteristicRing};
use p3_koala_bear::KoalaBear;
use starkwright_hal::ExtensionRule;

use super::bits::ELEMENT_BITS;
use super::layout::{CELL_WORDS, CHILDREN, Layout, OPERANDS, Pack, fixed::Gate};
use super::program::{
    Base, Cell, Cost, Decomposition, Ext, Line, Octet, PackFrom, Part, Port, Program, Role, Step,
};

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

    // ---- gates ----

    /// `(qa a + qb b) d + la a + lb b + ld d + k + k1 X`, as a new value. Operands without a coefficient are not read.
    pub fn gate(&mut self, gate: Gate<KoalaBear>, a: Ext, b: Ext, d: Ext) -> Ext {
        let out = self.cell();
        let at = self.gate_line(gate, a, b, d, Port::Create(out));
        self.program.steps.push(Step::Gate(at));
        Ext(out)
    }

    /// As [`Self::gate`], where the value is known to lie in the base field.
    pub fn gate_base(&mut self, gate: Gate<KoalaBear>, a: Ext, b: Ext, d: Ext) -> Base {
        Base(self.gate(gate, a, b, d).0)
    }

    /// Asserts that a gate's value is `o`.
    pub fn assert_gate(&mut self, gate: Gate<KoalaBear>, a: Ext, b: Ext, d: Ext, o: Ext) {
        let o = self.read(o.0);
        let at = self.gate_line(gate, a, b, d, o);
        self.program.steps.push(Step::Gate(at));
    }

    fn gate_line(&mut self, gate: Gate<KoalaBear>, a: Ext, b: Ext, d: Ext, o: Port) -> usize {
        let zero = KoalaBear::ZERO;
        let mut open = |operand: Ext, used: bool| match used {
            true => self.read(operand.0),
            false => Port::Closed,
        };
        let ports = [
            open(a, gate.qa != zero || gate.la != zero),
            open(b, gate.qb != zero || gate.lb != zero),
            open(d, gate.qa != zero || gate.qb != zero || gate.ld != zero),
            o,
        ];
        let gate = Gate {
            lo: KoalaBear::ONE,
            ..gate
        };
        self.line(Line {
            gate,
            ports,
            ..Line::default()
        })
    }

    /// A constant.
    pub fn constant(&mut self, value: KoalaBear) -> Ext {
        if let Some(&known) = self.constants.get(&value) {
            return known;
        }
        let gate = Gate {
            k: value,
            ..Gate::default()
        };
        let nothing = Ext(Cell(0));
        let constant = self.gate(gate, nothing, nothing, nothing);
        self.constants.insert(value, constant);
        constant
    }

    /// A constant of the base field.
    pub fn base_constant(&mut self, value: KoalaBear) -> Base {
        Base(self.constant(value).0)
    }

    /// The challenge field's generator `X`.
    pub fn x(&mut self) -> Ext {
        if let Some(x) = self.x {
            return x;
        }
        let gate = Gate {
            k1: KoalaBear::ONE,
            ..Gate::default()
        };
        let nothing = Ext(Cell(0));
        let x = self.gate(gate, nothing, nothing, nothing);
        self.x = Some(x);
        x
    }

    /// `a d + b`.
    pub fn mul_add(&mut self, a: Ext, d: Ext, b: Ext) -> Ext {
        let gate = Gate {
            qa: KoalaBear::ONE,
            lb: KoalaBear::ONE,
            ..Gate::default()
        };
        self.gate(gate, a, b, d)
    }

    /// `a d`.
    pub fn mul(&mut self, a: Ext, d: Ext) -> Ext {
        let gate = Gate {
            qa: KoalaBear::ONE,
            ..Gate::default()
        };
        self.gate(gate, a, a, d)
    }

    /// `la a + lb b + ld d + k`, operands with coefficient zero left out.
    pub fn linear(&mut self, terms: [(KoalaBear, Ext); 3], k: KoalaBear) -> Ext {
        let [(la, a), (lb, b), (ld, d)] = terms;
        let gate = Gate {
            la,
            lb,
            ld,
            k,
            ..Gate::default()
        };
        self.gate(gate, a, b, d)
    }

    /// A sum of multiples of two elements of the base field.
    pub fn sum_base(&mut self, [(la, a), (lb, b)]: [(KoalaBear, Base); 2]) -> Base {
        let (a, b) = (Ext::from(a), Ext::from(b));
        Base(
            self.linear([(la, a), (lb, b), (KoalaBear::ZERO, a)], KoalaBear::ZERO)
                .0,
        )
    }

    /// `a + b`.
    pub fn add(&mut self, a: Ext, b: Ext) -> Ext {
        let one = KoalaBear::ONE;
        self.linear([(one, a), (one, b), (KoalaBear::ZERO, a)], KoalaBear::ZERO)
    }

    /// `a − b`.
    pub fn sub(&mut self, a: Ext, b: Ext) -> Ext {
        let one = KoalaBear::ONE;
        self.linear([(one, a), (-one, b), (KoalaBear::ZERO, a)], KoalaBear::ZERO)
    }

    /// `o / (qa a + qb b)`, which must not be a division by zero: a divisor of zero satisfies no assignment unless `o` is
    /// zero as well, and so `o` must be known not to be.
    fn quotient(&mut self, [(qa, a), (qb, b)]: [(KoalaBear, Ext); 2], o: Ext) -> Ext {
        let d = self.cell();
        let mut open = |operand: Ext, used: KoalaBear| match used == KoalaBear::ZERO {
            false => self.read(operand.0),
            true => Port::Closed,
        };
        let ports = [open(a, qa), open(b, qb), Port::Create(d), Port::Closed];
        let o = self.read(o.0);
        let gate = Gate {
            qa,
            qb,
            lo: KoalaBear::ONE,
            ..Gate::default()
        };
        let [a, b, d_port, _] = ports;
        let at = self.line(Line {
            gate,
            ports: [a, b, d_port, o],
            ..Line::default()
        });
        self.program.steps.push(Step::Divide(at));
        Ext(d)
    }

    /// `1 / (qa a + qb b)`. Unsatisfiable where that is zero.
    pub fn inverse_of(&mut self, terms: [(KoalaBear, Ext); 2]) -> Ext {
        let one = self.constant(KoalaBear::ONE);
        self.quotient(terms, one)
    }

    /// `1 / a`. Unsatisfiable for zero.
    pub fn inverse(&mut self, a: Ext) -> Ext {
        self.inverse_of([(KoalaBear::ONE, a), (KoalaBear::ZERO, a)])
    }

    /// Asserts that two values are equal.
    pub fn assert_equal(&mut self, a: Ext, b: Ext) {
        let gate = Gate {
            la: KoalaBear::ONE,
            ..Gate::default()
        };
        self.assert_gate(gate, a, a, a, b);
    }

    /// Asserts that a value is zero.
    pub fn assert_zero(&mut self, a: Ext) {
        let zero = self.constant(KoalaBear::ZERO);
        self.assert_equal(a, zero);
    }

    /// A power with a known exponent.
    pub fn power(&mut self, a: Ext, exponent: u64) -> Ext {
        if exponent == 0 {
            return self.constant(KoalaBear::ONE);
        }
        let mut power = a;
        for bit in (0..exponent.ilog2()).rev() {
            power = self.mul(power, power);
            if exponent >> bit & 1 == 1 {
                power = self.mul(power, a);
            }
        }
        power
    }

    /// `a^(2^n)`.
    pub fn power_of_two_power(&mut self, a: Ext, n: usize) -> Ext {
        (0..n).fold(a, |power, _| self.mul(power, power))
    }

    /// One of the elements, which were [unpacked](Self::unpack_counted) in one go: the one at the place that `index` holds.
    /// The index must be known to be a place.
    pub fn pick_is(&mut self, elements: &[Ext], index: Ext, value: Ext) {
        // The first of the cells is named; the offset is dynamic, and so is the reader's count.
        let Some(&Ext(first)) = elements.first() else {
            self.refuse("one of no elements is picked");
            return;
        };
        let (d, o) = (self.read(index.0), self.read(value.0));
        let gate = Gate {
            la: KoalaBear::ONE,
            lo: KoalaBear::ONE,
            ..Gate::default()
        };
        let at = self.line(Line {
            gate,
            ports: [Port::Read(first), Port::Closed, d, o],
            role: Role::Pick,
            ..Line::default()
        });
        self.program.steps.push(Step::Pick(at));
    }

    // ---- packing ----

    /// New elements from the proof, and the cells of their words, one element after the other, zeros behind the last.
    pub fn input_elements(&mut self, count: usize) -> (Vec<Ext>, Vec<Octet>) {
        let words = count * self.layout.degree;
        let at = self.input(words);
        let elements: Vec<Ext> = (0..count).map(|_| Ext(self.cell())).collect();
        let cells = self.pack(&elements, PackFrom::Input(at), words.div_ceil(CELL_WORDS));
        (elements, cells)
    }

    /// The cells of known elements' words, zeros behind the last.
    pub fn pack_elements(&mut self, elements: &[Ext]) -> Vec<Octet> {
        let words = elements.len() * self.layout.degree;
        self.pack(elements, PackFrom::Elements, words.div_ceil(CELL_WORDS))
    }

    fn pack(&mut self, elements: &[Ext], from: PackFrom, cells: usize) -> Vec<Octet> {
        let zero = self.constant(KoalaBear::ZERO);
        let Pack { cells: most, .. } = self.layout.pack();
        let mut octets = Vec::new();
        let mut from = from;
        for chunk in elements.chunks(self.layout.pack().elements()) {
            let needed = (chunk.len() * self.layout.degree).div_ceil(CELL_WORDS);
            let needed = needed.min(cells - octets.len());
            let made: Vec<Cell> = (0..needed).map(|_| self.cell()).collect();
            let ports: Vec<Port> = (0..self.layout.pack().elements())
                .map(|i| match (chunk.get(i), from) {
                    (Some(element), PackFrom::Input(_)) => Port::Create(element.0),
                    (Some(element), _) => self.read(element.0),
                    // Words behind the last element are zero by what is read there.
                    (None, _) => self.read(zero.0),
                })
                .collect();
            let mut packed: Vec<Port> = made.iter().map(|&cell| Port::Create(cell)).collect();
            packed.resize(most, Port::Closed);
            self.pack_lines(&ports, &packed, made.first().copied(), from, false);
            octets.extend(made.into_iter().map(Octet));
            if let PackFrom::Input(at) = &mut from {
                *at += chunk.len() * self.layout.degree;
            }
        }
        octets
    }

    /// The elements whose words are these cells', which must be neighbours: made one after the other. Words behind the
    /// last whole element are ignored.
    pub fn unpack(&mut self, octets: &[Octet]) -> Vec<Ext> {
        self.unpack_as(
            octets,
            octets.len() * CELL_WORDS / self.layout.degree,
            false,
        )
    }

    /// As [`Self::unpack`], for the dynamic reads of [`Self::pick_is`]; so many elements, in cells next to each other.
    pub fn unpack_counted(&mut self, octets: &[Octet], count: usize) -> Vec<Ext> {
        self.unpack_as(octets, count, true)
    }

    fn unpack_as(&mut self, octets: &[Octet], count: usize, counted: bool) -> Vec<Ext> {
        let pack = self.layout.pack();
        let padded = octets.len().div_ceil(pack.cells) * pack.elements();
        let elements: Vec<Ext> = (0..padded).map(|_| Ext(self.cell())).collect();
        for (chunk, elements) in octets
            .chunks(pack.cells)
            .zip(elements.chunks(pack.elements()))
        {
            let ports: Vec<Port> = elements.iter().map(|e| Port::Create(e.0)).collect();
            self.unpack_lines(chunk, &ports, counted);
        }
        elements[..count.min(padded)].to_vec()
    }

    fn unpack_lines(&mut self, chunk: &[Octet], ports: &[Port], counted: bool) {
        let pack = self.layout.pack();
        let mut packed: Vec<Port> = chunk.iter().map(|octet| self.read(octet.0)).collect();
        packed.resize(pack.cells, Port::Closed);
        self.pack_lines(
            ports,
            &packed,
            chunk.first().map(|o| o.0),
            PackFrom::Cells,
            counted,
        );
    }

    fn pack_lines(
        &mut self,
        elements: &[Port],
        packed: &[Port],
        first: Option<Cell>,
        from: PackFrom,
        counted: bool,
    ) {
        if !neighbours(packed) {
            self.unbound = Some("cells that are unpacked together are no neighbours");
        }
        let in_first = (OPERANDS * self.layout.degree).div_ceil(CELL_WORDS);
        let mut at = None;
        for (row, ports) in elements.chunks(OPERANDS).enumerate() {
            let mut line = Line {
                role: if row == 0 {
                    Role::PackFirst
                } else {
                    Role::PackSecond
                },
                counted,
                ..Line::default()
            };
            line.ports.copy_from_slice(ports);
            let (skip, take) = if row == 0 {
                (0, in_first)
            } else {
                (in_first, packed.len())
            };
            let cells = packed.iter().skip(skip).take(take);
            for (slot, &port) in line.packed.iter_mut().zip(cells) {
                *slot = port;
            }
            line.first_packed = first.map(|cell| Cell(cell.0 + skip as u32));
            let index = self.line(line);
            at.get_or_insert(index);
        }
        if let Some(at) = at {
            self.program.steps.push(Step::Pack(at, from));
        }
    }

    /// The eight words of a cell.
    pub fn spell(&mut self, octet: Octet) -> [Base; CELL_WORDS] {
        let words: [Base; CELL_WORDS] = core::array::from_fn(|_| Base(self.cell()));
        let ports = words.map(|word| Port::Create(word.0));
        let packed = self.read(octet.0);
        self.spell_lines(&ports, packed, PackFrom::Cells, false);
        words
    }

    /// The cell of eight words.
    pub fn unspell(&mut self, words: [Base; CELL_WORDS]) -> Octet {
        let octet = self.cell();
        let ports = words.map(|word| self.read(word.0));
        self.spell_lines(&ports, Port::Create(octet), PackFrom::Elements, false);
        Octet(octet)
    }

    /// A new cell from the proof, with its words.
    pub fn input_words(&mut self) -> ([Base; CELL_WORDS], Octet) {
        let octet = self.cell();
        (self.input_words_as(octet, false), Octet(octet))
    }

    /// Digests from the proof, with their words: neighbouring cells, which [`Self::assert_in_cap`] may read.
    pub fn input_cap(&mut self, digests: usize) -> Vec<([Base; CELL_WORDS], Octet)> {
        let octets: Vec<Cell> = (0..digests).map(|_| self.cell()).collect();
        octets
            .into_iter()
            .map(|octet| (self.input_words_as(octet, true), Octet(octet)))
            .collect()
    }

    fn input_words_as(&mut self, octet: Cell, counted: bool) -> [Base; CELL_WORDS] {
        let at = self.input(CELL_WORDS);
        let words: [Base; CELL_WORDS] = core::array::from_fn(|_| Base(self.cell()));
        let ports = words.map(|word| Port::Create(word.0));
        self.spell_lines(&ports, Port::Create(octet), PackFrom::Input(at), counted);
        words
    }

    fn spell_lines(
        &mut self,
        words: &[Port; CELL_WORDS],
        packed: Port,
        from: PackFrom,
        counted: bool,
    ) {
        let mut first = Line {
            role: Role::Spell,
            words: true,
            counted,
            first_packed: packed.cell(),
            ..Line::default()
        };
        first.ports.copy_from_slice(&words[..OPERANDS]);
        first.packed[0] = packed;
        let mut second = Line {
            words: true,
            ..Line::default()
        };
        second.ports.copy_from_slice(&words[OPERANDS..]);
        let at = self.line(first);
        self.line(second);
        self.program.steps.push(Step::Spell(at, from));
    }

    /// The element with these words.
    pub fn compose(&mut self, words: &[Base]) -> Ext {
        let x = self.x();
        let mut words = words.iter().rev();
        let Some(&last) = words.next() else {
            return self.constant(KoalaBear::ZERO);
        };
        words.fold(Ext(last.0), |sum, &word| self.mul_add(sum, x, Ext(word.0)))
    }

    // ---- bits ----

    /// Takes an element of the base field apart into its 31 canonical bits. `factors` belong to its lowest bits.
    pub fn decompose(&mut self, number: Base, factors: Vec<KoalaBear>) -> Decomposed {
        self.take_apart(number, ELEMENT_BITS, true, factors)
    }

    /// Takes a number below `2^bits` apart, for at most 30 bits; unsatisfiable for others.
    pub fn decompose_short(&mut self, number: Base, bits: usize) -> Decomposed {
        self.take_apart(number, bits.min(ELEMENT_BITS - 1), false, Vec::new())
    }

    /// Asserts that a number is below `2^bits`, for at most 30 bits.
    pub fn assert_bits(&mut self, number: Base, bits: usize) {
        self.decompose_short(number, bits);
    }

    fn take_apart(
        &mut self,
        number: Base,
        bits: usize,
        canonical: bool,
        factors: Vec<KoalaBear>,
    ) -> Decomposed {
        let _ = self.read(number.0);
        self.program.decompositions.push(Decomposition {
            number: number.0,
            bits,
            canonical,
            factors,
            numbers: Vec::new(),
            products: Vec::new(),
        });
        let at = self.program.decompositions.len() - 1;
        self.program.steps.push(Step::Decompose(at));
        Decomposed(at)
    }

    /// The number without its `low` lowest bits.
    pub fn without_low_bits(&mut self, decomposed: Decomposed, low: usize) -> Base {
        let decomposition = &self.program.decompositions[decomposed.0];
        let taken = decomposition.bits - low.min(decomposition.bits);
        if low == 0 {
            return Base(decomposition.number);
        }
        if let Some(&(_, cell)) = decomposition
            .numbers
            .iter()
            .find(|(bits, _)| *bits == taken)
        {
            return Base(cell);
        }
        let cell = self.cell();
        self.program.decompositions[decomposed.0]
            .numbers
            .push((taken, cell));
        Base(cell)
    }

    /// The product of the factors of the bits that are 1, the `low` lowest bits left out.
    pub fn product_above(&mut self, decomposed: Decomposed, low: usize) -> Base {
        let decomposition = &self.program.decompositions[decomposed.0];
        let taken = decomposition.bits - low.min(decomposition.bits);
        if let Some(&(_, cell)) = decomposition
            .products
            .iter()
            .find(|(bits, _)| *bits == taken)
        {
            return Base(cell);
        }
        let cell = self.cell();
        self.program.decompositions[decomposed.0]
            .products
            .push((taken, cell));
        Base(cell)
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

    /// Makes the circuit one that does not compile: some value would be bound to nothing.
    pub(crate) fn refuse(&mut self, why: &'static str) {
        self.unbound.get_or_insert(why);
    }
}

/// A number taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decomposed(usize);

/// Whether open ports are of cells next to each other.
fn neighbours(ports: &[Port]) -> bool {
    let cells: Vec<Option<Cell>> = ports.iter().map(|port| port.cell()).collect();
    let first = cells.first().copied().flatten();
    cells
        .iter()
        .enumerate()
        .all(|(i, cell)| match (cell, first) {
            (Some(cell), Some(first)) => cell.0 == first.0 + i as u32,
            (Some(_), None) => false,
            (None, _) => true,
        })
}

/// The inverse of a two-adic generator's square root, and so on: factors with which the product over the bits of an index,
/// lowest first, is the inverse of the point of that index in a bit-reversed domain of any size.
///
/// Bit `i` of an index has the weight `2^(h − 1 − i)` in the exponent of the generator of order `2^h`: a root of order
/// `2^(i + 1)`, whatever `h` is.
#[must_use]
pub fn inverse_point_factors(bits: usize) -> Vec<KoalaBear> {
    use p3_field::TwoAdicField;
    (0..bits)
        .map(|bit| KoalaBear::two_adic_generator(bit + 1).inverse())
        .collect()
}
