//! The gate machine: one gate over the challenge field a row, packing between elements and cells, and the public values.
//!
//! A gate is `(QA a + QB b) d + LA a + LB b + LD d + K + K1 X = LO o`: a multiply-add, a linear combination of three, an
//! assertion (where `o` is read) or, where `a` or `d` is created, a quotient.
//!
//! | constraints | exclude |
//! |---|---|
//! | gate | an operand that does not satisfy its gate |
//! | words | a base-field value with other words than its first |
//! | pick | a dynamic read at another place than operand d says |
//! | public | public values that are not the circuit's |
//!
//! Packing needs no constraint: a cell's tuple is made of the operands' own words.

use p3_air::AirBuilder;
use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use p3_lookup::{Count, InteractionBuilder};

use super::air::{MEMORY, Row, gate_coefficients, port, product};
use super::layout::{CELL_WORDS, CHILDREN, Layout, OPERANDS, fixed};

/// The groups of constraints, in order.
pub(super) fn groups(layout: &Layout) -> Vec<(&'static str, usize)> {
    vec![
        ("gate", layout.degree),
        ("words", OPERANDS * (layout.degree - 1)),
        ("pick", 1),
        ("public", CHILDREN * layout.degree + CELL_WORDS),
    ]
}

/// Asserts the constraints and opens the ports.
pub(super) fn eval<AB: InteractionBuilder<F = KoalaBear>>(row: &Row<'_, AB>, builder: &mut AB) {
    let [a, b, d, o] = core::array::from_fn(|operand| row.operand(operand));
    let gate = gate_coefficients(row);
    let sum: Vec<AB::Expr> = a
        .iter()
        .zip(&b)
        .map(|(a, b)| gate.qa.clone() * a.clone() + gate.qb.clone() * b.clone())
        .collect();
    let products = product(row.rule, &sum, &d);
    for (word, product) in products.into_iter().enumerate() {
        let mut value = product
            + gate.la.clone() * a[word].clone()
            + gate.lb.clone() * b[word].clone()
            + gate.ld.clone() * d[word].clone();
        match word {
            0 => value += gate.k.clone(),
            1 => value += gate.k1.clone(),
            _ => {}
        }
        builder.assert_zero(value - gate.lo.clone() * o[word].clone());
    }
    let words = row.fixed(fixed::WORDS);
    for operand in [&a, &b, &d, &o] {
        for word in &operand[1..] {
            builder.assert_zero(words.clone() * word.clone());
        }
    }
    let offset = row.at(row.layout.offset());
    builder.assert_zero(offset.clone() - row.fixed(fixed::PICK) * d[0].clone());
    public(row, builder);

    let reads = row.fixed(fixed::READS);
    for (operand, words) in [a, b, d, o].into_iter().enumerate() {
        let mut number = row.fixed(fixed::OPERAND[operand]);
        if operand == 0 {
            number += offset.clone();
        }
        let count = row.fixed(fixed::OPERAND_COUNT[operand])
            + reads.clone() * row.at(row.layout.operand_reads(operand));
        port(builder, Row::<'_, AB>::cell(number, words), count);
    }
    packing(row, builder);
}

/// The first row reads the inverse challenges, the second one the statement's digest.
fn public<AB: InteractionBuilder<F = KoalaBear>>(row: &Row<'_, AB>, builder: &mut AB) {
    let layout = row.layout;
    for child in 0..CHILDREN {
        for word in 0..layout.degree {
            let public: AB::Expr =
                builder.public_values()[layout.public_power(child, 1, word)].into();
            let here = row.at(layout.operand(child, word));
            builder.when_first_row().assert_eq(here, public);
        }
    }
    let next = row.operand_words().split_off(OPERANDS * layout.degree);
    for (word, next) in next.into_iter().take(CELL_WORDS).enumerate() {
        let public: AB::Expr = builder.public_values()[word].into();
        builder.when_first_row().assert_eq(next, public);
    }
}

/// Cells made of operands' words: see [`Layout::pack`]. What a row is, is preprocessed, so at most one branch is active.
fn packing<AB: InteractionBuilder<F = KoalaBear>>(row: &Row<'_, AB>, builder: &mut AB) {
    let pack = row.layout.pack();
    let words = row.operand_words();
    let in_a_row = OPERANDS * row.layout.degree;
    let [first, second, spell] =
        [fixed::PACK_FIRST, fixed::PACK_SECOND, fixed::SPELL].map(|c| row.fixed(c));
    let number = |place: usize| row.fixed(fixed::PACKED) + KoalaBear::from_usize(place);
    let count = |place: usize| Count::provided(row.fixed(fixed::PACKED_COUNT[place]));
    // A spelled cell may be read at places that only the proof decides: its words' ports then leave their counts to it.
    let spelled_count = Count::provided(
        row.fixed(fixed::PACKED_COUNT[0])
            + row.fixed(fixed::SPELL_READS) * row.at(row.layout.operand_reads(0)),
    );
    let cell = |place: usize, from: usize| {
        Row::<'_, AB>::cell(
            number(place),
            words[from..from + CELL_WORDS].iter().cloned(),
        )
    };
    // Cells that start in a first row; the last of them may end in the second.
    let in_first = in_a_row.div_ceil(CELL_WORDS);
    let spelled = [0, 1].into_iter().flat_map(|next| {
        (0..OPERANDS).map(move |operand| next * in_a_row + operand * row.layout.degree)
    });
    let spelled = Row::<'_, AB>::cell(number(0), spelled.map(|at| words[at].clone()));
    for place in 0..2 {
        let mut branches = vec![(first.clone(), count(place), cell(place, place * CELL_WORDS))];
        if pack.rows == 2 {
            let from = (in_first + place) * CELL_WORDS - in_a_row;
            branches.push((second.clone(), count(place), cell(place, from)));
        }
        if place == 0 {
            branches.push((spell.clone(), spelled_count.clone(), spelled.clone()));
        }
        builder.push_exclusive_interaction(MEMORY, branches);
    }
    if in_first > 2 {
        port(
            builder,
            cell(2, 2 * CELL_WORDS),
            row.fixed(fixed::PACKED_COUNT[2]),
        );
    }
}
