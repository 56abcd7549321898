//! Proofs of nodes, and their provers on any back end.

use std::sync::{Mutex, MutexGuard, PoisonError};

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use p3_koala_bear::KoalaBear;
use p3_symmetric::MerkleCap;
use starkwright_hal::{Backend, Extension, Poseidon2Merkle};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::profile::LeafParameters;
use starkwright_prover::prove::{BatchProver, BatchVerifier, StockBatchProof};

use super::key::{NodeKey, Role};
use crate::AggregatorError;
use crate::circuit::layout::{CHILDREN, Layout, POWERS};
use crate::circuit::{Circuit, CircuitAir, Source};
use crate::statement::{Digest, TreeStatement};

type F = KoalaBear;

/// A node's proof with what it states.
pub struct NodeProof<E: Extension<F>>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    /// What it states.
    pub statement: TreeStatement,
    /// The inverse batching challenges of the proofs that it verifies: the second one repeats the first where there is one
    /// proof.
    pub challenges: [E; CHILDREN],
    /// p3's proof.
    pub proof: StockBatchProof<F, E, Poseidon2Merkle>,
}

impl<E: Extension<F>> NodeProof<E>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    /// The proof's public values: the statement's digest, then for each challenge its powers 1 to 8.
    ///
    /// The powers follow from the challenges here, not in the table's constraints: whoever verifies computes them.
    #[must_use]
    pub fn public_values(&self) -> Vec<F> {
        public_values(&self.statement, &self.challenges)
    }
}

/// The public values of a circuit's proof: its statement's digest, then for each challenge its powers 1 to 8.
pub(super) fn public_values<E: Extension<F>>(
    statement: &TreeStatement,
    challenges: &[E; CHILDREN],
) -> Vec<F> {
    let mut values = statement.digest().to_vec();
    for &challenge in challenges {
        let mut power = E::ONE;
        for _ in 0..POWERS {
            power *= challenge;
            values.extend(power.as_basis_coefficients_slice());
        }
    }
    values
}

/// The challenges among a circuit's public values.
pub(super) fn challenges_of<E: Extension<F>>(layout: &Layout, values: &[F]) -> [E; CHILDREN] {
    core::array::from_fn(|child| {
        E::from_basis_coefficients_fn(|word| values[layout.public_power(child, 1, word)])
    })
}

/// Proves a node's circuit on a back end.
pub struct NodeProver<E: Extension<F>, B: Backend<F>>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    circuit: Circuit,
    /// One proof at a time: what fails on the device is the proof's that runs. Circuits are filled beside it.
    prover: Mutex<BatchProver<F, E, Poseidon2Merkle, B, CircuitAir>>,
    key: NodeKey,
}

impl<E: Extension<F>, B: Backend<F>> NodeProver<E, B>
where
    Poseidon2Merkle: Protocol<F, E>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    /// Commits to the circuit's preprocessed columns: its key.
    pub(super) fn setup(
        device: &B,
        parameters: &LeafParameters,
        circuit: Circuit,
        (role, machine, version): (Role, u32, u32),
    ) -> Result<Self, AggregatorError> {
        let airs = vec![circuit.air().clone()];
        let prover = BatchProver::setup(device, parameters, airs, vec![circuit.log_height()])?;
        let cap = match prover.preprocessed() {
            Some(cap) => Vec::from(MerkleCap::<F, Digest>::roots(cap)),
            None => Vec::new(),
        };
        let key = NodeKey {
            role,
            machine,
            version,
            cap,
        };
        Ok(Self {
            circuit,
            prover: Mutex::new(prover),
            key,
        })
    }

    /// The circuit's key.
    #[must_use]
    pub const fn key(&self) -> &NodeKey {
        &self.key
    }

    /// The circuit.
    #[must_use]
    pub const fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// Proves the circuit on the words of its input. Whether they are true shows when the proof is verified.
    pub(super) fn prove(
        &self,
        statement: TreeStatement,
        source: impl Source,
    ) -> Result<NodeProof<E>, AggregatorError> {
        let assignment = self.circuit.assign::<E>(source)?;
        let challenges = challenges_of(self.circuit.air().layout(), &assignment.public_values);
        let proof = self
            .prover()
            .prove(&[&assignment.trace], &[assignment.public_values])?;
        Ok(NodeProof {
            statement,
            challenges,
            proof,
        })
    }

    /// The verifier of this circuit's proofs, by stock p3.
    #[must_use]
    pub fn verifier(&self) -> BatchVerifier<F, E, Poseidon2Merkle, CircuitAir> {
        self.prover().verifier()
    }

    fn prover(&self) -> MutexGuard<'_, BatchProver<F, E, Poseidon2Merkle, B, CircuitAir>> {
        // A panic leaves nothing behind that the next proof sees.
        self.prover.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
