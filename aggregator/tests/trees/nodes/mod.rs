//! Whole trees at tiny parameters that exist only here: every node is proven, and verified by stock p3 under its key.

mod counting;
mod counts;
mod finals;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use sha2::{Digest, Sha256};
use starkwright_aggregator::AggregatorError;
use starkwright_aggregator::node::{
    AllowedKeys, Circuits, NodeKey, NodeProof, Verifiers, WrapProof,
};
use starkwright_aggregator::node_file::{Kind, NodeFile};
use starkwright_aggregator::schedule::Schedule;
use starkwright_aggregator::statement::{KeccakOpening, Level, TreeStatement, accumulate};
use starkwright_aggregator::tree::{CanonicalTree, Interval};
use starkwright_hal::{Cpu, KoalaBear4, Poseidon2Merkle};
use starkwright_prover::machine::Machine;
use starkwright_prover::machine::keccak::{KeccakMachine, Segment, SegmentTrace, Segmenter};
use starkwright_prover::profile::Profile;
use starkwright_prover::prove::BatchProver;

use crate::tiny::{LAYERS, TINY, keys, shape};

type F = KoalaBear;
type E = KoalaBear4;
type Node = NodeProof<E>;

/// The segments of a file that fills `count` of them, but for a few bytes.
fn segments(count: usize) -> Vec<Segment> {
    let file: Vec<u8> = (0..count * 85 * 136 - 17)
        .map(|i| (i * 7 % 251) as u8)
        .collect();
    Segmenter::new(file.as_slice(), shape(), [5; 8])
        .collect::<Result<_, _>>()
        .unwrap()
}

struct World {
    circuits: Circuits<E, Cpu<F>>,
    verifiers: Verifiers,
}

impl World {
    fn new() -> Self {
        let device = Cpu::<F>::new();
        let heights = [shape().log_height()];
        let keys = keys().clone();
        // The profile is but a name in errors here.
        let allowed = keys.allowed(Profile::Conjectured100).unwrap();
        Self {
            circuits: Circuits::with_keys(&device, &LAYERS, &heights, keys, allowed).unwrap(),
            verifiers: Verifiers::new::<E>(&LAYERS, &heights).unwrap(),
        }
    }

    fn allowed(&self) -> &AllowedKeys {
        self.circuits.allowed()
    }

    fn shrink_key(&self) -> &NodeKey {
        &self.circuits.keys().shrinks[&shape().log_height()]
    }

    fn join_key(&self) -> &NodeKey {
        &self.circuits.keys().join
    }

    /// The key of a node of a tree of segments.
    fn key(&self, leaves: u64) -> &NodeKey {
        match leaves {
            1 => self.shrink_key(),
            _ => self.join_key(),
        }
    }

    /// A proof that verifies under this key, for its statement and no other.
    fn verifies(&self, key: &NodeKey, node: &Node) {
        let verifier = self.verifiers.node::<E>(key).unwrap();
        node.verify(&verifier).unwrap();
        let mut values = node.public_values();
        values[3] += F::ONE;
        verifier.verify(&node.proof, &[values]).unwrap_err();
    }

    /// Leaves of these segments.
    fn leaves(&self, segments: &[Segment]) -> Vec<Node> {
        let device = Cpu::<F>::new();
        let heights = vec![shape().log_height(); 2];
        let prover = BatchProver::<F, E, Poseidon2Merkle, _, _>::setup(
            &device,
            &TINY,
            KeccakMachine::tables(),
            heights,
        )
        .unwrap();
        let entrance = self.circuits.entrance(shape().log_height()).unwrap();
        let root = self.allowed().root();
        let leaf = |segment: &Segment| {
            let trace = SegmentTrace::<F>::generate(segment).unwrap();
            let values = [Vec::new(), trace.public_values];
            let proof = prover
                .prove(&[&trace.permutation, &trace.sponge], &values)
                .unwrap();
            let lifted = entrance
                .lift
                .prove(&segment.statement, &proof, &root)
                .unwrap();
            lifted.verify(&entrance.lift.node().verifier()).unwrap();
            let shrunk = entrance
                .shrink
                .prove(entrance.lift.node(), &lifted)
                .unwrap();
            self.verifies(self.shrink_key(), &shrunk);
            shrunk
        };
        segments.iter().map(leaf).collect()
    }

