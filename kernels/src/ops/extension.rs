//! The program of `evaluate`, `reduce` and `fold`, built for one field, one extension and one variant.
//!
//! A vector of extension elements lies on a device as a matrix with one row for each element and one column for each
//! coefficient, lowest degree first, in Montgomery words.

use starkwright_hal::{Extension, ExtensionRule, HalError, HalField};

use crate::{Program, ProgramSource, Runtime, Variant};

/// Source of the program; each piece uses what stands before it.
const SOURCE: &str = concat!(
    include_str!("../../cl/field.cl"),
    include_str!("../../cl/sums.cl"),
    include_str!("../../cl/extension.cl"),
    include_str!("../../cl/denominators.cl"),
    include_str!("../../cl/evaluate.cl"),
    include_str!("../../cl/reduce.cl"),
    include_str!("../../cl/fold.cl"),
);

/// Places that the kernels keep for one root of unity of each order: no fewer than any field's two-adicity.
pub(super) const ROOT_PLACES: usize = 32;

/// The program for this runtime's variant.
pub(super) fn program<F: HalField, E: Extension<F>>(rt: &Runtime) -> Result<Program, HalError> {
    let rule = match E::RULE {
        ExtensionRule::Binomial { w, .. } => {
            format!("-DBINOMIAL={}u", F::from_u32(w).montgomery_word())
        }
        ExtensionRule::QuinticTrinomial => "-DQUINTIC_TRINOMIAL".to_owned(),
    };
    let options = format!(
        "-DPRIME={}u -DMU={}u -DVEC={} -DDEGREE={} {rule}",
        F::ORDER_U32,
        inverse_mod_2_32(F::ORDER_U32),
        lanes(rt),
        E::RULE.degree(),
    );
    rt.program(&ProgramSource::source("fri", [SOURCE], options))
}

/// The inverse of an odd number modulo 2^32 (p3's `MONTY_MU`).
const fn inverse_mod_2_32(p: u32) -> u32 {
    // p · p = 1 modulo 8, and each of Newton's steps doubles the number of right bits.
    let mut inverse = p;
    let mut bits = 3;
    while bits < 32 {
        inverse = inverse.wrapping_mul(2u32.wrapping_sub(p.wrapping_mul(inverse)));
        bits *= 2;
    }
    inverse
}

/// Elements that one work-item holds: the kernels' `VEC`.
pub(super) fn lanes(rt: &Runtime) -> usize {
    match rt.variant() {
        Variant::Vector => 16,
        Variant::Scalar => 1,
    }
}

/// Work-items of a work-group: no more than one where each holds many elements.
pub(super) fn group(rt: &Runtime) -> usize {
    match rt.variant() {
        Variant::Vector => 1,
        Variant::Scalar => 64,
    }
}

/// The global and the local size for so many work-items in a row; the kernel leaves out those beyond.
pub(super) fn row_of(items: usize, group: usize) -> ([usize; 3], Option<[usize; 3]>) {
    ([items.next_multiple_of(group), 1, 1], Some([group, 1, 1]))
}

/// `out[i]` is the point with index `i` in bit-reversed order of every subgroup of more than `i` elements, where
/// `roots[b]` generates the one of order `2^(b+1)`: bit `b` of the index, once reversed, multiplies by that root.
pub(super) fn subgroup_points<F: HalField>(roots: &[F], count: usize) -> Vec<F> {
    let mut points = Vec::with_capacity(count);
    points.push(F::ONE);
    for &root in roots {
        if points.len() >= count {
            break;
        }
        points.extend_from_within(..);
        let half = points.len() / 2;
        points[half..].iter_mut().for_each(|point| *point *= root);
    }
    // A field without subgroups of that size has no use for the rest.
    points.resize(count, F::ONE);
    points
}

/// `roots[b]` of order `2^(b+1)`, in the kernels' number of places.
pub(super) fn roots<F: HalField>() -> Vec<F> {
    let mut roots: Vec<F> = (1..=F::TWO_ADICITY).map(F::two_adic_generator).collect();
    roots.resize(ROOT_PLACES, F::ONE);
    roots
}

/// Multiplication by `b` as a matrix over the base field, for the kernels' `e_map`: row `i` holds `b · X^i`.
pub(super) fn matrix_of<F: HalField, E: Extension<F>>(b: E) -> Vec<F> {
    let x = E::from_basis_coefficients_fn(|k| F::from_bool(k == 1));
    let rows = x.shifted_powers(b).take(E::DIMENSION);
    rows.flat_map(|row| row.as_basis_coefficients_slice().to_vec())
        .collect()
}

#[cfg(test)]
mod tests {
    use p3_baby_bear::BabyBear;
    use p3_field::{PrimeCharacteristicRing, PrimeField32, TwoAdicField};
    use p3_koala_bear::KoalaBear;

    use super::*;

    #[test]
    fn inverses_of_the_primes() {
        for p in [KoalaBear::ORDER_U32, BabyBear::ORDER_U32] {
            assert_eq!(p.wrapping_mul(inverse_mod_2_32(p)), 1);
        }
    }

    #[test]
    fn points_stand_in_bit_reversed_order() {
        let points = subgroup_points::<KoalaBear>(&roots(), 64);
        let generator = KoalaBear::two_adic_generator(6);
        for (i, &point) in points.iter().enumerate() {
            let reversed = (i as u32).reverse_bits() >> (32 - 6);
            assert_eq!(point, generator.exp_u64(u64::from(reversed)));
        }
    }
}
