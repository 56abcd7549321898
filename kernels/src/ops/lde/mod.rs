//! Number-theoretic transforms of the columns of a matrix: low-degree extension, forward and inverse transform.
//!
//! [`plan`] says how a transform is cut into passes, [`table`] what the kernels are given, [`schedule`] puts both
//! together, [`launch`] runs a schedule. The kernels are in `cl/ntt*.cl`.

mod launch;
mod plan;
mod schedule;
mod table;

use starkwright_hal::{HalError, HalField};

use self::launch::{Columns, LANE, Launcher, View, limits};
use self::schedule::{Transform, schedule};
use crate::{Buffer, Matrix, Rect, Runtime, Variant};

/// Words of scratch memory in which a panel of columns is transformed (64 MiB).
const SCRATCH_WORDS: usize = 16 << 20;

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
            let whole = |buffer| Panel {
                buffer,
                at: 0,
                pitch: width,
                columns: width,
            };
            panel(rt, &launcher, whole(from), whole(to))?;
        }
        _ => staged(rt, op, &launcher, input, &out)?,
    }
    Ok(out)
}

/// A panel of a row-major matrix: `columns` columns from word `at` of a buffer, in rows of `pitch` words.
#[derive(Clone, Copy)]
struct Panel<'a> {
    buffer: &'a Buffer,
    at: usize,
    pitch: usize,
    columns: usize,
}

impl<'a> Panel<'a> {
    fn view(self, columns: Columns) -> View<'a> {
        let Self {
            buffer, at, pitch, ..
        } = self;
        View {
            buffer,
            at,
            pitch,
            lane: LANE.min(pitch),
            columns,
        }
    }

    /// `columns` of the columns, from column `at` on.
    fn part(self, at: usize, columns: usize) -> Self {
        Self {
            at: self.at + at,
            columns,
            ..self
        }
    }
}

/// Transforms a panel.
///
/// The scalar kernels, and the vector kernels where all lines are on 64-byte boundaries, work in the result's memory.
/// Elsewhere what lies between the passes goes to a scratch buffer with such lines, a few lanes at a time.
fn panel(
    rt: &Runtime,
    launcher: &Launcher<'_>,
    from: Panel<'_>,
    to: Panel<'_>,
) -> Result<(), HalError> {
    let width = from.columns;
    let in_place = |from: Panel<'_>, to: Panel<'_>, columns, lanes| {
        let to = to.view(columns);
        launcher.run(from.view(columns), to, to, lanes)
    };
    if rt.variant() == Variant::Scalar || launcher.is_direct() {
        return in_place(from, to, Columns::Some(LANE), width);
    }
    if to.pitch.is_multiple_of(LANE) && to.at.is_multiple_of(LANE) && width.is_multiple_of(LANE) {
        return in_place(from, to, Columns::Stream, width / LANE);
    }
    let lane = LANE << launcher.log_out();
    let panel = (SCRATCH_WORDS.min(rt.max_alloc_words()) / lane).min(width.div_ceil(LANE));
    let scratch = match panel {
        1.. if launcher.ends_elsewhere() => Some(rt.alloc(panel * lane)?),
        _ => None,
    };
    let mut at = 0;
    while at < width {
        // Whole lanes, then the rest.
        let lanes = ((width - at) / LANE).min(panel.max(1));
        let (lanes, columns) = if lanes > 0 {
            (lanes, LANE)
        } else {
            (1, width - at)
        };
        let (from, to) = (from.part(at, lanes * columns), to.part(at, lanes * columns));
        let n = Columns::Some(columns);
        match &scratch {
            Some(buffer) => {
                let between = Panel {
                    buffer,
                    at: 0,
                    pitch: lanes * LANE,
                    columns: lanes * LANE,
                };
                launcher.run(
                    from.view(n),
                    between.view(Columns::Stream),
                    to.view(n),
                    lanes,
                )?;
            }
            None => in_place(from, to, n, lanes)?,
        }
        at += lanes * columns;
    }
    Ok(())
}

/// Transforms a matrix in several buffers, a panel of columns at a time by way of two buffers that hold whole columns.
fn staged(
    rt: &Runtime,
    op: &'static str,
    launcher: &Launcher<'_>,
    input: &Matrix,
    out: &Matrix,
) -> Result<(), HalError> {
    let most = rt.max_alloc_words() / out.height;
    let width = input.width;
    if most == 0 {
        let why = format!(
            "a column of {} words exceeds the largest allocation",
            out.height
        );
        return Err(HalError::unsupported(op, why));
    }
    // Whole blocks where there is room for one.
    let columns = if most < LANE {
        most
    } else {
        most / LANE * LANE
    }
    .min(width);
    let source = rt.alloc(input.height * columns)?;
    let result = rt.alloc(out.height * columns)?;
    for at in (0..width).step_by(columns) {
        let columns = columns.min(width - at);
        let place = |row: usize| Rect {
            at: row * columns,
            pitch: columns,
        };
        for (chunk, buffer) in input.chunks.iter().enumerate() {
            let place = place(chunk * input.rows_per_chunk);
            let from = (&**buffer, Rect { at, pitch: width });
            rt.copy_rect(from, (&source, place), input.chunk_rows(chunk), columns)?;
        }
        let whole = |buffer| Panel {
            buffer,
            at: 0,
            pitch: columns,
            columns,
        };
        panel(rt, launcher, whole(&source), whole(&result))?;
        for (chunk, buffer) in out.chunks.iter().enumerate() {
            let place = place(chunk * out.rows_per_chunk);
            let to = (&**buffer, Rect { at, pitch: width });
            rt.copy_rect((&result, place), to, out.chunk_rows(chunk), columns)?;
        }
    }
    Ok(())
}
