//! A round of FRI folding.

use starkwright_hal::{Extension, HalError, HalField};

use super::extension::{group, lanes, matrix_of, program, roots, row_of, subgroup_points};
use super::runs::runs;
use crate::{Arg, Matrix, Runtime, Word};

const OP: &str = "fold";

/// The kernel's `MAX_LOG_ARITY`.
const MAX_LOG_ARITY: usize = 4;

/// Folds each row of `2^log_arity` extension elements with the challenge `beta`, as p3's `fold_matrix` (p3-fri,
/// `two_adic_pcs.rs`): `leaves` are values over the subgroup in bit-reversed order; the result has one element a row, plus
/// `beta^arity` times the element of `roll_in` in that row. Only enqueues.
///
/// # Errors
/// [`HalError::InvalidArgument`] for shapes that do not fit; [`HalError::Unsupported`] for arities beyond 16 and heights
/// without a subgroup; [`HalError::OutOfMemory`], driver failures.
pub fn fold<F: HalField + Word, E: Extension<F>>(
    rt: &Runtime,
    leaves: &Matrix,
    beta: E,
    log_arity: usize,
    roll_in: Option<&Matrix>,
) -> Result<Matrix, HalError> {
    check::<F>(leaves, E::DIMENSION, log_arity, roll_in)?;
    let kernel = rt.kernel(&program::<F, E>(rt)?, "fold")?;
    let constants = rt.upload(&constants(beta, log_arity))?;
    let folded = Matrix::alloc(rt, leaves.height, E::DIMENSION)?;
    // A kernel's argument cannot be absent; without a roll-in it reads nothing there.
    let input = roll_in.unwrap_or(leaves);
    for run in runs(&[leaves, &folded, input]) {
        let (rows, rows_at) = run.locate(leaves)?;
        let (out, out_at) = run.locate(&folded)?;
        let (input, input_at) = run.locate(input)?;
        let (global, local) = row_of(run.rows.div_ceil(lanes(rt)), group(rt));
        rt.launch(
            &kernel,
            global,
            local,
            &[
                Arg::Buffer(out),
                Arg::U64(out_at),
                Arg::Buffer(rows),
                Arg::U64(rows_at),
                Arg::Buffer(input),
                Arg::U64(input_at),
                Arg::U32(u32::from(roll_in.is_some())),
                Arg::Buffer(&constants),
                Arg::U32(log_arity as u32),
                Arg::U64(run.first as u64),
                Arg::U64(run.rows as u64),
            ],
        )?;
    }
    Ok(folded)
}

/// Refuses shapes that do not fit.
fn check<F: HalField>(
    leaves: &Matrix,
    degree: usize,
    log_arity: usize,
    roll_in: Option<&Matrix>,
) -> Result<(), HalError> {
    let Matrix { height, width, .. } = *leaves;
    if log_arity > MAX_LOG_ARITY {
        return Err(HalError::unsupported(OP, format!("arity 2^{log_arity}")));
    }
    if log_arity == 0 || width != degree << log_arity {
        return Err(HalError::invalid(OP, format!("rows of {width} words")));
    }
    if !height.is_power_of_two() {
        return Err(HalError::invalid(
            OP,
            format!("height {height} is not a power of two"),
        ));
    }
    if height.ilog2() as usize + log_arity > F::TWO_ADICITY {
        return Err(HalError::unsupported(
            OP,
            format!("no subgroup for {height} rows"),
        ));
    }
    match roll_in {
        Some(input) if input.height != height || input.width != degree => {
            Err(HalError::invalid(OP, "a roll-in of another shape"))
        }
        _ => Ok(()),
    }
}

/// What the kernel reads beside the rows, in its order.
fn constants<F: HalField, E: Extension<F>>(beta: E, log_arity: usize) -> Vec<F> {
    let mut inverse_roots = roots::<F>();
    inverse_roots
        .iter_mut()
        .for_each(|root| *root = root.inverse());
    // The inverse points of 16 neighbouring rows, and those of the pairs of one row.
    let points = subgroup_points(&inverse_roots, 16 << log_arity);
    let mut constants: Vec<F> = points.iter().step_by(1 << log_arity).copied().collect();
    constants.extend(points.iter().step_by(2).take(1 << (MAX_LOG_ARITY - 1)));
    constants.extend(inverse_roots);
    let mut power = beta;
    for _ in 0..log_arity {
        constants.extend(matrix_of::<F, E>(power.halve()));
        power = power.square();
    }
    constants.extend(matrix_of::<F, E>(power));
    constants
}
