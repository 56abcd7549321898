//! One prover and one verifier for each shape in use.

use std::collections::BTreeMap;

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use starkwright_hal::{Backend, Extension, HalError};

use super::{Merkle, Val, segment_security};
use crate::ProverError;
use crate::machine::Machine;
use crate::machine::keccak::{
    KeccakMachine, KeccakTable, Segment, SegmentShape, SegmentStatement, SegmentTrace,
};
use crate::phases::{Phase, PhaseSeconds, Phases};
use crate::profile::Profile;
use crate::proof_file;
use crate::prove::{BatchProver, BatchVerifier, StockBatchProof};
use crate::security::Security;

/// The verifier of one shape, and what its proofs are worth.
type Rated<E> = (BatchVerifier<Val, E, Merkle, KeccakTable>, Security);

/// Verifies segments, with the parameters of one profile.
pub struct SegmentVerifiers<E: Extension<Val>> {
    profile: Profile,
    by_shape: BTreeMap<SegmentShape, Rated<E>>,
}

impl<E: Extension<Val>> SegmentVerifiers<E>
where
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    /// Verifiers of this profile's segments: each shape's is set up at its first use.
    #[must_use]
    pub const fn new(profile: Profile) -> Self {
        Self {
            profile,
            by_shape: BTreeMap::new(),
        }
    }

    fn of(&mut self, shape: SegmentShape) -> Result<&Rated<E>, ProverError> {
        if !self.by_shape.contains_key(&shape) {
            let tables = KeccakMachine::tables();
            let heights = vec![shape.log_height(); tables.len()];
            let security = segment_security::<E>(self.profile, shape)?;
            let verifier = BatchVerifier::setup(&self.profile.leaf(), tables, heights)?;
            self.by_shape.insert(shape, (verifier, security));
        }
        self.by_shape.get(&shape).ok_or_else(|| ProverError::Shape {
            why: "a shape without its verifier".to_owned(),
        })
    }

    /// The security of a proof of this shape.
    ///
    /// # Errors
    /// [`ProverError::Security`] where it misses the profile.
    pub fn security(&mut self, shape: SegmentShape) -> Result<Security, ProverError> {
        Ok(self.of(shape)?.1.clone())
    }

    /// Verifies one segment's proof, as bytes, for a statement.
    ///
    /// # Errors
    /// [`ProverError::Rejected`]; [`ProverError::ProofFile`] for bytes that are no proof.
    pub fn verify(
        &mut self,
        shape: SegmentShape,
        statement: &SegmentStatement,
        proof: &[u8],
    ) -> Result<(), ProverError> {
        let public_values = KeccakMachine::public_values::<Val>(statement).map_err(|error| {
            ProverError::Rejected {
                why: error.to_string(),
            }
        })?;
        let proof: StockBatchProof<Val, E, Merkle> = proof_file::decode(proof)?;
        self.of(shape)?.0.verify(&proof, &public_values)
    }
}

/// Proves segments on a device, and verifies what it proved.
pub(super) struct Provers<E: Extension<Val>, B: Backend<Val>> {
    device: B,
    profile: Profile,
    verifiers: SegmentVerifiers<E>,
    by_shape: BTreeMap<SegmentShape, BatchProver<Val, E, Merkle, B, KeccakTable>>,
    phases: Phases,
    seconds: PhaseSeconds,
}

impl<E: Extension<Val>, B: Backend<Val>> Provers<E, B>
where
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    pub(super) fn new(device: B, profile: Profile) -> Self {
        Self {
            device,
            profile,
            verifiers: SegmentVerifiers::new(profile),
            by_shape: BTreeMap::new(),
            phases: Phases::default(),
            seconds: PhaseSeconds::new(),
        }
    }

    pub(super) const fn verifiers(&mut self) -> &mut SegmentVerifiers<E> {
        &mut self.verifiers
    }

    /// A segment's proof as bytes, checked by stock p3 before it is handed on.
    pub(super) fn prove(&mut self, segment: &Segment) -> Result<Vec<u8>, ProverError> {
        if !self.by_shape.contains_key(&segment.shape) {
            // A shape that misses its profile is refused before anything is proven.
            self.verifiers.security(segment.shape)?;
            let tables = KeccakMachine::tables();
            let heights = vec![segment.shape.log_height(); tables.len()];
            let prover = BatchProver::setup(&self.device, &self.profile.leaf(), tables, heights)?;
            self.by_shape.insert(segment.shape, prover);
        }
        let prover = self
            .by_shape
            .get(&segment.shape)
            .ok_or_else(|| ProverError::Shape {
                why: "a shape without its prover".to_owned(),
            })?;

        self.phases.start();
        let trace = SegmentTrace::<Val>::generate(segment).map_err(|error| ProverError::Shape {
            why: error.to_string(),
        })?;
        self.phases.lap(Phase::Trace);
        let public_values = [Vec::new(), trace.public_values];
        let proof = prover.prove(&[&trace.permutation, &trace.sponge], &public_values)?;
        for (phase, seconds) in prover.take_phases() {
            *self.seconds.entry(phase).or_default() += seconds;
        }

        self.phases.start();
        let bytes = proof_file::encode(&proof)?;
        self.verifiers
            .verify(segment.shape, &segment.statement, &bytes)
            .map_err(|error| {
                // The statement is what the segment says by construction, so the proof is at fault.
                ProverError::Hal(HalError::Mismatch {
                    device: self.device.caps().selector,
                    op: "prove",
                    detail: format!(
                        "its proof of segment {} does not verify: {error}",
                        segment.statement.index
                    ),
                })
            })?;
        self.phases.lap(Phase::Verify);
        Ok(bytes)
    }

    /// Where the time went so far.
    pub(super) fn take_phases(&mut self) -> PhaseSeconds {
        let mut seconds = std::mem::take(&mut self.seconds);
        for (phase, more) in self.phases.take() {
            *seconds.entry(phase).or_default() += more;
        }
        seconds
    }
}
