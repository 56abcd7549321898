//! Files of nodes and wraps: one proof, what it states, and which circuit it is of.
//!
//! As with proof files, **a file only selects**: keys, parameters and tables come from the verifier. The layout is
//! specified byte by byte in `docs/node-file.md`. In short, integers little-endian, field elements canonical:
//!
//! ```text
//! "SWNF" · format u16 · profile u8 · kind u8 · log2 of the leaf's height u8 · 0u8 ×3 · proof length u32
//! statement 56 × u32 · challenges u32 each · proof · SHA-256 of all bytes before
//! ```
//!
//! A node's proof is p3's in postcard; a wrap's is the fixed encoding of [`wrap_encoding`], which holds
//! its challenge too.
//!
//! The checksum finds damage; it proves nothing.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::KoalaBear;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use starkwright_hal::{Extension, Keccak256Merkle, Poseidon2Merkle};
use starkwright_prover::ProverError;
use starkwright_prover::challenger::Protocol;
use starkwright_prover::profile::Profile;
use starkwright_prover::proof_file::{decode, encode, refuse_special, sync_directory};

use crate::AggregatorError;
use crate::circuit::layout::CHILDREN;
use crate::node::{NodeProof, WrapProof};
use crate::statement::{STATEMENT_LEN, TreeStatement};
use crate::wrap_encoding::{self, WrapShape};

type F = KoalaBear;

/// The first four bytes.
pub const MAGIC: [u8; 4] = *b"SWNF";
/// The format written by this version.
pub const FORMAT: u16 = 1;
/// Longest proof that is read: four times the largest expected one.
pub const MAX_PROOF_BYTES: u32 = 2 << 20;
const HEADER_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 32;

/// Which circuit a file's proof is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A leaf in the shape of its own lift; the height is that of the machine's proof below it.
    Lift {
        /// Base-2 logarithm of the height.
        log_leaf: u8,
    },
    /// A leaf in the uniform shape; the height is that of the machine's proof below it.
    Shrink {
        /// Base-2 logarithm of the height.
        log_leaf: u8,
    },
    /// A join.
    Join,
    /// An item.
    Close,
    /// The last proof.
    Wrap,
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Lift { .. } => 1,
            Self::Shrink { .. } => 2,
            Self::Join => 3,
            Self::Close => 4,
            Self::Wrap => 6,
        }
    }

    const fn log_leaf(self) -> u8 {
        match self {
            Self::Lift { log_leaf } | Self::Shrink { log_leaf } => log_leaf,
            _ => 0,
        }
    }

    fn new(code: u8, log_leaf: u8) -> Option<Self> {
        let all = [
            Self::Lift { log_leaf },
            Self::Shrink { log_leaf },
            Self::Join,
            Self::Close,
            Self::Wrap,
        ];
        all.into_iter()
            .find(|kind| kind.code() == code && kind.log_leaf() == log_leaf)
    }

    /// The kind's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lift { .. } => "lift",
            Self::Shrink { .. } => "shrink",
            Self::Join => "join",
            Self::Close => "close",
            Self::Wrap => "wrap",
        }
    }

    /// Challenges among its public values.
    const fn challenges(self) -> usize {
        match self {
            Self::Wrap => 0,
            _ => CHILDREN,
        }
    }
}

/// A file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFile {
    /// The profile under which everything in the tree was proven.
    pub profile: Profile,
    /// Which circuit's proof it is.
    pub kind: Kind,
    /// What it states.
    pub statement: TreeStatement,
    /// The challenges among its public values, word by word.
    challenges: Vec<F>,
    /// The proof: p3's in postcard, or a wrap's encoding.
    proof: Vec<u8>,
}

fn wrong(why: impl Into<String>) -> AggregatorError {
    AggregatorError::NodeFile { why: why.into() }
}

impl NodeFile {
    /// A node's file.
    ///
    /// # Errors
    /// [`AggregatorError::NodeFile`] where p3's proof has no encoding.
    pub fn of_node<E: Extension<F>>(
        profile: Profile,
        kind: Kind,
        node: &NodeProof<E>,
    ) -> Result<Self, AggregatorError>
    where
        Poseidon2Merkle: Protocol<F, E>,
    {
        let challenges = node.challenges.iter();
        let words = challenges.flat_map(|challenge| challenge.as_basis_coefficients_slice());
        Ok(Self {
            profile,
            kind,
            statement: node.statement,
            challenges: words.copied().collect(),
            proof: encode(&node.proof).map_err(|error| wrong(error.to_string()))?,
        })
    }

