//! Evaluation, reduced openings and folding by p3's functions.

use std::marker::PhantomData;

use p3_field::coset::TwoAdicMultiplicativeCoset;
use p3_field::{Field, PackedFieldExtension, PackedValue, batch_multiplicative_inverse};
use p3_fri::{FriFoldingStrategy, TwoAdicFriFolding};
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_matrix::interpolation::{Interpolate, compute_adjusted_weights};
use p3_maybe_rayon::prelude::*;
use p3_util::reverse_slice_index_bits;

use super::{Cpu, grind, log_height};
use crate::{Evaluation, Extension, FriOps, HalError, HalField, Puzzle, Reduction};

/// `1 / (point − x)` for `x` over `shift · K` in bit-reversed order, `K` of size `2^log_size`.
///
/// A smaller subgroup's values are a prefix, since the order is bit-reversed.
fn inverse_denominators<F: HalField, E: Extension<F>>(
    op: &'static str,
    shift: F,
    log_size: usize,
    point: E,
) -> Result<Vec<E>, HalError> {
    let coset = TwoAdicMultiplicativeCoset::new(shift, log_size)
        .ok_or_else(|| HalError::unsupported(op, format!("no coset of size 2^{log_size}")))?;
    let mut points: Vec<F> = coset.iter().collect();
    reverse_slice_index_bits(&mut points);
    let differences: Vec<E> = points.iter().map(|&x| point - x).collect();
    if differences.iter().any(Field::is_zero) {
        return Err(HalError::invalid(op, "an opening point lies in the domain"));
    }
    Ok(batch_multiplicative_inverse(&differences))
}

/// Values per distinct point, for the largest domain the point is used with.
fn per_point<E: PartialEq + Copy, T>(
    uses: impl Iterator<Item = (E, usize)>,
    mut make: impl FnMut(E, usize) -> Result<T, HalError>,
) -> Result<Vec<(E, T)>, HalError> {
    let mut largest: Vec<(E, usize)> = Vec::new();
    for (point, log_size) in uses {
        match largest.iter_mut().find(|(known, _)| *known == point) {
            Some((_, log)) => *log = (*log).max(log_size),
            None => largest.push((point, log_size)),
        }
    }
    largest
        .into_iter()
        .map(|(point, log)| Ok((point, make(point, log)?)))
        .collect()
}

/// The entry of a point that [`per_point`] has seen.
fn entry<'a, E: PartialEq, T>(
    op: &'static str,
    table: &'a [(E, T)],
    point: &E,
) -> Result<&'a T, HalError> {
    table
        .iter()
        .find(|(known, _)| known == point)
        .map(|(_, value)| value)
        .ok_or_else(|| HalError::invalid(op, "a point without its table"))
}

