//! Rows of a verifier's circuit, deleted: see `deletion.rs`.
//!
//! Every word of the input is changed, alone. What is said of an opened row or path is broken alone: whoever verifies without that
//! assertion accepts the change. Assertions about the transcript and the folds are not, since another transcript breaks many
//! at once: that each is reached shows that it is about something, not that it is needed. For those rows a prover would have to
//! be written that lies in one place and is honest behind it.

use std::collections::BTreeSet;

use starkwright_hal::KoalaBear4;

use super::*;
use crate::deletion::{Assertion, Deletion};
use crate::machine::prove;
use crate::mutations::{Replayed, parts_of};

#[test]
fn assertions_of_a_verifier_are_needed_or_reached() {
    // Minutes: only in `make test-long`.
    if std::env::var_os("STARKWRIGHT_LONG").is_none() {
        return;
    }
    let stride = 1;
    let proven = prove::<KoalaBear4>(1);
    let verifier = Verifier::new(&proven, 13);
    let parts = parts_of(&verifier, &proven);
    let deletion = Deletion::new(&verifier.circuit);
    let rows = deletion.rows();
    let (mut alone, mut reached) = (BTreeSet::new(), BTreeSet::new());
    let words = parts
        .iter()
        .enumerate()
        .flat_map(|(part, words)| (0..words.len()).map(move |at| (part, at)));
    for (part, at) in words.step_by(stride) {
        let source = Replayed {
            parts: &parts,
            change: Some((part, at, parts[part][at] + Val::ONE)),
        };
        let witness = verifier.circuit.assign::<KoalaBear4>(source).unwrap();
        let judgement = deletion.judge(&witness);
        reached.extend(judgement.gates.into_iter().map(Assertion::Gate));
        if let Some(broken) = judgement.alone
            && alone.insert(broken.assertion)
        {
            assert!(rows.assertions.contains(&broken.assertion), "{broken:?}");
            deletion
                .accepts_without(KoalaBear4::RULE, broken, &witness)
                .unwrap();
        }
    }
    let never: Vec<_> = rows.assertions.difference(&alone).collect();
    let unreached: Vec<_> = never
        .iter()
        .filter(|assertion| !reached.contains(assertion))
        .collect();
    assert!(!alone.is_empty());
    println!(
        "{} rows create, {} create what nobody reads; of {} assertions {} are broken alone, {} with others, never {unreached:?}",
        rows.creating,
        rows.unread.len(),
        rows.assertions.len(),
        alone.len(),
        never.len() - unreached.len(),
    );
    if stride == 1 {
        assert!(alone.len() >= 21, "{never:?}");
        // A number's own bits are what assignment takes: `tests/circuit/needed.rs` has others.
        let numbers = unreached
            .iter()
            .all(|assertion| matches!(assertion, Assertion::Number(_)));
        assert!(numbers, "{unreached:?}");
    }
}