    /// In its encoding, under a checksum that fits: what the parser takes, p3 refuses.
    fn every_flipped_bit_of_a_wrap_is_refused(&self, wrapped: &WrapProof<E>) {
        let shape = self.verifiers.wrap_shape::<E>().unwrap();
        let verifier = self.verifiers.wrap::<E>(self.circuits.keys()).unwrap();
        let verify = |bytes: &[u8]| {
            NodeFile::from_bytes(bytes)?
                .wrap::<E>(&shape)?
                .verify(&verifier)
        };
        let file = NodeFile::of_wrap(Profile::Conjectured100, &shape, wrapped).unwrap();
        assert!(file.proof_bytes() <= shape.max_bytes());
        let honest = file.to_bytes().unwrap();
        verify(&honest).unwrap();
        let end = honest.len() - 32;
        for at in (0..end).step_by(end / 150) {
            let mut bytes = honest[..end].to_vec();
            bytes[at] ^= 1 << (at % 8);
            let checksum = Sha256::digest(&bytes);
            bytes.extend(checksum);
            assert!(verify(&bytes).is_err(), "byte {at}");
        }
    }

    fn join(&self, left: &Node, right: Option<&Node>) -> Result<Node, AggregatorError> {
        let keyed = |node| (self.key(leaves_of(node)), node);
        let join = self.circuits.join().unwrap();
        join.prove(keyed(left), right.map(keyed), self.allowed())
    }
}

fn leaves_of(node: &Node) -> u64 {
    node.statement.count
}

/// Segments to lift, shrink, join, close, join of items, seal, wrap.
#[test]
fn a_file_becomes_an_item_and_a_wrap() {
    let world = World::new();
    let segments = segments(3);
    let leaves = world.leaves(&segments);
    let [a, b, c] = leaves.as_slice() else {
        panic!()
    };
    let ab = world.join(a, Some(b)).unwrap();
    let abc = world.join(&ab, Some(c)).unwrap();
    world.verifies(world.join_key(), &abc);
    let native = TreeStatement::join(&a.statement, &b.statement).unwrap();
    let native = TreeStatement::join(&native, &c.statement).unwrap();
    assert_eq!(abc.statement, native);
    assert!(native.first && native.last && native.count == 3);
    // Neighbours in the wrong order, and a gap, are refused by name; a key that is not allowed, too.
    assert!(world.join(b, Some(a)).is_err());
    assert!(world.join(a, Some(c)).is_err());
    let others = AllowedKeys::new(&[world.shrink_key().clone()]).unwrap();
    let join = world.circuits.join().unwrap();
    let refused = join.prove(
        (world.join_key(), &ab),
        Some((world.shrink_key(), c)),
        &others,
    );
    assert!(matches!(refused, Err(AggregatorError::UnknownKey)));

    // The same file twice: two items, from index 4 on.
    let close = world.circuits.close().unwrap();
    let close_key = &world.circuits.keys().close;
    let opening = KeccakOpening::after(&segments[2].statement);
    let mut old = [F::TWO; 8];
    let mut items = Vec::new();
    for position in [4, 5] {
        let item = close
            .prove(
                (world.join_key(), &abc),
                &opening,
                (position, &old),
                world.allowed(),
            )
            .unwrap();
        world.verifies(close_key, &item);
        assert_eq!(item.statement.level, Level::Items);
        assert_eq!(
            item.statement.end,
            accumulate(position, &old, &opening.item())
        );
        old = item.statement.end;
        items.push(item);
    }
    // A part of a file is no item, and segments are no items.
    let part = close.prove(
        (world.join_key(), &ab),
        &opening,
        (6, &old),
        world.allowed(),
    );
    assert!(part.is_err());
    let keyed = |place: usize| (close_key, &items[place]);
    let mixed = join.prove(keyed(0), Some((world.shrink_key(), a)), world.allowed());
    assert!(mixed.is_err());

    let top = join
        .prove(keyed(0), Some(keyed(1)), world.allowed())
        .unwrap();
    world.verifies(world.join_key(), &top);
    let seal = world.circuits.seal().unwrap();
    let refused = seal.prove((world.shrink_key(), a), world.allowed());
    assert!(matches!(refused, Err(AggregatorError::NotATop { .. })));
    let wrap = world.circuits.wrap().unwrap();
    let verifier = world.verifiers.wrap::<E>(world.circuits.keys()).unwrap();
    for (key, node) in [(world.join_key(), &top), keyed(0)] {
        let sealed = seal.prove((key, node), world.allowed()).unwrap();
        sealed.verify(&seal.node().verifier()).unwrap();
        let mut wrapped = wrap.prove(&seal, &sealed).unwrap();
        wrapped.verify(&verifier).unwrap();
        world.every_flipped_bit_of_a_wrap_is_refused(&wrapped);
        assert_eq!(wrapped.statement, node.statement);
        wrapped.statement.count += 1;
        wrapped.verify(&verifier).unwrap_err();
    }
    // A tree of other keys: its statement says so, and a seal of ours does not prove it.
    let mut foreign = top.statement;
    foreign.allowed_root = others.root();
    let foreign = Node {
        statement: foreign,
        challenges: top.challenges,
        proof: top.proof,
    };
    // With debug assertions p3 looks at the trace itself, and panics; without, the proof does not verify.
    let sealed = catch_unwind(AssertUnwindSafe(|| {
        seal.prove((world.join_key(), &foreign), world.allowed())
    }));
    if let Ok(sealed) = sealed {
        let verified = sealed.unwrap().verify(&seal.node().verifier());
        assert!(verified.is_err());
    }
}

