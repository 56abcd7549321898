//! Evaluation of a matrix's columns at points outside its domain.
//!
//! Barycentric, as p3's `interpolate_coset_with_precomputation` (p3-matrix, `interpolation.rs`): over the coset `gH` of
//! size `N`,
//!
//! ```text
//! f(z) = z (z^N − g^N) / (N g^N) · Σ_i (1/(z − x_i) − 1/z) f(x_i)
//! ```
//!
//! The device adds up; the factor before the sum is one multiplication for each result and is left to the host.

use std::ops::Range;
use std::slice::Chunks;

use starkwright_hal::{Evaluation, Extension, HalError, HalField};

use super::denominators::{Denominators, table_of};
use super::extension::{program, row_of};
use super::runs::{Run, runs};
use crate::{Arg, Buffer, Kernel, Matrix, Program, Runtime, Variant, Word};

const OP: &str = "evaluate";

/// Rows that the vector kernel takes through all columns at a time: its `TILE`.
const TILE: usize = 16;
/// Most words of partial sums, so that they stay small beside the matrix on a device with many cores.
const MOST_PARTIAL: usize = 8 << 20;
/// Work-items that keep a GPU busy.
const BUSY: usize = 1 << 15;
/// Most rows of a part in the scalar kernel: llvmpipe ends a work-item's loops after 65,535 rounds, without an error.
const MOST_PART_ROWS: usize = 1 << 14;
/// Work-items of a scalar work-group.
const GROUP: usize = 64;

/// Evaluates every column at every point: `result[request][point][column]`.
///
/// Each matrix holds values over `shift · K` in bit-reversed order; of its rows only the first `height >> log_blowup` are
/// read. Enqueues everything, then waits once.
///
/// # Errors
/// [`HalError::InvalidArgument`] where a point lies in the domain or is zero, or where a height is no power of two or
/// below its blow-up; [`HalError::Unsupported`] where there is no coset of that size; driver failures.
pub fn evaluate<F: HalField + Word, E: Extension<F>>(
    rt: &Runtime,
    shift: F,
    requests: &[Evaluation<'_, Matrix, E>],
) -> Result<Vec<Vec<Vec<E>>>, HalError> {
    let low = requests
        .iter()
        .map(log_rows)
        .collect::<Result<Vec<usize>, _>>()?;
    if requests
        .iter()
        .flat_map(|request| request.points)
        .any(E::is_zero)
    {
        return Err(HalError::invalid(OP, "an opening point is zero"));
    }
    let uses = requests.iter().zip(&low);
    let uses = uses.flat_map(|(request, &log)| request.points.iter().map(move |&z| (z, log)));
    let denominators = Denominators::new(OP, shift, uses)?;
    let program = program::<F, E>(rt)?;
    let weights = denominators.enqueue(rt, &program, |z| -z.inverse())?;

    let sizes = requests.iter().flat_map(|request| {
        passes(request).map(|points| points.len() * E::DIMENSION * request.matrix.width)
    });
    let results = Results::alloc(rt, sizes)?;
    let sums = Sums::new(rt, &program, E::DIMENSION)?;
    let mut places = results.places.iter();
    for (request, &log) in requests.iter().zip(&low) {
        for (points, &place) in passes(request).zip(&mut places) {
            let weights: Vec<&Matrix> = points
                .iter()
                .map(|z| table_of(OP, &weights, z))
                .collect::<Result<_, _>>()?;
            sums.enqueue(request.matrix, 1 << log, &weights, results.locate(place))?;
        }
    }

    let words: Vec<Vec<F>> = results
        .buffers
        .iter()
        .map(|buffer| rt.read_vec(buffer, 0, buffer.words()))
        .collect::<Result<_, _>>()?;
    let mut places = results.places.iter();
    let mut evaluations = Vec::with_capacity(requests.len());
    for (request, &log) in requests.iter().zip(&low) {
        let mut values: Vec<Vec<E>> = Vec::with_capacity(request.points.len());
        for (points, place) in passes(request).zip(&mut places) {
            let mut elements = words[place.buffer][place.at..].chunks_exact(E::DIMENSION);
            for &z in points {
                let scale = scale(shift, z, log);
                let columns = elements.by_ref().take(request.matrix.width);
                let element = |words: &[F]| E::from_basis_coefficients_fn(|k| words[k]);
                values.push(columns.map(|words| element(words) * scale).collect());
            }
        }
        evaluations.push(values);
    }
    Ok(evaluations)
}

/// The points of a request, as many together as share a pass over the matrix.
fn passes<'a, E>(request: &Evaluation<'a, Matrix, E>) -> Chunks<'a, E> {
    request.points.chunks(2)
}

