//! Numbers taken apart into bits, and products over their bits.

use p3_field::{Field, TwoAdicField};
use p3_koala_bear::KoalaBear;

use super::Builder;
use crate::circuit::bits::ELEMENT_BITS;
use crate::circuit::program::{Base, Decomposition, Step};

impl Builder {
    /// Takes an element of the base field apart into its 31 canonical bits. `factors` belong to its lowest bits.
    pub fn decompose(&mut self, number: Base, factors: Vec<KoalaBear>) -> Decomposed {
        self.take_apart(number, ELEMENT_BITS, true, factors)
    }

    /// Takes a number below `2^bits` apart, for at most 30 bits; unsatisfiable for others.
    pub fn decompose_short(&mut self, number: Base, bits: usize) -> Decomposed {
        self.take_apart(number, bits.min(ELEMENT_BITS - 1), false, Vec::new())
    }

    /// Asserts that a number is below `2^bits`, for at most 30 bits.
    pub fn assert_bits(&mut self, number: Base, bits: usize) {
        self.decompose_short(number, bits);
    }

    fn take_apart(
        &mut self,
        number: Base,
        bits: usize,
        canonical: bool,
        factors: Vec<KoalaBear>,
    ) -> Decomposed {
        let _ = self.read(number.0);
        self.program.decompositions.push(Decomposition {
            number: number.0,
            bits,
            canonical,
            factors,
            numbers: Vec::new(),
            products: Vec::new(),
        });
        let at = self.program.decompositions.len() - 1;
        self.program.steps.push(Step::Decompose(at));
        Decomposed(at)
    }

    /// The number without its `low` lowest bits.
    pub fn without_low_bits(&mut self, decomposed: Decomposed, low: usize) -> Base {
        let decomposition = &self.program.decompositions[decomposed.0];
        let taken = decomposition.bits - low.min(decomposition.bits);
        if low == 0 {
            return Base(decomposition.number);
        }
        if let Some(&(_, cell)) = decomposition
            .numbers
            .iter()
            .find(|(bits, _)| *bits == taken)
        {
            return Base(cell);
        }
        let cell = self.cell();
        self.program.decompositions[decomposed.0]
            .numbers
            .push((taken, cell));
        Base(cell)
    }

    /// The product of the factors of the bits that are 1, the `low` lowest bits left out.
    pub fn product_above(&mut self, decomposed: Decomposed, low: usize) -> Base {
        let decomposition = &self.program.decompositions[decomposed.0];
        let taken = decomposition.bits - low.min(decomposition.bits);
        if let Some(&(_, cell)) = decomposition
            .products
            .iter()
            .find(|(bits, _)| *bits == taken)
        {
            return Base(cell);
        }
        let cell = self.cell();
        self.program.decompositions[decomposed.0]
            .products
            .push((taken, cell));
        Base(cell)
    }
}

/// A number taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decomposed(usize);

/// The inverse of a two-adic generator's square root, and so on: factors with which the product over the bits of an index,
/// lowest first, is the inverse of the point of that index in a bit-reversed domain of any size.
///
/// Bit `i` of an index has the weight `2^(h − 1 − i)` in the exponent of the generator of order `2^h`: a root of order
/// `2^(i + 1)`, whatever `h` is.
#[must_use]
pub fn inverse_point_factors(bits: usize) -> Vec<KoalaBear> {
    (0..bits)
        .map(|bit| KoalaBear::two_adic_generator(bit + 1).inverse())
        .collect()
}