    /// A wrap's file.
    ///
    /// # Errors
    /// [`AggregatorError::ProofShape`] where it has another shape than the verifier's.
    pub fn of_wrap<E: Extension<F>>(
        profile: Profile,
        shape: &WrapShape,
        wrap: &WrapProof<E>,
    ) -> Result<Self, AggregatorError>
    where
        Keccak256Merkle: Protocol<F, E>,
    {
        Ok(Self {
            profile,
            kind: Kind::Wrap,
            statement: wrap.statement,
            challenges: Vec::new(),
            proof: wrap_encoding::encode(shape, wrap.challenge, &wrap.proof)?,
        })
    }

    /// The node.
    ///
    /// # Errors
    /// [`AggregatorError::NodeFile`] where it holds a wrap, challenges of another field, or no proof.
    pub fn node<E: Extension<F>>(&self) -> Result<NodeProof<E>, AggregatorError>
    where
        Poseidon2Merkle: Protocol<F, E>,
    {
        if self.kind == Kind::Wrap {
            return Err(wrong("it holds a wrap, and a node is wanted"));
        }
        Ok(NodeProof {
            statement: self.statement,
            challenges: self.elements::<E, CHILDREN>()?,
            proof: self.decoded()?,
        })
    }

    /// The wrap.
    ///
    /// # Errors
    /// [`AggregatorError::NodeFile`] where it holds another node, or no proof of this shape.
    pub fn wrap<E: Extension<F>>(&self, shape: &WrapShape) -> Result<WrapProof<E>, AggregatorError>
    where
        Keccak256Merkle: Protocol<F, E>,
    {
        if self.kind != Kind::Wrap {
            return Err(wrong(format!(
                "it holds a {}, and a wrap is wanted",
                self.kind.name()
            )));
        }
        let (challenge, proof) = wrap_encoding::decode(shape, &self.proof)?;
        Ok(WrapProof {
            statement: self.statement,
            challenge,
            proof,
        })
    }

    /// Bytes of the proof alone.
    #[must_use]
    pub const fn proof_bytes(&self) -> usize {
        self.proof.len()
    }

    fn elements<E: Extension<F>, const N: usize>(&self) -> Result<[E; N], AggregatorError> {
        if self.challenges.len() != N * E::DIMENSION {
            return Err(wrong("challenges of another field"));
        }
        Ok(core::array::from_fn(|i| {
            E::from_basis_coefficients_fn(|word| self.challenges[i * E::DIMENSION + word])
        }))
    }

    fn decoded<T: Serialize + DeserializeOwned>(&self) -> Result<T, AggregatorError> {
        decode(&self.proof).map_err(|error| wrong(error.to_string()))
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// [`AggregatorError::NodeFile`] for a proof longer than [`MAX_PROOF_BYTES`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, AggregatorError> {
        let length = u32::try_from(self.proof.len())
            .ok()
            .filter(|&length| length <= MAX_PROOF_BYTES)
            .ok_or_else(|| wrong("its proof is too long"))?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend([
            profile_code(self.profile),
            self.kind.code(),
            self.kind.log_leaf(),
        ]);
        bytes.extend([0; 3]);
        bytes.extend(length.to_le_bytes());
        for word in self.statement.to_elements().iter().chain(&self.challenges) {
            bytes.extend(word.as_canonical_u32().to_le_bytes());
        }
        bytes.extend(&self.proof);
        let checksum = Sha256::digest(&bytes);
        bytes.extend(checksum);
        Ok(bytes)
    }

