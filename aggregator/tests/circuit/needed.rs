//! No constraint of the table is superfluous: for each there is a trace that breaks it alone, on a balanced memory. Without
//! it that trace would be accepted.
//!
//! The circuit here does each thing once and leaves its results unread, so that a lie can be carried on honestly behind the
//! place where it is told.

use std::collections::{BTreeMap, BTreeSet};

use p3_air::BaseAir;
use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::{
    GenericPoseidon2LinearLayersKoalaBear, KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL,
    KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL, KOALABEAR_POSEIDON2_RC_16_INTERNAL, KoalaBear,
};
use p3_matrix::dense::RowMajorMatrix;
use p3_poseidon2::GenericPoseidon2LinearLayers;
use starkwright_aggregator::circuit::layout::{Layout, PERMUTATION, STATE, bits, fixed};
use starkwright_aggregator::circuit::{
    Assignment, Block, Builder, Circuit, PathIndex, inverse_point_factors,
};
use starkwright_hal::{Extension, KoalaBear4, KoalaBear5};
use starkwright_prover::machine::check::{TableWitness, evaluate_row};

use super::check;

type F = KoalaBear;
type LinearLayers = GenericPoseidon2LinearLayersKoalaBear;

const TAILS: [u8; 3] = [0, 3, 5];
const SHORT_BITS: usize = 9;

/// Everything once.
fn circuit<E: Extension<F>>() -> (Circuit, Vec<F>) {
    let mut builder = Builder::new(E::RULE, &TAILS);
    let mut inputs: Vec<F> = Vec::new();
    let mut random = 1u32;
    let mut fill = |inputs: &mut Vec<F>, count: usize| {
        for _ in 0..count {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            inputs.push(F::from_u32(random >> 8));
        }
    };
    let (_, statement) = builder.input_words();
    fill(&mut inputs, 8);
    let (challenges, _) = builder.input_elements(2);
    fill(&mut inputs, 2 * E::RULE.degree());
    for (child, &challenge) in challenges.iter().enumerate() {
        builder.set_challenge(child, challenge);
    }
    for tail in TAILS.into_iter().filter(|&tail| tail > 0) {
        builder.hash_input(16 + usize::from(tail), None);
        fill(&mut inputs, 16 + usize::from(tail));
    }
    for child in [0, 1] {
        builder.hash_input(24, Some(child));
        fill(&mut inputs, 24);
    }
    // A transcript that absorbs, and squeezes twice.
    let row = builder.duplex(None, Block::Cell(statement), 8);
    let row = builder.duplex(Some(row), Block::Nothing, 0);
    builder.duplex(Some(row), Block::Nothing, 0);
    // A path of three steps, and rows that join another.
    let (index, _) = builder.input_words();
    inputs.extend([F::from_u32(0b101)]);
    fill(&mut inputs, 7);
    builder.hash_input(8, None);
    fill(&mut inputs, 8);
    let leaf = builder.last_row();
    let index = PathIndex {
        number: index[0],
        first_bit: 0,
        end: index[0].into(),
    };
    builder.climb(leaf, 3, index);
    fill(&mut inputs, 24);
    builder.hash_input(8, None);
    fill(&mut inputs, 8);
    let joining = builder.last_row();
    builder.roll_in(statement, joining);

    let product = builder.mul(challenges[0], challenges[1]);
    let x = builder.x();
    builder.mul(product, x);
    // Numbers: one below 2^24 - 1, one with zeros behind its top, a short one.
    for number in [77_777, 0b101_0101 << 24] {
        let (word, _) = builder.input_words();
        inputs.push(F::from_u32(number));
        fill(&mut inputs, 7);
        let decomposed = builder.decompose(word[0], inverse_point_factors(10));
        builder.product_above(decomposed, 0);
    }
    let (word, _) = builder.input_words();
    inputs.push(F::from_u32(300));
    fill(&mut inputs, 7);
    builder.decompose_short(word[0], SHORT_BITS);
    builder.publish(statement);
    let circuit = builder.compile(8).unwrap();
    assert_eq!(circuit.inputs(), inputs.len());
    (circuit, inputs)
}

/// Computes a permutation's columns behind `from` from those before.
fn permute_from(row: &mut [F], from: usize) {
    let mut state: [F; STATE] = core::array::from_fn(|i| row[i]);
    let mut column = STATE;
    LinearLayers::external_linear_layer(&mut state);
    let set = |row: &mut [F], column: &mut usize, value: F| {
        if *column > from {
            row[*column] = value;
        }
        *column += 1;
        row[*column - 1]
    };
    let full = |state: &mut [F; STATE], constants: &[F; STATE]| {
        for (word, &constant) in state.iter_mut().zip(constants) {
            *word = (*word + constant).cube();
        }
        LinearLayers::external_linear_layer(state);
    };
    for constants in &KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL {
        full(&mut state, constants);
        state = state.map(|word| set(row, &mut column, word));
    }
    for &constant in &KOALABEAR_POSEIDON2_RC_16_INTERNAL {
        state[0] = set(row, &mut column, (state[0] + constant).cube());
        LinearLayers::internal_linear_layer(&mut state);
    }
    for constants in &KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL {
        full(&mut state, constants);
        state = state.map(|word| set(row, &mut column, word));
    }
    assert_eq!(column, PERMUTATION);
}