/// Where the results of one pass go.
#[derive(Clone, Copy, Debug)]
struct Place {
    buffer: usize,
    at: usize,
}

/// Room for the results of all passes, in one buffer if the largest allocation permits: then one transfer brings them.
struct Results {
    buffers: Vec<Buffer>,
    places: Vec<Place>,
}

impl Results {
    fn alloc(rt: &Runtime, sizes: impl Iterator<Item = usize>) -> Result<Self, HalError> {
        let mut places = Vec::new();
        let mut lengths: Vec<usize> = Vec::new();
        for size in sizes {
            let last = lengths.last().copied();
            match last.filter(|last| size <= rt.max_alloc_words().saturating_sub(*last)) {
                Some(at) => places.push(Place {
                    buffer: lengths.len() - 1,
                    at,
                }),
                None => {
                    places.push(Place {
                        buffer: lengths.len(),
                        at: 0,
                    });
                    lengths.push(0);
                }
            }
            if let Some(last) = lengths.last_mut() {
                *last += size;
            }
        }
        let buffers = lengths
            .into_iter()
            .map(|words| rt.alloc(words))
            .collect::<Result<_, _>>()?;
        Ok(Self { buffers, places })
    }

    fn locate(&self, place: Place) -> (&Buffer, usize) {
        (&self.buffers[place.buffer], place.at)
    }
}

/// The log2 of the number of rows needed.
fn log_rows<E>(request: &Evaluation<'_, Matrix, E>) -> Result<usize, HalError> {
    let height = request.matrix.height;
    if !height.is_power_of_two() {
        return Err(HalError::invalid(
            OP,
            format!("height {height} is not a power of two"),
        ));
    }
    (height.ilog2() as usize)
        .checked_sub(request.log_blowup)
        .ok_or_else(|| HalError::invalid(OP, "a matrix shorter than its blow-up"))
}

/// `z (z^N − g^N) / (N g^N)`, `N = 2^log_size`.
fn scale<F: HalField, E: Extension<F>>(shift: F, z: E, log_size: usize) -> E {
    let shift_n = shift.exp_power_of_2(log_size);
    let denominator = shift_n.mul_2exp_u64(log_size as u64);
    z * (z.exp_power_of_2(log_size) - shift_n) * denominator.inverse()
}

/// How the rows of one launch are shared out.
struct Shares {
    parts: usize,
    /// Rows of a part.
    part_rows: usize,
    /// From a part's first row to the next part's.
    part_step: usize,
    /// From one row of a part to its next.
    row_step: usize,
    global: [usize; 3],
    local: [usize; 3],
}

impl Shares {
    /// `rows` is a power of two; `most` is the number of parts whose sums may be kept.
    fn new(rt: &Runtime, rows: usize, columns: usize, most: usize) -> Self {
        let most = 1 << most.max(1).ilog2();
        match rt.variant() {
            Variant::Vector => {
                // Neighbouring rows in one part, for the prefetcher; some parts for each core, for the balance.
                let wanted = (4 * rt.info().compute_units as usize).next_power_of_two();
                let parts = wanted.min(rows.div_ceil(2 * TILE)).min(most);
                let part_rows = rows / parts;
                Self {
                    parts,
                    part_rows,
                    part_step: part_rows,
                    row_step: 1,
                    global: [1, parts, 1],
                    local: [1, 1, 1],
                }
            }
            Variant::Scalar => {
                // Neighbouring columns, then neighbouring rows, in one work-group: they are neighbours in memory.
                let across = columns.next_power_of_two().min(GROUP);
                let wanted = (BUSY / columns.next_multiple_of(across)).max(1);
                let parts = 1 << wanted.min(rows.div_ceil(GROUP)).ilog2();
                let parts = parts.max(rows.div_ceil(MOST_PART_ROWS)).min(most);
                Self {
                    parts,
                    part_rows: rows / parts,
                    part_step: 1,
                    row_step: parts,
                    global: [columns.next_multiple_of(across), parts, 1],
                    local: [across, parts.min(GROUP / across), 1],
                }
            }
        }
    }
}

