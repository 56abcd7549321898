//! Taking a step on a device.

use std::sync::{Mutex, PoisonError};

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use starkwright_hal::{
    Backend, Extension, Keccak256Merkle, KoalaBear4, KoalaBear5, Poseidon2Merkle,
};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::keccak_file::Val;
use starkwright_prover::profile::Profile;

use super::leaf::LeafProvers;
use super::step::{Child, Step, Work};
use super::verifier::{StepVerifier, Verifier};
use crate::AggregatorError;
use crate::node::{Circuits, Keys, Layers, NodeKey, NodeProof};
use crate::node_file::{Kind, NodeFile};
use crate::once::Once;
use crate::statement::{TreeStatement, close_keccak};

/// Takes steps on a device. Circuits are set up at their first use; several threads may use it at a time.
pub struct StepProver<B: Backend<Val>> {
    device: B,
    verifier: StepVerifier,
    proven100: Once<Prover<KoalaBear5, B>>,
    conjectured100: Once<Prover<KoalaBear4, B>>,
}

impl<B: Backend<Val>> StepProver<B> {
    /// The prover on this device, under the keys that this library was built with.
    #[must_use]
    pub const fn new(device: B) -> Self {
        Self {
            device,
            verifier: StepVerifier::new(),
            proven100: Once::new(),
            conjectured100: Once::new(),
        }
    }

    /// A prover for tests: see [`StepVerifier::with_layers`].
    ///
    /// # Errors
    /// As [`StepVerifier::with_layers`].
    pub fn with_layers(
        device: B,
        layers: &Layers,
        heights: &[usize],
        keys: Keys,
    ) -> Result<Self, AggregatorError> {
        let allowed = keys.allowed(Profile::Conjectured100)?;
        let circuits = Circuits::with_keys(&device, layers, heights, keys.clone(), allowed)?;
        Ok(Self {
            verifier: StepVerifier::with_layers(layers, heights, keys)?,
            proven100: Once::new(),
            conjectured100: Once::of(Prover::with_circuits(&device, layers, circuits)),
            device,
        })
    }

    /// The device.
    #[must_use]
    pub const fn device(&self) -> &B {
        &self.device
    }

    /// The verifier of its proofs.
    #[must_use]
    pub const fn verifier(&self) -> &StepVerifier {
        &self.verifier
    }

    /// Takes a step: from its part of the file, for a leaf, and from the proofs of the steps below it, in order. What is
    /// given is verified first, and the proof before it is returned, both by stock p3.
    ///
    /// # Errors
    /// [`AggregatorError::StepInput`] where what is given is not what the step is about: another step's proof, a false
    /// one, other bytes, too few or too many of them. [`AggregatorError::WrongProof`] where the device's proof does not
    /// verify. [`AggregatorError::OtherKey`]; the device's.
    pub fn prove(
        &self,
        step: &Step,
        input: Option<&[u8]>,
        children: &[&[u8]],
    ) -> Result<Vec<u8>, AggregatorError> {
        let proof = match step.profile() {
            Profile::Proven100 => {
                let circuits = || Prover::new(&self.device, Profile::Proven100);
                let prover = self.proven100.get(circuits)?;
                prover.prove(&*self.verifier.proven100()?, step, input, children)?
            }
            Profile::Conjectured100 => {
                let circuits = || Prover::new(&self.device, Profile::Conjectured100);
                let prover = self.conjectured100.get(circuits)?;
                prover.prove(&*self.verifier.conjectured100()?, step, input, children)?
            }
        };
        self.verifier
            .verify(step, &proof)
            .map_err(|error| wrong(&self.device, step.kind().name(), step, &error))?;
        Ok(proof)
    }
}

/// What was proven here does not verify.
fn wrong<B: Backend<Val>>(
    device: &B,
    what: &str,
    step: &Step,
    error: &AggregatorError,
) -> AggregatorError {
    let node = match step.work() {
        Work::Leaf { segment, .. } | Work::Lift { segment, .. } => {
            format!("a {what} of segment {}", segment.index)
        }
        Work::Shrink { statement, .. }
        | Work::Join { statement, .. }
        | Work::Close { statement, .. }
        | Work::Wrap { statement, .. } => format!(
            "a {what} of {} leaves from {}",
            statement.count, statement.first_index
        ),
    };
    AggregatorError::WrongProof {
        device: device.caps().selector,
        node,
        why: error.to_string(),
    }
}

fn unusable(why: impl Into<String>) -> AggregatorError {
    AggregatorError::StepInput { why: why.into() }
}

/// The circuits of one profile on a device.
struct Prover<E: Extension<Val>, B: Backend<Val>>
where
    Poseidon2Merkle: Protocol<Val, E>,
    Keccak256Merkle: Protocol<Val, E>,
{
    leaves: LeafProvers<E, B>,
    circuits: Circuits<E, B>,
    /// One wrap at a time: what fails on the device is the proof's that runs.
    wrapping: Mutex<()>,
}

