//! Lifts: a machine's proof as a leaf of the tree.

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::{Algebra, PrimeCharacteristicRing};
use p3_koala_bear::KoalaBear;
use starkwright_hal::{Backend, Extension, Poseidon2Merkle};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::machine::Machine;
use starkwright_prover::machine::keccak::public_values as pv;
use starkwright_prover::machine::keccak::{KeccakMachine, SegmentStatement};
use starkwright_prover::profile::LeafParameters;
use starkwright_prover::prove::StockBatchProof;

use super::key::Role;
use super::proof::{NodeProof, NodeProver};
use super::statement::TAG;
use crate::AggregatorError;
use crate::circuit::layout::CELL_WORDS;
use crate::circuit::{Base, Builder, Octet, Source};
use crate::statement::hash::{SEGMENT_TAG, STATE_TAG};
use crate::statement::{Digest, leaf_of_keccak};
use crate::verify::{ProofParts, ProofShape, ProofWords, verify};

type F = KoalaBear;

/// Lifts proofs of the Keccak-256 machine at one height.
pub struct Lift<E: Extension<F>, B: Backend<F>>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    shape: ProofShape,
    parts: ProofParts,
    tails: Vec<u8>,
    prover: NodeProver<E, B>,
}

impl<E: Extension<F>, B: Backend<F>> Lift<E, B>
where
    Poseidon2Merkle: Protocol<F, E>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    /// The lift of segments whose tables have `2^log_leaf` rows, proven with `leaf`, in a table of `2^log_height` rows,
    /// proven with `own`.
    ///
    /// # Errors
    /// [`AggregatorError::TooManyRows`] where the height is not enough; set-up's and the device's.
    pub fn setup(
        device: &B,
        (log_leaf, leaf): (usize, &LeafParameters),
        (log_height, own): (usize, &LeafParameters),
    ) -> Result<Self, AggregatorError> {
        let airs = KeccakMachine::tables();
        let shape = ProofShape::new::<E, _>(&airs, &vec![log_leaf; airs.len()], leaf)?;
        let mut builder = Builder::new(E::RULE, &shape.tails());
        let (_, root) = builder.input_words();
        let values: Vec<Base> = (0..pv::NUM_PUBLIC_VALUES.div_ceil(CELL_WORDS))
            .flat_map(|_| builder.input_words().0)
            .collect();
        for &unused in &values[pv::NUM_PUBLIC_VALUES..] {
            builder.assert_zero(unused.into());
        }
        let values = &values[..pv::NUM_PUBLIC_VALUES];
        // In the machine's order: the Keccak-f table states nothing.
        let public_values = [Vec::new(), values.to_vec()];
        let parts = verify(&mut builder, &shape, 0, &public_values, None);
        let statement =
            builder.section("statement", |builder| leaf_statement(builder, values, root));
        builder.publish(statement);
        let circuit = builder.compile(log_height)?;
        let tails = ProofShape::new::<E, _>(&[circuit.air().clone()], &[log_height], own)?.tails();
        let identity = (Role::Lift, KeccakMachine::ID, KeccakMachine::VERSION);
        Ok(Self {
            shape,
            parts,
            tails,
            prover: NodeProver::setup(device, own, circuit, identity)?,
        })
    }

    /// The circuit and its key.
    #[must_use]
    pub const fn node(&self) -> &NodeProver<E, B> {
        &self.prover
    }

    /// Lengths of short last blocks that verifying its proofs meets: for [`Uniform::new`](super::Uniform::new).
    #[must_use]
    pub fn tails(&self) -> &[u8] {
        &self.tails
    }

    /// Lifts a segment's proof into a tree with this root of allowed keys.
    ///
    /// # Errors
    /// [`AggregatorError::Segment`], [`AggregatorError::ProofShape`], the device's. A false proof gives a proof that does
    /// not verify.
    pub fn prove(
        &self,
        segment: &SegmentStatement,
        proof: &StockBatchProof<F, E, Poseidon2Merkle>,
        allowed_root: &Digest,
    ) -> Result<NodeProof<E>, AggregatorError> {
        let statement = leaf_of_keccak(segment, allowed_root)?;
        let values: Vec<F> =
            segment
                .to_public_values()
                .map_err(|source| AggregatorError::Segment {
                    index: segment.index,
                    source,
                })?;
        let mut head = allowed_root.to_vec();
        head.extend(values);
        head.resize(head.len().next_multiple_of(CELL_WORDS), F::ZERO);
        let source = OneProof {
            head,
            first: self.parts.first,
            words: ProofWords::new(&self.shape, proof),
        };
        self.prover.prove(statement, source)
    }
}