/// The kernels that add up rows.
struct Sums<'a> {
    rt: &'a Runtime,
    /// For one vector of weights and for two.
    sum_rows: [Kernel; 2],
    add_parts: Kernel,
    degree: usize,
}

impl<'a> Sums<'a> {
    fn new(rt: &'a Runtime, program: &Program, degree: usize) -> Result<Self, HalError> {
        Ok(Self {
            rt,
            sum_rows: [
                rt.kernel(program, "sum_rows_1")?,
                rt.kernel(program, "sum_rows_2")?,
            ],
            add_parts: rt.kernel(program, "add_parts")?,
            degree,
        })
    }

    /// Enqueues the weighted sums of the first `rows` rows for one or two vectors of weights: for each, `width` elements
    /// of the extension, from the given word of a buffer on.
    fn enqueue(
        &self,
        matrix: &Matrix,
        rows: usize,
        weights: &[&Matrix],
        results: (&Buffer, usize),
    ) -> Result<(), HalError> {
        let rt = self.rt;
        let terms = weights.len() * self.degree;
        // A part keeps two words for each of the terms of 16 columns.
        let most_words = MOST_PARTIAL.min(rt.max_alloc_words());
        let most_columns = most_words / (2 * terms * rows.div_ceil(MOST_PART_ROWS));
        let panel = (most_columns & !15).max(16);
        let needed = Matrix {
            height: rows,
            ..matrix.clone()
        };
        let tables = std::iter::once(&needed).chain(weights.iter().copied());
        for run in runs(&tables.collect::<Vec<_>>()) {
            for column in (0..matrix.width).step_by(panel) {
                let columns = panel.min(matrix.width - column);
                self.add_run(matrix, run, weights, column..column + columns, results)?;
            }
        }
        Ok(())
    }

    /// Adds one run of rows, over some columns, to the results.
    fn add_run(
        &self,
        matrix: &Matrix,
        run: Run,
        weights: &[&Matrix],
        columns: Range<usize>,
        (results, results_at): (&Buffer, usize),
    ) -> Result<(), HalError> {
        let rt = self.rt;
        let terms = weights.len() * self.degree;
        let part_words = 2 * terms * columns.len().next_multiple_of(16);
        let most = MOST_PARTIAL.min(rt.max_alloc_words()) / part_words;
        let shares = Shares::new(rt, run.rows, columns.len(), most);
        let partial = rt.alloc(shares.parts * part_words)?;

        let (rows, at) = run.locate(matrix)?;
        let mut args = vec![Arg::Buffer(rows), Arg::U64(at)];
        for weights in weights {
            let (buffer, at) = run.locate(weights)?;
            args.extend([Arg::Buffer(buffer), Arg::U64(at)]);
        }
        args.push(Arg::Buffer(&partial));
        let sizes = [
            matrix.width,
            run.rows,
            columns.start,
            columns.len(),
            shares.part_rows,
            shares.part_step,
            shares.row_step,
        ];
        args.extend(sizes.map(|size| Arg::U64(size as u64)));
        let kernel = &self.sum_rows[weights.len() - 1];
        rt.launch(kernel, shares.global, Some(shares.local), &args)?;

        let (global, local) = row_of(columns.len() * terms, GROUP);
        rt.launch(
            &self.add_parts,
            global,
            local,
            &[
                Arg::Buffer(&partial),
                Arg::Buffer(results),
                Arg::U64(results_at as u64),
                Arg::U64(matrix.width as u64),
                Arg::U64(columns.start as u64),
                Arg::U64(columns.len() as u64),
                Arg::U32(terms as u32),
                Arg::U64(shares.parts as u64),
                Arg::U32(u32::from(run.first > 0)),
            ],
        )
    }
}
