//! Cuts a stream into segments, with the memory of one segment.

use std::io::{ErrorKind, Read};

use p3_keccak::KeccakF;
use p3_symmetric::Permutation;

use super::RATE_BYTES;
use super::public_values::CONTEXT_LEN;
use super::shape::SegmentShape;
use super::sponge_columns::RATE_LANES;
use super::statement::{SegmentStatement, State};

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
        let (full, rest) = buffer[..len].as_chunks::<RATE_BYTES>();
        let mut blocks: Vec<Block> = full.iter().copied().map(Block::full).collect();
        // A segment that the stream fills leaves no room for the padding, even at the stream's end.
        let last = full.len() < capacity;
        if last {
            blocks.extend(Block::closing(rest));
        }
        let message_bytes: usize = blocks.iter().map(|block| block.message_len).sum();
        let state_after = blocks
            .iter()
            .fold(self.state, |state, block| keccak_f(absorb(&state, block)));
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
