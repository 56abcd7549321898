//! Cuts a stream into segments, with the memory of one segment.

use std::io::{ErrorKind, Read};

use p3_keccak::KeccakF;
use p3_symmetric::Permutation;

use super::RATE_BYTES;
use super::public_values::CONTEXT_LEN;
use super::shape::SegmentShape;
use super::sponge_columns::RATE_LANES;
use super::statement::{SegmentStatement, State, StatementError};

/// One block as it is absorbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The block's bytes, padding included.
    pub bytes: [u8; RATE_BYTES],
    /// How many of them belong to the message: 136, or fewer in the closing block.
    pub message_len: usize,
    /// Whether this is the file's last block, the one with the padding.
    pub closing: bool,
}

impl Block {
    /// A block full of message bytes.
    #[must_use]
    pub const fn full(bytes: [u8; RATE_BYTES]) -> Self {
        Self {
            bytes,
            message_len: RATE_BYTES,
            closing: false,
        }
    }

    /// The file's last block: fewer than 136 message bytes, `0x01`, zeros, and `0x80` on the last
    /// byte (`pad10*1` of FIPS 202 with Keccak's empty suffix; where both meet, `0x81`).
    ///
    /// `None` when `message` leaves no room for the padding.
    #[must_use]
    pub fn closing(message: &[u8]) -> Option<Self> {
        let mut bytes = [0; RATE_BYTES];
        bytes.get_mut(..message.len())?.copy_from_slice(message);
        *bytes.get_mut(message.len())? = 0x01;
        bytes[RATE_BYTES - 1] |= 0x80;
        Some(Self {
            bytes,
            message_len: message.len(),
            closing: true,
        })
    }

    /// The block's lanes.
    #[must_use]
    pub fn lanes(&self) -> [u64; RATE_LANES] {
        core::array::from_fn(|lane| {
            (0..8).fold(0, |word, byte| {
                word | u64::from(self.bytes[8 * lane + byte]) << (8 * byte)
            })
        })
    }
}

/// Absorbs a block: `state ^= block`. Yields the permutation's input.
pub(super) fn absorb(state: &State, block: &Block) -> State {
    let mut input = *state;
    for (lane, word) in input.iter_mut().zip(block.lanes()) {
        *lane ^= word;
    }
    input
}

/// Keccak-f\[1600\].
pub(super) fn keccak_f(input: State) -> State {
    KeccakF.permute(input)
}

/// The work of one segment: its blocks, what they prove, and the shape that holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Height of its tables.
    pub shape: SegmentShape,
    /// What its proof states.
    pub statement: SegmentStatement,
    /// Its blocks, at most the shape's capacity.
    pub blocks: Vec<Block>,
}

impl Segment {
    /// The segment that states this, from its part of the file: bytes `bytes_before .. bytes_after`. The bytes are
    /// absorbed here, so what is returned can be proven.
    ///
    /// # Errors
    /// [`MessageError`]: nothing is taken on the statement's word.
    pub fn of_message(
        shape: SegmentShape,
        statement: SegmentStatement,
        message: &[u8],
    ) -> Result<Self, MessageError> {
        statement.validate()?;
        let expected = statement.bytes_after - statement.bytes_before;
        let found = message.len() as u64;
        if found != expected {
            return Err(MessageError::Length { expected, found });
        }
        let capacity = shape.capacity();
        let count = statement.blocks_after - statement.blocks_before;
        if count > capacity as u64 {
            return Err(MessageError::TooManyBlocks {
                blocks: count,
                capacity,
            });
        }
        let blocks = blocks(message, statement.last);
        if after(statement.state_before, &blocks) != statement.state_after {
            return Err(MessageError::State);
        }
        Ok(Self {
            shape,
            statement,
            blocks,
        })
    }
}

/// Why bytes are not those that a segment's statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The statement contradicts itself.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// There are more or fewer bytes than the statement counts.
    #[error("{found} bytes, and the segment has {expected}")]
    Length {
        /// Bytes that the statement counts.
        expected: u64,
        /// Bytes given.
        found: u64,
    },
    /// The statement counts more blocks than the shape holds.
    #[error("{blocks} blocks do not fit a segment of {capacity}")]
    TooManyBlocks {
        /// Blocks that the statement counts.
        blocks: u64,
        /// Blocks that fit.
        capacity: usize,
    },
    /// Absorbing the bytes leads to another state.
    #[error("the bytes are not the segment's: they lead to another state")]
    State,
}

/// The blocks of a part of a file, the closing one included where it is the last part.
fn blocks(message: &[u8], last: bool) -> Vec<Block> {
    let (full, rest) = message.as_chunks::<RATE_BYTES>();
    let mut blocks: Vec<Block> = full.iter().copied().map(Block::full).collect();
    if last {
        blocks.extend(Block::closing(rest));
    }
    blocks
}

/// The state after absorbing these blocks.
fn after(state: State, blocks: &[Block]) -> State {
    let absorbed = blocks.iter();
    absorbed.fold(state, |state, block| keccak_f(absorb(&state, block)))
}

