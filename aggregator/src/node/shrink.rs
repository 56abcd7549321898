//! Shrinks: a lift's proof in the uniform shape.

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use p3_koala_bear::KoalaBear;
use starkwright_hal::{Backend, Extension, Poseidon2Merkle};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::profile::LeafParameters;

use super::child::{Child, Input, key_words};
use super::key::Role;
use super::proof::{NodeProof, NodeProver};
use super::uniform::Uniform;
use crate::AggregatorError;
use crate::verify::{ProofParts, ProofShape};

type F = KoalaBear;

/// Brings the proofs of one lift to the uniform shape. The lift's key stands in its circuit.
pub struct Shrink<E: Extension<F>, B: Backend<F>>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    shape: ProofShape,
    parts: ProofParts,
    prover: NodeProver<E, B>,
}

impl<E: Extension<F>, B: Backend<F>> Shrink<E, B>
where
    Poseidon2Merkle: Protocol<F, E>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    /// The shrink of this lift, whose proofs were made with `parameters`.
    ///
    /// # Errors
    /// [`AggregatorError::TooManyRows`] where the uniform height is not enough; set-up's and the device's.
    pub fn setup(
        device: &B,
        lift: &NodeProver<E, B>,
        parameters: &LeafParameters,
        uniform: &Uniform,
    ) -> Result<Self, AggregatorError> {
        let airs = [lift.circuit().air().clone()];
        let shape = ProofShape::new::<E, _>(&airs, &[lift.circuit().log_height()], parameters)?;
        let mut builder = uniform.builder::<E>();
        let (_, statement) = builder.input_words();
        let child = Child::of_key(&mut builder, lift.key(), statement);
        let parts = child.verify(&mut builder, &shape, 0);
        builder.publish(statement);
        let circuit = builder.compile(uniform.log_height())?;
        let identity = (Role::Shrink, lift.key().machine, lift.key().version);
        Ok(Self {
            shape,
            parts,
            prover: NodeProver::setup(device, uniform.parameters(), circuit, identity)?,
        })
    }

    /// The circuit and its key.
    #[must_use]
    pub const fn node(&self) -> &NodeProver<E, B> {
        &self.prover
    }

    /// Proves the same statement in the uniform shape; `lift` is the node whose proof it is.
    ///
    /// # Errors
    /// [`AggregatorError::ProofShape`], the device's. A false proof gives a proof that does not verify.
    pub fn prove(
        &self,
        lift: &NodeProver<E, B>,
        proof: &NodeProof<E>,
    ) -> Result<NodeProof<E>, AggregatorError> {
        let mut head = proof.statement.digest().to_vec();
        head.extend(key_words(lift.key(), proof));
        let input = Input::new(head, &self.shape, [(self.parts, &proof.proof)]);
        self.prover.prove(proof.statement, input)
    }
}
