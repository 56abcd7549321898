//! What one segment's proof states, typed, as public values and as bytes.

use p3_field::PrimeField32;

use super::public_values as pv;
use super::sponge_columns::{LIMB_BITS, LIMBS};
use super::{KeccakMachine, RATE_BYTES};
use crate::machine::Machine;

/// A Keccak state: 25 lanes in order `x + 5y`.
pub type State = [u64; 25];

/// The statement of one segment.
///
/// "Absorbing `blocks_after - blocks_before` blocks, which hold
/// `bytes_after - bytes_before` message bytes, takes `state_before` to `state_after`"; with `last`,
/// "and the message ends there". What holds between the fields is listed at
/// [`SegmentStatement::validate`]; the proof's constraints enforce it, and more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentStatement {
    /// Context of the whole job, canonical field elements; zero where there is none. Nothing about
    /// the segment depends on it: it binds a proof to its purpose.
    pub context: [u32; pv::CONTEXT_LEN],
    /// Index of the segment in its file, from 0.
    pub index: u64,
    /// The sponge's state before the segment.
    pub state_before: State,
    /// The sponge's state after the segment: after the last block's permutation.
    pub state_after: State,
    /// Blocks absorbed before the segment.
    pub blocks_before: u64,
    /// Blocks absorbed after the segment.
    pub blocks_after: u64,
    /// Message bytes absorbed before the segment: 136 for each block.
    pub bytes_before: u64,
    /// Message bytes absorbed after the segment; in the last segment the length of the file.
    pub bytes_after: u64,
    /// The segment begins the file.
    pub first: bool,
    /// The segment ends the file: its last block holds the padding.
    pub last: bool,
}

/// Why a statement is none, or cannot be stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// A context element is not below the field's modulus.
    #[error("context element {element} is {value}, which is not below the field's modulus")]
    Context {
        /// Which of the eight.
        element: usize,
        /// Its value.
        value: u32,
    },
    /// The first segment has counters or a state other than zero.
    #[error("a first segment must begin with a zero state and nothing absorbed")]
    FirstNotFresh,
    /// `first` and the index contradict each other.
    #[error("segment {index} is marked first: {first}")]
    FirstFlag {
        /// The index.
        index: u64,
        /// The flag.
        first: bool,
    },
    /// Bytes before are not 136 for each block before.
    #[error("{bytes} bytes in {blocks} full blocks of 136 bytes: the counters before disagree")]
    CountersBefore {
        /// Blocks absorbed before.
        blocks: u64,
        /// Bytes absorbed before.
        bytes: u64,
    },
    /// Bytes after do not fit the blocks after.
    #[error("{bytes} bytes after {blocks} blocks: the counters after disagree (last: {last})")]
    CountersAfter {
        /// Blocks absorbed after.
        blocks: u64,
        /// Bytes absorbed after.
        bytes: u64,
        /// Whether the segment is the last.
        last: bool,
    },
    /// The segment absorbs no block.
    #[error("a segment must absorb at least one block")]
    NoBlocks,
    /// The public values or bytes do not have the statement's length.
    #[error("a statement has {expected} items, not {found}")]
    Length {
        /// The length it must have.
        expected: usize,
        /// The length found.
        found: usize,
    },
    /// Another machine or version.
    #[error("the statement is of machine {id:#010x} version {version}")]
    Identity {
        /// The machine's id.
        id: u32,
        /// The machine's version.
        version: u32,
    },
    /// A limb of 2^16 or more, or a flag that is neither 0 nor 1.
    #[error("item {index} is {value}, which is out of its range")]
    Range {
        /// Index of the public value or byte.
        index: usize,
        /// Its value.
        value: u32,
    },
}

/// Length of [`SegmentStatement::to_bytes`].
pub const STATEMENT_BYTES: usize = 4 * pv::CONTEXT_LEN + 8 * (1 + 25 + 25 + 4) + 1;

