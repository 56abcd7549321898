//! The Keccak-256 machine in a fleet: files become segments, their proofs a tree, the tree one wrap.
//!
//! A job's payload is JSON ([`KeccakJob`]); its inputs are the files, in order. What a task has to prove is one of the
//! aggregator's steps, in its encoding. The job's proof is the file that `starkwright wrap` writes.

use std::io::Read;

use serde::{Deserialize, Serialize};
use starkwright_aggregator::AggregatorError;
use starkwright_aggregator::node::Layers;
use starkwright_aggregator::statement::Digest;
use starkwright_aggregator::steps::{
    MAX_STEP_PROOF_BYTES, PlanOptions, PlannedStep, Step, StepKind, StepProver, StepVerifier,
    circuits_version,
};
use starkwright_hal::{Backend, HalError};
use starkwright_prover::ProverError;
use starkwright_prover::keccak_file::{CONTEXT_LIMIT, Val};
use starkwright_prover::machine::keccak::SegmentShape;
use starkwright_prover::profile::Profile;

use crate::machine::{Inputs, Machine, MachineError, Planned, TaskProver};
use crate::task::{Blob, BlobRange, MachineId, Place, TaskSpec};

/// The machine's name in a fleet.
pub const NAME: &str = "keccak";

/// What a job over files asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeccakJob {
    /// Security profile.
    pub profile: Profile,
    /// Blocks of 136 bytes in a full segment: 85, 341, 1365 or 5461.
    pub segment_blocks: usize,
    /// Context bound into every proof: canonical field elements.
    pub context: [u32; 8],
    /// Index of the first file's item.
    pub first: u64,
    /// The accumulator before it: canonical field elements.
    pub old: [u32; 8],
}

impl KeccakJob {
    /// The payload. Equal jobs have equal bytes.
    ///
    /// # Errors
    /// None in practice: every job has an encoding.
    pub fn to_payload(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    fn options(&self) -> Result<PlanOptions, MachineError> {
        let shape = SegmentShape::from_capacity(self.segment_blocks);
        let shape = shape.ok_or_else(|| {
            let listed = SegmentShape::all().map(|shape| shape.capacity().to_string());
            let listed: Vec<String> = listed.collect();
            MachineError::Input(format!(
                "segments of {} blocks: choose one of {}",
                self.segment_blocks,
                listed.join(", ")
            ))
        })?;
        let mut elements = self.context.iter().chain(&self.old);
        if elements.any(|&element| element >= CONTEXT_LIMIT) {
            return Err(MachineError::Input(format!(
                "context and accumulator are field elements, each below {CONTEXT_LIMIT}"
            )));
        }
        let old: Digest = self.old.map(Val::new);
        Ok(PlanOptions {
            profile: self.profile,
            shape,
            context: self.context,
            first: self.first,
            old,
        })
    }
}

/// The machine's identity in this version.
///
/// # Errors
/// [`MachineError::Input`] where the keys that were compiled in are damaged.
pub fn machine_id() -> Result<MachineId, MachineError> {
    let version = circuits_version().map_err(|error| MachineError::Input(error.to_string()))?;
    Ok(MachineId {
        name: NAME.to_owned(),
        version,
    })
}

/// The aggregator's half: plans and verifies.
pub struct KeccakMachine {
    id: MachineId,
    verifier: StepVerifier,
    layers: fn(Profile) -> Layers,
}

impl KeccakMachine {
    /// The machine under the keys that were compiled in.
    ///
    /// # Errors
    /// As [`machine_id`].
    pub fn new() -> Result<Self, MachineError> {
        Ok(Self::with_verifier(
            machine_id()?,
            StepVerifier::new(),
            Layers::of,
        ))
    }

    /// The machine under another verifier: for tests, whose layers are small.
    #[must_use]
    pub const fn with_verifier(
        id: MachineId,
        verifier: StepVerifier,
        layers: fn(Profile) -> Layers,
    ) -> Self {
        Self {
            id,
            verifier,
            layers,
        }
    }

