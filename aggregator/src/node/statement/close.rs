//! The statement of a close: the rules of [`close_keccak`](crate::statement::close_keccak).

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use starkwright_prover::machine::Machine;
use starkwright_prover::machine::keccak::KeccakMachine;

use super::{LIMB_BITS, LIMBS, ONE, Statement, ZERO, assert_constant, head};
use crate::circuit::layout::CELL_WORDS;
use crate::circuit::{Base, Builder, Octet};
use crate::statement::hash::{ACCUMULATOR_TAG, ITEM_TAG, STATE_TAG, STATEMENT_TAG, limbs};
use crate::statement::{Digest, KeccakOpening, Level, layout};

/// Where a state's lanes stand in the preimage of its digest, and its bytes behind them.
const LANES: usize = CELL_WORDS;
const BYTES: usize = LANES + 100;

/// The digest of the item that a range of segments closes into.
///
/// Reads from the input the preimage of the final state's digest (14 cells), the item's index and three zeros, and the
/// accumulator before the item ([`close_words`]).
///
/// | constraint | excludes |
/// |---|---|
/// | level, first index, first, last | items, a part of a file |
/// | preimage's head, its digest | another final state or length; another machine's state |
/// | limbs of the index | an index with more than one encoding |
pub(in crate::node) fn close(builder: &mut Builder, inner: &Statement) -> Octet {
    assert_constant(
        builder,
        inner.word(layout::LEVEL),
        KoalaBear::from_u8(Level::Segments as u8),
    );
    for limb in 0..LIMBS {
        assert_constant(builder, inner.word(layout::FIRST_INDEX + limb), ZERO);
    }
    assert_constant(builder, inner.word(layout::FIRST), ONE);
    assert_constant(builder, inner.word(layout::LAST), ONE);

    let (state, state_blocks): (Vec<_>, Vec<_>) = (0..(BYTES + LIMBS) / CELL_WORDS)
        .map(|_| builder.input_words())
        .unzip();
    let state: Vec<Base> = state.into_iter().flatten().collect();
    let identity = [KeccakMachine::ID, KeccakMachine::VERSION];
    for (&word, value) in state.iter().zip([STATE_TAG, identity[0], identity[1], 0]) {
        assert_constant(builder, word.into(), KoalaBear::from_u32(value));
    }
    builder.assert_hash(&state_blocks, inner.block(layout::END));

    let length = core::array::from_fn(|limb| state[BYTES + limb]);
    let item_head = head(builder, [ITEM_TAG, identity[0], identity[1], 0], length);
    // The first four lanes: two whole cells of the preimage.
    let item = builder.hash_cells(&[item_head, state_blocks[1], state_blocks[2]]);

    let (position, _) = builder.input_words();
    for &unused in &position[LIMBS..] {
        builder.assert_zero(unused.into());
    }
    let position: [Base; LIMBS] = core::array::from_fn(|limb| position[limb]);
    for limb in position {
        builder.assert_bits(limb, LIMB_BITS);
    }
    let (_, old) = builder.input_words();
    let accumulator_head = head(builder, [ACCUMULATOR_TAG, 0, 0, 0], position);
    let new = builder.hash_cells(&[accumulator_head, old, item]);

    let statement_head = head(
        builder,
        [STATEMENT_TAG, Level::Items as u32, 0, 0],
        position,
    );
    let [zero, one] = [ZERO, ONE].map(|value| builder.base_constant(value));
    let count = builder.unspell(core::array::from_fn(|i| if i == 0 { one } else { zero }));
    builder.hash_cells(&[
        statement_head,
        inner.block(layout::CONTEXT),
        old,
        new,
        item,
        inner.block(layout::ALLOWED_ROOT),
        count,
    ])
}

/// The words that [`close`] reads.
pub(in crate::node) fn close_words(
    opening: &KeccakOpening,
    position: u64,
    old: &Digest,
) -> Vec<KoalaBear> {
    let mut words = opening.preimage().to_vec();
    words.extend(limbs(position));
    words.extend([ZERO; CELL_WORDS - LIMBS]);
    words.extend(old);
    words
}

#[cfg(test)]
mod tests {
    use super::super::harness::{Run, circuit};
    use super::*;
    use crate::circuit::Circuit;
    use crate::statement::suite::{CloseCase, close_cases};
    use crate::statement::{DIGEST_LEN, STATEMENT_LEN};

    fn close_circuit() -> Circuit {
        circuit(9, |builder| {
            let inner = Statement::read(builder);
            close(builder, &inner)
        })
    }

    fn words(case: &CloseCase) -> Vec<KoalaBear> {
        let mut words = case.inner.to_vec();
        words.extend(close_words(&case.opening, case.position, &case.old));
        words
    }

    #[test]
    fn the_circuit_agrees_with_the_native_rules() {
        let circuit = close_circuit();
        let mut refused = 0;
        for case in close_cases() {
            let result = Run(&circuit).on(&words(&case));
            match &case.expected {
                Ok(statement) => {
                    assert_eq!(result, Ok(statement.digest()), "{}", case.name);
                }
                // A proven range keeps these rules, so the circuit need not look.
                Err(rule) if rule.is_inductive() => {}
                Err(rule) => {
                    refused += 1;
                    assert!(result.is_err(), "{}: {rule}", case.name);
                }
            }
        }
        assert!(refused > 100, "{refused} cases break a rule");
    }

    /// Every word behind the inner statement is bound, or stands in what is stated.
    #[test]
    fn every_word_is_bound_or_stated() {
        let circuit = close_circuit();
        let case = close_cases()
            .into_iter()
            .find(|case| case.expected.is_ok())
            .unwrap();
        let honest = words(&case);
        let stated = Run(&circuit).on(&honest).unwrap();
        let old = honest.len() - DIGEST_LEN;
        for at in STATEMENT_LEN..honest.len() {
            let mut words = honest.clone();
            words[at] += ONE;
            match Run(&circuit).on(&words) {
                // Another index, or another accumulator before: another statement.
                Ok(other) => {
                    assert!((old - DIGEST_LEN..old - LIMBS).contains(&at) || at >= old);
                    assert_ne!(other, stated);
                }
                Err(_) => assert!(at < old, "word {at}"),
            }
        }
        // A limb of the index beyond 16 bits.
        let mut words = honest;
        words[old - DIGEST_LEN] = KoalaBear::from_u32(1 << LIMB_BITS);
        Run(&circuit).on(&words).unwrap_err();
    }
}
