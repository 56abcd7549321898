//! The permutation machine: one Poseidon2 permutation a row, and what its input is made of.
//!
//! | constraints | exclude |
//! |---|---|
//! | rounds | an output that is not the permutation of the input |
//! | capacity | a sponge that starts with a capacity of its own, or changes it between blocks |
//! | tail | words of a short last block where the sponge keeps the state |
//! | path | a Merkle step whose input does not have the digest so far on the side that the bit says; a bit that is no bit |
//! | index | a path whose bits are not those of the index that its last row reads |
//! | roll-in | a compression with another digest than that of the rows that join here |
//! | sum | a sum over other words than those absorbed, or with other powers than the public ones |
//! | high | an output port at another cell of a cap than the index says |
//!
//! A sibling, and whatever an input port creates, is free: the digest that comes of it is compared by whoever reads it.

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::{
    GenericPoseidon2LinearLayersKoalaBear, KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL,
    KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL, KOALABEAR_POSEIDON2_RC_16_INTERNAL, KoalaBear,
};
use p3_lookup::InteractionBuilder;
use p3_poseidon2::GenericPoseidon2LinearLayers;

use super::air::{Row, port, product};
use super::layout::{
    CELL_WORDS, CHILDREN, HALF_FULL_ROUNDS, Layout, OUTPUT, PARTIAL_ROUNDS, STATE, fixed,
};

type LinearLayers = GenericPoseidon2LinearLayersKoalaBear;

/// The groups of constraints, in order.
pub(super) fn groups(layout: &Layout) -> Vec<(&'static str, usize)> {
    let tails: usize = layout
        .tails
        .iter()
        .map(|&tail| CELL_WORDS - usize::from(tail))
        .sum();
    vec![
        ("rounds", 2 * HALF_FULL_ROUNDS * STATE + PARTIAL_ROUNDS),
        ("capacity", CELL_WORDS),
        ("tail", tails),
        ("path", CELL_WORDS + 1),
        ("index", 1),
        ("roll-in", CELL_WORDS),
        ("sum", CHILDREN * layout.degree),
        ("high", 1),
    ]
}

/// Asserts the constraints and opens the ports.
pub(super) fn eval<AB: InteractionBuilder<F = KoalaBear>>(row: &Row<'_, AB>, builder: &mut AB) {
    rounds(row, builder);
    links(row, builder);
    sums(row, builder);
    ports(row, builder);
}

/// The rounds, as p3-poseidon2-air has them with S-boxes of degree 3 and no registers.
fn rounds<AB: InteractionBuilder<F = KoalaBear>>(row: &Row<'_, AB>, builder: &mut AB) {
    let mut state: [AB::Expr; STATE] = core::array::from_fn(|i| row.at(i));
    let mut column = STATE;
    LinearLayers::external_linear_layer(&mut state);
    let full = |state: &mut [AB::Expr; STATE],
                constants: &[KoalaBear; STATE],
                column: &mut usize,
                builder: &mut AB| {
        for (word, &constant) in state.iter_mut().zip(constants) {
            *word = (word.clone() + constant).cube();
        }
        LinearLayers::external_linear_layer(state);
        for word in state.iter_mut() {
            let after = row.at(*column);
            builder.assert_eq(word.clone(), after.clone());
            *word = after;
            *column += 1;
        }
    };
    for constants in &KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL {
        full(&mut state, constants, &mut column, builder);
    }
    for &constant in &KOALABEAR_POSEIDON2_RC_16_INTERNAL {
        let after = row.at(column);
        column += 1;
        builder.assert_eq((state[0].clone() + constant).cube(), after.clone());
        state[0] = after;
        LinearLayers::internal_linear_layer(&mut state);
    }
    for constants in &KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL {
        full(&mut state, constants, &mut column, builder);
    }
}

