//! The crate's error: every way in which preparing, proving, storing or reading a proof can fail.

use std::path::PathBuf;

use p3_fri::FriProverError;
use starkwright_hal::HalError;

use crate::proof_file::ProofFileError;
use crate::security::SecurityError;

/// The one error type of the prover. Nothing in this crate panics on input or on a device.
#[derive(Debug, thiserror::Error)]
pub enum ProverError {
    /// The device failed, or cannot do what was asked of it.
    #[error(transparent)]
    Hal(#[from] HalError),

    /// A matrix is too short for the protocol's final polynomial.
    #[error(transparent)]
    Fri(#[from] FriProverError),

    /// A trace or its public values do not fit the tables that were set up.
    #[error("wrong shape: {why}")]
    Shape {
        /// What does not fit.
        why: String,
    },

    /// Stock p3 rejects the proof.
    #[error("the proof is invalid: {why}")]
    Rejected {
        /// p3's reason.
        why: String,
    },

    /// A file that was to be read cannot be.
    #[error("cannot read {}: {why}", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },

    /// The run was stopped; what it had finished is kept.
    #[error(
        "interrupted after {segments} segments, kept in {}; run again with --resume",
        partial.display()
    )]
    Interrupted {
        /// Segments on disk.
        segments: u64,
        /// Where they are.
        partial: PathBuf,
    },

    /// The shape cannot be proven at the profile's security, or its lookups are not sound.
    #[error(transparent)]
    Security(#[from] SecurityError),

    /// A proof file could not be read or written.
    #[error(transparent)]
    ProofFile(#[from] ProofFileError),
}
