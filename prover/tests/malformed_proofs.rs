//! Proofs that decode and are malformed: every list longer, shorter, doubled or empty, every number another, every
//! optional part left out. Each is rejected as an error; nothing panics.
//!
//! p3's proof is taken as a tree of JSON values, so that no part of it is forgotten.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

mod fibonacci;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fibonacci::{Fibonacci, SMALL, fibonacci};
use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use serde_json::Value;
use starkwright_hal::{Cpu, KoalaBear5, Poseidon2Merkle};
use starkwright_prover::ProverError;
use starkwright_prover::profile::LeafParameters;
use starkwright_prover::prove::{BatchProver, BatchVerifier, StockBatchProof};

type F = KoalaBear;
type Proof = StockBatchProof<F, KoalaBear5, Poseidon2Merkle>;
type Verifier = BatchVerifier<F, KoalaBear5, Poseidon2Merkle, Fibonacci>;

/// A verifier, public values, and a proof as JSON.
fn honest(parameters: &LeafParameters) -> (Verifier, Vec<Vec<F>>, Value) {
    let logs = [6usize, 4];
    let airs: Vec<_> = logs
        .iter()
        .map(|&log| Fibonacci { height: 1 << log })
        .collect();
    let starts = [F::from_u32(5), F::from_u32(7)];
    let traces: Vec<_> = airs
        .iter()
        .zip(starts)
        .map(|(air, start)| fibonacci::<F>(air.height, start))
        .collect();
    let public = starts.map(|start| vec![start]).to_vec();
    let prover = BatchProver::<F, KoalaBear5, Poseidon2Merkle, _, _>::setup(
        &Cpu::new(),
        parameters,
        airs.clone(),
        logs.to_vec(),
    )
    .unwrap();
    let proof = prover
        .prove(&traces.iter().collect::<Vec<_>>(), &public)
        .unwrap();
    let verifier = Verifier::setup(parameters, airs, logs.to_vec()).unwrap();
    (verifier, public, serde_json::to_value(&proof).unwrap())
}

/// What one place in the tree can be turned into.
fn changed(value: &Value) -> Vec<(&'static str, Value)> {
    match value {
        Value::Array(items) => {
            let mut changed = vec![("empty", Value::Array(vec![]))];
            if let Some(last) = items.last() {
                changed.push(("shorter", items[..items.len() - 1].into()));
                changed.push((
                    "longer",
                    [&items[..], std::slice::from_ref(last)].concat().into(),
                ));
                changed.push(("doubled", [&items[..], &items[..]].concat().into()));
                changed.push(("cut to one", items[..1].into()));
            }
            changed.push(("left out", Value::Null));
            changed.retain(|(_, new)| new != value);
            changed
        }
        Value::Number(number) => {
            let number = number.as_u64().unwrap();
            vec![
                ("one more", (number + 1).into()),
                ("zero", 0.into()),
                ("huge", u64::MAX.into()),
                ("left out", Value::Null),
            ]
        }
        Value::Object(_) => vec![("left out", Value::Null)],
        // An optional part that is not there: a list, or a number.
        Value::Null => vec![("made up", Value::Array(vec![])), ("made up", 0.into())],
        _ => vec![],
    }
}

/// Pointers to the places of a tree. Of a long list the first and the last item stand for all.
fn places(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    match value {
        Value::Array(items) => {
            let ends = [0, items.len().saturating_sub(1)];
            for (i, item) in items.iter().enumerate().filter(|(i, _)| ends.contains(i)) {
                places(item, &format!("{here}/{i}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                places(field, &format!("{here}/{name}"), found);
            }
        }
        _ => {}
    }
}

fn every_change_is_rejected(parameters: &LeafParameters) {
    let (verifier, public, proof) = honest(parameters);
    let verify = |proof: &Value| {
        let decoded = serde_json::from_value::<Proof>(proof.clone()).ok()?;
        Some(verifier.verify(&decoded, &public))
    };
    verify(&proof).unwrap().unwrap();

    let mut pointers = Vec::new();
    places(&proof, "", &mut pointers);
    let mut rejected: HashMap<&str, usize> = HashMap::new();
    let mut wrong = Vec::new();
    for pointer in &pointers {
        for (how, new) in changed(proof.pointer(pointer).unwrap()) {
            let mut other = proof.clone();
            *other.pointer_mut(pointer).unwrap() = new;
            if other == proof {
                continue;
            }
            match catch_unwind(AssertUnwindSafe(|| verify(&other))) {
                // Not a proof of this type.
                Ok(None) => {}
                Ok(Some(Err(ProverError::Rejected { .. }))) => {
                    *rejected.entry(how).or_default() += 1;
                }
                Ok(Some(result)) => wrong.push(format!("{pointer} {how}: {result:?}")),
                Err(_) => wrong.push(format!("{pointer} {how}: a panic")),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The test has seen what it is about.
    for how in ["empty", "shorter", "longer", "doubled", "one more"] {
        assert!(rejected.get(how).is_some_and(|&n| n > 10), "{rejected:?}");
    }
}

/// By a check of our own, before p3 looks: p3 has no use for further digests of a cap, and would let them pass.
#[test]
fn caps_of_another_size_are_refused_as_such() {
    let (verifier, public, proof) = honest(&SMALL);
    let mut pointers = Vec::new();
    places(&proof, "", &mut pointers);
    let caps: Vec<_> = pointers
        .into_iter()
        .filter(|pointer| pointer.ends_with("/cap"))
        .collect();
    assert!(caps.len() >= 4, "{caps:?}");
    for pointer in caps {
        let cap = proof.pointer(&pointer).unwrap().as_array().unwrap();
        assert_eq!(cap.len(), 2);
        for digests in [&cap[..1], &[&cap[..], &cap[..]].concat()] {
            let mut other = proof.clone();
            *other.pointer_mut(&pointer).unwrap() = digests.into();
            let other: Proof = serde_json::from_value(other).unwrap();
            let refusal = verifier.verify(&other, &public).unwrap_err();
            assert!(
                refusal.to_string().contains("number of digests"),
                "{pointer}: {refusal}"
            );
        }
    }
}

#[test]
fn with_caps_of_two_roots() {
    every_change_is_rejected(&SMALL);
}

/// As the profiles have it: the root alone, so that a doubled cap has two roots.
#[test]
fn with_single_roots() {
    every_change_is_rejected(&LeafParameters {
        cap_height: 0,
        ..SMALL
    });
}
