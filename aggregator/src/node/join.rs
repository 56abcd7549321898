//! Joins: two nodes become one.

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use p3_koala_bear::KoalaBear;
use starkwright_hal::{Backend, Extension, Poseidon2Merkle};
use starkwright_prover::challenger::Protocol;

use super::child::{allowed_key, challenge_words, key_words, public_values};
use super::key::{AllowedKeys, NodeKey, Role};
use super::proof::{NodeProof, NodeProver};
use super::statement::{Statement, join, join_words};
use super::uniform::Uniform;
use crate::AggregatorError;
use crate::circuit::layout::CELL_WORDS;
use crate::circuit::{Base, Source};
use crate::statement::{TreeStatement, layout};
use crate::verify::{Cap, ProofParts, ProofWords, verify};

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
        let cap_digests = 1 << uniform.parameters().cap_height;
        let children = [0, 1].map(|_| Statement::read(&mut builder));
        let statement = builder.section("statement", |builder| {
            join(builder, &children[0], &children[1])
        });
        let inputs = [0, 1].map(|child: usize| {
            let statement = &children[child];
            let values = public_values(&mut builder, statement.digest);
            let cap = builder.section("key", |builder| {
                allowed_key(builder, cap_digests, statement.block(layout::ALLOWED_ROOT))
            });
            (values, cap)
        });
        let [left, right] = inputs;
        let mut child = |child: usize, (values, cap): (Vec<Base>, Cap)| {
            verify(&mut builder, uniform.shape(), child, &[values], Some(&cap))
        };
        let parts = [child(0, left), child(1, right)];
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
            head.extend(challenge_words(proof));
            head.extend(key_words(key, allowed)?);
        }
        let shape = self.uniform.shape();
        let source = TwoProofs {
            head,
            parts: self.parts,
            words: children.map(|(_, proof)| ProofWords::new(shape, &proof.proof)),
        };
        self.prover.prove(statement, source)
    }
}

/// The input of a join: words of its own, then each child's parts.
struct TwoProofs<'a, E: Extension<F>>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    head: Vec<F>,
    parts: [ProofParts; 2],
    words: [ProofWords<'a, E>; 2],
}

impl<E: Extension<F>> Source for TwoProofs<'_, E>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    fn part(&mut self, part: usize, known: &[[F; CELL_WORDS]]) -> Result<Vec<F>, AggregatorError> {
        for (parts, words) in self.parts.iter().zip(&mut self.words) {
            if let Some(part) = part
                .checked_sub(parts.first)
                .filter(|&part| part < parts.count)
            {
                return words.part(part, known);
            }
        }
        Ok(core::mem::take(&mut self.head))
    }
}