    /// Reads a file's bytes. Total: any bytes are read or refused, and no more is allocated than there is.
    ///
    /// # Errors
    /// [`AggregatorError::NodeFile`]; [`TreeStatement::from_elements`]'s.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AggregatorError> {
        let Some((content, checksum)) = bytes
            .len()
            .checked_sub(CHECKSUM_BYTES)
            .and_then(|end| bytes.split_at_checked(end))
        else {
            return Err(wrong("it is cut off"));
        };
        if content.get(..4) != Some(&MAGIC) {
            return Err(wrong("it is no file of a node"));
        }
        if Sha256::digest(content)[..] != *checksum {
            return Err(wrong("it is damaged: its checksum is another"));
        }
        let Some((header, mut rest)) = content.split_at_checked(HEADER_BYTES) else {
            return Err(wrong("it is cut off"));
        };
        let format = u16::from_le_bytes([header[4], header[5]]);
        if format != FORMAT {
            return Err(wrong(format!("format {format}, and {FORMAT} is known")));
        }
        let profile = Profile::ALL
            .into_iter()
            .find(|&profile| profile_code(profile) == header[6])
            .ok_or_else(|| wrong("an unknown profile"))?;
        let kind = Kind::new(header[7], header[8]).ok_or_else(|| wrong("an unknown kind"))?;
        if header[9..12] != [0; 3] {
            return Err(wrong("reserved bytes that are not 0"));
        }
        let length = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
        let challenges = kind.challenges() * profile.leaf().extension_degree;
        let mut words = Vec::with_capacity(STATEMENT_LEN + challenges);
        for _ in 0..STATEMENT_LEN + challenges {
            let Some((word, after)) = rest.split_first_chunk::<4>() else {
                return Err(wrong("it is cut off"));
            };
            let value = u32::from_le_bytes(*word);
            if value >= F::ORDER_U32 {
                return Err(wrong("an element out of the field"));
            }
            words.push(F::from_u32(value));
            rest = after;
        }
        if length > MAX_PROOF_BYTES || rest.len() != length as usize {
            return Err(wrong("its proof has another length than it says"));
        }
        let (statement, challenges) = words.split_at(STATEMENT_LEN);
        let mut elements = [F::ZERO; STATEMENT_LEN];
        elements.copy_from_slice(statement);
        Ok(Self {
            profile,
            kind,
            statement: TreeStatement::from_elements(&elements)?,
            challenges: challenges.to_vec(),
            proof: rest.to_vec(),
        })
    }

    /// Whether a file begins like one of a node.
    #[must_use]
    pub fn is_one(beginning: &[u8]) -> bool {
        beginning.starts_with(&MAGIC)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`AggregatorError::Io`] where it cannot be read; as [`Self::from_bytes`].
    pub fn read(path: &Path) -> Result<Self, AggregatorError> {
        const MOST: u64 = MAX_PROOF_BYTES as u64 + 4096;
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MOST).read_to_end(&mut bytes))
            .map_err(|source| io_error("read", path, source))?;
        Self::from_bytes(&bytes)
    }

    /// Writes a file: beside its name, forced to disk, renamed.
    ///
    /// # Errors
    /// [`AggregatorError::Io`]; nothing is left beside the name then.
    pub fn write(&self, path: &Path) -> Result<u64, AggregatorError> {
        let bytes = self.to_bytes()?;
        write_whole(path, &bytes)?;
        Ok(bytes.len() as u64)
    }
}

/// Writes a file whole or not at all.
///
/// # Errors
/// [`AggregatorError::Io`].
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), AggregatorError> {
    refuse_special(path).map_err(ProverError::from)?;
    // A name of its own: others may write to the same path, and partial proof files have names like it.
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}-{number}.writing", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = File::create_new(&beside)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&beside, path));
    written.map(|()| sync_directory(path)).map_err(|source| {
        // What could not be written is worth nothing.
        let _ = fs::remove_file(&beside);
        io_error("write", path, source)
    })
}

pub(crate) fn io_error(doing: &'static str, path: &Path, source: io::Error) -> AggregatorError {
    AggregatorError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

const fn profile_code(profile: Profile) -> u8 {
    match profile {
        Profile::Conjectured100 => 1,
        Profile::Proven100 => 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::statement::suite::sample;
    use crate::tree::Interval;

    fn file(kind: Kind) -> NodeFile {
        NodeFile {
            profile: Profile::Proven100,
            kind,
            statement: sample(Interval::known(3, 5)),
            challenges: (0..5 * kind.challenges()).map(F::from_usize).collect(),
            proof: (0..300).map(|i| i as u8).collect(),
        }
    }

    #[test]
    fn files_are_read_back() {
        let (lift, shrink) = (Kind::Lift { log_leaf: 11 }, Kind::Shrink { log_leaf: 13 });
        for kind in [lift, shrink, Kind::Join, Kind::Close, Kind::Wrap] {
            let file = file(kind);
            let bytes = file.to_bytes().unwrap();
            assert_eq!(NodeFile::from_bytes(&bytes).unwrap(), file);
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let bytes = file(Kind::Wrap).to_bytes().unwrap();
        for at in 0..bytes.len() {
            NodeFile::from_bytes(&bytes[..at]).unwrap_err();
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                NodeFile::from_bytes(&bytes).unwrap_err();
            }
        }
    }

    /// With a checksum that fits, what is read back is what was written: there is one encoding.
    #[test]
    fn bytes_have_one_meaning() {
        let honest = file(Kind::Join).to_bytes().unwrap();
        let end = honest.len() - CHECKSUM_BYTES;
        for at in 0..end {
            for bit in 0..8 {
                let mut bytes = honest[..end].to_vec();
                bytes[at] ^= 1 << bit;
                let checksum = Sha256::digest(&bytes);
                bytes.extend(checksum);
                if let Ok(read) = NodeFile::from_bytes(&bytes) {
                    assert_eq!(read.to_bytes().unwrap(), bytes);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes: Vec<u8>) {
            let _ = NodeFile::from_bytes(&bytes);
            bytes.splice(0..0, MAGIC);
            let checksum = Sha256::digest(&bytes);
            bytes.extend(checksum);
            let _ = NodeFile::from_bytes(&bytes);
        }
    }
}
