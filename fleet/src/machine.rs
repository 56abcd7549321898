//! What a fleet must be told of a machine: how a job becomes tasks, how a task is proven, and how its proof is verified.
//!
//! Nothing else in this crate knows what is proven. [`Machine`] lives with the aggregator, needs no device and decides what
//! is accepted; [`TaskProver`] lives with a prover and its device. Both block: they are called off the asynchronous threads.

use std::io::{self, Read};

use crate::task::{Blob, MachineId, TaskSpec};

/// Reads a job's inputs while it is planned.
pub trait Inputs {
    /// The bytes of an input, from its beginning.
    ///
    /// # Errors
    /// Where it is not there.
    fn open(&self, blob: &Blob) -> io::Result<Box<dyn Read + Send + '_>>;
}

/// What a job's payload turned out to be about.
#[derive(Clone, Debug)]
pub struct Planned {
    /// First item of its range.
    pub first: u64,
    /// Items of its range.
    pub count: u64,
    /// Its tasks, children first; the last one's proof is the job's.
    pub tasks: Vec<TaskSpec>,
}

/// Why a machine refuses.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The payload or the inputs cannot be proven.
    #[error("{0}")]
    Input(String),
    /// A proof is not what its task expects.
    #[error("{0}")]
    Rejected(String),
    /// The device failed; the same task may succeed elsewhere.
    #[error("{0}")]
    Device(String),
    /// The device is gone: the prover should stop, its task belongs elsewhere.
    #[error("{0}")]
    DeviceLost(String),
}

/// A machine, as the aggregator knows it.
pub trait Machine: Send + Sync {
    /// Its name and the version of its circuits.
    fn id(&self) -> MachineId;

    /// Cuts a job into tasks, with the statement that each of them must prove. `inputs` opens the blobs that were
    /// submitted with it.
    ///
    /// # Errors
    /// [`MachineError::Input`] for what cannot be proven.
    fn plan(
        &self,
        payload: &[u8],
        blobs: &[Blob],
        inputs: &dyn Inputs,
    ) -> Result<Planned, MachineError>;

    /// Verifies a task's proof against that task's own statement, key and profile.
    ///
    /// # Errors
    /// [`MachineError::Rejected`].
    fn verify(&self, task: &TaskSpec, proof: &[u8]) -> Result<(), MachineError>;

    /// Longest proof of a task that is read, in bytes.
    fn max_proof_bytes(&self) -> u64;
}

/// A machine on a device, as a prover has it.
pub trait TaskProver: Send + Sync {
    /// Its name and the version of its circuits.
    fn id(&self) -> MachineId;

    /// The device's name.
    fn device(&self) -> String;

    /// Device memory in bytes: tasks that need more are not handed to it.
    fn memory(&self) -> u64;

    /// Proves a task from its input and its children's proofs.
    ///
    /// # Errors
    /// [`MachineError`].
    fn prove(
        &self,
        task: &TaskSpec,
        input: Option<&[u8]>,
        children: &[Vec<u8>],
    ) -> Result<Vec<u8>, MachineError>;
}
