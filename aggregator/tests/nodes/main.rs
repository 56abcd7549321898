//! A tree end to end: segments of a file, lifted, shrunk and joined, at tiny parameters that exist only here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::time::Instant;

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use starkwright_aggregator::node::{
    AllowedKeys, Join, Lift, NodeKey, NodeProof, NodeProver, Shrink, Uniform,
};
use starkwright_aggregator::statement::{Digest, TreeStatement};
use starkwright_hal::{Cpu, KoalaBear4, Poseidon2Merkle};
use starkwright_prover::machine::Machine;
use starkwright_prover::machine::keccak::{
    KeccakMachine, Segment, SegmentShape, SegmentTrace, Segmenter,
};
use starkwright_prover::profile::LeafParameters;
use starkwright_prover::prove::{BatchProver, StockBatchProof};

type F = KoalaBear;
type E = KoalaBear4;
type Proof = StockBatchProof<F, E, Poseidon2Merkle>;

const TINY: LeafParameters = LeafParameters {
    extension_degree: 4,
    log_blowup: 1,
    num_queries: 2,
    log_final_poly_len: 1,
    max_log_arity: 3,
    cap_height: 0,
    lookup_pow_bits: 0,
    ood_pow_bits: 0,
    batch_pow_bits: 1,
    commit_pow_bits: 0,
    query_pow_bits: 2,
};

fn segments() -> Vec<Segment> {
    let file: Vec<u8> = (0..3 * 85 * 136 - 17)
        .map(|i| (i * 7 % 251) as u8)
        .collect();
    let shape = SegmentShape::from_capacity(85).unwrap();
    Segmenter::new(file.as_slice(), shape, [5; 8])
        .collect::<Result<_, _>>()
        .unwrap()
}

fn leaf(device: &Cpu<F>, segment: &Segment) -> Proof {
    let heights = vec![segment.shape.log_height(); 2];
    let prover = BatchProver::<F, E, Poseidon2Merkle, _, _>::setup(
        device,
        &TINY,
        KeccakMachine::tables(),
        heights,
    );
    let trace = SegmentTrace::<F>::generate(segment).unwrap();
    let public_values = [Vec::new(), trace.public_values];
    prover
        .unwrap()
        .prove(&[&trace.permutation, &trace.sponge], &public_values)
        .unwrap()
}

/// A proof that verifies, under its statement's digest and no other.
fn verifies(prover: &NodeProver<E, Cpu<F>>, proof: &NodeProof<E>) {
    let verifier = prover.verifier();
    let mut values = proof.public_values();
    verifier.verify(&proof.proof, &[values.clone()]).unwrap();
    values[3] += F::ONE;
    verifier.verify(&proof.proof, &[values]).unwrap_err();
}

fn timed<R>(what: &str, run: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = run();
    println!("{what}: {:.2?}", start.elapsed());
    result
}

#[test]
fn three_segments_become_one_proof() {
    let device = Cpu::<F>::new();
    let segments = segments();
    assert_eq!(segments.len(), 3);
    let log_leaf = segments[0].shape.log_height();
    let lift = timed("set up lift", || {
        Lift::setup(&device, (log_leaf, &TINY), (16, &TINY)).unwrap()
    });
    println!(
        "{:?} {:?}",
        lift.node().circuit().cost(),
        lift.node().circuit().sections()
    );
    let uniform = Uniform::new::<E>(14, &TINY, lift.tails()).unwrap();
    let shrink = timed("set up shrink", || {
        Shrink::setup(&device, lift.node(), &TINY, &uniform).unwrap()
    });
    println!(
        "{:?} {:?}",
        shrink.node().circuit().cost(),
        shrink.node().circuit().sections()
    );
    let join = timed("set up join", || Join::setup(&device, &uniform).unwrap());
    println!(
        "{:?} {:?}",
        join.node().circuit().cost(),
        join.node().circuit().sections()
    );
    let keys: [NodeKey; 2] = [shrink.node().key().clone(), join.node().key().clone()];
    let allowed = AllowedKeys::new(&keys).unwrap();
    let root: Digest = allowed.root();

    let leaves: Vec<NodeProof<E>> = segments
        .iter()
        .map(|segment| {
            let proof = timed("leaf", || leaf(&device, segment));
            let lifted = timed("lift", || {
                lift.prove(&segment.statement, &proof, &root).unwrap()
            });
            verifies(lift.node(), &lifted);
            let shrunk = timed("shrink", || shrink.prove(lift.node(), &lifted).unwrap());
            verifies(shrink.node(), &shrunk);
            shrunk
        })
        .collect();
    let [a, b, c] = leaves.as_slice() else {
        panic!()
    };
    let (leaf_key, join_key) = (shrink.node().key(), join.node().key());
    let ab = timed("join", || {
        join.prove((leaf_key, a), Some((leaf_key, b)), &allowed)
            .unwrap()
    });
    verifies(join.node(), &ab);
    let abc = timed("join", || {
        join.prove((join_key, &ab), Some((leaf_key, c)), &allowed)
            .unwrap()
    });
    verifies(join.node(), &abc);
    let alone = timed("join", || {
        join.prove((join_key, &abc), None, &allowed).unwrap()
    });
    verifies(join.node(), &alone);

    let native = TreeStatement::join(
        &TreeStatement::join(&a.statement, &b.statement).unwrap(),
        &c.statement,
    )
    .unwrap();
    assert_eq!(alone.statement, native);
    assert!(native.first && native.last && native.count == 3);
    // Neighbours in the wrong order, and a gap, are refused by name.
    assert!(
        join.prove((leaf_key, b), Some((leaf_key, a)), &allowed)
            .is_err()
    );
    assert!(
        join.prove((leaf_key, a), Some((leaf_key, c)), &allowed)
            .is_err()
    );
    // A key that is not allowed is refused.
    let others = AllowedKeys::new(&keys[..1]).unwrap();
    assert!(
        join.prove((join_key, &ab), Some((leaf_key, c)), &others)
            .is_err()
    );
}
