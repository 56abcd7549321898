//! Reading: bounded, total, one segment in memory at a time.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{
    CHECKSUM_BYTES, FORMAT, HEADER_BYTES, Header, Limits, MAGIC, MachineTag, ProofFileError,
    Segment, TAG_END, TAG_SEGMENT, profile_of_code,
};

/// Memory set aside for a blob before any of its bytes are seen.
const FIRST_RESERVATION: usize = 1 << 16;

/// Reads a proof file segment by segment from any source.
///
/// Memory is bounded by the [`Limits`], whatever lengths the file claims, and grows only as bytes arrive. After an
/// error or the end, [`Self::next_segment`] returns no further segments.
#[derive(Debug)]
pub struct ProofReader<'a, R> {
    input: Hashing<R>,
    limits: Limits<'a>,
    header: Header,
    segments: u64,
    ended: bool,
}

impl<'a> ProofReader<'a, BufReader<File>> {
    /// Opens the file at `path` and reads its header.
    pub fn open(path: &Path, limits: Limits<'a>) -> Result<Self, ProofFileError> {
        let file = File::open(path).map_err(|source| ProofFileError::Io {
            doing: format!("open {}", path.display()),
            source,
        })?;
        Self::new(BufReader::new(file), limits)
    }
}

impl<'a, R: Read> ProofReader<'a, R> {
    /// Reads the header from `input`, which should be buffered.
    pub fn new(input: R, limits: Limits<'a>) -> Result<Self, ProofFileError> {
        let mut input = Hashing {
            input,
            hasher: Sha256::new(),
            offset: 0,
        };
        let header = read_header(&mut input, limits.machines)?;
        Ok(Self {
            input,
            limits,
            header,
            segments: 0,
            ended: false,
        })
    }

    /// Machine and profile of the file.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Segments read so far.
    pub const fn segments(&self) -> u64 {
        self.segments
    }

    /// The next segment, or `None` after the last one, once the end of the file is checked too.
    pub fn next_segment(&mut self) -> Result<Option<Segment>, ProofFileError> {
        if self.ended {
            return Ok(None);
        }
        let record = self.record();
        self.ended = !matches!(record, Ok(Some(_)));
        record
    }

    fn record(&mut self) -> Result<Option<Segment>, ProofFileError> {
        let offset = self.input.offset;
        match self.input.array::<1>("a record")? {
            [TAG_SEGMENT] => self.segment().map(Some),
            [TAG_END] => self.end().map(|()| None),
            [found] => Err(ProofFileError::Invalid {
                offset,
                what: "record type",
                found: found.into(),
            }),
        }
    }

    fn segment(&mut self) -> Result<Segment, ProofFileError> {
        let [log_height] = self.input.array("a segment's height")?;
        let statement_bytes = self.length("statement", self.limits.max_statement_bytes)?;
        let proof_bytes = self.length("proof", self.limits.max_proof_bytes)?;
        let statement = self.input.blob(statement_bytes, "a statement")?;
        let proof = self.input.blob(proof_bytes, "a proof")?;
        self.input.checksum("a segment")?;
        self.segments += 1;
        Ok(Segment {
            log_height,
            statement,
            proof,
        })
    }

    fn end(&mut self) -> Result<(), ProofFileError> {
        let said = u64::from_le_bytes(self.input.array("the number of segments")?);
        self.input.checksum("the file")?;
        if said != self.segments {
            return Err(ProofFileError::Count {
                said,
                found: self.segments,
            });
        }
        let offset = self.input.offset;
        match self.input.array::<1>("the end") {
            Err(ProofFileError::Truncated { .. }) => Ok(()),
            Ok(_) => Err(ProofFileError::TrailingBytes {
                offset,
                what: "the end of the file",
            }),
            Err(error) => Err(error),
        }
    }

    fn length(&mut self, what: &'static str, limit: u32) -> Result<u32, ProofFileError> {
        let offset = self.input.offset;
        let found = u32::from_le_bytes(self.input.array(what)?);
        if found > limit {
            return Err(ProofFileError::TooLong {
                offset,
                what,
                found: found.into(),
                limit: limit.into(),
            });
        }
        Ok(found)
    }

