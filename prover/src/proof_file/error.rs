//! What can be wrong with a proof file, where, and what to do about it.

use std::io;
use std::path::PathBuf;

use super::{Header, MachineTag};

/// Why a proof file could not be read or written. Offsets are bytes from the start of the file.
#[derive(Debug, thiserror::Error)]
pub enum ProofFileError {
    /// The file does not start with the magic bytes.
    #[error("not a Starkwright proof file: it starts with {found:02x?} instead of \"SWPF\"")]
    NotAProofFile {
        /// The first bytes.
        found: [u8; 4],
    },

    /// A format that this version does not read.
    #[error(
        "the file has format {found}, this version reads format {known}; use a newer starkwright"
    )]
    UnknownFormat {
        /// The file's format.
        found: u16,
        /// The format of this version.
        known: u16,
    },

    /// A profile that this version does not know.
    #[error(
        "the file names security profile number {found}, which this version does not know; use a newer starkwright"
    )]
    UnknownProfile {
        /// The profile's number in the file.
        found: u8,
    },

    /// A machine that the verifier does not know.
    #[error(
        "the file holds proofs of machine {found}, which this verifier does not know (known: {known:?})"
    )]
    UnknownMachine {
        /// The machine's id in the file.
        found: u32,
        /// The ids known.
        known: Vec<u32>,
    },

    /// A machine that the verifier knows, in a version that it does not.
    #[error(
        "the file holds proofs of version {} of machine {}, this verifier knows {known:?}; \
         use the starkwright that made it, or prove again",
        found.version, found.id
    )]
    UnknownMachineVersion {
        /// Machine and version in the file.
        found: MachineTag,
        /// The versions known.
        known: Vec<u32>,
    },

    /// The file ends too early.
    #[error(
        "the file ends at byte {offset}, inside {what}; it is truncated or its prover was interrupted: \
         copy it again, or resume the prover"
    )]
    Truncated {
        /// Where it ends.
        offset: u64,
        /// What was being read.
        what: &'static str,
    },

    /// A length exceeds its limit.
    #[error(
        "byte {offset}: {what} of {found} bytes, at most {limit} are accepted; the file is damaged or hostile"
    )]
    TooLong {
        /// Where the length stands.
        offset: u64,
        /// What is too long.
        what: &'static str,
        /// The length found.
        found: u64,
        /// The limit.
        limit: u64,
    },

    /// A byte has a value that the format does not allow.
    #[error("byte {offset}: {found} is not a valid {what}; the file is damaged")]
    Invalid {
        /// Where it stands.
        offset: u64,
        /// What was expected there.
        what: &'static str,
        /// The value found.
        found: u64,
    },

    /// A checksum differs.
    #[error(
        "byte {offset}: the checksum of {what} does not match; the file is damaged at or before this point, copy it again"
    )]
    Checksum {
        /// Where the checksum stands.
        offset: u64,
        /// What it ends.
        what: &'static str,
    },

    /// The end record counts other segments than there are.
    #[error("the file says that it holds {said} segments and holds {found}")]
    Count {
        /// The number in the end record.
        said: u64,
        /// The number read.
        found: u64,
    },

    /// Bytes follow the end of the file or of a proof.
    #[error(
        "byte {offset}: unexpected bytes after {what}; cut them off if you know where they come from"
    )]
    TrailingBytes {
        /// Where they start.
        offset: u64,
        /// What should have been the last.
        what: &'static str,
    },

    /// A proof's bytes are not a proof of the expected type.
    #[error("the proof's bytes do not decode: {why}")]
    Undecodable {
        /// postcard's reason.
        why: String,
    },

    /// A proof's bytes decode, but are not the one encoding of what they decode to.
    #[error(
        "the proof's bytes are not its canonical encoding: they differ from byte {offset} of the proof"
    )]
    NotCanonical {
        /// First difference, from the start of the proof.
        offset: u64,
    },

    /// A value could not be encoded.
    #[error("cannot encode the proof: {why}")]
    Unencodable {
        /// postcard's reason.
        why: String,
    },

    /// An interrupted file stands where a new one should go.
    #[error("{} holds the finished segments of an interrupted run; continue it with --resume, or delete it", path.display())]
    PartialExists {
        /// The partial file.
        path: PathBuf,
    },

    /// An interrupted file belongs to another job.
    #[error(
        "{} belongs to another job (machine {} version {}, {}; wanted machine {} version {}, {}); \
         delete it or choose another output",
        path.display(), found.machine.id, found.machine.version, found.profile,
        wanted.machine.id, wanted.machine.version, wanted.profile
    )]
    OtherJob {
        /// The partial file.
        path: PathBuf,
        /// Its header.
        found: Header,
        /// The header of this job.
        wanted: Header,
    },

    /// None of an interrupted file's segments belongs to this job.
    #[error(
        "the segments in {} are not of this input, context and segment size, and nothing of them was changed: \
         choose another output, or delete that file to prove from the start",
        path.display()
    )]
    OtherInput {
        /// The partial file.
        path: PathBuf,
    },

    /// Another process writes the same file.
    #[error("{} is being written by another process; wait for it or choose another output", path.display())]
    InUse {
        /// The partial file.
        path: PathBuf,
    },

    /// A record could not be written. What was complete before is kept.
    #[error(
        "cannot write {}: {source}; {segments} finished segments are kept there: free space, then run again with --resume",
        path.display()
    )]
    Write {
        /// The partial file.
        path: PathBuf,
        /// Segments that are safely in it.
        segments: u64,
        /// The system's reason.
        source: io::Error,
    },

    /// Any other failure of the file system.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// The system's reason.
        source: io::Error,
    },
}
