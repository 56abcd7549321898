//! Verifying a step's proof: without a device, under this library's keys.

use std::sync::Arc;

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use starkwright_hal::{Extension, Keccak256Merkle, KoalaBear4, KoalaBear5, Poseidon2Merkle};
use starkwright_prover::ProverError;
use starkwright_prover::challenger::Protocol;
use starkwright_prover::keccak_file::Val;
use starkwright_prover::profile::Profile;
use starkwright_prover::prove::BatchVerifier;

use super::leaf::LeafVerifiers;
use super::step::{Step, StepKind, Work};
use crate::AggregatorError;
use crate::circuit::CircuitAir;
use crate::node::{Keys, Layers, NodeProof, NodeVerifiers, WrapProof, keccak_heights};
use crate::node_file::{Kind, MAX_PROOF_BYTES, NodeFile};
use crate::once::Once;
use crate::statement::Digest;
use crate::wrap_encoding::WrapShape;

/// Longest proof of a step that is read, what stands around p3's included.
pub const MAX_STEP_PROOF_BYTES: usize = MAX_PROOF_BYTES as usize + 4096;

type WrapVerifier<E> = BatchVerifier<Val, E, Keccak256Merkle, CircuitAir>;

/// Verifies steps' proofs, and plans steps. What a profile needs is set up at its first use; several threads may use it
/// at a time.
pub struct StepVerifier {
    proven100: Once<Verifier<KoalaBear5>>,
    conjectured100: Once<Verifier<KoalaBear4>>,
}

impl Default for StepVerifier {
    fn default() -> Self {
        Self::new()
    }
}

impl StepVerifier {
    /// The verifier of both profiles, under the keys that this library was built with.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            proven100: Once::new(),
            conjectured100: Once::new(),
        }
    }

    /// A verifier for tests: under [`Profile::Conjectured100`] it has these layers and keys, for a machine's proofs of these
    /// heights, in place of the profile's own. They are worth what the caller says.
    ///
    /// # Errors
    /// As [`Verifiers::new`](crate::node::Verifiers::new); [`AggregatorError::KeyFile`] for too many keys.
    pub fn with_layers(
        layers: &Layers,
        heights: &[usize],
        keys: Keys,
    ) -> Result<Self, AggregatorError> {
        let profile = Profile::Conjectured100;
        let verifier = Verifier::with_keys(profile, layers, heights, keys)?;
        Ok(Self {
            proven100: Once::new(),
            conjectured100: Once::of(verifier),
        })
    }

    /// Verifies a step's proof: for exactly what the step states, under the key of its circuit and the parameters of its
    /// profile.
    ///
    /// # Errors
    /// [`ProverError::Rejected`]; [`AggregatorError::NodeFile`] and [`ProverError::ProofFile`] for bytes that are no such
    /// proof; [`AggregatorError::KeyFile`].
    pub fn verify(&self, step: &Step, proof: &[u8]) -> Result<(), AggregatorError> {
        match step.profile() {
            Profile::Proven100 => self.proven100()?.verify(step, proof),
            Profile::Conjectured100 => self.conjectured100()?.verify(step, proof),
        }
    }

    pub(super) fn proven100(&self) -> Result<Arc<Verifier<KoalaBear5>>, AggregatorError> {
        self.proven100.get(|| Verifier::new(Profile::Proven100))
    }

    pub(super) fn conjectured100(&self) -> Result<Arc<Verifier<KoalaBear4>>, AggregatorError> {
        self.conjectured100
            .get(|| Verifier::new(Profile::Conjectured100))
    }
}

/// The verifier of one profile.
pub(super) struct Verifier<E: Extension<Val>>
where
    Poseidon2Merkle: Protocol<Val, E>,
    Keccak256Merkle: Protocol<Val, E>,
{
    profile: Profile,
    allowed_root: Digest,
    leaves: LeafVerifiers<E>,
    nodes: NodeVerifiers<E>,
    wrap: Once<(WrapShape, WrapVerifier<E>)>,
}

