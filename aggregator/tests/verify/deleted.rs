//! Rows of a verifier's circuit, deleted: see `deletion.rs`.

use starkwright_hal::KoalaBear4;

use super::*;
use crate::deletion::{Assertion, Deletion};
use crate::machine::prove;
use crate::mutations::{Replayed, parts_of};

#[test]
fn assertions_of_a_verifier_are_needed() {
    let proven = prove::<KoalaBear4>(1);
    let verifier = Verifier::new(&proven, 13);
    let parts = parts_of(&verifier, &proven);
    let deletion = Deletion::new(&verifier.circuit);
    let rows = deletion.rows();
    let (mut alone, mut reached) = (
        std::collections::BTreeSet::new(),
        std::collections::BTreeSet::new(),
    );
    let places = parts
        .iter()
        .enumerate()
        .flat_map(|(part, words)| (0..words.len()).map(move |at| (part, at)));
    for (part, at) in places {
        let value = parts[part][at] + Val::ONE;
        let source = Replayed {
            parts: &parts,
            change: Some((part, at, value)),
        };
        let witness = verifier.circuit.assign::<KoalaBear4>(source).unwrap();
        let judgement = deletion.judge(&witness);
        reached.extend(judgement.gates);
        if let Some(broken) = judgement.alone
            && alone.insert(broken.assertion)
        {
            deletion
                .accepts_without(KoalaBear4::RULE, broken, &witness)
                .unwrap();
        }
    }
    let never: Vec<Assertion> = rows
        .assertions
        .iter()
        .filter(|assertion| !alone.contains(assertion))
        .copied()
        .collect();
    let sections = verifier.circuit.sections();
    let gates: usize = sections.iter().map(|(_, cost)| cost.gates).sum();
    let section = |row: usize| {
        let mut end = verifier.circuit.cost().gates - gates;
        let found = sections.iter().find(|(_, cost)| {
            end += cost.gates;
            row < end
        });
        found.map_or("", |(name, _)| name.as_str())
    };
    let mut classes: std::collections::BTreeMap<(String, &str, bool), Vec<usize>> =
        Default::default();
    for assertion in &never {
        let key = match assertion {
            Assertion::Gate(row) => ("gate".to_owned(), section(*row), reached.contains(row)),
            Assertion::Digest(_) => ("digest".to_owned(), "", false),
            Assertion::Number(_) => ("number".to_owned(), "", false),
        };
        classes.entry(key).or_default().push(assertion.row());
    }
    println!(
        "{} create, {} unread {:?}, {} assertions, {} alone; {} never: {classes:?}",
        rows.creating,
        rows.unread.len(),
        rows.unread,
        rows.assertions.len(),
        alone.len(),
        never.len(),
    );
}
