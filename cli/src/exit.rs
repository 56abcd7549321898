//! Exit codes, and which failure ends with which.

use starkwright_aggregator::AggregatorError;
use starkwright_fleet::FleetError;
use starkwright_hal::HalError;
use starkwright_prover::ProverError;
use starkwright_prover::proof_file::ProofFileError;

/// Everything went as asked.
pub(crate) const DONE: u8 = 0;
/// A proof is invalid or partial, or the run was interrupted.
pub(crate) const INVALID: u8 = 1;
/// Bad usage, input or output.
pub(crate) const USAGE: u8 = 2;
/// A device failed.
pub(crate) const DEVICE: u8 = 3;
/// A job is not done yet.
pub(crate) const OPEN: u8 = 4;
/// A job failed, or was called off.
pub(crate) const FAILED: u8 = 5;
/// The aggregator is out of reach, or refused the request.
pub(crate) const REFUSED: u8 = 6;

/// Why the command ends, and with which code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: USAGE,
            message: message.into(),
        }
    }
}

impl From<HalError> for Failure {
    fn from(error: HalError) -> Self {
        let code = match &error {
            // The name given does not fit; no device has failed.
            HalError::NoSuchDevice { .. } | HalError::InvalidArgument { .. } => USAGE,
            _ => DEVICE,
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}

impl From<FleetError> for Failure {
    fn from(error: FleetError) -> Self {
        let code = match &error {
            FleetError::Unreachable { .. }
            | FleetError::Unable { .. }
            | FleetError::Refused { .. }
            | FleetError::Quarantined { .. } => REFUSED,
            FleetError::JobFailed { .. } => FAILED,
            FleetError::Stopped { .. } => INVALID,
            FleetError::Device { .. } => DEVICE,
            _ => USAGE,
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}

impl From<AggregatorError> for Failure {
    fn from(error: AggregatorError) -> Self {
        let message = error.to_string();
        let code = match error {
            AggregatorError::Prover(error) => return error.into(),
            // Keys are compiled in: a device that computes wrongly is what makes others.
            AggregatorError::WrongProof { .. } | AggregatorError::OtherKey { .. } => DEVICE,
            AggregatorError::Interrupted { .. }
            | AggregatorError::WrapInterrupted
            | AggregatorError::NodeFile { .. }
            | AggregatorError::Encoding { .. }
            | AggregatorError::Statement { .. } => INVALID,
            _ => USAGE,
        };
        Self { code, message }
    }
}

impl From<ProverError> for Failure {
    fn from(error: ProverError) -> Self {
        let message = error.to_string();
        let code = match error {
            ProverError::Hal(error) => return error.into(),
            ProverError::Rejected { .. } | ProverError::Interrupted { .. } => INVALID,
            ProverError::ProofFile(error) => match error {
                ProofFileError::Io { .. }
                | ProofFileError::Write { .. }
                | ProofFileError::PartialExists { .. }
                | ProofFileError::InUse { .. }
                | ProofFileError::OtherJob { .. }
                | ProofFileError::OtherInput { .. } => USAGE,
                // What the file holds is no proof.
                _ => INVALID,
            },
            _ => USAGE,
        };
        Self { code, message }
    }
}