/// A circuit with an honest assignment, and what has been broken alone so far.
struct Lies {
    circuit: Circuit,
    fixed: RowMajorMatrix<F>,
    honest: Assignment,
    broken: BTreeSet<usize>,
}

type Net = BTreeMap<Vec<u32>, F>;

impl Lies {
    fn new(circuit: Circuit, honest: Assignment) -> Self {
        Self {
            fixed: circuit.air().preprocessed_trace().unwrap(),
            circuit,
            honest,
            broken: BTreeSet::new(),
        }
    }

    fn width(&self) -> usize {
        self.honest.trace.width
    }

    fn height(&self) -> usize {
        self.fixed.values.len() / self.fixed.width
    }

    fn fixed(&self, row: usize, column: usize) -> F {
        self.fixed.values[row * self.fixed.width + column]
    }

    /// What rows violate and send.
    fn evaluate(
        &self,
        assignment: &Assignment,
        rows: impl Iterator<Item = usize>,
    ) -> (BTreeSet<usize>, Net) {
        use p3_field::PrimeField32;
        let table = TableWitness {
            air: self.circuit.air(),
            preprocessed: Some(&self.fixed),
            trace: &assignment.trace,
            public_values: &assignment.public_values,
        };
        let (mut violated, mut net) = (BTreeSet::new(), Net::new());
        for row in rows {
            let report = evaluate_row(&table, row);
            violated.extend(report.violated);
            for message in report.messages {
                let tuple = message.fields.iter().map(F::as_canonical_u32).collect();
                *net.entry(tuple).or_default() += message.count;
            }
        }
        net.retain(|_, count| *count != F::ZERO);
        (violated, net)
    }

    /// Tells a lie in these rows; where it breaks one constraint and leaves the memory balanced, notes which.
    fn tell(&mut self, rows: core::ops::Range<usize>, lie: impl FnOnce(&mut Assignment)) {
        let height = self.height();
        let around = || (rows.start + height - 1..rows.end + height).map(move |row| row % height);
        let mut told = self.honest.clone();
        lie(&mut told);
        let (violated, net) = self.evaluate(&told, around());
        if let (1, Some(&one)) = (violated.len(), violated.first())
            && net == self.evaluate(&self.honest, around()).1
        {
            self.broken.insert(one);
        }
    }

    /// Every cell alone; every word of a permutation's input and every column behind it, carried on.
    fn cells(&mut self) {
        let width = self.width();
        for row in 0..self.height() {
            for column in 0..width {
                let at = row * width + column;
                self.tell(row..row + 1, |told| told.trace.values[at] += F::TWO);
                self.tell(row..row + 1, |told| {
                    let cell = &mut told.trace.values[at];
                    *cell = F::ONE - *cell;
                });
            }
            for column in 0..PERMUTATION {
                self.tell(row..row + 1, |told| {
                    let row = &mut told.trace.values[row * width..][..width];
                    row[column] += F::ONE;
                    permute_from(row, column);
                });
            }
        }
    }

    /// A path's step on the other side, everything else as if it were right.
    fn sides(&mut self) {
        let (width, bit) = (self.width(), self.circuit.air().layout().bit());
        for row in 1..self.height() {
            if self.fixed(row - 1, fixed::MERKLE) == F::ONE {
                self.tell(row..row + 1, |told| {
                    let row = &mut told.trace.values[row * width..][..width];
                    row[bit] = F::ONE - row[bit];
                    for i in 0..STATE / 2 {
                        row.swap(i, STATE / 2 + i);
                    }
                    permute_from(row, STATE - 1);
                });
            }
        }
    }

    /// Lies about numbers that are carried on to their last row.
    fn numbers(&mut self) {
        let (width, layout) = (self.width(), self.circuit.air().layout().clone());
        let starts: Vec<usize> = (0..self.height())
            .filter(|&row| self.fixed(row, fixed::RESET) == F::ONE)
            .collect();
        for start in starts {
            let steps = (start..)
                .take_while(|&row| self.fixed(row, fixed::STEP) == F::ONE)
                .count();
            let rows = start..start + steps + 1;
            for (column, twice) in [
                (bits::PRODUCT, true),
                (bits::TOP, false),
                (bits::ALL_ONES, false),
            ] {
                // From any row on, to the end.
                for from in rows.clone() {
                    self.tell(rows.clone(), |told| {
                        for row in from..rows.end {
                            let cell = &mut told.trace.values[row * width + layout.bits(column)];
                            *cell = if twice { cell.double() } else { *cell + F::ONE };
                        }
                    });
                }
            }
        }
    }