impl<F: HalField> FriOps<F> for Cpu<F> {
    fn evaluate<E: Extension<F>>(
        &self,
        shift: F,
        requests: &[Evaluation<'_, Self::Matrix, E>],
    ) -> Result<Vec<Vec<Vec<E>>>, HalError> {
        const OP: &str = "evaluate";
        let mut low = Vec::with_capacity(requests.len());
        for request in requests {
            let log = log_height(OP, request.matrix.height(), usize::BITS as usize)?;
            low.push(
                log.checked_sub(request.log_blowup)
                    .ok_or_else(|| HalError::invalid(OP, "a matrix shorter than its blow-up"))?,
            );
        }
        let uses = requests
            .iter()
            .zip(&low)
            .flat_map(|(request, &log)| request.points.iter().map(move |&point| (point, log)));
        let weights = per_point(uses, |point, log| {
            if point.is_zero() {
                return Err(HalError::invalid(OP, "an opening point is zero"));
            }
            let inverses = inverse_denominators(OP, shift, log, point)?;
            Ok(compute_adjusted_weights(point, &inverses))
        })?;
        requests
            .iter()
            .zip(&low)
            .map(|(request, &log)| {
                let (rows, _) = request.matrix.split_rows(1 << log);
                request
                    .points
                    .iter()
                    .map(|point| {
                        let weights = &entry(OP, &weights, point)?[..1 << log];
                        Ok(rows.interpolate_coset_with_precomputation(shift, *point, weights))
                    })
                    .collect()
            })
            .collect()
    }

    fn reduce<E: Extension<F>>(
        &self,
        log_size: usize,
        shift: F,
        alpha: E,
        terms: &[Reduction<'_, Self::Matrix, E>],
    ) -> Result<Self::Matrix, HalError> {
        const OP: &str = "reduce";
        if log_size > F::TWO_ADICITY {
            return Err(HalError::unsupported(
                OP,
                format!("no subgroup of size 2^{log_size}"),
            ));
        }
        if terms
            .iter()
            .any(|term| term.matrix.height() != 1 << log_size)
        {
            return Err(HalError::invalid(OP, "matrices of different heights"));
        }
        let uses = terms
            .iter()
            .flat_map(|term| term.openings.iter().map(|open| (open.point, log_size)));
        let inverses = per_point(uses, |point, log| {
            inverse_denominators(OP, shift, log, point)
        })?;
        let widest = terms
            .iter()
            .map(|term| term.matrix.width())
            .max()
            .unwrap_or(0);
        let powers: Vec<E::ExtensionPacking> =
            E::ExtensionPacking::packed_ext_powers_capped(alpha, widest).collect();

        let mut reduced = E::zero_vec(1 << log_size);
        for term in terms {
            let Some(first) = term.openings.first() else {
                continue;
            };
            // The first opening's weight goes into the powers, so its rows need no multiplication by it.
            let (base, inverse) = match first.weight.try_inverse() {
                Some(inverse) => (first.weight, inverse),
                None => (E::ONE, E::ONE),
            };
            let columns = term.matrix.width().div_ceil(F::Packing::WIDTH);
            let weighted: Vec<_> = powers[..columns].iter().map(|&p| p * base).collect();
            let sums: Vec<E> = term
                .matrix
                .rowwise_packed_dot_product::<E>(&weighted)
                .collect();
            for opening in &term.openings {
                let inverses = entry(OP, &inverses, &opening.point)?;
                let rescale = opening.weight * inverse;
                let rows = sums
                    .par_iter()
                    .zip(reduced.par_iter_mut())
                    .zip(inverses.par_iter());
                if rescale == E::ONE {
                    rows.for_each(|((&sum, out), &inverse)| {
                        *out += (opening.value - sum) * inverse
                    });
                } else {
                    rows.for_each(|((&sum, out), &inverse)| {
                        *out += (opening.value - rescale * sum) * inverse;
                    });
                }
            }
        }
        Ok(RowMajorMatrix::new(
            E::flatten_to_base(reduced),
            E::DIMENSION,
        ))
    }

    fn fold<E: Extension<F>>(
        &self,
        leaves: &Self::Matrix,
        beta: E,
        log_arity: usize,
        roll_in: Option<&Self::Matrix>,
    ) -> Result<Self::Matrix, HalError> {
        const OP: &str = "fold";
        if log_arity == 0 || log_arity > F::TWO_ADICITY {
            return Err(HalError::invalid(OP, format!("an arity of 2^{log_arity}")));
        }
        log_height(OP, leaves.height(), F::TWO_ADICITY - log_arity)?;
        if leaves.width() != E::DIMENSION << log_arity {
            return Err(HalError::invalid(
                OP,
                format!("rows of {} words", leaves.width()),
            ));
        }
        let rows = RowMajorMatrix::new(
            E::reconstitute_from_base(leaves.values.clone()),
            1 << log_arity,
        );
        let folding = TwoAdicFriFolding::<(), ()>(PhantomData);
        let mut folded: Vec<E> =
            FriFoldingStrategy::<F, E>::fold_matrix(&folding, beta, log_arity, rows.as_view());
        if let Some(input) = roll_in {
            if input.height() != folded.len() || input.width() != E::DIMENSION {
                return Err(HalError::invalid(OP, "a roll-in of another shape"));
            }
            let weight = beta.exp_power_of_2(log_arity);
            let input: Vec<E> = E::reconstitute_from_base(input.values.clone());
            folded
                .par_iter_mut()
                .zip(input.par_iter())
                .for_each(|(out, &x)| *out += weight * x);
        }
        Ok(RowMajorMatrix::new(
            E::flatten_to_base(folded),
            E::DIMENSION,
        ))
    }

    fn grind(&self, puzzle: &Puzzle<F>, bits: usize) -> Result<F, HalError> {
        grind::smallest_witness(puzzle, bits)
    }
}
