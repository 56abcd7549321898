//! Proving and verifying segments, with any leaf parameters.

use std::sync::{Mutex, PoisonError};

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use starkwright_hal::{Backend, Extension};
use starkwright_prover::ProverError;
use starkwright_prover::keccak_file::{MAX_PROOF_BYTES, Merkle, Val};
use starkwright_prover::machine::Machine;
use starkwright_prover::machine::keccak::{
    KeccakMachine, KeccakTable, Segment, SegmentShape, SegmentStatement, SegmentTrace,
};
use starkwright_prover::profile::LeafParameters;
use starkwright_prover::proof_file::{decode, encode};
use starkwright_prover::prove::{BatchProver, BatchVerifier, StockBatchProof};

use super::verifier::rejected;
use crate::AggregatorError;
use crate::once::OnceMap;

/// A segment's proof.
pub(super) type LeafProof<E> = StockBatchProof<Val, E, Merkle>;

fn heights(shape: SegmentShape) -> Vec<usize> {
    vec![shape.log_height(); KeccakMachine::tables().len()]
}

/// Verifies segments. Each shape's verifier is set up at its first use.
pub(super) struct LeafVerifiers<E: Extension<Val>> {
    parameters: LeafParameters,
    by_shape: OnceMap<SegmentShape, BatchVerifier<Val, E, Merkle, KeccakTable>>,
}

impl<E: Extension<Val>> LeafVerifiers<E>
where
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    pub(super) const fn new(parameters: LeafParameters) -> Self {
        Self {
            parameters,
            by_shape: OnceMap::new(),
        }
    }

    /// Verifies a segment's proof, as bytes, for a statement.
    pub(super) fn verify(
        &self,
        shape: SegmentShape,
        segment: &SegmentStatement,
        bytes: &[u8],
    ) -> Result<LeafProof<E>, AggregatorError> {
        if bytes.len() > MAX_PROOF_BYTES as usize {
            return Err(rejected("it is too long"));
        }
        let values = KeccakMachine::public_values::<Val>(segment);
        let values = values.map_err(|error| rejected(error.to_string()))?;
        let proof: LeafProof<E> = decode(bytes).map_err(ProverError::from)?;
        let verifier = self.by_shape.get(shape, || {
            let tables = KeccakMachine::tables();
            Ok(BatchVerifier::setup(
                &self.parameters,
                tables,
                heights(shape),
            )?)
        })?;
        verifier.verify(&proof, &values)?;
        Ok(proof)
    }
}

type Prover<E, B> = Mutex<BatchProver<Val, E, Merkle, B, KeccakTable>>;

/// Proves segments on a device. Each shape's prover is set up at its first use.
pub(super) struct LeafProvers<E: Extension<Val>, B: Backend<Val>> {
    device: B,
    parameters: LeafParameters,
    /// One proof at a time and shape: what fails on the device is the proof's that runs.
    by_shape: OnceMap<SegmentShape, Prover<E, B>>,
}

impl<E: Extension<Val>, B: Backend<Val>> LeafProvers<E, B>
where
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    pub(super) const fn new(device: B, parameters: LeafParameters) -> Self {
        Self {
            device,
            parameters,
            by_shape: OnceMap::new(),
        }
    }

    /// Proves the segment with this statement from its part of the file.
    pub(super) fn prove(
        &self,
        shape: SegmentShape,
        segment: &SegmentStatement,
        message: &[u8],
    ) -> Result<Vec<u8>, AggregatorError> {
        let wrong = |why: String| AggregatorError::StepInput { why };
        let segment = Segment::of_message(shape, segment.clone(), message)
            .map_err(|error| wrong(error.to_string()))?;
        let prover = self.by_shape.get(shape, || {
            let tables = KeccakMachine::tables();
            let prover =
                BatchProver::setup(&self.device, &self.parameters, tables, heights(shape))?;
            Ok(Mutex::new(prover))
        })?;
        let trace =
            SegmentTrace::<Val>::generate(&segment).map_err(|error| wrong(error.to_string()))?;
        let values = [Vec::new(), trace.public_values];
        // A panic leaves nothing behind that the next proof sees.
        let prover = prover.lock().unwrap_or_else(PoisonError::into_inner);
        let proof = prover.prove(&[&trace.permutation, &trace.sponge], &values)?;
        drop(prover);
        Ok(encode(&proof).map_err(ProverError::from)?)
    }
}
