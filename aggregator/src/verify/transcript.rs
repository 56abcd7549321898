//! The verifier's transcript in a circuit: p3's duplex challenger of width 16 and rate 8.
//!
//! Absorbed words are gathered to blocks of eight cells' words. A block that is not full when a challenge is asked for is
//! padded with zeros, and the number of absorbed words is added to the capacity, as p3 does (p3-challenger,
//! `duplex_challenger.rs`). Sampled words are taken from the rate's end.

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;

use crate::circuit::layout::CELL_WORDS;
use crate::circuit::{Base, Block, Builder, Decomposed, Ext, Octet, Row};

/// A transcript. Its permutations follow each other: nothing else may be hashed until it is done.
#[derive(Clone, Debug, Default)]
pub(super) struct Transcript {
    row: Option<Row>,
    absorbed: Vec<Base>,
    /// Words of the last output that are left to sample.
    squeezed: Vec<Base>,
    /// Whether the last output has not been looked at.
    unread: bool,
}

impl Transcript {
    /// Absorbs a word.
    pub(super) fn observe(&mut self, builder: &mut Builder, word: Base) {
        self.forget();
        self.absorbed.push(word);
        if self.absorbed.len() == CELL_WORDS {
            self.duplex(builder);
        }
    }

    /// Absorbs words.
    pub(super) fn observe_all(&mut self, builder: &mut Builder, words: &[Base]) {
        for &word in words {
            self.observe(builder, word);
        }
    }

    /// Absorbs known elements of the base field.
    pub(super) fn observe_constants(&mut self, builder: &mut Builder, constants: &[KoalaBear]) {
        for &constant in constants {
            let word = builder.base_constant(constant);
            self.observe(builder, word);
        }
    }

    /// Absorbs new elements of the challenge field from the proof.
    ///
    /// Eight elements of degree 5 are five blocks, so once a block begins where an element does, elements go into blocks
    /// without being spelled. As many as it takes to get there, and those behind the last whole block, are spelled.
    pub(super) fn observe_input(&mut self, builder: &mut Builder, count: usize) -> Vec<Ext> {
        self.forget();
        let (degree, period) = (builder.degree(), builder.elements_in_whole_cells());
        let aligns =
            |spelled: &usize| (self.absorbed.len() + spelled * degree).is_multiple_of(CELL_WORDS);
        let spelled = (0..=count.min(CELL_WORDS)).find(aligns).unwrap_or(count);
        let whole = (count - spelled) / period * period;
        let mut elements = self.observe_spelled(builder, spelled);
        if whole > 0 {
            let (new, octets) = builder.input_elements(whole);
            elements.extend(new);
            for octet in octets {
                self.block(builder, octet, CELL_WORDS);
            }
        }
        elements.extend(self.observe_spelled(builder, count - spelled - whole));
        elements
    }

    fn observe_spelled(&mut self, builder: &mut Builder, count: usize) -> Vec<Ext> {
        if count == 0 {
            return Vec::new();
        }
        let (elements, octets) = builder.input_elements(count);
        let words: Vec<Base> = octets
            .into_iter()
            .flat_map(|octet| builder.spell(octet))
            .collect();
        self.observe_all(builder, &words[..count * builder.degree()]);
        elements
    }

    /// What has been squeezed does not depend on what is absorbed now.
    fn forget(&mut self) {
        self.squeezed.clear();
        self.unread = false;
    }

    fn block(&mut self, builder: &mut Builder, octet: Octet, words: usize) {
        self.row = Some(builder.duplex(self.row, Block::Cell(octet), words));
        self.unread = true;
    }

    fn duplex(&mut self, builder: &mut Builder) {
        let absorbed = core::mem::take(&mut self.absorbed);
        if absorbed.is_empty() {
            self.row = Some(builder.duplex(self.row, Block::Nothing, 0));
            self.unread = true;
            return;
        }
        let zero = builder.base_constant(KoalaBear::ZERO);
        let words = core::array::from_fn(|i| absorbed.get(i).copied().unwrap_or(zero));
        let octet = builder.unspell(words);
        self.block(builder, octet, absorbed.len());
    }

    /// A word.
    pub(super) fn sample(&mut self, builder: &mut Builder) -> Base {
        if !self.absorbed.is_empty() || (self.squeezed.is_empty() && !self.unread) {
            self.duplex(builder);
        }
        if let (true, Some(row)) = (self.unread, self.row) {
            let octet = builder.output(row);
            self.squeezed = builder.spell(octet).to_vec();
            self.unread = false;
        }
        match self.squeezed.pop() {
            Some(word) => word,
            // Not reached: a block was squeezed just now.
            None => builder.base_constant(KoalaBear::ZERO),
        }
    }

    /// An element of the challenge field.
    pub(super) fn sample_element(&mut self, builder: &mut Builder) -> Ext {
        let words: Vec<Base> = (0..builder.degree())
            .map(|_| self.sample(builder))
            .collect();
        builder.compose(&words)
    }

    /// A word's canonical bits.
    pub(super) fn sample_bits(
        &mut self,
        builder: &mut Builder,
        factors: &[KoalaBear],
    ) -> (Base, Decomposed) {
        let word = self.sample(builder);
        let bits = builder.decompose(word, factors.to_vec());
        (word, bits)
    }

    /// Absorbs a grinding witness and asserts that the bits sampled next are zero. Without bits the witness is no part of
    /// the transcript, and must be zero.
    pub(super) fn grind(&mut self, builder: &mut Builder, bits: usize, witness: Base) {
        if bits == 0 {
            builder.assert_zero(witness.into());
            return;
        }
        self.observe(builder, witness);
        let (word, decomposed) = self.sample_bits(builder, &[]);
        let high = builder.without_low_bits(decomposed, bits);
        let shifted = KoalaBear::TWO.exp_u64(bits as u64);
        let difference = builder.linear(
            [
                (KoalaBear::ONE, word.into()),
                (-shifted, high.into()),
                (KoalaBear::ZERO, word.into()),
            ],
            KoalaBear::ZERO,
        );
        builder.assert_zero(difference);
    }
}
