//! Tree statements in circuits: leaves, joins and closes, one constraint for each rule.
//!
//! The reference is [`crate::statement`]: the same elements are hashed in the same order, and
//! [`suite`](crate::statement::suite) has the cases that both are tested on. Rules that every proven statement keeps
//! ([`Rule::is_inductive`](crate::statement::Rule::is_inductive)) are not checked again: they rest on the range checks of
//! what leaves are proven with, joins add up and closes take in.

mod close;
#[cfg(test)]
pub(super) mod harness;
mod join;
mod leaf;
#[cfg(test)]
mod needed;

pub(super) use close::{close, close_words};
pub(super) use join::{join, join_words};
pub(super) use leaf::leaf;

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;

use crate::circuit::layout::CELL_WORDS;
use crate::circuit::{Base, Builder, Ext, Gate, Octet};
use crate::statement::STATEMENT_LEN;

const ONE: KoalaBear = KoalaBear::ONE;
const ZERO: KoalaBear = KoalaBear::ZERO;
/// Bits of a number's limb.
const LIMB_BITS: usize = 16;
/// Limbs of a number.
const LIMBS: usize = 4;

/// A statement's cells: its elements, and the blocks that they fill.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) words: Vec<Base>,
    pub(super) blocks: Vec<Octet>,
    pub(super) digest: Octet,
}

impl Statement {
    /// A statement from the input.
    pub(super) fn read(builder: &mut Builder) -> Self {
        let (mut words, mut blocks) = (Vec::new(), Vec::new());
        for _ in 0..STATEMENT_LEN / CELL_WORDS {
            let (new, block) = builder.input_words();
            words.extend(new);
            blocks.push(block);
        }
        let digest = builder.hash_cells(&blocks);
        Self {
            words,
            blocks,
            digest,
        }
    }

    /// An element as a value.
    pub(super) fn word(&self, index: usize) -> Ext {
        self.words[index].into()
    }

    /// The block that starts at an element.
    pub(super) fn block(&self, index: usize) -> Octet {
        self.blocks[index / CELL_WORDS]
    }
}

/// Asserts that a value is 0 or 1.
fn assert_bit(builder: &mut Builder, bit: Ext) {
    let zero = builder.constant(ZERO);
    let gate = Gate {
        qa: ONE,
        la: -ONE,
        ..Gate::default()
    };
    builder.assert_gate(gate, bit, bit, bit, zero);
}

/// Asserts that a value is this constant.
pub(super) fn assert_constant(builder: &mut Builder, value: Ext, constant: KoalaBear) {
    let constant = builder.constant(constant);
    builder.assert_equal(value, constant);
}

/// The cells of base-field values, eight each, zeros behind the last.
fn cells(builder: &mut Builder, words: &[Base]) -> Vec<Octet> {
    let zero = builder.base_constant(ZERO);
    let chunks = words.chunks(CELL_WORDS);
    chunks
        .map(|chunk| {
            let word = |i: usize| chunk.get(i).copied().unwrap_or(zero);
            builder.unspell(core::array::from_fn(word))
        })
        .collect()
}

/// The cell of small constants, given or zero, and what follows them: the first block of every preimage.
fn head(builder: &mut Builder, constants: [u32; 4], number: [Base; LIMBS]) -> Octet {
    let constants = constants.map(|value| builder.base_constant(KoalaBear::from_u32(value)));
    let words: Vec<Base> = constants.into_iter().chain(number).collect();
    builder.unspell(core::array::from_fn(|i| words[i]))
}