    fn task(&self, step: PlannedStep, blobs: &[Blob]) -> Result<TaskSpec, MachineError> {
        let input = |text: &str| MachineError::Input(text.to_owned());
        let range = match step.input {
            Some(range) => Some(BlobRange {
                blob: *blobs
                    .get(range.file)
                    .ok_or_else(|| input("a step reads a file that was not given"))?,
                offset: range.offset,
                bytes: range.length,
            }),
            None => None,
        };
        let kind = step.step.kind();
        let layers = (self.layers)(step.step.profile());
        let payload = step.step.to_bytes();
        Ok(TaskSpec {
            kind: kind.name().to_owned(),
            place: Place {
                owner: step.item,
                level: step.level,
                index: step.index,
                count: step.count,
            },
            circuit: step.circuit_key,
            urgency: urgency(kind),
            // A plan has fewer than 2^32 steps: segments are bounded.
            children: step.children.iter().map(|&child| child as u32).collect(),
            input: range,
            payload: payload.map_err(|error| input(&error.to_string()))?,
            memory: memory(kind, &layers, step.cells),
            work: step.cells,
        })
    }
}

/// The nearer to the job's proof, the sooner: what is nearly done is finished before more is begun.
const fn urgency(kind: StepKind) -> u8 {
    match kind {
        StepKind::Leaf { .. } => 0,
        StepKind::Lift { .. } => 1,
        StepKind::Shrink { .. } => 2,
        StepKind::Join => 3,
        StepKind::Close => 4,
        StepKind::Wrap => 5,
    }
}

/// Device memory of a proof: its tables, and their extension by the blow-up, in words of four bytes. Everything else is
/// small beside them.
fn memory(kind: StepKind, layers: &Layers, cells: u64) -> u64 {
    let parameters = match kind {
        StepKind::Leaf { .. } => &layers.leaf,
        StepKind::Lift { .. } => &layers.lift.1,
        StepKind::Shrink { .. } | StepKind::Join | StepKind::Close => &layers.uniform.1,
        StepKind::Wrap => &layers.wrap.1,
    };
    let extension = 1u64 << parameters.log_blowup.min(32);
    cells.saturating_mul(4).saturating_mul(1 + extension)
}

impl Machine for KeccakMachine {
    fn id(&self) -> MachineId {
        self.id.clone()
    }

    fn plan(
        &self,
        payload: &[u8],
        blobs: &[Blob],
        inputs: &dyn Inputs,
    ) -> Result<Planned, MachineError> {
        let job: KeccakJob = serde_json::from_slice(payload)
            .map_err(|error| MachineError::Input(format!("the job's payload: {error}")))?;
        let open = |file: usize| -> std::io::Result<Box<dyn Read + Send + '_>> {
            let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
            inputs.open(blobs.get(file).ok_or_else(missing)?)
        };
        let steps = self
            .verifier
            .plan(blobs.len(), open, &job.options()?)
            .map_err(|error| MachineError::Input(error.to_string()))?;
        let tasks = steps.into_iter().map(|step| self.task(step, blobs));
        Ok(Planned {
            first: job.first,
            count: blobs.len() as u64,
            tasks: tasks.collect::<Result<_, _>>()?,
        })
    }

    fn verify(&self, task: &TaskSpec, proof: &[u8]) -> Result<(), MachineError> {
        let rejected = |error: AggregatorError| MachineError::Rejected(error.to_string());
        let step = Step::from_bytes(&task.payload).map_err(rejected)?;
        self.verifier.verify(&step, proof).map_err(rejected)
    }

    fn max_proof_bytes(&self) -> u64 {
        MAX_STEP_PROOF_BYTES as u64
    }
}

/// The prover's half, on a device.
pub struct KeccakProver<B: Backend<Val>> {
    id: MachineId,
    prover: StepProver<B>,
}

impl<B: Backend<Val>> KeccakProver<B> {
    /// The machine on this device, under the keys that were compiled in.
    ///
    /// # Errors
    /// As [`machine_id`].
    pub fn new(device: B) -> Result<Self, MachineError> {
        Ok(Self::with_prover(machine_id()?, StepProver::new(device)))
    }

    /// The machine with another prover of steps: for tests, whose layers are small.
    #[must_use]
    pub const fn with_prover(id: MachineId, prover: StepProver<B>) -> Self {
        Self { id, prover }
    }
}

impl<B: Backend<Val>> TaskProver for KeccakProver<B> {
    fn id(&self) -> MachineId {
        self.id.clone()
    }

    fn device(&self) -> String {
        self.prover.device().caps().name
    }

    fn memory(&self) -> u64 {
        self.prover.device().caps().memory
    }

    fn prove(
        &self,
        task: &TaskSpec,
        input: Option<&[u8]>,
        children: &[Vec<u8>],
    ) -> Result<Vec<u8>, MachineError> {
        let step = Step::from_bytes(&task.payload)
            .map_err(|error| MachineError::Input(error.to_string()))?;
        let children: Vec<&[u8]> = children.iter().map(Vec::as_slice).collect();
        self.prover
            .prove(&step, input, &children)
            .map_err(|error| failure(&error))
    }
}

fn failure(error: &AggregatorError) -> MachineError {
    let why = error.to_string();
    match error {
        AggregatorError::Prover(ProverError::Hal(HalError::DeviceLost { .. })) => {
            MachineError::DeviceLost(why)
        }
        AggregatorError::Prover(ProverError::Hal(_))
        | AggregatorError::WrongProof { .. }
        | AggregatorError::OtherKey { .. } => MachineError::Device(why),
        _ => MachineError::Input(why),
    }
}
