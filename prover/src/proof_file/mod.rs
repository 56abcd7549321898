//! Proof files: the segments of one job, stored so that anyone can check them later.
//!
//! A file names a machine, a profile and, for each segment, the height of its tables, its statement and its p3 proof.
//! **It only selects; it decides nothing**: FRI parameters, AIRs, widths, allowed heights and the meaning of a
//! statement come from the verifier's own tables. Statements and proofs are opaque bytes here; a machine gives them
//! meaning, [`decode`] turns a proof's bytes into p3's type.
//!
//! | module | holds |
//! |---|---|
//! | `read` | [`ProofReader`]: segment by segment from any reader, in bounded memory |
//! | `write` | [`ProofWriter`]: beside the final name, renamed when complete, resumable |
//! | `partial` | the file beside the final name: opening, locking, what may be reused |
//! | `canonical` | [`encode`] and [`decode`]: one value, one encoding |
//! | `error` | [`ProofFileError`] |
//!
//! The layout is specified byte by byte in `docs/proof-file.md`. In short, integers little-endian:
//!
//! ```text
//! header   "SWPF" · format u16 · profile u8 · 0u8 · machine id u32 · machine version u32 · checksum
//! segment  1u8 · log2 of the height u8 · statement length u32 · proof length u32 · statement · proof · checksum
//! end      2u8 · number of segments u64 · checksum
//! ```
//!
//! Every checksum is the SHA-256 of all bytes of the file before it. It finds damage (a flipped bit, a lost or swapped
//! segment) early and says where; it is no part of the proof's security, since anyone can compute it.

mod canonical;
mod error;
mod partial;
mod read;
mod write;

pub use self::canonical::{decode, encode};
pub use self::error::ProofFileError;
pub use self::partial::{partial_path, refuse_special, sync_directory};
pub use self::read::{ProofReader, parse};
pub use self::write::{ProofWriter, Resumed};
use crate::profile::Profile;

/// The first four bytes of a proof file.
pub const MAGIC: [u8; 4] = *b"SWPF";

/// The format written by this version.
pub const FORMAT: u16 = 1;

/// Bytes of the header without its checksum.
const HEADER_BYTES: usize = 16;

/// Bytes of a checksum.
const CHECKSUM_BYTES: usize = 32;

/// First byte of a segment.
const TAG_SEGMENT: u8 = 1;

/// First byte of the end record.
const TAG_END: u8 = 2;

/// A machine and the version of its tables, constraints and statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MachineTag {
    /// The machine.
    pub id: u32,
    /// Its version.
    pub version: u32,
}

/// What a whole file is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// The machine whose segments follow.
    pub machine: MachineTag,
    /// The profile under which every one of them was proven.
    pub profile: Profile,
}

/// One segment: which shape, what is stated, and the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// `log2` of the rows of the machine's tables. The verifier checks it against the heights it knows.
    pub log_height: u8,
    /// The statement in the machine's own encoding.
    pub statement: Vec<u8>,
    /// The p3 proof in postcard.
    pub proof: Vec<u8>,
}

/// What a reader accepts. Comes from the verifier, never from the file.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// The machines that the verifier knows.
    pub machines: &'a [MachineTag],
    /// Longest statement, in bytes.
    pub max_statement_bytes: u32,
    /// Longest proof, in bytes. Decoding a hostile proof of `n` bytes can take up to about `72 n` bytes of memory.
    pub max_proof_bytes: u32,
}

impl<'a> Limits<'a> {
    /// Limits that fit every listed machine: 4 KiB of statement, 16 MiB of proof.
    pub const fn new(machines: &'a [MachineTag]) -> Self {
        Self {
            machines,
            max_statement_bytes: 4 << 10,
            max_proof_bytes: 16 << 20,
        }
    }
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[6] = profile_code(self.profile);
        bytes[8..12].copy_from_slice(&self.machine.id.to_le_bytes());
        bytes[12..].copy_from_slice(&self.machine.version.to_le_bytes());
        bytes
    }
}

const fn profile_code(profile: Profile) -> u8 {
    match profile {
        Profile::Conjectured100 => 1,
        Profile::Proven100 => 2,
    }
}

fn profile_of_code(code: u8) -> Option<Profile> {
    Profile::ALL
        .into_iter()
        .find(|&profile| profile_code(profile) == code)
}

#[cfg(test)]
mod tests;
