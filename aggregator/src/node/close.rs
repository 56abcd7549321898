//! Closes: a complete range of segments becomes an item.

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use p3_koala_bear::KoalaBear;
use starkwright_hal::{Backend, Extension, Poseidon2Merkle};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::machine::Machine;
use starkwright_prover::machine::keccak::KeccakMachine;

use super::child::{Child, Input, allowed_words};
use super::key::{AllowedKeys, NodeKey, Role};
use super::proof::{NodeProof, NodeProver};
use super::statement::{Statement, close, close_words};
use super::uniform::Uniform;
use crate::AggregatorError;
use crate::statement::{Digest, KeccakOpening, close_keccak};
use crate::verify::ProofParts;

type F = KoalaBear;

/// Closes complete ranges of the Keccak-256 machine's segments.
pub struct Close<E: Extension<F>, B: Backend<F>>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    uniform: Uniform,
    parts: ProofParts,
    prover: NodeProver<E, B>,
}

impl<E: Extension<F>, B: Backend<F>> Close<E, B>
where
    Poseidon2Merkle: Protocol<F, E>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    /// The close of this shape.
    ///
    /// # Errors
    /// As [`Join::setup`](super::Join::setup).
    pub fn setup(device: &B, uniform: &Uniform) -> Result<Self, AggregatorError> {
        let mut builder = uniform.builder::<E>();
        let inner = Statement::read(&mut builder);
        let item = builder.section("statement", |builder| close(builder, &inner));
        let child = Child::allowed(&mut builder, uniform, &inner, false);
        let parts = child.verify(&mut builder, uniform.shape(), 0);
        builder.publish(item);
        let circuit = builder.compile(uniform.log_height())?;
        let identity = (Role::Close, KeccakMachine::ID, KeccakMachine::VERSION);
        Ok(Self {
            uniform: uniform.clone(),
            parts,
            prover: NodeProver::setup(device, uniform.parameters(), circuit, identity)?,
        })
    }

    /// The circuit and its key.
    #[must_use]
    pub const fn node(&self) -> &NodeProver<E, B> {
        &self.prover
    }

    /// Closes a complete range, whose last state `opening` is, into the item at `position` behind the accumulator `old`.
    ///
    /// # Errors
    /// [`AggregatorError::Close`] with the rule that the range breaks, [`AggregatorError::UnknownKey`],
    /// [`AggregatorError::ProofShape`], the device's. A false proof gives a proof that does not verify.
    pub fn prove(
        &self,
        (key, inner): (&NodeKey, &NodeProof<E>),
        opening: &KeccakOpening,
        (position, old): (u64, &Digest),
        allowed: &AllowedKeys,
    ) -> Result<NodeProof<E>, AggregatorError> {
        let statement = close_keccak(&inner.statement, opening, position, old)?;
        let mut head = inner.statement.to_elements().to_vec();
        head.extend(close_words(opening, position, old));
        head.extend(allowed_words(key, inner, allowed)?);
        let proofs = [(self.parts, &inner.proof)];
        let input = Input::new(head, self.uniform.shape(), proofs);
        self.prover.prove(statement, input)
    }
}
