//! Verifying nodes and wraps: by stock p3, under keys that come from the key file and never from a proof.

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use p3_koala_bear::KoalaBear;
use p3_symmetric::MerkleCap;
use starkwright_hal::{Extension, Keccak256Merkle, Poseidon2Merkle};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::prove::BatchVerifier;

use super::circuits::uniform;
use super::layers::Layer;
use super::lift::leaf_tails;
use super::uniform::blank_air;
use super::{Keys, Layers, NodeKey, NodeProof, Uniform, WrapProof};
use crate::AggregatorError;
use crate::circuit::CircuitAir;
use crate::verify::ProofShape;
use crate::wrap_encoding::WrapShape;

type F = KoalaBear;
type NodeVerifier<E> = BatchVerifier<F, E, Poseidon2Merkle, CircuitAir>;
type WrapVerifier<E> = BatchVerifier<F, E, Keccak256Merkle, CircuitAir>;

/// Verifiers of the uniform shape's proofs and of wraps. Nothing is set up on a device and no preprocessed column is
/// computed: the keys stand for them.
pub struct Verifiers {
    layers: Layers,
    uniform: Uniform,
}

impl Verifiers {
    /// The verifiers of these layers, for a machine's proofs of these heights.
    ///
    /// # Errors
    /// As [`Uniform::new`].
    pub fn new<E>(layers: &Layers, heights: &[usize]) -> Result<Self, AggregatorError>
    where
        E: Extension<F>,
        SymbolicExpressionExt<F, E>: Algebra<E>,
    {
        Ok(Self {
            layers: *layers,
            uniform: uniform::<E>(layers, heights)?,
        })
    }

    /// The verifier of a shrink's, join's or close's proofs.
    ///
    /// # Errors
    /// As [`BatchVerifier::with_commitment`].
    pub fn node<E>(&self, key: &NodeKey) -> Result<NodeVerifier<E>, AggregatorError>
    where
        E: Extension<F>,
        Poseidon2Merkle: Protocol<F, E>,
        SymbolicExpressionExt<F, E>: Algebra<E>,
    {
        Ok(BatchVerifier::with_commitment(
            self.uniform.parameters(),
            vec![self.uniform.air::<E>()],
            vec![self.uniform.log_height()],
            MerkleCap::new(key.cap.clone()),
        )?)
    }

    /// The verifier of a lift's proofs, for a machine's proofs whose tables have `2^log_leaf` rows.
    ///
    /// # Errors
    /// As [`ProofShape::new`] and [`BatchVerifier::with_commitment`].
    pub fn lift<E>(
        &self,
        log_leaf: usize,
        key: &NodeKey,
    ) -> Result<NodeVerifier<E>, AggregatorError>
    where
        E: Extension<F>,
        Poseidon2Merkle: Protocol<F, E>,
        SymbolicExpressionExt<F, E>: Algebra<E>,
    {
        let (air, (log_lift, lift)) = self.lift_table::<E>(log_leaf)?;
        Ok(BatchVerifier::with_commitment(
            lift,
            vec![air],
            vec![*log_lift],
            MerkleCap::new(key.cap.clone()),
        )?)
    }

    /// The verifier of wraps.
    ///
    /// # Errors
    /// As [`BatchVerifier::with_commitment`].
    pub fn wrap<E>(&self, keys: &Keys) -> Result<WrapVerifier<E>, AggregatorError>
    where
        E: Extension<F>,
        Keccak256Merkle: Protocol<F, E>,
        SymbolicExpressionExt<F, E>: Algebra<E>,
    {
        let (log_wrap, wrap) = &self.layers.wrap;
        Ok(BatchVerifier::with_commitment(
            wrap,
            vec![self.wrap_air::<E>()?],
            vec![*log_wrap],
            MerkleCap::new(keys.wrap.clone()),
        )?)
    }
}

impl Verifiers {
    /// The shape of wraps, which decides their encoding.
    ///
    /// # Errors
    /// As [`ProofShape::new`].
    pub fn wrap_shape<E>(&self) -> Result<WrapShape, AggregatorError>
    where
        E: Extension<F>,
        SymbolicExpressionExt<F, E>: Algebra<E>,
    {
        let (log_wrap, wrap) = &self.layers.wrap;
        let shape = ProofShape::new::<E, _>(&[self.wrap_air::<E>()?], &[*log_wrap], wrap)?;
        WrapShape::new(&shape)
    }

    /// The table of lifts of this height, and how it is proven.
    pub(crate) fn lift_table<E>(
        &self,
        log_leaf: usize,
    ) -> Result<(CircuitAir, &Layer), AggregatorError>
    where
        E: Extension<F>,
        SymbolicExpressionExt<F, E>: Algebra<E>,
    {
        let tails = leaf_tails::<E>(log_leaf, &self.layers.leaf)?;
        Ok((blank_air::<E>(&tails), &self.layers.lift))
    }

    /// The table of shrinks, joins and closes.
    pub(crate) fn uniform_table<E: Extension<F>>(&self) -> (CircuitAir, &Layer) {
        (self.uniform.air::<E>(), &self.layers.uniform)
    }

    /// The table of seals.
    pub(crate) fn seal_table<E: Extension<F>>(&self) -> (CircuitAir, &Layer) {
        let air = blank_air::<E>(&self.uniform.shape().tails());
        (air, &self.layers.seal)
    }

    /// The table of wraps.
    pub(crate) fn wrap_table<E>(&self) -> Result<(CircuitAir, &Layer), AggregatorError>
    where
        E: Extension<F>,
        SymbolicExpressionExt<F, E>: Algebra<E>,
    {
        Ok((self.wrap_air::<E>()?, &self.layers.wrap))
    }

    /// The table of wraps: a circuit has a flag for each short last block that its child's verification meets.
    fn wrap_air<E>(&self) -> Result<CircuitAir, AggregatorError>
    where
        E: Extension<F>,
        SymbolicExpressionExt<F, E>: Algebra<E>,
    {
        let (seal_air, (log_seal, seal)) = self.seal_table::<E>();
        let shape = ProofShape::new::<E, _>(&[seal_air], &[*log_seal], seal)?;
        Ok(blank_air::<E>(&shape.tails()))
    }
}

impl<E: Extension<F>> NodeProof<E>
where
    Poseidon2Merkle: Protocol<F, E>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    /// Verifies the proof for what it states.
    ///
    /// # Errors
    /// [`ProverError::Rejected`](starkwright_prover::ProverError::Rejected).
    pub fn verify(&self, verifier: &NodeVerifier<E>) -> Result<(), AggregatorError> {
        Ok(verifier.verify(&self.proof, &[self.public_values()])?)
    }
}

impl<E: Extension<F>> WrapProof<E>
where
    Keccak256Merkle: Protocol<F, E>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    /// Verifies the proof for what it states.
    ///
    /// # Errors
    /// [`ProverError::Rejected`](starkwright_prover::ProverError::Rejected).
    pub fn verify(&self, verifier: &WrapVerifier<E>) -> Result<(), AggregatorError> {
        Ok(verifier.verify(&self.proof, &[self.public_values()])?)
    }
}
