//! Number-theoretic transforms of the columns of a matrix: low-degree extension, forward and inverse transform.
//!
//! `plan` says how a transform is cut into passes, `table` what the kernels are given, `schedule` puts both
//! together, `launch` runs a schedule. The kernels are in `cl/ntt*.cl`.

mod groups;
mod launch;
mod panel;
mod plan;
mod schedule;
mod table;

use starkwright_hal::{HalError, HalField};

use self::groups::limits;
use self::launch::Launcher;
use self::panel::Panel;
use self::schedule::{Transform, schedule};
use crate::{Matrix, Runtime};

/// The low-degree extension of every column to the cosets `shift · K`, where `K` has `2^added_bits` times the input's
/// height.
///
/// Rows of `input` are in natural order, rows of the result in bit-reversed order; words are Montgomery words. As p3's
/// `coset_lde_batch(input, added_bits, shift).bit_reverse_rows()`. Enqueues only.
///
/// # Errors
/// [`HalError::InvalidArgument`] for a height that is not a power of two, a width of 0 or a field without the roots;
/// [`HalError::OutOfMemory`]; [`HalError::Unsupported`] where local memory is too small.
pub fn coset_lde<F: HalField>(
    rt: &Runtime,
    input: &Matrix,
    added_bits: usize,
    shift: F,
) -> Result<Matrix, HalError> {
    let op = "coset_lde";
    let added_bits = u32::try_from(added_bits)
        .ok()
        .filter(|&bits| bits as usize <= F::TWO_ADICITY);
    let Some(added_bits) = added_bits else {
        return Err(HalError::invalid(
            op,
            "the blow-up exceeds the field's two-adicity",
        ));
    };
    transform(rt, op, input, Transform::CosetLde { added_bits, shift })
}

/// The evaluations of every column's polynomial, given by coefficients, on the subgroup of the matrix' height. Both in
/// natural order. As p3's `dft_batch`. Enqueues only.
///
/// # Errors
/// As [`coset_lde`].
pub fn dft<F: HalField>(rt: &Runtime, input: &Matrix) -> Result<Matrix, HalError> {
    transform::<F>(rt, "dft", input, Transform::Forward)
}

/// The coefficients of every column's polynomial, given by evaluations on the subgroup. Both in natural order. As p3's
/// `idft_batch`. Enqueues only.
///
/// # Errors
/// As [`coset_lde`].
pub fn idft<F: HalField>(rt: &Runtime, input: &Matrix) -> Result<Matrix, HalError> {
    transform::<F>(rt, "idft", input, Transform::Inverse)
}

fn transform<F: HalField>(
    rt: &Runtime,
    op: &'static str,
    input: &Matrix,
    transform: Transform<F>,
) -> Result<Matrix, HalError> {
    let (height, width) = (input.height, input.width);
    if !height.is_power_of_two() {
        return Err(HalError::invalid(
            op,
            format!("height {height} is not a power of two"),
        ));
    }
    if width == 0 || u32::try_from(width).is_err() {
        return Err(HalError::invalid(op, format!("a width of {width}")));
    }
    let log_height = height.ilog2();
    let added_bits = match transform {
        Transform::CosetLde { added_bits, .. } => added_bits,
        Transform::Forward | Transform::Inverse => 0,
    };
    if (log_height + added_bits) as usize > F::TWO_ADICITY {
        let why = format!("no subgroup of order 2^{}", log_height + added_bits);
        return Err(HalError::invalid(op, why));
    }
    let out = Matrix::alloc(rt, height << added_bits, width)?;
    let schedule = schedule(transform, log_height, limits(rt))?;
    let launcher = Launcher::new::<F>(rt, &schedule)?;
    match (input.single(), out.single()) {
        (Some(from), Some(to)) => {
            panel::transform(
                rt,
                &launcher,
                Panel::whole(from, width),
                Panel::whole(to, width),
            )?;
        }
        _ => panel::transform_chunks(rt, op, &launcher, input, &out)?,
    }
    Ok(out)
}
