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

use super::child::Input;
use super::key::Role;
use super::proof::{NodeProof, NodeProver};
use super::statement;
use super::uniform::blank_air;
use crate::AggregatorError;
use crate::circuit::layout::CELL_WORDS;
use crate::circuit::{Base, Builder};
use crate::statement::{Digest, leaf_of_keccak};
use crate::verify::{ProofParts, ProofShape, verify};

type F = KoalaBear;

/// Lifts proofs of the Keccak-256 machine at one height.
pub struct Lift<E: Extension<F>, B: Backend<F>>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    shape: ProofShape,
    parts: ProofParts,
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
        let shape = leaf_shape::<E>(log_leaf, leaf)?;
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
        let leaf_statement = builder.section("statement", |builder| {
            statement::leaf(builder, values, root)
        });
        builder.publish(leaf_statement);
        let circuit = builder.compile(log_height)?;
        let identity = (Role::Lift, KeccakMachine::ID, KeccakMachine::VERSION);
        Ok(Self {
            shape,
            parts,
            prover: NodeProver::setup(device, own, circuit, identity)?,
        })
    }

    /// The circuit and its key.
    #[must_use]
    pub const fn node(&self) -> &NodeProver<E, B> {
        &self.prover
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
        let input = Input::new(head, &self.shape, [(self.parts, proof)]);
        self.prover.prove(statement, input)
    }
}

fn leaf_shape<E>(log_leaf: usize, leaf: &LeafParameters) -> Result<ProofShape, AggregatorError>
where
    E: Extension<F>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    let airs = KeccakMachine::tables();
    ProofShape::new::<E, _>(&airs, &vec![log_leaf; airs.len()], leaf)
}

/// Lengths of short last blocks that verifying a lift's proofs meets: for [`Uniform::new`](super::Uniform::new).
///
/// # Errors
/// As [`ProofShape::new`].
pub fn tails<E>(
    (log_leaf, leaf): (usize, &LeafParameters),
    (log_height, own): (usize, &LeafParameters),
) -> Result<Vec<u8>, AggregatorError>
where
    E: Extension<F>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    let air = blank_air::<E>(&leaf_tails::<E>(log_leaf, leaf)?);
    Ok(ProofShape::new::<E, _>(&[air], &[log_height], own)?.tails())
}

/// Lengths of short last blocks that a lift meets: the flags of its own table.
pub(super) fn leaf_tails<E>(
    log_leaf: usize,
    leaf: &LeafParameters,
) -> Result<Vec<u8>, AggregatorError>
where
    E: Extension<F>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    Ok(leaf_shape::<E>(log_leaf, leaf)?.tails())
}
