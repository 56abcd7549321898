//! Reduced openings: what FRI folds, from all matrices of one height and all points they are opened at.

use starkwright_hal::{Extension, HalError, HalField, Reduction};

use super::denominators::{Denominators, table_of};
use super::extension::{group, lanes, matrix_of, program, row_of};
use super::runs::runs;
use crate::{Arg, Buffer, Matrix, Program, Runtime, Variant, Word};

const OP: &str = "reduce";

/// Rows whose dot products share each power of alpha: the kernel's `ROWS`.
const ROWS: usize = 4;
/// Rows of a vector work-item: the kernel's `BATCH`.
const BATCH: usize = 64;
/// Blocks of rows to which a vector work-item adds an opening: the kernel's `BLOCKS`.
const BLOCKS: usize = 8;
/// Work-items of a scalar work-group: the kernel's `GROUP`.
const GROUP: usize = 64;

/// `Σ_matrices Σ_openings (value − weight · Σ_j alpha^j f_j(x)) / (point − x)` over `x` in `shift · K` in bit-reversed
/// order, as in p3's `TwoAdicFriPcs::open` (p3-fri, `two_adic_pcs.rs`): `2^log_height` rows, one column for each
/// coefficient. Only enqueues.
///
/// # Errors
/// [`HalError::InvalidArgument`] where a matrix has another height or a point lies in the domain;
/// [`HalError::Unsupported`] where there is no coset of that size; [`HalError::OutOfMemory`], driver failures.
pub fn reduce<F: HalField + Word, E: Extension<F>>(
    rt: &Runtime,
    log_height: usize,
    shift: F,
    alpha: E,
    terms: &[Reduction<'_, Matrix, E>],
) -> Result<Matrix, HalError> {
    if log_height > F::TWO_ADICITY {
        return Err(HalError::unsupported(
            OP,
            format!("no coset of size 2^{log_height}"),
        ));
    }
    let height = 1 << log_height;
    if terms.iter().any(|term| term.matrix.height != height) {
        return Err(HalError::invalid(OP, "matrices of different heights"));
    }
    let uses = terms
        .iter()
        .flat_map(|term| &term.openings)
        .map(|open| (open.point, log_height));
    let denominators = Denominators::new(OP, shift, uses)?;
    let program = program::<F, E>(rt)?;
    let inverses = denominators.enqueue(rt, &program, |_| E::ZERO)?;

    let reduced = Matrix::alloc(rt, height, E::DIMENSION)?;
    for chunk in &reduced.chunks {
        rt.fill(chunk, 0, chunk.words(), 0)?;
    }
    let opened = || terms.iter().filter(|term| !term.openings.is_empty());
    let Some(widest) = opened().map(|term| term.matrix.width).max() else {
        return Ok(reduced);
    };
    let powers = rt.upload(&powers_by_coefficient(alpha, widest))?;
    let add_opening = rt.kernel(&program, "add_opening")?;
    let rows_each = match rt.variant() {
        Variant::Vector => lanes(rt) * BLOCKS,
        Variant::Scalar => lanes(rt),
    };
    for term in opened() {
        let sums = row_sums(rt, &program, term.matrix, &powers, E::DIMENSION)?;
        for opening in &term.openings {
            let mut constants: Vec<F> = opening.value.as_basis_coefficients_slice().to_vec();
            constants.extend(matrix_of::<F, E>(opening.weight));
            let constants = rt.upload(&constants)?;
            let inverses = table_of(OP, &inverses, &opening.point)?;
            for run in runs(&[&reduced, &sums, inverses]) {
                let (out, out_at) = run.locate(&reduced)?;
                let (sums, sums_at) = run.locate(&sums)?;
                let (inverses, inverses_at) = run.locate(inverses)?;
                let (global, local) = row_of(run.rows.div_ceil(rows_each), group(rt));
                rt.launch(
                    &add_opening,
                    global,
                    local,
                    &[
                        Arg::Buffer(out),
                        Arg::U64(out_at),
                        Arg::Buffer(sums),
                        Arg::U64(sums_at),
                        Arg::Buffer(inverses),
                        Arg::U64(inverses_at),
                        Arg::Buffer(&constants),
                        Arg::U64(run.rows as u64),
                    ],
                )?;
            }
        }
    }
    Ok(reduced)
}

/// The powers `alpha^0 … alpha^(count−1)`, padded with zeros, in blocks of 16: all their coefficients 0, then all their
/// coefficients 1, and so on, as the rows' vectors meet them.
fn powers_by_coefficient<F: HalField, E: Extension<F>>(alpha: E, count: usize) -> Vec<F> {
    let mut blocks = F::zero_vec(count.div_ceil(16).max(1) * 16 * E::DIMENSION);
    for (block, first) in blocks
        .chunks_mut(16 * E::DIMENSION)
        .zip((0..count).step_by(16))
    {
        let powers = alpha.shifted_powers(alpha.exp_u64(first as u64));
        for (lane, power) in powers.take((count - first).min(16)).enumerate() {
            for (k, &coefficient) in power.as_basis_coefficients_slice().iter().enumerate() {
                block[k * 16 + lane] = coefficient;
            }
        }
    }
    blocks
}

/// Enqueues `Σ_j alpha^j M[i][j]` for every row `i`: a matrix of one element a row.
fn row_sums(
    rt: &Runtime,
    program: &Program,
    matrix: &Matrix,
    powers: &Buffer,
    degree: usize,
) -> Result<Matrix, HalError> {
    let kernel = rt.kernel(program, "row_sums")?;
    let sums = Matrix::alloc(rt, matrix.height, degree)?;
    for run in runs(&[matrix, &sums]) {
        let (global, local) = match rt.variant() {
            Variant::Vector => row_of(run.rows.div_ceil(BATCH), 1),
            Variant::Scalar => {
                // As many work-items to a row as it has columns, as many rows as the rest allows.
                let across = matrix.width.next_power_of_two().min(GROUP);
                let down = GROUP / across;
                let teams = run.rows.div_ceil(ROWS);
                (
                    [across, teams.next_multiple_of(down), 1],
                    Some([across, down, 1]),
                )
            }
        };
        let (rows, rows_at) = run.locate(matrix)?;
        let (out, out_at) = run.locate(&sums)?;
        rt.launch(
            &kernel,
            global,
            local,
            &[
                Arg::Buffer(rows),
                Arg::U64(rows_at),
                Arg::Buffer(powers),
                Arg::Buffer(out),
                Arg::U64(out_at),
                Arg::U64(matrix.width as u64),
                Arg::U64(run.rows as u64),
            ],
        )?;
    }
    Ok(sums)
}
