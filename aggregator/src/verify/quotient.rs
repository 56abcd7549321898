//! Every table's constraints at the out-of-domain point against its quotient, and the lookups' sum.

use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};
use p3_koala_bear::KoalaBear;
use starkwright_prover::constraints::Input;

use super::Replayed;
use super::constraints::fold_constraints;
use super::shape::{ProofShape, Table};
use crate::circuit::{Base, Builder, Ext, Gate};

const ONE: KoalaBear = KoalaBear::ONE;
const ZERO: KoalaBear = KoalaBear::ZERO;

/// Asserts that every table's folded constraints are its quotient times the vanishing polynomial at zeta, and that the
/// lookups' terminals sum to zero.
pub(super) fn check(
    builder: &mut Builder,
    shape: &ProofShape,
    replayed: &Replayed,
    public_values: &[Vec<Base>],
) {
    let prefixes = lookup_prefixes(builder, shape, replayed);
    let zero = builder.constant(ZERO);
    let permutation_batch = shape.batches.len() - 1;
    let (mut chunk, mut fixed, mut looked) = (0, 0, 0);
    for (place, table) in shape.tables.iter().enumerate() {
        let main = &replayed.claims[0][place];
        let chunks = &replayed.claims[1][chunk..chunk + (1 << table.log_chunks)];
        chunk += 1 << table.log_chunks;
        let preprocessed = (table.graph.layout().preprocessed > 0).then(|| {
            fixed += 1;
            &replayed.claims[2][fixed - 1]
        });
        let permutation = (!table.buses.is_empty()).then(|| {
            looked += 1;
            let claims = &replayed.claims[permutation_batch][looked - 1];
            let rows = [&claims[0], &claims[1]];
            rows.map(|row| {
                row.chunks(shape.degree)
                    .map(|words| compose(builder, words))
                    .collect::<Vec<Ext>>()
            })
        });
        let selectors = Selectors::new(builder, replayed.zeta, table.log_height);
        let opened = |rows: &[Vec<Ext>], column: usize, next: bool| {
            rows.get(usize::from(next))
                .and_then(|row| row.get(column))
                .copied()
                .unwrap_or(zero)
        };
        let folded =
            fold_constraints(
                builder,
                &table.graph,
                replayed.alpha,
                |builder, input| match input {
                    Input::Main { column, next } => opened(main, column, next),
                    Input::Preprocessed { column, next } => {
                        preprocessed.map_or(zero, |rows| opened(rows, column, next))
                    }
                    Input::Permutation { column, next } => permutation
                        .as_ref()
                        .map_or(zero, |rows| opened(rows, column, next)),
                    Input::Periodic(column) => periodic(builder, table, column, replayed.zeta),
                    Input::Public(index) => public_values[place]
                        .get(index)
                        .map_or(zero, |&value| value.into()),
                    Input::Challenge(index) => match (index % 2, replayed.lookup) {
                        (0, _) => prefixes[table.buses[index / 2]],
                        (_, Some((_, beta))) => beta,
                        (_, None) => zero,
                    },
                    Input::Terminal(_) => replayed.terminals[looked - 1],
                    Input::IsFirstRow => selectors.first,
                    Input::IsLastRow => selectors.last,
                    Input::IsTransition => selectors.transition,
                },
            );
        let quotient = recompose(builder, table, chunks, selectors.power);
        let gate = Gate {
            qa: ONE,
            ..Gate::default()
        };
        builder.assert_gate(gate, folded, folded, selectors.inverse_vanishing, quotient);
    }
    let mut terminals = replayed.terminals.iter().copied();
    if let Some(first) = terminals.next() {
        let sum = terminals.fold(first, |sum, terminal| builder.add(sum, terminal));
        builder.assert_zero(sum);
    }
}

/// What a lookup on each bus starts from: `α + (bus + 1) β^W`, with the widest message `W` (p3-lookup, `challenges.rs`).
fn lookup_prefixes(builder: &mut Builder, shape: &ProofShape, replayed: &Replayed) -> Vec<Ext> {
    let Some((alpha, beta)) = replayed.lookup else {
        return Vec::new();
    };
    let gamma = builder.power(beta, shape.message_width as u64);
    let mut prefix = alpha;
    (0..shape.num_buses)
        .map(|_| {
            prefix = builder.add(prefix, gamma);
            prefix
        })
        .collect()
}

