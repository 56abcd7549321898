//! No row of a statement's circuit is superfluous: for each assertion a false statement breaks it alone, so that without it the
//! statement would be proven.

#[path = "../../../tests/verify/deletion.rs"]
mod deletion;

use std::collections::BTreeSet;

use p3_koala_bear::KoalaBear;
use starkwright_hal::{Extension, KoalaBear4};

use self::deletion::{Assertion, Deletion};
use super::{LIMBS, ONE, Statement, close, close_words, harness, join, join_words};
use crate::circuit::Circuit;
use crate::circuit::layout::CELL_WORDS;
use crate::statement::hash::hash;
use crate::statement::suite::{CloseCase, JoinCase, close_cases, join_cases};
use crate::statement::{STATEMENT_LEN, layout};

/// Runs witnesses, and returns the assertions that none of them breaks alone. Each that one does is deleted: the witness is
/// then accepted.
fn never_alone(
    circuit: &Circuit,
    cases: impl IntoIterator<Item = Vec<KoalaBear>>,
) -> Vec<Assertion> {
    let deletion = Deletion::new(circuit);
    let rows = deletion.rows();
    assert!(rows.unread.is_empty(), "nobody reads {:?}", rows.unread);
    let mut alone = BTreeSet::new();
    for words in cases {
        let witness = circuit.assign::<KoalaBear4>(words.as_slice()).unwrap();
        if let Some(broken) = deletion.judge(&witness).alone
            && alone.insert(broken.assertion)
        {
            assert!(rows.assertions.contains(&broken.assertion), "{broken:?}");
            deletion
                .accepts_without(KoalaBear4::RULE, broken, &witness)
                .unwrap();
        }
    }
    println!(
        "{} assertions, {} broken alone, {} rows create",
        rows.assertions.len(),
        alone.len(),
        rows.creating
    );
    rows.assertions.difference(&alone).copied().collect()
}

/// The words with each of them changed, in some ways.
fn changed(words: &[KoalaBear]) -> impl Iterator<Item = Vec<KoalaBear>> + '_ {
    let ways = [ONE, -ONE, KoalaBear::new(1 << 16)];
    let places = (0..words.len()).flat_map(move |at| ways.map(|way| (at, way)));
    places.map(|(at, way)| {
        let mut words = words.to_vec();
        words[at] += way;
        words
    })
}

#[test]
fn every_assertion_of_a_join_is_needed() {
    let circuit = harness::circuit(11, |builder| {
        let [left, right] = [0, 1].map(|_| Statement::read(builder));
        join(builder, &left, &right)
    });
    let words = |case: &JoinCase, absent: bool| {
        let mut words = [case.left, case.right].concat();
        words.extend(join_words(&case.left, &case.right, absent));
        words
    };
    let suite = join_cases();
    let honest = suite.iter().find(|case| case.expected.is_ok()).unwrap();
    let mut cases: Vec<Vec<KoalaBear>> = suite.iter().map(|case| words(case, false)).collect();
    for absent in [false, true] {
        cases.extend(changed(&words(honest, absent)));
    }
    // A count that is p more, a limb up: in the field the sums are right, with a carry of p / 2^16 that is none.
    for limb in 0..LIMBS - 1 {
        let mut words = words(honest, false);
        let (count, carries) = (2 * STATEMENT_LEN, 2 * STATEMENT_LEN + CELL_WORDS);
        words[count + limb] += ONE;
        words[count + limb + 1] += KoalaBear::new(0x7f00);
        words[carries + LIMBS - 1 + limb] += KoalaBear::new(0x7f00);
        let witness = circuit.assign::<KoalaBear4>(words.as_slice()).unwrap();
        let broken = Deletion::new(&circuit).judge(&witness).alone;
        assert!(matches!(broken, Some(broken) if matches!(broken.assertion, Assertion::Gate(_))));
        cases.push(words);
    }
    assert_eq!(never_alone(&circuit, cases), []);
}

#[test]
fn every_assertion_of_a_close_is_needed() {
    let circuit = harness::circuit(9, |builder| {
        let inner = Statement::read(builder);
        close(builder, &inner)
    });
    let words = |case: &CloseCase| {
        let mut words = case.inner.to_vec();
        words.extend(close_words(&case.opening, case.position, &case.old));
        words
    };
    let suite = close_cases();
    let honest = suite.iter().find(|case| case.expected.is_ok()).unwrap();
    let honest = words(honest);
    let mut cases: Vec<Vec<KoalaBear>> = suite.iter().map(words).collect();
    cases.extend(changed(&honest));
    // A final state of something else, which the range does end at.
    let state = STATEMENT_LEN..honest.len() - 2 * CELL_WORDS;
    for at in state.clone() {
        let mut words = honest.clone();
        words[at] += ONE;
        let end = hash(&words[state.clone()]);
        words[layout::END..layout::END + CELL_WORDS].copy_from_slice(&end);
        cases.push(words);
    }
    assert_eq!(never_alone(&circuit, cases), []);
}
