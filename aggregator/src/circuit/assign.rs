//! Assigning values: from the words of the proof to the trace.
//!
//! Every step is computed whatever the words are. A proof that is false gives a trace that breaks a constraint; nothing
//! here decides, and nothing returns early.

use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::{
    GenericPoseidon2LinearLayersKoalaBear, KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL,
    KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL, KOALABEAR_POSEIDON2_RC_16_INTERNAL, KoalaBear,
};
use p3_matrix::dense::RowMajorMatrix;
use p3_maybe_rayon::prelude::*;
use p3_poseidon2_air::{RoundConstants, generate_trace_rows};
use p3_symmetric::Permutation as _;
use starkwright_hal::{Extension, HalField};

use super::layout::{
    CELL_WORDS, CHILDREN, HALF_FULL_ROUNDS, Layout, OPERANDS, PARTIAL_ROUNDS, PERMUTATION, POWERS,
    STATE, bits,
};
use super::program::{
    Cell, CellWords, Line, Link, PackFrom, Part, Permutation, Port, Program, Role, Step, Words,
};
use super::sponge::bit_of;
use crate::AggregatorError;

const NOTHING: CellWords = [KoalaBear::ZERO; CELL_WORDS];

/// A circuit's trace and public values.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The trace: natural row order.
    pub trace: RowMajorMatrix<KoalaBear>,
    /// The public values: see [`Layout::public_values`].
    pub public_values: Vec<KoalaBear>,
}

/// The values of a run.
struct Run<'a, E> {
    program: &'a Program,
    layout: &'a Layout,
    inputs: Vec<KoalaBear>,
    memory: Vec<CellWords>,
    /// Reads at places that the proof decides, by cell.
    reads: Vec<u32>,
    states: Vec<State<E>>,
    permutation: <KoalaBear as HalField>::Perm16,
    /// Powers 1 to 8 of each child's challenge, once known.
    powers: [Option<[E; POWERS]>; CHILDREN],
}

/// A row of the permutation machine.
#[derive(Clone, Copy, Debug)]
struct State<E> {
    input: [KoalaBear; STATE],
    output: [KoalaBear; STATE],
    sum: E,
    bit: bool,
    high: KoalaBear,
}

/// Where an assignment's input comes from, part by part: see [`Builder::part`](super::Builder::part).
///
/// A part may depend on values computed from the parts before it: which rows a proof opens follows from its transcript.
pub trait Source {
    /// The words of a part; `known` holds the values of the cells that were named where it begins.
    ///
    /// # Errors
    /// Where what the words come from has another shape.
    fn part(
        &mut self,
        part: usize,
        known: &[[KoalaBear; CELL_WORDS]],
    ) -> Result<Vec<KoalaBear>, AggregatorError>;
}

impl Source for &[KoalaBear] {
    /// The whole input as part 0.
    fn part(&mut self, _: usize, _: &[CellWords]) -> Result<Vec<KoalaBear>, AggregatorError> {
        Ok(core::mem::take(self).to_vec())
    }
}

/// Assigns all values of a program from the words of its input.
///
/// # Errors
/// [`AggregatorError::Input`] where a part of the input has another length than the circuit reads.
pub(super) fn assign<E: Extension<KoalaBear>>(
    program: &Program,
    layout: &Layout,
    log_height: usize,
    source: &mut impl Source,
) -> Result<Assignment, AggregatorError> {
    let permutation = KoalaBear::poseidon2_16();
    let mut idle = State {
        input: [KoalaBear::ZERO; STATE],
        output: [KoalaBear::ZERO; STATE],
        sum: E::ZERO,
        bit: false,
        high: KoalaBear::ZERO,
    };
    idle.output = permutation.permute(idle.input);
    let mut run = Run {
        program,
        layout,
        inputs: Vec::with_capacity(program.inputs),
        memory: vec![NOTHING; program.cells],
        reads: vec![0; program.cells],
        states: vec![idle; program.permutations.len()],
        permutation,
        powers: [None; CHILDREN],
    };
    let first = Part {
        step: 0,
        input: 0,
        known: Vec::new(),
    };
    let parts: Vec<&Part> = core::iter::once(&first).chain(&program.parts).collect();
    for (number, part) in parts.iter().enumerate() {
        let (steps, inputs) = parts
            .get(number + 1)
            .map_or((program.steps.len(), program.inputs), |next| {
                (next.step, next.input)
            });
        let known: Vec<CellWords> = part.known.iter().map(|&cell| run.words(cell)).collect();
        // A part without words is not asked for.
        if inputs > part.input {
            run.inputs.extend(source.part(number, &known)?);
        }
        if run.inputs.len() != inputs {
            return Err(AggregatorError::Input {
                part: number,
                expected: inputs - part.input,
                found: run.inputs.len().saturating_sub(part.input),
            });
        }
        for &step in &program.steps[part.step..steps] {
            run.step(step);
        }
    }
    Ok(Assignment {
        public_values: run.public_values(),
        trace: run.trace(log_height),
    })
}