    fn public_values(&mut self) {
        let height = self.height();
        for at in 0..self.honest.public_values.len() {
            self.tell(0..height, |told| told.public_values[at] += F::ONE);
        }
    }
}

/// With other bits for the same numbers: the second decomposition of a small one, the low bits of one that is too long.
fn other_bits<E: Extension<F>>(lies: &mut Lies, inputs: &[F]) {
    let (width, height) = (lies.width(), lies.height());
    let layout: Layout = lies.circuit.air().layout().clone();
    let column = |which| layout.bits(which);
    let start = (0..height)
        .find(|&row| lies.fixed(row, fixed::RESET) == F::ONE)
        .unwrap();
    // 77,777 + p, whose top seven bits are all 1.
    let number: u64 = 77_777 + 0x7f00_0001;
    lies.tell(start..start + 32, |told| {
        let mut product = F::ONE;
        for taken in 1..=31 {
            let bit = number >> (31 - taken) & 1;
            let row = &mut told.trace.values[(start + taken) * width..][..width];
            if let Some(&factor) = inverse_point_factors(10).get(31 - taken)
                && bit == 1
            {
                product *= factor;
            }
            row[column(bits::BIT)] = F::from_u64(bit);
            row[column(bits::NUMBER)] = F::from_u64(number >> (31 - taken));
            row[column(bits::PRODUCT)] = product;
            if taken >= 7 {
                row[column(bits::TOP)] = F::from_u32(127);
            }
            row[column(bits::ALL_ONES)] = F::ONE;
        }
    });
    // 300 + 2^9 does not fit nine bits: the number begins with what is beyond.
    let mut inputs = inputs.to_vec();
    let at = inputs
        .iter()
        .rposition(|&word| word == F::from_u32(300))
        .unwrap();
    inputs[at] += F::from_u32(1 << SHORT_BITS);
    let mut too_long = lies.circuit.assign::<E>(inputs.as_slice()).unwrap();
    let last = (0..height)
        .rfind(|&row| lies.fixed(row, fixed::RESET) == F::ONE)
        .unwrap();
    for taken in 0..=SHORT_BITS {
        let cell = &mut too_long.trace.values[(last + taken) * width + column(bits::NUMBER)];
        let honest = lies.honest.trace.values[(last + taken) * width + column(bits::NUMBER)];
        *cell = honest + F::from_u32(1 << taken);
    }
    let (violated, net) = lies.evaluate(&too_long, 0..height);
    assert!(net.is_empty());
    assert_eq!(violated.len(), 1, "{violated:?}");
    lies.broken.extend(violated);
}

fn every_constraint_is_needed<E: Extension<F>>() {
    let (circuit, inputs) = circuit::<E>();
    let honest = circuit.assign::<E>(inputs.as_slice()).unwrap();
    check(&circuit, &honest).unwrap();
    let mut lies = Lies::new(circuit, honest);
    lies.cells();
    lies.sides();
    lies.numbers();
    other_bits::<E>(&mut lies, &inputs);

    // Where nothing is summed up, the public challenges are read by their own constraints alone.
    let mut builder = Builder::new(E::RULE, &TAILS);
    let (_, statement) = builder.input_words();
    builder.publish(statement);
    let empty = builder.compile(8).unwrap();
    let honest = empty.assign::<E>([F::TWO; 8].as_slice()).unwrap();
    let mut public = Lies::new(empty, honest);
    public.public_values();
    lies.broken.extend(public.broken);

    let (_, all) = {
        let table = TableWitness {
            air: lies.circuit.air(),
            preprocessed: Some(&lies.fixed),
            trace: &lies.honest.trace,
            public_values: &lies.honest.public_values,
        };
        ((), evaluate_row(&table, 0).constraints)
    };
    let names = |index: &usize| {
        use starkwright_prover::machine::ConstraintNames;
        format!("{index}: {}", lies.circuit.air().constraint_name(*index))
    };
    let never: Vec<String> = (0..all)
        .filter(|index| !lies.broken.contains(index))
        .map(|index| names(&index))
        .collect();
    assert!(never.is_empty(), "never broken alone, of {all}: {never:?}");
}

#[test]
fn every_constraint_is_needed_in_degree_4() {
    every_constraint_is_needed::<KoalaBear4>();
}

#[test]
fn every_constraint_is_needed_in_degree_5() {
    every_constraint_is_needed::<KoalaBear5>();
}