/// What the next permutation's input is.
fn links<AB: InteractionBuilder<F = KoalaBear>>(row: &Row<'_, AB>, builder: &mut AB) {
    let [start, go_on] = [fixed::START, fixed::CONTINUE].map(|column| row.fixed(column));
    let sponge = start + go_on.clone();
    for i in 0..CELL_WORDS {
        let mut capacity = sponge.clone() * row.next(CELL_WORDS + i)
            - go_on.clone() * row.at(OUTPUT + CELL_WORDS + i);
        if i == 0 {
            capacity -= row.fixed(fixed::ADD);
        }
        builder.assert_zero(capacity);
    }
    for (place, &tail) in row.layout.tails.iter().enumerate() {
        for i in usize::from(tail)..CELL_WORDS {
            let kept = sponge.clone() * row.next(i) - go_on.clone() * row.at(OUTPUT + i);
            builder.assert_zero(row.fixed(fixed::TAILS + place) * kept);
        }
    }
    let bit = row.next(row.layout.bit());
    let merkle = row.fixed(fixed::MERKLE);
    for i in 0..CELL_WORDS {
        let digest = row.at(OUTPUT + i);
        let left = row.next(i) - digest.clone();
        let right = row.next(CELL_WORDS + i) - digest;
        builder.assert_zero(merkle.clone() * (left.clone() + bit.clone() * (right - left)));
    }
    let here = row.at(row.layout.bit());
    builder.assert_zero(here.clone() * (here - AB::Expr::ONE));
    let index = merkle * row.next(Layout::HORNER)
        - row.fixed(fixed::MERKLE_ON) * row.at(Layout::HORNER)
        - row.fixed(fixed::WEIGHT) * bit;
    builder.assert_zero(index);
    let roll_in = row.fixed(fixed::ROLL_IN);
    for i in 0..CELL_WORDS {
        builder.assert_zero(roll_in.clone() * (row.next(CELL_WORDS + i) - row.at(OUTPUT + i)));
    }
}

/// Sums over the absorbed words by Horner's rule: `B' = β^8 B + Σ_j β^(7−j) v_j`, without the words that a short block
/// keeps.
fn sums<AB: InteractionBuilder<F = KoalaBear>>(row: &Row<'_, AB>, builder: &mut AB) {
    let layout = row.layout;
    let words: Vec<AB::Expr> = (0..CELL_WORDS)
        .map(|i| {
            let mut kept: Option<AB::Expr> = None;
            for (place, &tail) in layout.tails.iter().enumerate() {
                if usize::from(tail) <= i {
                    let flag = row.fixed(fixed::TAILS + place);
                    kept = Some(match kept {
                        Some(sum) => sum + flag,
                        None => flag,
                    });
                }
            }
            match kept {
                Some(kept) => row.next(i) * (AB::Expr::ONE - kept),
                None => row.next(i),
            }
        })
        .collect();
    let sum: Vec<AB::Expr> = (0..layout.degree)
        .map(|word| row.at(Layout::HORNER + word))
        .collect();
    for child in 0..CHILDREN {
        let power = |builder: &AB, power: usize, word: usize| -> AB::Expr {
            builder.public_values()[layout.public_power(child, power, word)].into()
        };
        let eighth: Vec<AB::Expr> = (0..layout.degree)
            .map(|word| power(builder, CELL_WORDS, word))
            .collect();
        let shifted = product(row.rule, &sum, &eighth);
        for (word, shifted) in shifted.into_iter().enumerate() {
            let mut block = AB::Expr::ZERO;
            for (i, value) in words.iter().enumerate() {
                let exponent = CELL_WORDS - 1 - i;
                if exponent > 0 {
                    block += value.clone() * power(builder, exponent, word);
                } else if word == 0 {
                    block += value.clone();
                }
            }
            let here = row.next(Layout::HORNER + word) - block;
            builder.assert_zero(
                row.fixed(fixed::HORNER[child]) * here
                    - row.fixed(fixed::HORNER_ON[child]) * shifted,
            );
        }
    }
}

fn ports<AB: InteractionBuilder<F = KoalaBear>>(row: &Row<'_, AB>, builder: &mut AB) {
    let layout = row.layout;
    let high = row.at(layout.high());
    let [number, count, shifted] = fixed::OUTPUT.map(|column| row.fixed(column));
    builder.assert_zero(high.clone() - shifted * row.at(Layout::HORNER + 1));
    let words = |from: usize, count: usize| (from..from + count).map(|column| row.at(column));
    let tuple = Row::<'_, AB>::cell(number + high, words(OUTPUT, CELL_WORDS));
    port(builder, tuple, count);

    let [number, count] = fixed::INPUT.map(|column| row.fixed(column));
    let tuple = Row::<'_, AB>::cell(number, words(0, CELL_WORDS));
    port(builder, tuple, count);

    let [number, count] = fixed::SUM.map(|column| row.fixed(column));
    let tuple = Row::<'_, AB>::cell(number, words(Layout::HORNER, layout.degree));
    port(builder, tuple, count);
}