impl SegmentStatement {
    /// Checks what holds between the fields of any true statement:
    ///
    /// - `first` ⇔ the index is zero, and `first` ⇒ counters and state before are zero;
    /// - at least one block is absorbed;
    /// - `bytes_before = 136 * blocks_before`;
    /// - `bytes_after = 136 * blocks_after`, but in the last segment
    ///   `136 * (blocks_after - 1) <= bytes_after < 136 * blocks_after`, the padding's position in
    ///   its block being `bytes_after mod 136`.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn validate(&self) -> Result<(), StatementError> {
        if self.first != (self.index == 0) {
            return Err(StatementError::FirstFlag {
                index: self.index,
                first: self.first,
            });
        }
        let fresh =
            self.blocks_before == 0 && self.bytes_before == 0 && self.state_before == [0; 25];
        if self.first && !fresh {
            return Err(StatementError::FirstNotFresh);
        }
        let (before, after) = (self.blocks_before, self.blocks_after);
        if after <= before {
            return Err(StatementError::NoBlocks);
        }
        let full_bytes = |blocks: u64| blocks.checked_mul(RATE_BYTES as u64);
        if full_bytes(before) != Some(self.bytes_before) {
            return Err(StatementError::CountersBefore {
                blocks: before,
                bytes: self.bytes_before,
            });
        }
        let agrees = if self.last {
            // `after` is at least 1 here.
            full_bytes(after - 1).is_some_and(|bytes| {
                self.bytes_after
                    .checked_sub(bytes)
                    .is_some_and(|rest| rest < RATE_BYTES as u64)
            })
        } else {
            full_bytes(after) == Some(self.bytes_after)
        };
        if !agrees {
            return Err(StatementError::CountersAfter {
                blocks: after,
                bytes: self.bytes_after,
                last: self.last,
            });
        }
        Ok(())
    }

    /// The public values of the sponge table, laid out as [`super::public_values`] says.
    ///
    /// # Errors
    /// [`StatementError::Context`]: an element that is not canonical would share its public value
    /// with another statement. The rules of [`SegmentStatement::validate`] are not checked.
    pub fn to_public_values<F: PrimeField32>(&self) -> Result<Vec<F>, StatementError> {
        let mut values = Vec::with_capacity(pv::NUM_PUBLIC_VALUES);
        values.push(F::from_u32(KeccakMachine::ID));
        values.push(F::from_u32(KeccakMachine::VERSION));
        for (element, &value) in self.context.iter().enumerate() {
            if value >= F::ORDER_U32 {
                return Err(StatementError::Context { element, value });
            }
            values.push(F::from_u32(value));
        }
        let states = self.state_before.iter().chain(&self.state_after);
        let counters = [
            self.blocks_before,
            self.blocks_after,
            self.bytes_before,
            self.bytes_after,
        ];
        for &word in core::iter::once(&self.index).chain(states).chain(&counters) {
            values.extend(limbs(word).map(F::from_u16));
        }
        values.extend([F::from_bool(self.first), F::from_bool(self.last)]);
        Ok(values)
    }

    /// Reads public values back.
    ///
    /// # Errors
    /// When they are not the encoding of a statement of this machine that passes
    /// [`SegmentStatement::validate`]. Total: any slice is read or refused.
    pub fn from_public_values<F: PrimeField32>(values: &[F]) -> Result<Self, StatementError> {
        let items: Vec<u32> = values.iter().map(F::as_canonical_u32).collect();
        if items.len() != pv::NUM_PUBLIC_VALUES {
            return Err(StatementError::Length {
                expected: pv::NUM_PUBLIC_VALUES,
                found: items.len(),
            });
        }
        let (id, version) = (items[pv::ID], items[pv::VERSION]);
        if (id, version) != (KeccakMachine::ID, KeccakMachine::VERSION) {
            return Err(StatementError::Identity { id, version });
        }
        let word = |start: usize| -> Result<u64, StatementError> {
            (0..LIMBS).try_fold(0, |word, limb| {
                let index = start + limb;
                let value = u16::try_from(items[index]).map_err(|_| StatementError::Range {
                    index,
                    value: items[index],
                })?;
                Ok(word | u64::from(value) << (LIMB_BITS * limb))
            })
        };
        let state = |start: usize| -> Result<State, StatementError> {
            let mut lanes = [0; 25];
            for (lane, slot) in lanes.iter_mut().enumerate() {
                *slot = word(start + LIMBS * lane)?;
            }
            Ok(lanes)
        };
        let flag = |index: usize| match items[index] {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(StatementError::Range { index, value }),
        };
        let statement = Self {
            context: core::array::from_fn(|i| items[pv::CONTEXT + i]),
            index: word(pv::INDEX)?,
            state_before: state(pv::STATE_BEFORE)?,
            state_after: state(pv::STATE_AFTER)?,
            blocks_before: word(pv::BLOCKS_BEFORE)?,
            blocks_after: word(pv::BLOCKS_AFTER)?,
            bytes_before: word(pv::BYTES_BEFORE)?,
            bytes_after: word(pv::BYTES_AFTER)?,
            first: flag(pv::FIRST)?,
            last: flag(pv::LAST)?,
        };
        statement.validate()?;
        Ok(statement)
    }

    /// The statement as [`STATEMENT_BYTES`] bytes: the fields in declaration order, integers little
    /// endian, and one byte with `first` as bit 0 and `last` as bit 1. The machine's id and version
    /// are not in it: whoever stores it says of which machine it is.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; STATEMENT_BYTES] {
        let mut bytes = [0; STATEMENT_BYTES];
        let (context, rest) = bytes.split_at_mut(4 * pv::CONTEXT_LEN);
        for (slot, value) in context.chunks_exact_mut(4).zip(self.context) {
            slot.copy_from_slice(&value.to_le_bytes());
        }
        for (slot, word) in rest.chunks_exact_mut(8).zip(self.words()) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        bytes[STATEMENT_BYTES - 1] = u8::from(self.first) | u8::from(self.last) << 1;
        bytes
    }

    /// Reads what [`SegmentStatement::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the bytes are not exactly one statement that passes [`SegmentStatement::validate`].
    /// Total: any slice is read or refused. Whether the context fits a field is only known where
    /// the field is: [`SegmentStatement::to_public_values`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StatementError> {
        if bytes.len() != STATEMENT_BYTES {
            return Err(StatementError::Length {
                expected: STATEMENT_BYTES,
                found: bytes.len(),
            });
        }
        let flags = bytes[STATEMENT_BYTES - 1];
        if flags > 3 {
            let index = STATEMENT_BYTES - 1;
            return Err(StatementError::Range {
                index,
                value: u32::from(flags),
            });
        }
        let little_endian = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0_u64, |word, &byte| word << 8 | u64::from(byte))
        };
        let word = |i: usize| {
            let start = 4 * pv::CONTEXT_LEN + 8 * i;
            little_endian(&bytes[start..start + 8])
        };
        let statement = Self {
            // Four bytes never exceed 32 bits.
            context: core::array::from_fn(|i| little_endian(&bytes[4 * i..4 * i + 4]) as u32),
            index: word(0),
            state_before: core::array::from_fn(|lane| word(1 + lane)),
            state_after: core::array::from_fn(|lane| word(26 + lane)),
            blocks_before: word(51),
            blocks_after: word(52),
            bytes_before: word(53),
            bytes_after: word(54),
            first: flags & 1 != 0,
            last: flags & 2 != 0,
        };
        statement.validate()?;
        Ok(statement)
    }

    /// The 64-bit fields in declaration order.
    fn words(&self) -> impl Iterator<Item = u64> {
        let counters = [
            self.blocks_before,
            self.blocks_after,
            self.bytes_before,
            self.bytes_after,
        ];
        let states = self.state_before.into_iter().chain(self.state_after);
        core::iter::once(self.index).chain(states).chain(counters)
    }

    /// The Keccak-256 digest of the file, in a last segment.
    #[must_use]
    pub fn digest(&self) -> Option<[u8; 32]> {
        self.last.then(|| {
            let mut digest = [0; 32];
            for (slot, lane) in digest.chunks_exact_mut(8).zip(self.state_after) {
                slot.copy_from_slice(&lane.to_le_bytes());
            }
            digest
        })
    }
}

/// The four 16-bit limbs of a word, least significant first.
pub(super) fn limbs(word: u64) -> [u16; LIMBS] {
    // Truncation takes the limb.
    core::array::from_fn(|limb| (word >> (LIMB_BITS * limb)) as u16)
}
