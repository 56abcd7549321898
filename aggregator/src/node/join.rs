//! Joins: two nodes become one.

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use p3_koala_bear::KoalaBear;
use starkwright_hal::{Backend, Extension, Poseidon2Merkle};
use starkwright_prover::challenger::Protocol;

use super::child::{Child, Input, allowed_words};
use super::key::{AllowedKeys, NodeKey, Role};
use super::proof::{NodeProof, NodeProver};
use super::statement::{Statement, join, join_words};
use super::uniform::Uniform;
use crate::AggregatorError;
use crate::statement::TreeStatement;
use crate::verify::ProofParts;

type F = KoalaBear;

/// Joins nodes of the uniform shape.
pub struct Join<E: Extension<F>, B: Backend<F>>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    uniform: Uniform,
    parts: [ProofParts; 2],
    prover: NodeProver<E, B>,
}

impl<E: Extension<F>, B: Backend<F>> Join<E, B>
where
    Poseidon2Merkle: Protocol<F, E>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    /// The join of this shape.
    ///
    /// # Errors
    /// [`AggregatorError::TooManyRows`] where the height is not enough for what it verifies; set-up's and the device's.
    pub fn setup(device: &B, uniform: &Uniform) -> Result<Self, AggregatorError> {
        let mut builder = uniform.builder::<E>();
        let children = [0, 1].map(|_| Statement::read(&mut builder));
        let statement = builder.section("statement", |builder| {
            join(builder, &children[0], &children[1])
        });
        let [left, right] =
            children.map(|statement| Child::allowed(&mut builder, uniform, &statement, false));
        let parts = [
            left.verify(&mut builder, uniform.shape(), 0),
            right.verify(&mut builder, uniform.shape(), 1),
        ];
        builder.publish(statement);
        let circuit = builder.compile(uniform.log_height())?;
        Ok(Self {
            uniform: uniform.clone(),
            parts,
            prover: NodeProver::setup(device, uniform.parameters(), circuit, (Role::Join, 0, 0))?,
        })
    }

    /// The circuit and its key.
    #[must_use]
    pub const fn node(&self) -> &NodeProver<E, B> {
        &self.prover
    }

    /// Joins two children; without a right one, the left one's statement becomes a join's.
    ///
    /// # Errors
    /// [`AggregatorError::Join`] with the rule that the statements break, [`AggregatorError::UnknownKey`],
    /// [`AggregatorError::ProofShape`], the device's. A false proof gives a proof that does not verify.
    pub fn prove(
        &self,
        left: (&NodeKey, &NodeProof<E>),
        right: Option<(&NodeKey, &NodeProof<E>)>,
        allowed: &AllowedKeys,
    ) -> Result<NodeProof<E>, AggregatorError> {
        let (statement, input) = self.input(left, right, allowed)?;
        self.prover.prove(statement, input)
    }

    /// What the join of these children states, and the words of its circuit's input.
    pub(super) fn input<'a>(
        &'a self,
        left: (&NodeKey, &'a NodeProof<E>),
        right: Option<(&NodeKey, &'a NodeProof<E>)>,
        allowed: &AllowedKeys,
    ) -> Result<(TreeStatement, Input<'a, E>), AggregatorError> {
        let statement = match right {
            Some((_, right)) => TreeStatement::join(&left.1.statement, &right.statement)?,
            None => TreeStatement::join_absent(&left.1.statement),
        };
        // Where the right child is absent, the left one stands in its place too.
        let children = [left, right.unwrap_or(left)];
        let elements = children.map(|(_, proof)| proof.statement.to_elements());
        let mut head: Vec<F> = elements.iter().flatten().copied().collect();
        head.extend(join_words(&elements[0], &elements[1], right.is_none()));
        for (key, proof) in children {
            head.extend(allowed_words(key, proof, allowed)?);
        }
        let [left, right] = children.map(|(_, proof)| &proof.proof);
        let proofs = [(self.parts[0], left), (self.parts[1], right)];
        Ok((statement, Input::new(head, self.uniform.shape(), proofs)))
    }
}
