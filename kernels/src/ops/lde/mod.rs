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
use self::plan::MIN_BITS;
use self::schedule::{Transform, schedule};
use crate::{Matrix, Runtime, Word};

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
    let added_bits = blow_up::<F>(added_bits)?;
    transform(rt, LDE, input, Transform::CosetLde { added_bits, shift })
}

/// As [`coset_lde`], of rows that the host has. They are written into the result's memory, where the extension takes
/// their place: so it needs no other memory of the device, and the host's is free when this returns.
///
/// # Errors
/// As [`coset_lde`], and [`HalError::InvalidArgument`] where `rows` is not a whole number of rows.
pub fn extend<F: HalField + Word>(
    rt: &Runtime,
    rows: Vec<F>,
    width: usize,
    added_bits: usize,
    shift: F,
) -> Result<Matrix, HalError> {
    let log_added = blow_up::<F>(added_bits)?;
    let height = rows.len().checked_div(width).unwrap_or(0);
    let words = rows.len().checked_shl(log_added);
    // A product with a matrix is no transform in place; several buffers are transformed by way of others.
    let in_place = added_bits > 0
        && height >= 1 << MIN_BITS
        && height * width == rows.len()
        && words.is_some_and(|words| {
            words >> added_bits == rows.len() && words <= rt.max_alloc_words()
        });
    if !in_place {
        let input = Matrix::adopt(rt, rows, width)?;
        return coset_lde(rt, &input, added_bits, shift);
    }
    let transform = Transform::CosetLde {
        added_bits: log_added,
        shift,
    };
    check::<F>(LDE, height, width, transform)?;
    let out = Matrix::alloc(rt, height << added_bits, width)?;
    let Some(to) = out.single() else {
        return Err(HalError::invalid(LDE, "the result is in several buffers"));
    };
    let schedule = schedule(transform, height.ilog2(), limits(rt))?;
    let launcher = Launcher::new::<F>(rt, &schedule)?;
    // The second coset's rows are written only after the last of these were read, whichever columns go first.
    rt.write(to, rows.len(), &rows)?;
    drop(rows);
    let all = Panel::whole(to, width);
    panel::transform(rt, &launcher, all.below(height), all)?;
    Ok(out)
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

/// The name of the operation in errors.
const LDE: &str = "coset_lde";

fn blow_up<F: HalField>(added_bits: usize) -> Result<u32, HalError> {
    let bits = u32::try_from(added_bits).ok();
    bits.filter(|_| added_bits <= F::TWO_ADICITY)
        .ok_or_else(|| HalError::invalid(LDE, "the blow-up exceeds the field's two-adicity"))
}

/// Refuses a shape that has no such transform. Gives the logarithm of the blow-up.
fn check<F: HalField>(
    op: &'static str,
    height: usize,
    width: usize,
    transform: Transform<F>,
) -> Result<u32, HalError> {
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
    Ok(added_bits)
}

fn transform<F: HalField>(
    rt: &Runtime,
    op: &'static str,
    input: &Matrix,
    transform: Transform<F>,
) -> Result<Matrix, HalError> {
    let (height, width) = (input.height, input.width);
    let added_bits = check::<F>(op, height, width, transform)?;
    let out = Matrix::alloc(rt, height << added_bits, width)?;
    let schedule = schedule(transform, height.ilog2(), limits(rt))?;
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
