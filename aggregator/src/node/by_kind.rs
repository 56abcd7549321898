//! Verifiers of one profile's nodes, by kind.

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use p3_koala_bear::KoalaBear;
use starkwright_hal::{Extension, Poseidon2Merkle};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::profile::Profile;
use starkwright_prover::prove::BatchVerifier;

use super::{Keys, Layers, NodeProof, Verifiers, keccak_heights};
use crate::AggregatorError;
use crate::circuit::CircuitAir;
use crate::node_file::Kind;
use crate::once::OnceMap;

type F = KoalaBear;
type NodeVerifier<E> = BatchVerifier<F, E, Poseidon2Merkle, CircuitAir>;

/// Verifies nodes under the keys of one profile. Each kind's verifier is set up at its first use.
pub(crate) struct NodeVerifiers<E: Extension<F>>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    keys: Keys,
    verifiers: Verifiers,
    by_kind: OnceMap<Kind, NodeVerifier<E>>,
}

impl<E: Extension<F>> NodeVerifiers<E>
where
    Poseidon2Merkle: Protocol<F, E>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    pub(crate) fn new(profile: Profile) -> Result<Self, AggregatorError> {
        let keys = Keys::of(profile)?;
        Self::with_keys(&Layers::of(profile), &keccak_heights(), keys)
    }

    /// Of these layers under these keys, for a machine's proofs of these heights.
    pub(crate) fn with_keys(
        layers: &Layers,
        heights: &[usize],
        keys: Keys,
    ) -> Result<Self, AggregatorError> {
        Ok(Self {
            keys,
            verifiers: Verifiers::new::<E>(layers, heights)?,
            by_kind: OnceMap::new(),
        })
    }

    pub(crate) const fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) const fn verifiers(&self) -> &Verifiers {
        &self.verifiers
    }

    /// Verifies a node of this kind for what it states, under the key of its kind.
    pub(crate) fn verify(&self, kind: Kind, node: &NodeProof<E>) -> Result<(), AggregatorError> {
        let key = self.keys.of_kind(kind)?;
        let verifier = self.by_kind.get(kind, || match kind {
            Kind::Lift { log_leaf } => self.verifiers.lift::<E>(usize::from(log_leaf), key),
            _ => self.verifiers.node::<E>(key),
        })?;
        node.verify(&verifier)
    }
}