/// Every count up to a few, and up to 64 where there is time: joins of joins, six deep, all under one key.
#[test]
fn any_number_of_segments_becomes_one_proof() {
    let counts: Vec<u64> = match std::env::var_os("STARKWRIGHT_LONG") {
        Some(_) => (1..=64).collect(),
        None => vec![1, 2, 3, 5],
    };
    let most = counts[counts.len() - 1];
    let world = World::new();
    let segments = segments(most as usize);
    let mut nodes: BTreeMap<Interval, Node> = BTreeMap::new();
    for (index, leaf) in world.leaves(&segments).into_iter().enumerate() {
        nodes.insert(Interval::leaf(index as u64), leaf);
    }
    let mut finals = counts::Finals::default();
    let mut deepest = 0;
    for &count in &counts {
        let tree = CanonicalTree::new(0, count).unwrap();
        deepest = deepest.max(tree.depth());
        let mut schedule = Schedule::new(tree);
        let mut ready = Vec::new();
        for index in (0..count).rev() {
            ready.extend(schedule.leaf_done(index).unwrap().ready);
        }
        while let Some(join) = ready.pop() {
            if count == 1 {
                let alone = world.join(&nodes[&join.node], None).unwrap();
                world.verifies(world.join_key(), &alone);
                assert_eq!(alone.statement, nodes[&join.node].statement);
                finals.add(&world, &alone);
            } else if !nodes.contains_key(&join.node) {
                let [left, right] = [0, 1].map(|child| &nodes[&join.children[child]]);
                let joined = world.join(left, Some(right)).unwrap();
                world.verifies(world.join_key(), &joined);
                nodes.insert(join.node, joined);
            }
            ready.extend(schedule.node_done(join.node).unwrap().ready);
        }
        let root = schedule.root().unwrap();
        assert_eq!(nodes[&root].statement.count, count);
        if count > 1 {
            finals.add(&world, &nodes[&root]);
        }
    }
    println!("{deepest} deep");
    finals.agree();
}

/// Under a profile, with as many queries as it has: what varies is what pruned paths share, which depends on where the queries
/// fall. Between the least and the most of a few proofs that was 4 %. Whole proofs: only where there is time
/// (`make test-long`).
#[test]
fn final_proofs_cost_the_same_whatever_they_are_of() {
    if std::env::var_os("STARKWRIGHT_LONG").is_none() {
        return;
    }
    let counts: &[u64] = &[1, 2, 3, 5, 16];
    let mut all = Vec::new();
    finals::figures::<E>(Profile::Conjectured100, counts, |count, figures| {
        println!("{count} leaves: {figures:?}");
        all.push(figures);
    })
    .unwrap();
    for place in 0..all[0].len() {
        let figures = all.iter().map(|figures| figures[place]);
        let (least, most) = (figures.clone().min().unwrap(), figures.max().unwrap());
        assert!(
            most * 100 <= least * 106,
            "figure {place}: {least} to {most}"
        );
    }
}
