//! Seals: the root of a tree in the shape that a wrap verifies.

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use p3_koala_bear::KoalaBear;
use starkwright_hal::{Backend, Extension, Poseidon2Merkle};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::profile::LeafParameters;

use super::child::{Child, Input, allowed_words};
use super::key::{AllowedKeys, NodeKey, Role};
use super::proof::{NodeProof, NodeProver};
use super::statement::{Statement, assert_constant};
use super::uniform::Uniform;
use crate::AggregatorError;
use crate::circuit::Builder;
use crate::statement::layout;
use crate::verify::ProofParts;

type F = KoalaBear;

/// Seals a join or a close: keeps its statement, in a narrower proof.
///
/// The root of allowed keys stands in the circuit. So what a seal's own key vouches for is a whole profile: which circuits may
/// stand anywhere below it. Its table may be lower than the uniform one and its parameters others, since it verifies one
/// proof and no join verifies it.
pub struct Seal<E: Extension<F>, B: Backend<F>>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    uniform: Uniform,
    parts: ProofParts,
    parameters: LeafParameters,
    prover: NodeProver<E, B>,
}

impl<E: Extension<F>, B: Backend<F>> Seal<E, B>
where
    Poseidon2Merkle: Protocol<F, E>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    /// The seal of trees with these keys, in a table of `2^log_height` rows, proven with `own`.
    ///
    /// # Errors
    /// [`AggregatorError::TooManyRows`] where the height is not enough; set-up's and the device's.
    pub fn setup(
        device: &B,
        uniform: &Uniform,
        allowed: &AllowedKeys,
        (log_height, own): (usize, &LeafParameters),
    ) -> Result<Self, AggregatorError> {
        let mut builder = Builder::new(E::RULE, &uniform.shape().tails());
        let statement = Statement::read(&mut builder);
        for (i, value) in allowed.root().into_iter().enumerate() {
            let word = statement.word(layout::ALLOWED_ROOT + i);
            assert_constant(&mut builder, word, value);
        }
        let child = Child::allowed(&mut builder, uniform, &statement, true);
        let parts = child.verify(&mut builder, uniform.shape(), 0);
        builder.publish(statement.digest);
        let circuit = builder.compile(log_height)?;
        Ok(Self {
            uniform: uniform.clone(),
            parts,
            parameters: *own,
            prover: NodeProver::setup(device, own, circuit, (Role::Seal, 0, 0))?,
        })
    }

    /// The circuit and its key.
    #[must_use]
    pub const fn node(&self) -> &NodeProver<E, B> {
        &self.prover
    }

    /// The parameters of its proofs.
    #[must_use]
    pub const fn parameters(&self) -> &LeafParameters {
        &self.parameters
    }

    /// Proves the same statement in the seal's shape.
    ///
    /// # Errors
    /// [`AggregatorError::NotATop`] for a proof that is no join's or close's, [`AggregatorError::UnknownKey`],
    /// [`AggregatorError::ProofShape`], the device's. A false proof gives a proof that does not verify.
    pub fn prove(
        &self,
        (key, top): (&NodeKey, &NodeProof<E>),
        allowed: &AllowedKeys,
    ) -> Result<NodeProof<E>, AggregatorError> {
        if !matches!(key.role, Role::Join | Role::Close) {
            return Err(AggregatorError::NotATop { role: key.role });
        }
        let mut head = top.statement.to_elements().to_vec();
        head.extend(allowed_words(key, top, allowed)?);
        let proofs = [(self.parts, &top.proof)];
        let input = Input::new(head, self.uniform.shape(), proofs);
        self.prover.prove(top.statement, input)
    }
}
