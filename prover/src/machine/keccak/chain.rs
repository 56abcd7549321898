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

/// Chains the segments of one file, in order, into the statement about the file.
///
/// # Errors
/// The first break, by name. A chain that begins at segment 0 and stops before the file's end is
/// [`ChainError::NotLast`]: its segments hold, but they say nothing about a file.
pub fn chain(segments: &[SegmentStatement]) -> Result<FileStatement, ChainError> {
    let last = segments.last().ok_or(ChainError::NoSegments)?;
    for (position, segment) in segments.iter().enumerate() {
        segment
            .validate()
            .map_err(|source| ChainError::Statement { position, source })?;
        check_index(segments, position)?;
        if segment.last && position + 1 != segments.len() {
            return Err(ChainError::LastInside { position });
        }
        if position > 0 {
            check_neighbours(&segments[position - 1], segment, position)?;
        }
    }
    let digest = last.digest().ok_or(ChainError::NotLast {
        segments: segments.len(),
    })?;
    Ok(FileStatement {
        context: last.context,
        digest,
        length: last.bytes_after,
        segments: segments.len() as u64,
    })
}

/// Position `i` of a chain holds index `i`, so that only position 0 is first (a valid statement is
/// first exactly when its index is 0). Says which mistake it is if not.
fn check_index(segments: &[SegmentStatement], position: usize) -> Result<(), ChainError> {
    let (index, found) = (position as u64, segments[position].index);
    if found == index {
        return Ok(());
    }
    Err(if found < index {
        // Every smaller index was seen at its own position.
        ChainError::Repeated {
            position,
            index: found,
        }
    } else if segments[position..]
        .iter()
        .any(|segment| segment.index == index)
    {
        ChainError::Swapped {
            position,
            index,
            found,
        }
    } else {
        ChainError::Missing {
            position,
            index,
            found,
        }
    })
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
