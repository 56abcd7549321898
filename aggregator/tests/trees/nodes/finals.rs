//! Final proofs of several numbers of leaves under a profile: bytes, and permutations in their verification.
//!
//! Leaves are the segments of one file and as short as they may be; the tree of each count takes the first ones, and shares its
//! nodes with the others.

use std::collections::BTreeMap;
use std::error::Error;

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use p3_koala_bear::KoalaBear;
use serde::Serialize;
use serde::de::DeserializeOwned;
use starkwright_aggregator::node::{
    Circuits, Layers, NodeKey, NodeProof, Verifiers, keccak_heights,
};
use starkwright_aggregator::node_file::{Kind, NodeFile};
use starkwright_aggregator::schedule::Schedule;
use starkwright_aggregator::tree::{CanonicalTree, Interval};
use starkwright_hal::{Cpu, Extension, Keccak256Merkle, Poseidon2Merkle};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::machine::Machine;
use starkwright_prover::machine::keccak::{KeccakMachine, SegmentShape, SegmentTrace, Segmenter};
use starkwright_prover::profile::Profile;
use starkwright_prover::prove::BatchProver;

use super::counting;

type F = KoalaBear;
type Anything<T> = Result<T, Box<dyn Error>>;

const BLOCKS: usize = 85;

/// Bytes of the root, its seal and its wrap; Poseidon2 permutations in the verification of the first two, Keccak-f ones in that
/// of the wrap.
pub(crate) type Figures = [u64; 6];

struct World<E: Extension<F>>
where
    Poseidon2Merkle: Protocol<F, E>,
    Keccak256Merkle: Protocol<F, E>,
{
    profile: Profile,
    circuits: Circuits<E, Cpu<F>>,
    nodes: BTreeMap<Interval, NodeProof<E>>,
}

/// Makes the trees of these numbers of leaves, one after the other, and tells their figures to `row`.
pub(crate) fn figures<E>(
    profile: Profile,
    counts: &[u64],
    mut row: impl FnMut(u64, Figures),
) -> Anything<()>
where
    E: Extension<F> + Serialize + DeserializeOwned,
    SymbolicExpressionExt<F, E>: Algebra<E>,
    Poseidon2Merkle: Protocol<F, E>,
    Keccak256Merkle: Protocol<F, E>,
{
    let mut world = World {
        profile,
        circuits: Circuits::<E, _>::new(&Cpu::new(), profile)?,
        nodes: BTreeMap::new(),
    };
    let most = counts.iter().copied().max().ok_or("no counts")?;
    world.leaves(most as usize)?;
    for &count in counts {
        let alone = match count {
            1 => Some(world.join(Interval::leaf(0), None)?),
            _ => None,
        };
        let root = world.root(count)?;
        row(
            count,
            world.figures(alone.as_ref().unwrap_or(&world.nodes[&root]))?,
        );
    }
    Ok(())
}

impl<E> World<E>
where
    E: Extension<F> + Serialize + DeserializeOwned,
    SymbolicExpressionExt<F, E>: Algebra<E>,
    Poseidon2Merkle: Protocol<F, E>,
    Keccak256Merkle: Protocol<F, E>,
{
    fn leaves(&mut self, count: usize) -> Anything<()> {
        let shape = SegmentShape::from_capacity(BLOCKS).ok_or("no such shape")?;
        let prover = BatchProver::<F, E, Poseidon2Merkle, _, _>::setup(
            self.circuits.device(),
            &self.profile.leaf(),
            KeccakMachine::tables(),
            vec![shape.log_height(); 2],
        )?;
        let entrance = self.circuits.entrance(shape.log_height())?;
        let root = self.circuits.allowed().root();
        let file: Vec<u8> = (0..count * BLOCKS * 136 - 17)
            .map(|i| (i * 7 % 251) as u8)
            .collect();
        for (index, segment) in Segmenter::new(file.as_slice(), shape, [5; 8]).enumerate() {
            let segment = segment?;
            let trace = SegmentTrace::<F>::generate(&segment)?;
            let values = [Vec::new(), trace.public_values];
            let proof = prover.prove(&[&trace.permutation, &trace.sponge], &values)?;
            let lifted = entrance.lift.prove(&segment.statement, &proof, &root)?;
            let shrunk = entrance.shrink.prove(entrance.lift.node(), &lifted)?;
            self.nodes.insert(Interval::leaf(index as u64), shrunk);
        }
        Ok(())
    }

    fn key(&self, node: &NodeProof<E>) -> Anything<&NodeKey> {
        let keys = self.circuits.keys();
        match node.statement.count {
            1 => Ok(keys.shrinks.values().next().ok_or("no shrink")?),
            _ => Ok(&keys.join),
        }
    }

    fn join(&self, left: Interval, right: Option<Interval>) -> Anything<NodeProof<E>> {
        let keyed = |place: &Interval| -> Anything<_> {
            let node = &self.nodes[place];
            Ok((self.key(node)?, node))
        };
        let right = right.as_ref().map(keyed).transpose()?;
        let join = self.circuits.join()?;
        Ok(join.prove(keyed(&left)?, right, self.circuits.allowed())?)
    }

    /// Makes the nodes of the canonical tree that are not there yet.
    fn root(&mut self, count: u64) -> Anything<Interval> {
        let mut schedule = Schedule::new(CanonicalTree::new(0, count)?);
        let mut ready = Vec::new();
        for index in 0..count {
            ready.extend(schedule.leaf_done(index)?.ready);
        }
        while let Some(join) = ready.pop() {
            if count > 1 && !self.nodes.contains_key(&join.node) {
                let node = self.join(join.children[0], Some(join.children[1]))?;
                self.nodes.insert(join.node, node);
            }
            ready.extend(schedule.node_done(join.node)?.ready);
        }
        Ok(schedule.root().ok_or("no root")?)
    }

    fn figures(&self, root: &NodeProof<E>) -> Anything<Figures> {
        let (circuits, layers) = (&self.circuits, Layers::of(self.profile));
        let (join, seal, wrap) = (circuits.join()?, circuits.seal()?, circuits.wrap()?);
        let sealed = seal.prove((join.node().key(), root), circuits.allowed())?;
        let wrapped = wrap.prove(&seal, &sealed)?;
        let shape = Verifiers::new::<E>(&layers, &keccak_heights())?.wrap_shape::<E>()?;
        let bytes = |node| -> Anything<usize> {
            Ok(NodeFile::of_node(self.profile, Kind::Join, node)?.proof_bytes())
        };
        let wrap_bytes = NodeFile::of_wrap(self.profile, &shape, &wrapped)?.proof_bytes();
        assert!(wrap_bytes <= shape.max_bytes(), "above its stated maximum");
        Ok([
            bytes(root)? as u64,
            bytes(&sealed)? as u64,
            wrap_bytes as u64,
            counting::of_node(
                join.node().circuit(),
                &layers.uniform.1,
                join.node().key(),
                root,
            ),
            counting::of_node(
                seal.node().circuit(),
                &layers.seal.1,
                seal.node().key(),
                &sealed,
            ),
            counting::of_wrap(wrap.circuit(), &layers.wrap.1, wrap.key(), &wrapped),
        ])
    }
}
