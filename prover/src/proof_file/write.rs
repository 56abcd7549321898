//! Writing: nothing incomplete ever bears the final name, and nothing complete is lost.
//!
//! Segments are appended to `NAME.partial` beside the final name, each forced to disk before the next is proven.
//! [`ProofWriter::finish`] adds the end record and renames. An interrupted run leaves the partial file with whole
//! segments and at most one torn record at its end, which [`ProofWriter::resume`] cuts off. A record that could not be
//! written (a full disk) is cut off at once, so that the same append can be tried again.

use std::fs::{self, File};
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::partial::{self, Partial};
use super::{
    Header, Limits, ProofFileError, ProofReader, Segment, TAG_END, TAG_SEGMENT, partial_path,
};

/// Writes one proof file, segment by segment.
///
/// Dropping it without [`Self::finish`] leaves the partial file for a later [`Self::resume`].
#[derive(Debug)]
pub struct ProofWriter {
    records: Records<File>,
    path: PathBuf,
    partial: PathBuf,
}

/// What [`ProofWriter::resume`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// Whole segments that were kept.
    pub segments: u64,
    /// Bytes that were cut off behind them: a torn or damaged record, or segments that the caller did not want.
    pub dropped_bytes: u64,
}

impl ProofWriter {
    /// Starts a new file at `path`.
    ///
    /// # Errors
    /// [`ProofFileError::PartialExists`] where an earlier run was interrupted: its segments are not overwritten.
    pub fn create(path: &Path, header: Header) -> Result<Self, ProofFileError> {
        partial::refuse_special(path)?;
        let partial = partial_path(path);
        let Partial { file, created } = partial::open(&partial)?;
        // The partial file of a run that was stopped before its first segment: there is nothing to lose in it.
        if !created && !partial::is_header_prefix(&file, &partial, header.machine)? {
            return Err(ProofFileError::PartialExists { path: partial });
        }
        Self::start(file, path, partial, header)
    }

    /// Goes on with the partial file of `path`, or starts a new one if there is none.
    ///
    /// `keep` sees every whole segment in order; the first one it refuses is dropped with all that follow. A torn or
    /// damaged record ends the kept part as well. After an error, one of `keep`'s included, the file is as before.
    ///
    /// # Errors
    /// [`ProofFileError::OtherJob`] where the partial file has another header, [`ProofFileError::OtherInput`] where it
    /// holds whole segments and `keep` refuses the first, any header error of the reader, and what `keep` returns.
    pub fn resume<E: From<ProofFileError>>(
        path: &Path,
        header: Header,
        limits: Limits<'_>,
        mut keep: impl FnMut(&Segment) -> Result<bool, E>,
    ) -> Result<(Self, Resumed), E> {
        partial::refuse_special(path)?;
        let partial = partial_path(path);
        let Partial { file, .. } = partial::open(&partial)?;
        let found = partial::length(&file, &partial)?;

        let mut reader = match ProofReader::new(BufReader::new(&file), limits) {
            // Interrupted while the header was written: there is nothing to lose.
            Err(ProofFileError::Truncated { .. })
                if partial::is_header_prefix(&file, &partial, header.machine)? =>
            {
                let writer = Self::start(file, path, partial, header)?;
                return Ok((
                    writer,
                    Resumed {
                        segments: 0,
                        dropped_bytes: found,
                    },
                ));
            }
            reader => reader?,
        };
        if *reader.header() != header {
            return Err(ProofFileError::OtherJob {
                path: partial,
                found: *reader.header(),
                wanted: header,
            }
            .into());
        }
        let mut kept = (reader.position(), 0);
        loop {
            match reader.next_segment() {
                Ok(Some(segment)) => {
                    if keep(&segment)? {
                        kept = (reader.position(), reader.segments());
                    } else if kept.1 == 0 {
                        return Err(ProofFileError::OtherInput { path: partial }.into());
                    } else {
                        break;
                    }
                }
                // The end record of a file that was complete but not yet renamed.
                Ok(None) => break,
                Err(error @ ProofFileError::Io { .. }) => return Err(error.into()),
                // Torn or damaged: everything before it has been checked.
                Err(_) => break,
            }
        }
        drop(reader);
        let ((hasher, length), segments) = kept;
        let mut records = Records {
            store: file,
            hasher,
            length,
            segments,
            torn: false,
        };
        records
            .store
            .truncate(length)
            .map_err(|source| partial::io_error("truncate", &partial, source))?;
        let resumed = Resumed {
            segments,
            dropped_bytes: found.saturating_sub(length),
        };
        Ok((
            Self {
                records,
                path: path.to_owned(),
                partial,
            },
            resumed,
        ))
    }