impl<E: Extension<Val>, B: Backend<Val>> Prover<E, B>
where
    Poseidon2Merkle: Protocol<Val, E>,
    Keccak256Merkle: Protocol<Val, E>,
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    fn new(device: &B, profile: Profile) -> Result<Self, AggregatorError> {
        let circuits = Circuits::new(device, profile)?;
        Ok(Self::with_circuits(device, &Layers::of(profile), circuits))
    }

    fn with_circuits(device: &B, layers: &Layers, circuits: Circuits<E, B>) -> Self {
        Self {
            leaves: LeafProvers::new(device.clone(), layers.leaf),
            circuits,
            wrapping: Mutex::new(()),
        }
    }

    fn prove(
        &self,
        verifier: &Verifier<E>,
        step: &Step,
        input: Option<&[u8]>,
        children: &[&[u8]],
    ) -> Result<Vec<u8>, AggregatorError> {
        if children.len() != step.children() {
            return Err(unusable(format!(
                "{} proofs of steps below it, and it takes {}",
                children.len(),
                step.children()
            )));
        }
        let (Some(kind), [first, rest @ ..]) = (step.kind().file(), children) else {
            // A leaf: it has no file and no children.
            return match (step.work(), input) {
                (Work::Leaf { shape, segment }, Some(message)) => {
                    self.leaves.prove(*shape, segment, message)
                }
                _ => Err(unusable("a leaf is proven from its part of the file")),
            };
        };
        if input.is_some() {
            return Err(unusable("a part of a file, and only a leaf takes one"));
        }
        let second = rest.first().copied();
        self.node(verifier, (step, kind), first, second)?.to_bytes()
    }

    fn node(
        &self,
        verifier: &Verifier<E>,
        (step, kind): (&Step, Kind),
        first: &[u8],
        second: Option<&[u8]>,
    ) -> Result<NodeFile, AggregatorError> {
        let (circuits, allowed) = (&self.circuits, self.circuits.allowed());
        let node = match step.work() {
            Work::Leaf { .. } => {
                return Err(unusable("a leaf is proven from its part of the file"));
            }
            Work::Lift { shape, segment } => {
                let verified = verifier.leaves().verify(*shape, segment, first);
                let leaf = verified.map_err(|error| of_child("the leaf", &error))?;
                let entrance = circuits.entrance(shape.log_height())?;
                entrance.lift.prove(segment, &leaf, &allowed.root())?
            }
            Work::Shrink { shape, statement } => {
                // A listed height is below 2^8.
                let log_leaf = shape.log_height() as u8;
                let lifted = child(verifier, Kind::Lift { log_leaf }, first, "the lift")?;
                same(&lifted.statement, statement)?;
                let entrance = circuits.entrance(shape.log_height())?;
                entrance.shrink.prove(entrance.lift.node(), &lifted)?
            }
            Work::Join {
                left,
                right,
                statement,
            } => {
                let (left_key, left) = self.child(verifier, *left, first, "the left child")?;
                let right = right
                    .zip(second)
                    .map(|(kind, bytes)| self.child(verifier, kind, bytes, "the right child"));
                let right = right.transpose()?;
                let joined = match &right {
                    Some((_, right)) => TreeStatement::join(&left.statement, &right.statement),
                    None => Ok(TreeStatement::join_absent(&left.statement)),
                };
                same(
                    &joined.map_err(|error| unusable(error.to_string()))?,
                    statement,
                )?;
                let right = right.as_ref().map(|(key, right)| (*key, right));
                circuits.join()?.prove((left_key, &left), right, allowed)?
            }
            Work::Close {
                child,
                opening,
                statement,
            } => {
                let (key, inner) = self.child(verifier, *child, first, "the segments")?;
                let position = (statement.first_index, &statement.begin);
                let closed = close_keccak(&inner.statement, opening, position.0, position.1);
                same(
                    &closed.map_err(|error| unusable(error.to_string()))?,
                    statement,
                )?;
                let close = circuits.close()?;
                close.prove((key, &inner), opening, position, allowed)?
            }
            Work::Wrap { child, statement } => {
                let (key, top) = self.child(verifier, *child, first, "the root")?;
                same(&top.statement, statement)?;
                return self.wrap(verifier, step, (key, &top));
            }
        };
        NodeFile::of_node(step.profile(), kind, &node)
    }

    fn wrap(
        &self,
        verifier: &Verifier<E>,
        step: &Step,
        top: (&NodeKey, &NodeProof<E>),
    ) -> Result<NodeFile, AggregatorError> {
        let seal = self.circuits.seal()?;
        let sealed = seal.prove(top, self.circuits.allowed())?;
        // What is wrong with a seal would show in the wrap; said here, it is said of the seal.
        sealed
            .verify(&seal.node().verifier())
            .map_err(|error| wrong(self.circuits.device(), "seal", step, &error))?;
        let wrap = self.circuits.wrap()?;
        let running = self.wrapping.lock();
        let running = running.unwrap_or_else(PoisonError::into_inner);
        let wrapped = wrap.prove(&seal, &sealed)?;
        drop(running);
        verifier.wrap_file(&wrapped)
    }

    /// A child's proof with its key, verified for what it states.
    fn child(
        &self,
        verifier: &Verifier<E>,
        kind: Child,
        bytes: &[u8],
        name: &str,
    ) -> Result<(&NodeKey, NodeProof<E>), AggregatorError> {
        let node = child(verifier, kind.kind(), bytes, name)?;
        Ok((self.circuits.keys().of_kind(kind.kind())?, node))
    }
}

fn child<E>(
    verifier: &Verifier<E>,
    kind: Kind,
    bytes: &[u8],
    name: &str,
) -> Result<NodeProof<E>, AggregatorError>
where
    E: Extension<Val>,
    Poseidon2Merkle: Protocol<Val, E>,
    Keccak256Merkle: Protocol<Val, E>,
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    let file = verifier.read(kind, bytes);
    file.and_then(|file| verifier.node(&file))
        .map_err(|error| of_child(name, &error))
}

fn of_child(name: &str, error: &AggregatorError) -> AggregatorError {
    unusable(format!("{name}: {error}"))
}

/// What follows from the children is what the step states.
fn same(found: &TreeStatement, expected: &TreeStatement) -> Result<(), AggregatorError> {
    match found == expected {
        true => Ok(()),
        false => Err(unusable("they state something else than the step is about")),
    }
}
