//! Wraps: the last proof, committed with Keccak-256, for whoever has no Poseidon2.

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use p3_koala_bear::KoalaBear;
use p3_symmetric::MerkleCap;
use starkwright_hal::{Backend, Extension, Keccak256Merkle, Poseidon2Merkle};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::profile::LeafParameters;
use starkwright_prover::prove::{BatchProver, BatchVerifier, StockBatchProof};

use super::child::{Child, Input, key_words};
use super::proof::{NodeProof, challenges_of, public_values};
use super::seal::Seal;
use crate::AggregatorError;
use crate::circuit::{Builder, Circuit, CircuitAir};
use crate::statement::TreeStatement;
use crate::verify::{ProofParts, ProofShape};

type F = KoalaBear;

/// A digest of the last proof's trees.
pub type ByteDigest = [u8; 32];

/// The last proof with what it states.
pub struct WrapProof<E: Extension<F>>
where
    Keccak256Merkle: Protocol<F, E>,
{
    /// What it states.
    pub statement: TreeStatement,
    /// The inverse batching challenge of the seal that it verifies.
    pub challenge: E,
    /// p3's proof.
    pub proof: StockBatchProof<F, E, Keccak256Merkle>,
}

impl<E: Extension<F>> WrapProof<E>
where
    Keccak256Merkle: Protocol<F, E>,
{
    /// The proof's public values: as [`NodeProof::public_values`], with one challenge twice.
    #[must_use]
    pub fn public_values(&self) -> Vec<F> {
        public_values(&self.statement, &[self.challenge; 2])
    }
}

/// Wraps the seals of one profile, whose key stands in its circuit.
pub struct Wrap<E: Extension<F>, B: Backend<F>>
where
    Poseidon2Merkle: Protocol<F, E>,
    Keccak256Merkle: Protocol<F, E>,
{
    shape: ProofShape,
    parts: ProofParts,
    circuit: Circuit,
    prover: BatchProver<F, E, Keccak256Merkle, B, CircuitAir>,
    key: Vec<ByteDigest>,
}

impl<E: Extension<F>, B: Backend<F>> Wrap<E, B>
where
    Poseidon2Merkle: Protocol<F, E>,
    Keccak256Merkle: Protocol<F, E>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    /// The wrap of these seals, in a table of `2^log_height` rows, proven with `own`.
    ///
    /// # Errors
    /// [`AggregatorError::TooManyRows`] where the height is not enough; set-up's and the device's.
    pub fn setup(
        device: &B,
        seal: &Seal<E, B>,
        (log_height, own): (usize, &LeafParameters),
    ) -> Result<Self, AggregatorError> {
        let sealed = seal.node().circuit();
        let airs = [sealed.air().clone()];
        let shape = ProofShape::new::<E, _>(&airs, &[sealed.log_height()], seal.parameters())?;
        let mut builder = Builder::new(E::RULE, &shape.tails());
        let (_, statement) = builder.input_words();
        let child = Child::of_key(&mut builder, seal.node().key(), statement);
        let parts = child.verify(&mut builder, &shape, 0);
        builder.publish(statement);
        let circuit = builder.compile(log_height)?;
        let airs = vec![circuit.air().clone()];
        let prover = BatchProver::setup(device, own, airs, vec![log_height])?;
        let key = match prover.preprocessed() {
            Some(cap) => Vec::from(MerkleCap::<F, ByteDigest>::roots(cap)),
            None => Vec::new(),
        };
        Ok(Self {
            shape,
            parts,
            circuit,
            prover,
            key,
        })
    }

    /// The circuit.
    #[must_use]
    pub const fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// The key: the digests of the commitment to the preprocessed columns.
    #[must_use]
    pub fn key(&self) -> &[ByteDigest] {
        &self.key
    }

    /// Proves the same statement once more, for the last verifier.
    ///
    /// # Errors
    /// [`AggregatorError::ProofShape`], the device's. A false proof gives a proof that does not verify.
    pub fn prove(
        &self,
        seal: &Seal<E, B>,
        proof: &NodeProof<E>,
    ) -> Result<WrapProof<E>, AggregatorError> {
        let mut head = proof.statement.digest().to_vec();
        head.extend(key_words(seal.node().key(), proof));
        let input = Input::new(head, &self.shape, [(self.parts, &proof.proof)]);
        let assignment = self.circuit.assign::<E>(input)?;
        let [challenge, _] = challenges_of(self.circuit.air().layout(), &assignment.public_values);
        let proof_of_all = self
            .prover
            .prove(&[&assignment.trace], &[assignment.public_values])?;
        Ok(WrapProof {
            statement: proof.statement,
            challenge,
            proof: proof_of_all,
        })
    }

    /// The verifier of wraps, by stock p3.
    #[must_use]
    pub fn verifier(&self) -> BatchVerifier<F, E, Keccak256Merkle, CircuitAir> {
        self.prover.verifier()
    }
}