    /// Where the reader stands: the hash of everything up to there, and the offset.
    pub(super) fn position(&self) -> (Sha256, u64) {
        (self.input.hasher.clone(), self.input.offset)
    }
}

/// Reads a whole file that is already in memory.
pub fn parse(bytes: &[u8], limits: Limits<'_>) -> Result<(Header, Vec<Segment>), ProofFileError> {
    let mut reader = ProofReader::new(bytes, limits)?;
    let mut segments = Vec::new();
    while let Some(segment) = reader.next_segment()? {
        segments.push(segment);
    }
    Ok((*reader.header(), segments))
}

fn read_header<R: Read>(
    input: &mut Hashing<R>,
    known: &[MachineTag],
) -> Result<Header, ProofFileError> {
    let found = input.array::<4>("the magic bytes")?;
    if found != MAGIC {
        return Err(ProofFileError::NotAProofFile { found });
    }
    let format = u16::from_le_bytes(input.array("the format")?);
    if format != FORMAT {
        return Err(ProofFileError::UnknownFormat {
            found: format,
            known: FORMAT,
        });
    }
    let [code, reserved] = input.array("the profile")?;
    let machine = MachineTag {
        id: u32::from_le_bytes(input.array("the machine")?),
        version: u32::from_le_bytes(input.array("the machine's version")?),
    };
    debug_assert_eq!(input.offset, HEADER_BYTES as u64);
    // Damage is told apart from a name that we do not know.
    input.checksum("the header")?;
    if reserved != 0 {
        return Err(ProofFileError::Invalid {
            offset: 7,
            what: "reserved byte",
            found: reserved.into(),
        });
    }
    let profile = profile_of_code(code).ok_or(ProofFileError::UnknownProfile { found: code })?;
    if !known.contains(&machine) {
        let versions: Vec<u32> = known
            .iter()
            .filter(|tag| tag.id == machine.id)
            .map(|tag| tag.version)
            .collect();
        return Err(if versions.is_empty() {
            ProofFileError::UnknownMachine {
                found: machine.id,
                known: known.iter().map(|tag| tag.id).collect(),
            }
        } else {
            ProofFileError::UnknownMachineVersion {
                found: machine,
                known: versions,
            }
        });
    }
    Ok(Header { machine, profile })
}

/// A source together with the hash and the number of the bytes taken from it.
#[derive(Debug)]
struct Hashing<R> {
    input: R,
    hasher: Sha256,
    offset: u64,
}

impl<R: Read> Hashing<R> {
    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ProofFileError> {
        let bytes = self.bytes(N as u64, what)?;
        let mut array = [0; N];
        array.copy_from_slice(&bytes);
        self.hasher.update(array);
        Ok(array)
    }

    fn blob(&mut self, length: u32, what: &'static str) -> Result<Vec<u8>, ProofFileError> {
        let bytes = self.bytes(length.into(), what)?;
        self.hasher.update(&bytes);
        Ok(bytes)
    }

    /// Compares the checksum that stands here with the hash of everything before it.
    fn checksum(&mut self, what: &'static str) -> Result<(), ProofFileError> {
        let offset = self.offset;
        let expected: [u8; CHECKSUM_BYTES] = self.hasher.clone().finalize().into();
        if self.array::<CHECKSUM_BYTES>("a checksum")? != expected {
            return Err(ProofFileError::Checksum { offset, what });
        }
        Ok(())
    }

    /// Exactly `length` bytes. Memory grows as they arrive, not as they are claimed.
    fn bytes(&mut self, length: u64, what: &'static str) -> Result<Vec<u8>, ProofFileError> {
        let mut bytes = Vec::with_capacity(FIRST_RESERVATION.min(length as usize));
        let read = self.input.by_ref().take(length).read_to_end(&mut bytes);
        self.offset += bytes.len() as u64;
        let doing = || format!("read {what} at byte {}", self.offset);
        let read = read.map_err(|source: io::Error| ProofFileError::Io {
            doing: doing(),
            source,
        })?;
        if (read as u64) < length {
            return Err(ProofFileError::Truncated {
                offset: self.offset,
                what,
            });
        }
        Ok(bytes)
    }
}
