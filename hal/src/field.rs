//! The fields a device computes in: 31-bit Montgomery prime fields and their extensions.
//!
//! Buffers hold p3's own words: an element `x` is stored as `x · 2^32 mod p`, in `[0, p)`. Nothing is converted on
//! the way to a device. What a kernel must know about a field beyond its prime stands in [`HalField`] and [`Extension`].

use std::fmt::Debug;

use p3_baby_bear::{
    BABYBEAR_POSEIDON2_RC_16_EXTERNAL_FINAL, BABYBEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL,
    BABYBEAR_POSEIDON2_RC_16_INTERNAL, BABYBEAR_POSEIDON2_RC_24_EXTERNAL_FINAL,
    BABYBEAR_POSEIDON2_RC_24_EXTERNAL_INITIAL, BABYBEAR_POSEIDON2_RC_24_INTERNAL, BabyBear,
    Poseidon2BabyBear, default_babybear_poseidon2_16, default_babybear_poseidon2_24,
};
use p3_field::extension::{BinomialExtensionField, QuinticTrinomialExtensionField};
use p3_field::{ExtensionField, Field, PrimeField32, TwoAdicField};
use p3_koala_bear::{
    KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL, KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL,
    KOALABEAR_POSEIDON2_RC_16_INTERNAL, KOALABEAR_POSEIDON2_RC_24_EXTERNAL_FINAL,
    KOALABEAR_POSEIDON2_RC_24_EXTERNAL_INITIAL, KOALABEAR_POSEIDON2_RC_24_INTERNAL, KoalaBear,
    Poseidon2KoalaBear, default_koalabear_poseidon2_16, default_koalabear_poseidon2_24,
};
use p3_symmetric::CryptographicPermutation;

/// A 31-bit Montgomery prime field with p3's default Poseidon2 permutations.
pub trait HalField: PrimeField32 + TwoAdicField + Default {
    /// Lower-case name, part of kernel names, cache keys and proof files.
    const NAME: &'static str;

    /// The extension of degree 4 that devices know.
    type Quartic: Extension<Self>;
    /// The extension of degree 5 that devices know.
    type Quintic: Extension<Self>;

    /// p3's default Poseidon2 permutation of width 16.
    type Perm16: CryptographicPermutation<[Self; 16]>
        + CryptographicPermutation<[<Self as Field>::Packing; 16]>
        + Debug
        + Send
        + 'static;
    /// p3's default Poseidon2 permutation of width 24.
    type Perm24: CryptographicPermutation<[Self; 24]>
        + CryptographicPermutation<[<Self as Field>::Packing; 24]>
        + Debug
        + Send
        + 'static;

    /// p3's default Poseidon2 of width 16.
    fn poseidon2_16() -> Self::Perm16;
    /// p3's default Poseidon2 of width 24.
    fn poseidon2_24() -> Self::Perm24;
    /// The round constants of those permutations; `None` for a width p3 gives no default for here.
    fn poseidon2_constants(width: usize) -> Option<Poseidon2Constants<Self>>;

    /// Whether the word behind this element is below the prime.
    ///
    /// It is for every element that p3 computes. An element copied from a device's memory may hold any word: it can
    /// stand for the right value and still differ from it in comparisons, hashes and proofs. p3's `to_unique_u32` is
    /// the word as it is, unreduced; `as_canonical_u32` reduces, and would hide the fault.
    fn is_canonical(&self) -> bool {
        self.to_unique_u32() < Self::ORDER_U32
    }

    /// The word a buffer holds for this element: `self · 2^32 mod p`.
    fn montgomery_word(self) -> u32 {
        // (x << 32) fits in 63 bits because x < p < 2^31; the remainder fits in 31.
        ((u64::from(self.as_canonical_u32()) << 32) % u64::from(Self::ORDER_U32)) as u32
    }

    /// The element a buffer's word stands for, or `None` where the word is not below the prime.
    fn from_montgomery_word(word: u32) -> Option<Self> {
        (word < Self::ORDER_U32).then(|| {
            // The element is word · 2^{-32}.
            Self::from_u32(word).div_2exp_u64(32)
        })
    }
}

/// Round constants of one Poseidon2 instance, in the order they are added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poseidon2Constants<F> {
    /// Four rows of `width` constants for the opening full rounds, row after row.
    pub external_initial: Vec<F>,
    /// One constant for each partial round.
    pub internal: Vec<F>,
    /// Four rows of `width` constants for the closing full rounds, row after row.
    pub external_final: Vec<F>,
}

impl HalField for KoalaBear {
    const NAME: &'static str = "koalabear";
    type Quartic = KoalaBear4;
    type Quintic = KoalaBear5;
    type Perm16 = Poseidon2KoalaBear<16>;
    type Perm24 = Poseidon2KoalaBear<24>;

    fn poseidon2_16() -> Self::Perm16 {
        default_koalabear_poseidon2_16()
    }

    fn poseidon2_24() -> Self::Perm24 {
        default_koalabear_poseidon2_24()
    }

    fn poseidon2_constants(width: usize) -> Option<Poseidon2Constants<Self>> {
        match width {
            16 => Some(Poseidon2Constants {
                external_initial: KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL
                    .as_flattened()
                    .to_vec(),
                internal: KOALABEAR_POSEIDON2_RC_16_INTERNAL.to_vec(),
                external_final: KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL
                    .as_flattened()
                    .to_vec(),
            }),
            24 => Some(Poseidon2Constants {
                external_initial: KOALABEAR_POSEIDON2_RC_24_EXTERNAL_INITIAL
                    .as_flattened()
                    .to_vec(),
                internal: KOALABEAR_POSEIDON2_RC_24_INTERNAL.to_vec(),
                external_final: KOALABEAR_POSEIDON2_RC_24_EXTERNAL_FINAL
                    .as_flattened()
                    .to_vec(),
            }),
            _ => None,
        }
    }
}

