//! What a node of the tree states, and how statements combine.
//!
//! ```text
//!  level 1, items      [item 7] [item 8] [item 9] ─ join ─►  7..10: accumulator old → new
//!                          ▲
//!                        close: a complete range; Keccak-256 digest, length
//!                          │
//!  level 0, segments   [0..5, first, last]  ◄─ join ─ [0] [1] [2] [3] [4]
//!                                                          ▲
//!                                                     leaf_of_keccak: one machine proof
//! ```
//!
//! The functions here are the reference for the circuits, which repeat them element by element: the
//! encoding is in [`layout`], every hash in [`hash`], every rule in [`Rule`], and cases of all of
//! them, true and false, in [`suite`].

pub mod hash;
mod join;
mod keccak;
pub mod layout;
mod rule;
pub mod suite;

pub use hash::{DIGEST_LEN, Digest};
pub use keccak::{KeccakOpening, accumulate, close_keccak, item_of, leaf_of_keccak};
pub use layout::STATEMENT_LEN;
pub use rule::Rule;

use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::KoalaBear;

use crate::AggregatorError;
use crate::tree::Interval;

/// What the leaves of a statement are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Segments of one item.
    Segments = 0,
    /// Items.
    Items = 1,
}

/// What a node of the tree states: "the leaves `first_index .. first_index + count` lead from
/// `begin` to `end`".
///
/// The fields are plain data: [`TreeStatement::validate`] says what holds between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeStatement {
    /// What is counted.
    pub level: Level,
    /// Context of every leaf; zero where there is none.
    pub context: [KoalaBear; DIGEST_LEN],
    /// Level 0: digest of the state before the first segment. Level 1: the accumulator before.
    pub begin: Digest,
    /// Level 0: digest of the state after the last segment. Level 1: the accumulator after.
    pub end: Digest,
    /// Digest of the list of leaves, over the canonical tree.
    pub list: Digest,
    /// Index of the first leaf.
    pub first_index: u64,
    /// Number of leaves, at least 1.
    pub count: u64,
    /// Level 0: the range begins its item. Level 1: false.
    pub first: bool,
    /// Level 0: the range ends its item. Level 1: false, as a range of items is complete as it is.
    pub last: bool,
    /// Root of the keys of which everything below was proven.
    pub allowed_root: Digest,
}

impl TreeStatement {
    /// The encoding, laid out as [`layout`] says.
    pub fn to_elements(&self) -> [KoalaBear; STATEMENT_LEN] {
        let mut elements = [KoalaBear::ZERO; STATEMENT_LEN];
        elements[layout::TAG] = KoalaBear::from_u32(hash::STATEMENT_TAG);
        elements[layout::LEVEL] = KoalaBear::from_u8(self.level as u8);
        elements[layout::FIRST] = KoalaBear::from_bool(self.first);
        elements[layout::LAST] = KoalaBear::from_bool(self.last);
        for (start, number) in [
            (layout::FIRST_INDEX, self.first_index),
            (layout::COUNT, self.count),
        ] {
            elements[start..start + 4].copy_from_slice(&hash::limbs(number));
        }
        for (start, digest) in [
            (layout::CONTEXT, &self.context),
            (layout::BEGIN, &self.begin),
            (layout::END, &self.end),
            (layout::LIST, &self.list),
            (layout::ALLOWED_ROOT, &self.allowed_root),
        ] {
            elements[start..start + DIGEST_LEN].copy_from_slice(digest);
        }
        elements
    }

    /// Reads an encoding. Each statement has exactly one.
    ///
    /// # Errors
    /// [`AggregatorError::Encoding`] for an element out of its range, then
    /// [`TreeStatement::validate`]'s. Total: any elements are read or refused.
    pub fn from_elements(elements: &[KoalaBear; STATEMENT_LEN]) -> Result<Self, AggregatorError> {
        let item = |index: usize| elements[index].as_canonical_u32();
        let wrong = |index: usize| AggregatorError::Encoding {
            index,
            value: item(index),
        };
        let bit = |index: usize| match item(index) {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(wrong(index)),
        };
        let number = |start: usize| {
            (0..4).try_fold(0, |number, limb| {
                let index = start + limb;
                let value = u16::try_from(item(index)).map_err(|_| wrong(index))?;
                Ok::<u64, AggregatorError>(number | u64::from(value) << (16 * limb))
            })
        };
        let digest = |start: usize| core::array::from_fn(|i| elements[start + i]);
        if item(layout::TAG) != hash::STATEMENT_TAG {
            return Err(wrong(layout::TAG));
        }
        if let Some(index) = (layout::PADDING..STATEMENT_LEN).find(|&index| item(index) != 0) {
            return Err(wrong(index));
        }
        let statement = Self {
            level: match bit(layout::LEVEL)? {
                false => Level::Segments,
                true => Level::Items,
            },
            context: digest(layout::CONTEXT),
            begin: digest(layout::BEGIN),
            end: digest(layout::END),
            list: digest(layout::LIST),
            first_index: number(layout::FIRST_INDEX)?,
            count: number(layout::COUNT)?,
            first: bit(layout::FIRST)?,
            last: bit(layout::LAST)?,
            allowed_root: digest(layout::ALLOWED_ROOT),
        };
        statement.validate()?;
        Ok(statement)
    }

    /// Checks what holds in any statement that was proven: [`Rule::Range`] and
    /// [`Rule::ItemFlags`].
    ///
    /// # Errors
    /// [`AggregatorError::Statement`] with the first rule broken.
    pub fn validate(&self) -> Result<(), AggregatorError> {
        self.leaves().map(|_| ())
    }

    /// The leaves that a valid statement is about.
    ///
    /// # Errors
    /// As [`TreeStatement::validate`].
    pub fn leaves(&self) -> Result<Interval, AggregatorError> {
        let broken = |rule| AggregatorError::Statement { rule };
        if self.level == Level::Items && (self.first || self.last) {
            return Err(broken(Rule::ItemFlags));
        }
        Interval::new(self.first_index, self.count).map_err(|_| broken(Rule::Range))
    }

    /// The hash of the encoding.
    pub fn digest(&self) -> Digest {
        hash::hash(&self.to_elements())
    }
}
