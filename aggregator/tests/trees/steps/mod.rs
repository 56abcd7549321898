//! Jobs proven step by step, through bytes alone, at tiny parameters that exist only here.

mod refused;
mod whole;
mod world;

use std::io;

use p3_field::PrimeCharacteristicRing;
use starkwright_aggregator::AggregatorError;
use starkwright_aggregator::node_file::{Kind, NodeFile};
use starkwright_aggregator::statement::{Level, TreeStatement, accumulate, item_of};
use starkwright_aggregator::steps::{
    Child, PlannedStep, Step, StepKind, StepProver, StepVerifier, Work, circuits_version,
};
use starkwright_hal::Cpu;
use starkwright_prover::keccak_file::Val;
use starkwright_prover::profile::Profile;
use tiny_keccak::{Hasher, Keccak};

use world::{World, file, options};

fn names(plan: &[PlannedStep]) -> Vec<&'static str> {
    plan.iter().map(|step| step.step.kind().name()).collect()
}

fn keccak(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    let mut hasher = Keccak::v256();
    hasher.update(bytes);
    hasher.finalize(&mut digest);
    digest
}

/// What the wrap over these files must state, without a tree.
fn states(statement: &TreeStatement, files: &[Vec<u8>]) {
    let options = options(Profile::Conjectured100);
    let mut accumulator = options.old;
    for (index, file) in files.iter().enumerate() {
        let item = item_of(&keccak(file), file.len() as u64);
        accumulator = accumulate(options.first + index as u64, &accumulator, &item);
    }
    assert_eq!(statement.level, Level::Items);
    assert_eq!((statement.begin, statement.end), (options.old, accumulator));
    assert_eq!(statement.first_index, options.first);
    assert_eq!(statement.count, files.len() as u64);
    assert_eq!(statement.context, options.context.map(Val::from_u32));
}

/// Two files, of one segment and of three: every proof is made from bytes, verified, and refused for every other step.
#[test]
fn a_job_is_proven_step_by_step() {
    let world = World::new();
    let files = [file(1), file(3)];
    let plan = world.plan(&files).unwrap();
    let leaf = ["leaf", "lift", "shrink"];
    let second = [&leaf[..], &leaf, &["join"], &leaf, &["join", "close"]].concat();
    let all = [&leaf[..], &["close"], &second, &["join", "wrap"]].concat();
    assert_eq!(names(&plan), all);

    let root = world.verifier.plan_root(&plan);
    states(&root, &files);
    let proofs = world.prove(&plan, &files);
    for (step, proof) in plan.iter().zip(&proofs) {
        for (other, others) in plan.iter().zip(&proofs) {
            let verified = world.verifier.verify(&other.step, proof);
            assert_eq!(verified.is_ok(), step == other, "{verified:?}");
            assert_eq!(proof == others, step == other);
        }
    }
    refused::changed_proofs(&world, &plan, &proofs);
    refused::other_inputs(&world, &plan, &files, &proofs);
    refused::a_lift_as_a_file(&plan, &proofs);

    let wrap = NodeFile::from_bytes(proofs.last().unwrap()).unwrap();
    assert_eq!((wrap.kind, wrap.statement), (Kind::Wrap, root));
}

/// What fleets need of provers and verifiers.
#[test]
fn they_can_be_shared_between_threads() {
    const fn shared<T: Send + Sync>() {}
    shared::<StepVerifier>();
    shared::<StepProver<Cpu<Val>>>();
    shared::<Step>();
}

/// Under the library's keys, both profiles.
#[test]
fn plans_name_their_steps() {
    let verifier = StepVerifier::new();
    for profile in Profile::ALL {
        let plan = |files: &[Vec<u8>]| {
            let open = |file: usize| Ok(files[file].as_slice());
            verifier.plan(files.len(), open, &options(profile))
        };
        let short = vec![1, 2, 3];
        let alone = plan(std::slice::from_ref(&short)).unwrap();
        // A single segment is closed as it is, a single item is passed on by a join.
        let kinds = ["leaf", "lift", "shrink", "close", "join", "wrap"];
        assert_eq!(names(&alone), kinds);
        let levels: Vec<u32> = alone.iter().map(|step| step.level).collect();
        assert_eq!(levels, [0, 1, 2, 3, 4, 5]);
        let Work::Join { left, right, .. } = alone[4].step.work() else {
            panic!()
        };
        assert_eq!((*left, *right), (Child::Close, None));
        let Work::Close { child, .. } = alone[3].step.work() else {
            panic!()
        };
        assert_eq!(*child, Child::Shrink { log_leaf: 11 });

        // The same file twice, an empty one, and one that fills two segments of 85 blocks and begins a third.
        let files = [short.clone(), short, Vec::new(), vec![9; 2 * 85 * 136]];
        let plan = plan(&files).unwrap();
        let mut places = std::collections::BTreeSet::new();
        for (number, step) in plan.iter().enumerate() {
            assert!(step.children.iter().all(|&child| child < number));
            assert_eq!(step.children.len(), step.step.children());
            assert_eq!(step.input.is_some(), step.children.is_empty());
            assert_eq!(step.circuit_key.len(), 64);
            assert!(step.cells > 1 << 17, "{}", step.cells);
            let place = (step.item, step.level, step.index, step.count);
            assert!(places.insert((place, step.circuit_key.clone())));
            let bytes = step.step.to_bytes().unwrap();
            assert_eq!(Step::from_bytes(&bytes).unwrap(), step.step);
            if let (StepKind::Leaf { .. }, Some(input)) = (step.step.kind(), step.input) {
                let end = input.offset + input.length;
                assert!(end <= files[input.file].len() as u64);
            }
        }
        let mut needed: Vec<usize> = plan.iter().flat_map(|step| step.children.clone()).collect();
        needed.sort_unstable();
        assert_eq!(needed, (0..plan.len() - 1).collect::<Vec<_>>());
        let root = plan.last().unwrap().step.statement(&[Val::ZERO; 8]);
        states(&root.unwrap(), &files);
    }
}

#[test]
fn what_cannot_be_planned_is_refused() {
    let verifier = StepVerifier::new();
    let good = options(Profile::Conjectured100);
    let open = |_| Ok([7; 3].as_slice());
    let refused = verifier.plan(0, open, &good);
    assert!(matches!(refused, Err(AggregatorError::NoInput)));
    let gone = |_| -> io::Result<&[u8]> { Err(io::Error::other("it is gone")) };
    let refused = verifier.plan(1, gone, &good).unwrap_err();
    assert_eq!(refused.to_string(), "cannot read input 0: it is gone");
    let mut other = good;
    other.context[7] = u32::MAX;
    let refused = verifier.plan(1, open, &other);
    assert!(matches!(refused, Err(AggregatorError::Segment { .. })));
    let mut other = good;
    other.first = u64::MAX;
    let refused = verifier.plan(2, open, &other);
    assert!(matches!(refused, Err(AggregatorError::Range { .. })));
}

#[test]
fn the_version_is_sixteen_digits() {
    let version = circuits_version().unwrap();
    assert_eq!(version.len(), 16);
    let digit = |digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    assert!(version.bytes().all(digit));
    assert_eq!(version, circuits_version().unwrap());
}