    fn start(
        file: File,
        path: &Path,
        partial: PathBuf,
        header: Header,
    ) -> Result<Self, ProofFileError> {
        let mut records = Records {
            store: file,
            hasher: Sha256::new(),
            length: 0,
            segments: 0,
            torn: false,
        };
        let written = records
            .store
            .truncate(0)
            .and_then(|()| records.append(&[&header.to_bytes()]));
        written.map_err(|source| ProofFileError::Write {
            path: partial.clone(),
            segments: 0,
            source,
        })?;
        Ok(Self {
            records,
            path: path.to_owned(),
            partial,
        })
    }

    /// Segments in the file.
    pub const fn segments(&self) -> u64 {
        self.records.segments
    }

    /// Bytes in the file.
    pub const fn bytes(&self) -> u64 {
        self.records.length
    }

    /// Appends a segment and forces it to disk. After an error the file is as before, and the call can be repeated.
    pub fn append(&mut self, segment: &Segment) -> Result<(), ProofFileError> {
        let [statement, proof] = [("statement", &segment.statement), ("proof", &segment.proof)]
            .map(|(what, bytes)| {
                u32::try_from(bytes.len())
                    .map(u32::to_le_bytes)
                    .map_err(|_| ProofFileError::TooLong {
                        offset: self.records.length,
                        what,
                        found: bytes.len() as u64,
                        limit: u32::MAX.into(),
                    })
            });
        self.records
            .append(&[
                &[TAG_SEGMENT, segment.log_height],
                &statement?,
                &proof?,
                &segment.statement,
                &segment.proof,
            ])
            .map_err(|source| self.write_error(source))?;
        self.records.segments += 1;
        Ok(())
    }

    /// Ends the file, forces it to disk and gives it its final name, replacing a file of that name.
    ///
    /// Returns the number of bytes. After an error the partial file still holds every segment.
    pub fn finish(mut self) -> Result<u64, ProofFileError> {
        let count = self.records.segments.to_le_bytes();
        self.records
            .append(&[&[TAG_END], &count])
            .map_err(|source| self.write_error(source))?;
        fs::rename(&self.partial, &self.path).map_err(|source| ProofFileError::Io {
            doing: format!(
                "rename {} to {}",
                self.partial.display(),
                self.path.display()
            ),
            source,
        })?;
        partial::sync_directory(&self.path);
        Ok(self.records.length)
    }

    fn write_error(&self, source: io::Error) -> ProofFileError {
        ProofFileError::Write {
            path: self.partial.clone(),
            segments: self.records.segments,
            source,
        }
    }
}

/// What records are written to: a file, or a disk that fails on purpose.
pub(super) trait Store {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts down to `length` bytes and continues there.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
}

impl Store for File {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Write::write_all(self, bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(drop)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// Appends records, each followed by the hash of everything before.
#[derive(Debug)]
pub(super) struct Records<S> {
    pub(super) store: S,
    pub(super) hasher: Sha256,
    pub(super) length: u64,
    pub(super) segments: u64,
    /// A failed append may have left bytes behind `length`.
    pub(super) torn: bool,
}

impl<S: Store> Records<S> {
    /// Appends a record whole, or leaves everything as it was.
    pub(super) fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let mut hasher = self.hasher.clone();
        for part in parts {
            hasher.update(part);
        }
        let checksum: [u8; 32] = hasher.clone().finalize().into();
        hasher.update(checksum);
        if self.torn {
            self.store.truncate(self.length)?;
        }
        let written = parts
            .iter()
            .chain([&&checksum[..]])
            .try_for_each(|part| self.store.write_all(part))
            .and_then(|()| self.store.sync());
        if let Err(error) = written {
            // Where cutting off fails too, the next append or a resume does it.
            self.torn = self.store.truncate(self.length).is_err();
            return Err(error);
        }
        self.torn = false;
        self.hasher = hasher;
        self.length +=
            parts.iter().map(|part| part.len() as u64).sum::<u64>() + checksum.len() as u64;
        Ok(())
    }
}