impl HalField for BabyBear {
    const NAME: &'static str = "babybear";
    type Quartic = BabyBear4;
    type Quintic = BabyBear5;
    type Perm16 = Poseidon2BabyBear<16>;
    type Perm24 = Poseidon2BabyBear<24>;

    fn poseidon2_16() -> Self::Perm16 {
        default_babybear_poseidon2_16()
    }

    fn poseidon2_24() -> Self::Perm24 {
        default_babybear_poseidon2_24()
    }

    fn poseidon2_constants(width: usize) -> Option<Poseidon2Constants<Self>> {
        match width {
            16 => Some(Poseidon2Constants {
                external_initial: BABYBEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL
                    .as_flattened()
                    .to_vec(),
                internal: BABYBEAR_POSEIDON2_RC_16_INTERNAL.to_vec(),
                external_final: BABYBEAR_POSEIDON2_RC_16_EXTERNAL_FINAL
                    .as_flattened()
                    .to_vec(),
            }),
            24 => Some(Poseidon2Constants {
                external_initial: BABYBEAR_POSEIDON2_RC_24_EXTERNAL_INITIAL
                    .as_flattened()
                    .to_vec(),
                internal: BABYBEAR_POSEIDON2_RC_24_INTERNAL.to_vec(),
                external_final: BABYBEAR_POSEIDON2_RC_24_EXTERNAL_FINAL
                    .as_flattened()
                    .to_vec(),
            }),
            _ => None,
        }
    }
}

/// How products in an extension `F[X]/(f)` are reduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExtensionRule {
    /// `X^degree = w`; `w` is canonical.
    Binomial {
        /// Degree of the extension.
        degree: usize,
        /// The non-residue, canonical.
        w: u32,
    },
    /// `X^5 = 1 − X^2` (p3's quintic trinomial over KoalaBear).
    QuinticTrinomial,
}

impl ExtensionRule {
    /// Coefficients of an element over the base field.
    #[must_use]
    pub const fn degree(self) -> usize {
        match self {
            Self::Binomial { degree, .. } => degree,
            Self::QuinticTrinomial => 5,
        }
    }
}

/// An extension field that devices know how to multiply in.
///
/// An element is stored as its coefficients `a_0, a_1, …` over the base field, lowest degree first, each a Montgomery
/// word: p3's own memory layout.
pub trait Extension<F: HalField>: ExtensionField<F> + TwoAdicField + Default {
    /// The reduction rule of this extension.
    const RULE: ExtensionRule;
}

/// Degree 4 over KoalaBear: the `conjectured100` profile's challenge field.
pub type KoalaBear4 = BinomialExtensionField<KoalaBear, 4>;
/// Degree 5 over KoalaBear: the `proven100` profile's challenge field.
pub type KoalaBear5 = QuinticTrinomialExtensionField<KoalaBear>;
/// Degree 4 over BabyBear.
pub type BabyBear4 = BinomialExtensionField<BabyBear, 4>;
/// Degree 5 over BabyBear.
pub type BabyBear5 = BinomialExtensionField<BabyBear, 5>;

impl Extension<KoalaBear> for KoalaBear4 {
    const RULE: ExtensionRule = ExtensionRule::Binomial { degree: 4, w: 3 };
}

impl Extension<KoalaBear> for KoalaBear5 {
    const RULE: ExtensionRule = ExtensionRule::QuinticTrinomial;
}

impl Extension<BabyBear> for BabyBear4 {
    const RULE: ExtensionRule = ExtensionRule::Binomial { degree: 4, w: 11 };
}

impl Extension<BabyBear> for BabyBear5 {
    const RULE: ExtensionRule = ExtensionRule::Binomial { degree: 5, w: 2 };
}

#[cfg(test)]
mod tests {
    use p3_field::{BasedVectorSpace, PrimeCharacteristicRing};

    use super::*;

    /// The rule each extension states is the one p3 multiplies by: X^(degree−1) · X.
    fn rule_matches<F: HalField, E: Extension<F>>() {
        let degree = E::RULE.degree();
        assert_eq!(<E as BasedVectorSpace<F>>::DIMENSION, degree);
        let x = E::from_basis_coefficients_fn(|i| F::from_bool(i == 1));
        let top = x.exp_u64(degree as u64);
        let expected: Vec<F> = match E::RULE {
            ExtensionRule::Binomial { w, .. } => (0..degree)
                .map(|i| if i == 0 { F::from_u32(w) } else { F::ZERO })
                .collect(),
            ExtensionRule::QuinticTrinomial => vec![F::ONE, F::ZERO, F::NEG_ONE, F::ZERO, F::ZERO],
        };
        assert_eq!(top.as_basis_coefficients_slice(), expected.as_slice());
    }

    #[test]
    fn rules_are_p3s() {
        rule_matches::<KoalaBear, KoalaBear4>();
        rule_matches::<KoalaBear, KoalaBear5>();
        rule_matches::<BabyBear, BabyBear4>();
        rule_matches::<BabyBear, BabyBear5>();
    }

    #[test]
    fn montgomery_words_round_trip_and_are_canonical() {
        for x in [0, 1, 2, 12345, KoalaBear::ORDER_U32 - 1] {
            let f = KoalaBear::from_u32(x);
            assert_eq!(
                KoalaBear::from_montgomery_word(f.montgomery_word()),
                Some(f)
            );
        }
        assert_eq!(KoalaBear::from_montgomery_word(KoalaBear::ORDER_U32), None);
        assert_eq!(BabyBear::from_montgomery_word(u32::MAX), None);
    }
}
