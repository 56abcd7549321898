//! Inverse denominators `1 / (z − x)`, `x` over a coset in bit-reversed order (see `cl/denominators.cl`).

use p3_field::coset::TwoAdicMultiplicativeCoset;
use starkwright_hal::{Extension, HalError, HalField};

use super::extension::{group, lanes, roots, row_of, subgroup_points};
use super::runs::runs;
use crate::{Arg, Matrix, Program, Runtime, Word};

/// Blocks of rows that a work-item inverts together: the kernel's `RUN`.
const RUN: usize = 8;

/// Points and the coset they must lie outside of, checked.
pub(super) struct Denominators<F, E> {
    shift: F,
    /// Each distinct point, with the log2 of the largest coset that it is used with.
    points: Vec<(E, usize)>,
}

impl<F: HalField + Word, E: Extension<F>> Denominators<F, E> {
    /// `uses`: points, each with the log2 of the size of its coset `shift · K`.
    ///
    /// # Errors
    /// [`HalError::InvalidArgument`] where a point lies in its coset, [`HalError::Unsupported`] where there is no such
    /// coset.
    pub(super) fn new(
        op: &'static str,
        shift: F,
        uses: impl Iterator<Item = (E, usize)>,
    ) -> Result<Self, HalError> {
        let mut points: Vec<(E, usize)> = Vec::new();
        for (point, log_size) in uses {
            match points.iter_mut().find(|(known, _)| *known == point) {
                Some((_, largest)) => *largest = (*largest).max(log_size),
                None => points.push((point, log_size)),
            }
        }
        for (point, log_size) in &points {
            let coset = TwoAdicMultiplicativeCoset::new(shift, *log_size).ok_or_else(|| {
                HalError::unsupported(op, format!("no coset of size 2^{log_size}"))
            })?;
            if point.as_base().is_some_and(|point| coset.contains(point)) {
                return Err(HalError::invalid(op, "an opening point lies in the domain"));
            }
        }
        Ok(Self { shift, points })
    }

    /// Enqueues `1 / (z − x) + offset(z)` for every point `z`: with each point a matrix of one row for each `x`. Since
    /// the order is bit-reversed, the rows for a smaller coset come first.
    pub(super) fn enqueue(
        &self,
        rt: &Runtime,
        program: &Program,
        offset: impl Fn(E) -> E,
    ) -> Result<Vec<(E, Matrix)>, HalError> {
        let kernel = rt.kernel(program, "inverse_denominators")?;
        let roots = roots::<F>();
        let places = subgroup_points(&roots, 16 * RUN);
        let mut tables = Vec::with_capacity(self.points.len());
        for &(point, log_size) in &self.points {
            let (chi, quotient) = characteristic_polynomial::<F, E>(point);
            let mut constants = places.clone();
            constants.extend(&roots);
            constants.extend(&chi[..chi.len() - 1]);
            for coefficient in &quotient[..quotient.len() - 1] {
                constants.extend((-*coefficient).as_basis_coefficients_slice());
            }
            constants.extend(offset(point).as_basis_coefficients_slice());
            let constants = rt.upload(&constants)?;

            let table = Matrix::alloc(rt, 1 << log_size, E::DIMENSION)?;
            for run in runs(&[&table]) {
                let (out, out_at) = run.locate(&table)?;
                let (global, local) = row_of(run.rows.div_ceil(lanes(rt) * RUN), group(rt));
                rt.launch(
                    &kernel,
                    global,
                    local,
                    &[
                        Arg::Buffer(out),
                        Arg::U64(out_at),
                        Arg::Buffer(&constants),
                        Arg::U32(self.shift.montgomery_word()),
                        Arg::U64(run.first as u64),
                        Arg::U64(run.rows as u64),
                    ],
                )?;
            }
            tables.push((point, table));
        }
        Ok(tables)
    }
}

/// The table of a point that [`Denominators`] was made with.
pub(super) fn table_of<'a, E: PartialEq>(
    op: &'static str,
    tables: &'a [(E, Matrix)],
    point: &E,
) -> Result<&'a Matrix, HalError> {
    tables
        .iter()
        .find(|(known, _)| known == point)
        .map(|(_, table)| table)
        .ok_or_else(|| HalError::invalid(op, "a point without its denominators"))
}

/// The characteristic polynomial `chi` of `z` over the base field, monic of degree `D`, and `Q = chi / (X − z)`; both
/// lowest degree first. In the base field's closure `chi` is the product of `X − σ(z)` over the `D` powers of Frobenius.
fn characteristic_polynomial<F: HalField, E: Extension<F>>(z: E) -> (Vec<F>, Vec<E>) {
    let mut chi = vec![E::ONE];
    let mut conjugate = z;
    for _ in 0..E::DIMENSION {
        // times X − conjugate
        chi.push(E::ZERO);
        for k in (0..chi.len()).rev() {
            let lower = if k > 0 { chi[k - 1] } else { E::ZERO };
            chi[k] = lower - conjugate * chi[k];
        }
        conjugate = conjugate.exp_u64(u64::from(F::ORDER_U32));
    }
    // Synthetic division by X − z; the remainder is chi(z) = 0.
    let mut quotient = vec![E::ZERO; E::DIMENSION];
    let mut carry = E::ZERO;
    for k in (0..E::DIMENSION).rev() {
        carry = chi[k + 1] + carry * z;
        quotient[k] = carry;
    }
    // Frobenius permutes the factors, so the coefficients lie in the base field.
    let chi = chi
        .iter()
        .map(|c| c.as_basis_coefficients_slice()[0])
        .collect();
    (chi, quotient)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use starkwright_hal::{BabyBear4, BabyBear5, KoalaBear4, KoalaBear5};

    use super::*;

    /// `1 / (z − x) = −Q(x) / chi(x)`, and `chi(z) = 0`.
    fn divides<F: HalField + Word, E: Extension<F>>(z: &[u32], x: u32) {
        let z = E::from_basis_coefficients_fn(|i| F::from_u32(z[i]));
        let x = F::from_u32(x);
        let (chi, quotient) = characteristic_polynomial::<F, E>(z);
        let at = |x: E| chi.iter().rev().fold(E::ZERO, |sum, &c| sum * x + c);
        assert_eq!(at(z), E::ZERO);
        let quotient = quotient.iter().rev().fold(E::ZERO, |sum, &c| sum * x + c);
        if z != E::from(x) {
            assert_eq!(-quotient / at(E::from(x)), (z - x).inverse());
        }
    }

    proptest! {
        #[test]
        fn inverse_of_a_difference(mut z: [u32; 5], x: u32, in_base: bool) {
            if in_base {
                z[1..].fill(0);
            }
            divides::<_, KoalaBear4>(&z, x);
            divides::<_, KoalaBear5>(&z, x);
            divides::<_, BabyBear4>(&z, x);
            divides::<_, BabyBear5>(&z, x);
        }
    }
}
