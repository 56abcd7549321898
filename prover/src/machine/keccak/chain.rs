//! Joins segment statements into the statement about the whole file.

use super::public_values::CONTEXT_LEN;
use super::statement::{SegmentStatement, StatementError};

/// What a complete chain of segments states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStatement {
    /// Context of every segment.
    pub context: [u32; CONTEXT_LEN],
    /// Keccak-256 of the file.
    pub digest: [u8; 32],
    /// Bytes of the file.
    pub length: u64,
    /// Number of segments.
    pub segments: u64,
}

/// Why statements do not chain. Positions count from 0 in the list given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// There is nothing to chain.
    #[error("there is no segment")]
    NoSegments,
    /// A statement contradicts itself.
    #[error("segment at position {position}: {source}")]
    Statement {
        /// Its position.
        position: usize,
        /// What is wrong with it.
        source: StatementError,
    },
    /// The index that belongs here is nowhere in the list.
    #[error("segment {index} is missing (position {position} holds segment {found})")]
    Missing {
        /// Where it belongs.
        position: usize,
        /// The index that belongs there.
        index: u64,
        /// The index found there.
        found: u64,
    },
    /// An index occurs twice.
    #[error("segment {index} is repeated at position {position}")]
    Repeated {
        /// Position of the repetition.
        position: usize,
        /// The index.
        index: u64,
    },
    /// The index that belongs here comes later.
    #[error("segments are out of order: position {position} holds segment {found}, not {index}")]
    Swapped {
        /// Where it belongs.
        position: usize,
        /// The index that belongs there.
        index: u64,
        /// The index found there.
        found: u64,
    },
    /// The list ends before the file does.
    #[error("the last of {segments} segments does not end the file: segments are missing")]
    NotLast {
        /// Segments in the list.
        segments: usize,
    },
    /// A segment before the end is marked as last.
    #[error("the segment at position {position} is marked as last, but others follow")]
    LastInside {
        /// Its position.
        position: usize,
    },
    /// Neighbours have different contexts.
    #[error("the segment at position {position} has another context than the one before it")]
    Context {
        /// Position of the right neighbour.
        position: usize,
    },
    /// Neighbours disagree on the state between them.
    #[error("the segment at position {position} does not begin with its neighbour's state")]
    State {
        /// Position of the right neighbour.
        position: usize,
    },
    /// Neighbours disagree on the blocks or bytes absorbed.
    #[error("the segment at position {position} does not begin with its neighbour's counters")]
    Counters {
        /// Position of the right neighbour.
        position: usize,
    },
}

/// Chains the segments of one file as they come, holding the last one only.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    last: Option<SegmentStatement>,
    segments: usize,
}

impl Chain {
    /// Segments so far.
    #[must_use]
    pub const fn segments(&self) -> usize {
        self.segments
    }

    /// Checks that the segment goes on where the last one ended, and takes it. After an error the chain is as before.
    ///
    /// # Errors
    /// The break, by name. What comes later is unknown here: an index beyond the next one is [`ChainError::Missing`],
    /// never [`ChainError::Swapped`].
    pub fn push(&mut self, segment: SegmentStatement) -> Result<(), ChainError> {
        let position = self.segments;
        segment
            .validate()
            .map_err(|source| ChainError::Statement { position, source })?;
        if let Some(left) = &self.last
            && left.last
        {
            return Err(ChainError::LastInside {
                position: position - 1,
            });
        }
        // Position `i` holds index `i`, so that only position 0 is first (a valid statement is first exactly when its
        // index is 0).
        let (index, found) = (position as u64, segment.index);
        if found < index {
            // Every smaller index was seen at its own position.
            return Err(ChainError::Repeated {
                position,
                index: found,
            });
        }
        if found > index {
            return Err(ChainError::Missing {
                position,
                index,
                found,
            });
        }
        if let Some(left) = &self.last {
            check_neighbours(left, &segment, position)?;
        }
        self.last = Some(segment);
        self.segments += 1;
        Ok(())
    }

    /// The statement about the file.
    ///
    /// # Errors
    /// [`ChainError::NoSegments`], or [`ChainError::NotLast`] where the chain stops before the file's end: its segments
    /// hold, but they say nothing about a file.
    pub fn finish(&self) -> Result<FileStatement, ChainError> {
        let last = self.last.as_ref().ok_or(ChainError::NoSegments)?;
        let digest = last.digest().ok_or(ChainError::NotLast {
            segments: self.segments,
        })?;
        Ok(FileStatement {
            context: last.context,
            digest,
            length: last.bytes_after,
            segments: self.segments as u64,
        })
    }
}

/// Chains the segments of one file, in order, into the statement about the file.
///
/// # Errors
/// As [`Chain`], and [`ChainError::Swapped`] where the index that is missed comes later.
pub fn chain(segments: &[SegmentStatement]) -> Result<FileStatement, ChainError> {
    let mut chain = Chain::default();
    for segment in segments {
        chain.push(segment.clone()).map_err(|error| match error {
            ChainError::Missing {
                position,
                index,
                found,
            } if segments[position..]
                .iter()
                .any(|segment| segment.index == index) =>
            {
                ChainError::Swapped {
                    position,
                    index,
                    found,
                }
            }
            error => error,
        })?;
    }
    chain.finish()
}

fn check_neighbours(
    left: &SegmentStatement,
    right: &SegmentStatement,
    position: usize,
) -> Result<(), ChainError> {
    if left.context != right.context {
        return Err(ChainError::Context { position });
    }
    if left.state_after != right.state_before {
        return Err(ChainError::State { position });
    }
    if (left.blocks_after, left.bytes_after) != (right.blocks_before, right.bytes_before) {
        return Err(ChainError::Counters { position });
    }
    Ok(())
}