/// The digest of a leaf's statement, from the machine's public values: [`leaf_of_keccak`] in a circuit.
fn leaf_statement(builder: &mut Builder, values: &[Base], root: Octet) -> Octet {
    let zero = builder.base_constant(F::ZERO);
    let [state, segment, tree, one] =
        [STATE_TAG, SEGMENT_TAG, TAG, 1].map(|k| builder.base_constant(F::from_u32(k)));
    let identity = [values[pv::ID], values[pv::VERSION]];
    let hash = |builder: &mut Builder, words: &[Base]| {
        let blocks: Vec<Octet> = words
            .chunks(CELL_WORDS)
            .map(|block| {
                builder.unspell(core::array::from_fn(|i| {
                    block.get(i).copied().unwrap_or(zero)
                }))
            })
            .collect();
        builder.hash_cells(&blocks)
    };
    let state_digest = |builder: &mut Builder, lanes: usize, blocks: usize, bytes: usize| {
        let mut words = vec![state, identity[0], identity[1], zero];
        words.extend(&values[blocks..blocks + 4]);
        words.extend(&values[lanes..lanes + 100]);
        words.extend(&values[bytes..bytes + 4]);
        hash(builder, &words)
    };
    let begin = state_digest(
        builder,
        pv::STATE_BEFORE,
        pv::BLOCKS_BEFORE,
        pv::BYTES_BEFORE,
    );
    let end = state_digest(builder, pv::STATE_AFTER, pv::BLOCKS_AFTER, pv::BYTES_AFTER);
    let (first, last) = (values[pv::FIRST], values[pv::LAST]);
    let flags = builder.sum_base([(F::ONE, first), (F::TWO, last)]);
    let index = &values[pv::INDEX..pv::INDEX + 4];
    let head = core::array::from_fn(|i| match i {
        0 => segment,
        1 | 2 => identity[i - 1],
        3 => flags,
        _ => index[i - 4],
    });
    let head = builder.unspell(head);
    let list = builder.hash_cells(&[head, begin, end]);
    let head = core::array::from_fn(|i| match i {
        0 => tree,
        1 => zero,
        2 => first,
        3 => last,
        _ => index[i - 4],
    });
    let head = builder.unspell(head);
    let context = builder.unspell(core::array::from_fn(|i| values[pv::CONTEXT + i]));
    let count = builder.unspell(core::array::from_fn(|i| if i == 0 { one } else { zero }));
    builder.hash_cells(&[head, context, begin, end, list, root, count])
}

/// The input of a circuit that verifies one proof: words of its own, then the proof's parts.
pub(super) struct OneProof<'a, E: Extension<F>>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    pub(super) head: Vec<F>,
    pub(super) first: usize,
    pub(super) words: ProofWords<'a, E>,
}

impl<E: Extension<F>> Source for OneProof<'_, E>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    fn part(&mut self, part: usize, known: &[[F; CELL_WORDS]]) -> Result<Vec<F>, AggregatorError> {
        match part.checked_sub(self.first) {
            Some(part) => self.words.part(part, known),
            None => Ok(core::mem::take(&mut self.head)),
        }
    }
}