impl<E: Extension<KoalaBear>> Run<'_, E> {
    fn step(&mut self, step: Step) {
        match step {
            Step::Permute(row) => self.permute(row),
            Step::Gate(line) => self.gate(line),
            Step::Divide(line) => self.divide(line),
            Step::Pick(line) => self.pick(line),
            Step::Pack(line, from) => self.pack(line, from),
            Step::Spell(line, from) => self.spell(line, from),
            Step::Decompose(at) => self.decompose(at),
        }
    }

    fn words(&self, cell: Cell) -> CellWords {
        self.memory[cell.place()]
    }

    fn element(&self, cell: Cell) -> E {
        E::from_basis_coefficients_fn(|word| self.words(cell)[word])
    }

    fn set(&mut self, cell: Cell, element: E) {
        let words = element.as_basis_coefficients_slice();
        self.memory[cell.place()][..words.len()].copy_from_slice(words);
    }

    fn input(&self, at: usize, count: usize) -> CellWords {
        let mut words = NOTHING;
        words[..count].copy_from_slice(&self.inputs[at..at + count]);
        words
    }

    fn operand(&self, line: &Line, operand: usize) -> E {
        line.ports[operand]
            .cell()
            .map_or(E::ZERO, |cell| self.element(cell))
    }

    // ---- gates ----

    fn gate(&mut self, line: usize) {
        let line = &self.program.lines[line];
        if let Port::Create(out) = line.ports[3] {
            let [a, b, d] = core::array::from_fn(|operand| self.operand(line, operand));
            let gate = line.gate;
            let x = E::from_basis_coefficients_fn(|word| KoalaBear::from_bool(word == 1));
            let sum = a * gate.qa + b * gate.qb;
            let value = sum * d + a * gate.la + b * gate.lb + d * gate.ld + x * gate.k1 + gate.k;
            self.set(out, value);
        }
    }

    fn divide(&mut self, line: usize) {
        let line = &self.program.lines[line];
        if let Port::Create(quotient) = line.ports[2] {
            let divisor =
                self.operand(line, 0) * line.gate.qa + self.operand(line, 1) * line.gate.qb;
            let value = divisor.try_inverse().unwrap_or(E::ZERO) * self.operand(line, 3);
            self.set(quotient, value);
        }
    }

    fn pick(&mut self, line: usize) {
        if let Some(cell) = self.picked(&self.program.lines[line]) {
            self.reads[cell] += 1;
        }
    }

    /// The place of the cell that a dynamic read meets; none beyond memory.
    fn picked(&self, line: &Line) -> Option<usize> {
        let first = line.ports[0].cell()?.place();
        let offset = self.words(line.ports[2].cell()?)[0].as_canonical_u32() as usize;
        first
            .checked_add(offset)
            .filter(|&place| place < self.memory.len())
    }

    // ---- packing ----

    fn pack(&mut self, line: usize, from: PackFrom) {
        let rows = self.layout.pack().rows;
        let lines = &self.program.lines[line..line + rows];
        let in_first = (OPERANDS * self.layout.degree).div_ceil(CELL_WORDS);
        let elements: Vec<Port> = lines.iter().flat_map(|line| line.ports).collect();
        let packed: Vec<Port> = lines
            .iter()
            .enumerate()
            .flat_map(|(row, line)| line.packed[..if row == 0 { in_first } else { 2 }].to_vec())
            .collect();
        let mut words = vec![KoalaBear::ZERO; packed.len() * CELL_WORDS];
        let degree = self.layout.degree;
        match from {
            PackFrom::Cells => {
                for (words, port) in words.chunks_mut(CELL_WORDS).zip(&packed) {
                    if let Some(cell) = port.cell() {
                        words.copy_from_slice(&self.words(cell));
                    }
                }
                for (words, port) in words.chunks(degree).zip(&elements) {
                    if let Port::Create(cell) = *port {
                        self.memory[cell.place()][..degree].copy_from_slice(words);
                    }
                }
            }
            PackFrom::Elements | PackFrom::Input(_) => {
                let mut at = match from {
                    PackFrom::Input(at) => at,
                    _ => 0,
                };
                for (words, port) in words.chunks_mut(degree).zip(&elements) {
                    if let (PackFrom::Input(_), Port::Create(cell)) = (from, *port) {
                        self.memory[cell.place()] = self.input(at, degree);
                        at += degree;
                    }
                    if let Some(cell) = port.cell() {
                        let element = self.words(cell);
                        words.copy_from_slice(&element[..words.len().min(degree)]);
                    }
                }
                for (words, port) in words.chunks(CELL_WORDS).zip(&packed) {
                    if let Port::Create(cell) = *port {
                        self.memory[cell.place()].copy_from_slice(words);
                    }
                }
            }
        }
    }

    fn spell(&mut self, line: usize, from: PackFrom) {
        let lines = &self.program.lines[line..line + 2];
        let words: Vec<Cell> = lines
            .iter()
            .flat_map(|line| line.ports)
            .filter_map(Port::cell)
            .collect();
        let Some(octet) = lines[0].packed[0].cell() else {
            return;
        };
        let values: CellWords = match from {
            PackFrom::Cells => self.words(octet),
            PackFrom::Input(at) => self.input(at, CELL_WORDS),
            PackFrom::Elements => {
                let mut values = NOTHING;
                for (value, &word) in values.iter_mut().zip(&words) {
                    *value = self.words(word)[0];
                }
                values
            }
        };
        if from != PackFrom::Elements {
            for (&word, &value) in words.iter().zip(&values) {
                self.memory[word.place()][0] = value;
            }
        }
        if from != PackFrom::Cells {
            self.memory[octet.place()] = values;
        }
    }

    // ---- bits ----

    fn decompose(&mut self, at: usize) {
        let program = self.program;
        let decomposition = &program.decompositions[at];
        let number = self.words(decomposition.number)[0];
        for &(taken, cell) in &decomposition.numbers {
            // Of a number that is too long, the bits that there are.
            let bits = number.as_canonical_u32() & (u32::MAX >> (32 - decomposition.bits));
            let high = bits >> (decomposition.bits - taken);
            self.memory[cell.place()][0] = KoalaBear::from_u32(high);
        }
        for &(taken, cell) in &decomposition.products {
            let kept = decomposition
                .factors
                .iter()
                .enumerate()
                .skip(decomposition.bits - taken);
            let kept = kept.filter(|&(bit, _)| bit_of(number, bit as u32));
            self.memory[cell.place()][0] = kept.map(|(_, &factor)| factor).product();
        }
    }

    // ---- permutations ----

    fn permute(&mut self, row: usize) {
        let program = self.program;
        let permutation = &program.permutations[row];
        let before = self.states[row - 1];
        let mut state = State {
            input: [KoalaBear::ZERO; STATE],
            output: [KoalaBear::ZERO; STATE],
            sum: E::ZERO,
            bit: false,
            high: KoalaBear::ZERO,
        };
        let words = match permutation.words {
            Words::None => NOTHING,
            Words::Cell(cell) => self.words(cell),
            Words::Input { at, count } => self.input(at, count),
        };
        match permutation.link {
            Link::Start(add) | Link::Continue(add) => {
                if matches!(permutation.link, Link::Continue(_)) {
                    state.input[CELL_WORDS..].copy_from_slice(&before.output[CELL_WORDS..]);
                }
                state.input[CELL_WORDS] += KoalaBear::from_u8(add);
                let fresh = permutation.tail.map_or(CELL_WORDS, usize::from);
                state.input[..fresh].copy_from_slice(&words[..fresh]);
                if matches!(permutation.link, Link::Continue(_)) {
                    state.input[fresh..CELL_WORDS]
                        .copy_from_slice(&before.output[fresh..CELL_WORDS]);
                }
                self.sum(permutation, &before, &mut state);
                if let Port::Read(cell) = permutation.sum {
                    state.sum = self.element(cell);
                }
            }
            Link::Merkle { weight, first } => {
                let (left, right) = state.input.split_at_mut(CELL_WORDS);
                let digest = &before.output[..CELL_WORDS];
                state.bit = permutation
                    .bit
                    .is_some_and(|(number, place)| bit_of(self.words(number)[0], place));
                let (ours, sibling) = if state.bit {
                    (right, left)
                } else {
                    (left, right)
                };
                ours.copy_from_slice(digest);
                sibling.copy_from_slice(&words);
                let index = if first {
                    KoalaBear::ZERO
                } else {
                    before.sum.as_basis_coefficients_slice()[0]
                };
                let index = index + if state.bit { weight } else { KoalaBear::ZERO };
                let end = match permutation.sum {
                    Port::Read(cell) => self.element(cell),
                    _ => E::ZERO,
                };
                let end = end.as_basis_coefficients_slice();
                state.sum =
                    E::from_basis_coefficients_fn(|word| if word == 0 { index } else { end[word] });
            }
            Link::RollIn => {
                state.input[..CELL_WORDS].copy_from_slice(&words);
                state.input[CELL_WORDS..].copy_from_slice(&before.output[..CELL_WORDS]);
            }
        }
        state.output = self.permutation.permute(state.input);
        self.note(permutation, &mut state);
        self.states[row] = state;
    }

    fn sum(&mut self, permutation: &Permutation, before: &State<E>, state: &mut State<E>) {
        let Some((child, goes_on)) = permutation.sum_of else {
            return;
        };
        let program = self.program;
        let challenge = program.challenges[child].map_or(E::ZERO, |cell| self.element(cell));
        let powers = self.powers[child].get_or_insert_with(|| {
            let mut power = E::ONE;
            core::array::from_fn(|_| {
                power *= challenge;
                power
            })
        });
        if goes_on {
            state.sum = before.sum * powers[POWERS - 1];
        }
        let fresh = permutation.tail.map_or(CELL_WORDS, usize::from);
        for (i, &word) in state.input[..fresh].iter().enumerate() {
            state.sum += match CELL_WORDS - 1 - i {
                0 => E::from(word),
                exponent => powers[exponent - 1] * word,
            };
        }
    }

    /// Fills the cells that a row creates.
    fn note(&mut self, permutation: &Permutation, state: &mut State<E>) {
        if let Port::Create(cell) = permutation.input {
            self.memory[cell.place()].copy_from_slice(&state.input[..CELL_WORDS]);
        }
        if let Port::Create(cell) = permutation.sum {
            self.set(cell, state.sum);
        }
        match permutation.output {
            Port::Create(cell) => {
                self.memory[cell.place()].copy_from_slice(&state.output[..CELL_WORDS]);
            }
            Port::Read(cell) if permutation.in_cap => {
                state.high = state.sum.as_basis_coefficients_slice()[1];
                let place = cell.place() + state.high.as_canonical_u32() as usize;
                if let Some(reads) = self.reads.get_mut(place) {
                    *reads += 1;
                }
            }
            _ => {}
        }
    }

    // ---- the trace ----

    fn public_values(&self) -> Vec<KoalaBear> {
        let mut values = vec![KoalaBear::ZERO; self.layout.public_values()];
        if let Some(statement) = self.program.statement {
            values[..CELL_WORDS].copy_from_slice(&self.words(statement));
        }
        for child in 0..CHILDREN {
            let challenge =
                self.program.challenges[child].map_or(E::ZERO, |cell| self.element(cell));
            let mut power = E::ONE;
            for exponent in 1..=POWERS {
                power *= challenge;
                for (word, &value) in power.as_basis_coefficients_slice().iter().enumerate() {
                    values[self.layout.public_power(child, exponent, word)] = value;
                }
            }
        }
        values
    }

    fn trace(&self, log_height: usize) -> RowMajorMatrix<KoalaBear> {
        let (height, width) = (1 << log_height, self.layout.width());
        let mut trace = RowMajorMatrix::new(KoalaBear::zero_vec(height * width), width);
        let decomposed = self.bit_rows();
        let idle = self.states[0];
        let inputs = (0..height)
            .map(|row| self.states.get(row).unwrap_or(&idle).input)
            .collect();
        let rounds = generate_trace_rows::<
            KoalaBear,
            GenericPoseidon2LinearLayersKoalaBear,
            STATE,
            3,
            0,
            HALF_FULL_ROUNDS,
            PARTIAL_ROUNDS,
        >(inputs, &round_constants(), 0);
        trace
            .values
            .par_chunks_mut(width)
            .zip(rounds.values.par_chunks(PERMUTATION))
            .enumerate()
            .for_each(|(row, (to, rounds))| {
                to[..PERMUTATION].copy_from_slice(rounds);
                if let Some(state) = self.states.get(row) {
                    self.permutation_row(state, to);
                }
                if let Some(line) = self.program.lines.get(row) {
                    self.gate_row(line, to);
                }
                if let Some(step) = decomposed.get(row) {
                    to[self.layout.bits(0)..][..bits::COLUMNS].copy_from_slice(step);
                }
            });
        trace
    }

    fn permutation_row(&self, state: &State<E>, to: &mut [KoalaBear]) {
        let sum = state.sum.as_basis_coefficients_slice();
        to[Layout::HORNER..][..sum.len()].copy_from_slice(sum);
        to[self.layout.bit()] = KoalaBear::from_bool(state.bit);
        to[self.layout.high()] = state.high;
    }

    fn gate_row(&self, line: &Line, to: &mut [KoalaBear]) {
        let degree = self.layout.degree;
        for (operand, port) in line.ports.iter().enumerate() {
            let Some(mut cell) = port.cell().map(Cell::place) else {
                continue;
            };
            if line.role == Role::Pick && operand == 0 {
                cell = self.picked(line).unwrap_or(cell);
            }
            to[self.layout.operand(operand, 0)..][..degree]
                .copy_from_slice(&self.memory[cell][..degree]);
            if line.counted && line.role != Role::Spell {
                to[self.layout.operand_reads(operand)] = KoalaBear::from_u32(self.reads[cell]);
            }
        }
        if let (true, Role::Spell, Port::Create(cell)) = (line.counted, line.role, line.packed[0]) {
            to[self.layout.operand_reads(0)] = KoalaBear::from_u32(self.reads[cell.place()]);
        }
        if line.role == Role::Pick
            && let Some(index) = line.ports[2].cell()
        {
            to[self.layout.offset()] = self.words(index)[0];
        }
    }

    fn bit_rows(&self) -> Vec<[KoalaBear; bits::COLUMNS]> {
        let mut rows = Vec::new();
        for decomposition in &self.program.decompositions {
            let number = self.words(decomposition.number)[0];
            let mut row = [KoalaBear::ZERO; bits::COLUMNS];
            row[bits::PRODUCT] = KoalaBear::ONE;
            rows.push(row);
            for taken in 1..=decomposition.bits {
                let place = decomposition.bits - taken;
                let bit = KoalaBear::from_bool(bit_of(number, place as u32));
                row[bits::BIT] = bit;
                row[bits::NUMBER] = row[bits::NUMBER].double() + bit;
                if let Some(&factor) = decomposition.factors.get(place) {
                    row[bits::PRODUCT] += row[bits::PRODUCT] * bit * (factor - KoalaBear::ONE);
                }
                if decomposition.canonical {
                    match taken {
                        1 => row[bits::ALL_ONES] = bit,
                        2..=super::bits::TOP_BITS => row[bits::ALL_ONES] *= bit,
                        _ => {}
                    }
                    if taken == super::bits::TOP_BITS {
                        row[bits::TOP] = row[bits::NUMBER];
                    }
                }
                rows.push(row);
            }
        }
        rows
    }
}

/// p3's constants in the form its AIR takes them.
fn round_constants() -> RoundConstants<KoalaBear, STATE, HALF_FULL_ROUNDS, PARTIAL_ROUNDS> {
    RoundConstants::new(
        KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL,
        KOALABEAR_POSEIDON2_RC_16_INTERNAL,
        KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL,
    )
}
