//! FRI's rounds for all queries: each opens a row of a round's codeword, which must hold the query's value so far, and folds
//! it.
//!
//! A row of `2^a` elements belongs to the points `s ω^i`. With `t = β/s` it folds by `a` levels of pairs,
//! `(lo + hi)/2 + (lo − hi) t ω^(−i)/2`, with `t`, `t^2`, `t^4`, … (p3-fri, `two_adic_pcs.rs`): one gate a pair.

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;

use super::opening::{Query, inverse_point, pair_factors, path_end};
use super::shape::ProofShape;
use crate::circuit::{Builder, Ext, Gate, Octet, PathIndex};

const ONE: KoalaBear = KoalaBear::ONE;
const ZERO: KoalaBear = KoalaBear::ZERO;

/// A round: its challenge, and the cap of its commitment.
#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) beta: Ext,
    pub(super) cap: Vec<Octet>,
}

/// Folds every query's value through all rounds and compares it with the final polynomial.
///
/// `values` are the queries' reduced openings, by height, tallest first. Before each round a part of the input begins that
/// knows the queries' values.
pub(super) fn fold(
    builder: &mut Builder,
    shape: &ProofShape,
    queries: &[Query],
    values: &[Vec<(usize, Ext)>],
    rounds: &[Round],
    final_poly: &[Ext],
) {
    let mut pending: Vec<_> = values
        .iter()
        .map(|values| values.iter().copied().peekable())
        .collect();
    let zero = builder.constant(ZERO);
    let mut folded: Vec<Ext> = pending
        .iter_mut()
        .map(|values| values.next().map_or(zero, |(_, value)| value))
        .collect();
    let (mut height, mut shift) = (shape.log_max_height, 0);
    for (round, &log_arity) in rounds.iter().zip(&shape.log_arities) {
        builder.part(&folded);
        // The input that joins at the next height is weighted by β^arity.
        let weight = builder.power_of_two_power(round.beta, log_arity);
        for ((query, value), pending) in queries.iter().zip(&mut folded).zip(&mut pending) {
            *value = fold_row(
                builder,
                shape,
                *query,
                *value,
                round,
                (height, shift, log_arity),
            );
            if let Some((_, joining)) = pending.next_if(|(at, _)| *at == height - log_arity) {
                *value = builder.mul_add(joining, weight, *value);
            }
        }
        height -= log_arity;
        shift += log_arity;
    }
    for (query, value) in queries.iter().zip(&folded) {
        let inverse = inverse_point(builder, *query, shift, shift);
        let point = builder.inverse(inverse);
        let mut coefficients = final_poly.iter().rev();
        let Some(&last) = coefficients.next() else {
            continue;
        };
        let at_point = coefficients.fold(last, |sum, &coefficient| {
            builder.mul_add(sum, point, coefficient)
        });
        builder.assert_equal(at_point, *value);
    }
}

fn fold_row(
    builder: &mut Builder,
    shape: &ProofShape,
    query: Query,
    value: Ext,
    round: &Round,
    (height, shift, log_arity): (usize, usize, usize),
) -> Ext {
    let cap_height = round.cap.len().ilog2() as usize;
    let low = shift + log_arity;
    let steps = height - log_arity - cap_height;
    let end = path_end(builder, query, low, steps, Some(cap_height));
    let rows = builder.hash_input(shape.degree << log_arity, None);
    let octets: Vec<Octet> = rows.iter().map(|&row| builder.block_cell(row)).collect();
    let index = PathIndex {
        number: query.number,
        first_bit: low as u32,
        end,
    };
    let leaf = builder.last_row();
    let last = builder.climb(leaf, steps, index);
    builder.assert_in_cap(last, &round.cap);

    // The query's own element is the row's at the place that the index' lowest bits say.
    let elements = builder.unpack_counted(&octets, 1 << log_arity);
    let [from, above] = [shift, low].map(|low| builder.without_low_bits(query.bits, low));
    let weight = KoalaBear::TWO.exp_u64(log_arity as u64);
    let place = builder.linear(
        [
            (ONE, from.into()),
            (-weight, above.into()),
            (ZERO, from.into()),
        ],
        ZERO,
    );
    builder.pick_is(&elements, place, value);

    // s is the point of the row: the product over the bits above, every factor the square of the next bit's.
    let inverse = inverse_point(builder, query, shift, low);
    let mut t = builder.mul(round.beta, inverse);
    let mut level = elements;
    for remaining in (1..=log_arity).rev() {
        let half = ONE.halve();
        level = level
            .chunks_exact(2)
            .zip(pair_factors(remaining))
            .map(|(pair, factor)| {
                let gate = Gate {
                    qa: factor,
                    qb: -factor,
                    la: half,
                    lb: half,
                    ..Gate::default()
                };
                builder.gate(gate, pair[0], pair[1], t)
            })
            .collect();
        if remaining > 1 {
            t = builder.mul(t, t);
        }
    }
    level.first().copied().unwrap_or(value)
}