impl<E: Extension<Val>> Verifier<E>
where
    Poseidon2Merkle: Protocol<Val, E>,
    Keccak256Merkle: Protocol<Val, E>,
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    fn new(profile: Profile) -> Result<Self, AggregatorError> {
        let keys = Keys::of(profile)?;
        Self::with_keys(profile, &Layers::of(profile), &keccak_heights(), keys)
    }

    fn with_keys(
        profile: Profile,
        layers: &Layers,
        heights: &[usize],
        keys: Keys,
    ) -> Result<Self, AggregatorError> {
        Ok(Self {
            profile,
            allowed_root: keys.allowed(profile)?.root(),
            leaves: LeafVerifiers::new(layers.leaf),
            nodes: NodeVerifiers::with_keys(layers, heights, keys)?,
            wrap: Once::new(),
        })
    }

    pub(super) const fn profile(&self) -> Profile {
        self.profile
    }

    pub(super) const fn allowed_root(&self) -> &Digest {
        &self.allowed_root
    }

    pub(super) const fn leaves(&self) -> &LeafVerifiers<E> {
        &self.leaves
    }

    pub(super) const fn nodes(&self) -> &NodeVerifiers<E> {
        &self.nodes
    }

    fn verify(&self, step: &Step, proof: &[u8]) -> Result<(), AggregatorError> {
        let Some(kind) = step.kind().file() else {
            return match step.work() {
                Work::Leaf { shape, segment } => {
                    self.leaves.verify(*shape, segment, proof).map(drop)
                }
                _ => Err(rejected("only a leaf's proof is in no file")),
            };
        };
        let expected = step.statement(&self.allowed_root)?;
        let file = self.read(kind, proof)?;
        if file.statement != expected {
            return Err(rejected("it states something else than its step"));
        }
        match step.kind() {
            StepKind::Wrap => self.wrap(&file).map(drop),
            _ => self.node(&file).map(drop),
        }
    }

    /// A file of this kind and profile, of a tree of our keys. Its proof is not looked at.
    pub(super) fn read(&self, kind: Kind, bytes: &[u8]) -> Result<NodeFile, AggregatorError> {
        if bytes.len() > MAX_STEP_PROOF_BYTES {
            return Err(rejected("it is too long"));
        }
        let file = NodeFile::from_bytes(bytes)?;
        if file.kind != kind {
            return Err(rejected(format!(
                "it is a {}'s, and a {}'s is wanted",
                described(file.kind),
                described(kind)
            )));
        }
        if file.profile != self.profile {
            return Err(rejected(format!(
                "its profile is {}, and {} is wanted",
                file.profile, self.profile
            )));
        }
        // A join only says that its children have the root that it states; whether it is ours is for us to say.
        if file.statement.allowed_root != self.allowed_root {
            return Err(rejected("its tree allows other keys than this version's"));
        }
        Ok(file)
    }

    /// The node of a file, verified for what the file states.
    pub(super) fn node(&self, file: &NodeFile) -> Result<NodeProof<E>, AggregatorError> {
        let node = file.node::<E>()?;
        self.nodes.verify(file.kind, &node)?;
        Ok(node)
    }

    /// The wrap of a file, verified for what the file states.
    fn wrap(&self, file: &NodeFile) -> Result<WrapProof<E>, AggregatorError> {
        let tools = self.wrap_tools()?;
        let (shape, verifier) = &*tools;
        let wrap = file.wrap::<E>(shape)?;
        wrap.verify(verifier)?;
        Ok(wrap)
    }

    /// The file of a wrap.
    pub(super) fn wrap_file(&self, wrap: &WrapProof<E>) -> Result<NodeFile, AggregatorError> {
        NodeFile::of_wrap(self.profile, &self.wrap_tools()?.0, wrap)
    }

    fn wrap_tools(&self) -> Result<Arc<(WrapShape, WrapVerifier<E>)>, AggregatorError> {
        self.wrap.get(|| {
            let verifiers = self.nodes.verifiers();
            let shape = verifiers.wrap_shape::<E>()?;
            Ok((shape, verifiers.wrap::<E>(self.nodes.keys())?))
        })
    }
}

pub(super) fn rejected(why: impl Into<String>) -> AggregatorError {
    ProverError::Rejected { why: why.into() }.into()
}

fn described(kind: Kind) -> String {
    match kind {
        Kind::Lift { log_leaf } | Kind::Shrink { log_leaf } => {
            format!("{} of 2^{log_leaf} rows", kind.name())
        }
        _ => kind.name().to_owned(),
    }
}