/// Selectors of a trace domain at zeta (p3-commit, `domain.rs`).
struct Selectors {
    first: Ext,
    last: Ext,
    transition: Ext,
    inverse_vanishing: Ext,
    /// Zeta to the power of the trace's height.
    power: Ext,
}

impl Selectors {
    fn new(builder: &mut Builder, zeta: Ext, log_height: usize) -> Self {
        let power = builder.power_of_two_power(zeta, log_height);
        let less = |builder: &mut Builder, x: Ext, k: KoalaBear| {
            builder.linear([(ONE, x), (ZERO, x), (ZERO, x)], -k)
        };
        let vanishing = less(builder, power, ONE);
        let inverse_vanishing = builder.inverse(vanishing);
        let from_first = less(builder, zeta, ONE);
        let last_point = KoalaBear::two_adic_generator(log_height).inverse();
        let transition = less(builder, zeta, last_point);
        let [first, last] = [from_first, transition].map(|x| {
            let inverse = builder.inverse(x);
            builder.mul(vanishing, inverse)
        });
        Self {
            first,
            last,
            transition,
            inverse_vanishing,
            power,
        }
    }
}

/// `Σ X^i v_i`.
fn compose(builder: &mut Builder, values: &[Ext]) -> Ext {
    let x = builder.x();
    let mut values = values.iter().rev();
    match values.next() {
        Some(&last) => values.fold(last, |sum, &value| builder.mul_add(sum, x, value)),
        None => builder.constant(ZERO),
    }
}

/// The quotient at zeta from its chunks: chunk `i` belongs to the coset `g h^i H`, and is weighted by the other cosets'
/// vanishing polynomials, each 1 at the coset's first point (p3-uni-stark, `recompose_quotient_from_chunks`).
fn recompose(builder: &mut Builder, table: &Table, chunks: &[Vec<Vec<Ext>>], power: Ext) -> Ext {
    let step = KoalaBear::two_adic_generator(table.log_height + table.log_chunks);
    let shift = |i: usize| KoalaBear::GENERATOR * step.exp_u64(i as u64);
    // Z_j(x) = (x / shift_j)^n − 1.
    let scale = |j: usize| shift(j).exp_power_of_2(table.log_height).inverse();
    let mut sum: Option<Ext> = None;
    for (i, chunk) in chunks.iter().enumerate() {
        let mut value = compose(builder, &chunk[0]);
        for j in (0..chunks.len()).filter(|&j| j != i) {
            let at_first = shift(i).exp_power_of_2(table.log_height) * scale(j) - ONE;
            let weight = at_first.inverse();
            // value · (scale · power − 1) · weight
            let gate = Gate {
                qa: scale(j) * weight,
                la: -weight,
                ..Gate::default()
            };
            value = builder.gate(gate, value, value, power);
        }
        sum = Some(match sum {
            Some(sum) => builder.add(sum, value),
            None => value,
        });
    }
    sum.unwrap_or_else(|| builder.constant(ZERO))
}

/// A periodic column at zeta: its polynomial over the subgroup of its period, at zeta to the power of the number of
/// periods.
fn periodic(builder: &mut Builder, table: &Table, column: usize, zeta: Ext) -> Ext {
    let coefficients = table.periodic.get(column).map_or(&[][..], Vec::as_slice);
    let log_period = coefficients.len().max(1).ilog2() as usize;
    let point = builder.power_of_two_power(zeta, table.log_height - log_period);
    let mut sum: Option<Ext> = None;
    for &coefficient in coefficients.iter().rev() {
        sum = Some(match sum {
            Some(sum) => {
                let gate = Gate {
                    qa: ONE,
                    k: coefficient,
                    ..Gate::default()
                };
                builder.gate(gate, sum, sum, point)
            }
            None => builder.constant(coefficient),
        });
    }
    sum.unwrap_or_else(|| builder.constant(ZERO))
}