/// Why a stream cannot be cut.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// Reading failed.
    #[error("cannot read the input: {0}")]
    Read(#[from] std::io::Error),
    /// The stream is longer than 64-bit counters can say.
    #[error("the input is longer than 2^64 bytes")]
    TooLong,
}

/// Cuts a stream into segments: an iterator over [`Segment`]s, ending after the last one or after
/// an error. It reads one segment at a time and keeps nothing of earlier ones but the state.
///
/// Every segment but the last is full. The last one takes the smallest listed shape that holds it,
/// so a file's last proof may be smaller than the others.
#[derive(Debug)]
pub struct Segmenter<R> {
    reader: R,
    shape: SegmentShape,
    context: [u32; CONTEXT_LEN],
    index: u64,
    blocks: u64,
    bytes: u64,
    state: State,
    finished: bool,
}

impl<R: Read> Segmenter<R> {
    /// Cuts `reader` into segments of `shape`, for a job with this context.
    pub const fn new(reader: R, shape: SegmentShape, context: [u32; CONTEXT_LEN]) -> Self {
        let state = [0; 25];
        Self {
            reader,
            shape,
            context,
            index: 0,
            blocks: 0,
            bytes: 0,
            state,
            finished: false,
        }
    }

    /// Reads and cuts the next segment.
    fn cut(&mut self) -> Result<Segment, SegmentError> {
        let capacity = self.shape.capacity();
        let mut buffer = vec![0; capacity * RATE_BYTES];
        let len = read_full(&mut self.reader, &mut buffer)?;
        // A segment that the stream fills leaves no room for the padding, even at the stream's end.
        let last = len < buffer.len();
        let blocks = blocks(&buffer[..len], last);
        let message_bytes: usize = blocks.iter().map(|block| block.message_len).sum();
        let state_after = after(self.state, &blocks);
        let add =
            |count: u64, more: usize| count.checked_add(more as u64).ok_or(SegmentError::TooLong);
        let statement = SegmentStatement {
            context: self.context,
            index: self.index,
            state_before: self.state,
            state_after,
            blocks_before: self.blocks,
            blocks_after: add(self.blocks, blocks.len())?,
            bytes_before: self.bytes,
            bytes_after: add(self.bytes, message_bytes)?,
            first: self.index == 0,
            last,
        };
        // What is not the last segment is full, so its blocks fit the shape in either case.
        let shape = SegmentShape::smallest_for(blocks.len())
            .unwrap_or(self.shape)
            .min(self.shape);
        self.index += 1;
        self.blocks = statement.blocks_after;
        self.bytes = statement.bytes_after;
        self.state = state_after;
        self.finished = last;
        Ok(Segment {
            shape,
            statement,
            blocks,
        })
    }
}

impl<R: Read> Iterator for Segmenter<R> {
    type Item = Result<Segment, SegmentError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let segment = self.cut();
        self.finished |= segment.is_err();
        Some(segment)
    }
}

/// Reads until `buffer` is full or the stream ends; yields the bytes read.
fn read_full(reader: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match reader.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every segment of a file is rebuilt from its bytes, and from no others.
    #[test]
    fn a_segment_is_rebuilt_from_its_bytes_alone() {
        let shape = SegmentShape::from_capacity(85).unwrap();
        for length in [0, 1, 136, 85 * 136 - 1, 85 * 136, 200 * 136 + 5] {
            let file: Vec<u8> = (0..length).map(|i| (i * 7 % 251) as u8).collect();
            for segment in Segmenter::new(file.as_slice(), shape, [3; 8]) {
                let segment = segment.unwrap();
                let (shape, statement) = (segment.shape, segment.statement.clone());
                let range = statement.bytes_before as usize..statement.bytes_after as usize;
                let of = |statement: &SegmentStatement, message: &[u8]| {
                    Segment::of_message(shape, statement.clone(), message)
                };
                let message = &file[range];
                assert_eq!(of(&statement, message), Ok(segment.clone()));
                let mut longer = message.to_vec();
                longer.push(0);
                let lengths = of(&statement, &longer);
                assert!(matches!(lengths, Err(MessageError::Length { .. })));
                if let Some((_, shorter)) = message.split_first() {
                    let lengths = of(&statement, shorter);
                    assert!(matches!(lengths, Err(MessageError::Length { .. })));
                    let mut other = message.to_vec();
                    other[0] ^= 1;
                    assert_eq!(of(&statement, &other), Err(MessageError::State));
                }
                let mut lie = statement.clone();
                lie.blocks_after += 1 << 40;
                assert!(matches!(of(&lie, message), Err(MessageError::Statement(_))));
            }
        }
    }

    #[test]
    fn what_does_not_fit_its_shape_is_refused() {
        let [small, large] = [85, 341].map(|blocks| SegmentShape::from_capacity(blocks).unwrap());
        let file = vec![7; 100 * RATE_BYTES];
        let segment = Segmenter::new(file.as_slice(), large, [0; 8]).next();
        let statement = segment.unwrap().unwrap().statement;
        assert_eq!(
            Segment::of_message(small, statement, &file),
            Err(MessageError::TooManyBlocks {
                blocks: 101,
                capacity: 85
            })
        );
    }
}
