//! Transforming panels of columns: in place where possible, elsewhere by way of scratch memory.

use starkwright_hal::HalError;

use super::groups::{GROUP_LANES, LANE};
use super::launch::{Columns, Launcher, View};
use super::schedule::Step;
use crate::{Buffer, Matrix, Rect, Runtime, Variant};

/// Words of scratch memory that are always granted (64 MiB).
const SCRATCH_WORDS: usize = 16 << 20;

/// Some columns of a row-major matrix in one buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel<'a> {
    buffer: &'a Buffer,
    /// Word of the first row's first column.
    at: usize,
    /// Words from row to row.
    pitch: usize,
    columns: usize,
}

impl<'a> Panel<'a> {
    /// All columns of a matrix.
    pub(super) fn whole(buffer: &'a Buffer, width: usize) -> Self {
        Self {
            buffer,
            at: 0,
            pitch: width,
            columns: width,
        }
    }

    /// The same columns, so many rows further down.
    pub(super) fn below(self, rows: usize) -> Self {
        Self {
            at: self.at + rows * self.pitch,
            ..self
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

    /// Whether all lanes' lines are on 64-byte boundaries.
    fn is_aligned(self) -> bool {
        [self.at, self.pitch, self.columns]
            .iter()
            .all(|words| words.is_multiple_of(LANE))
    }
}

/// Transforms the columns of one panel into another.
///
/// The passes work in the result's memory; but for the vector kernels, where its lines are not on 64-byte boundaries,
/// they work in scratch memory with such lines, a few lanes at a time. It is a sixteenth of the result, where that is too
/// little a quarter, or [`SCRATCH_WORDS`]; where that is not enough for one lane, the lines are stored as they come.
pub(super) fn transform(
    rt: &Runtime,
    launcher: &Launcher<'_>,
    from: Panel<'_>,
    to: Panel<'_>,
) -> Result<(), HalError> {
    let width = from.columns;
    let last = launcher.schedule().passes.last().map(|pass| pass.step);
    let in_place = |from: Panel<'_>, to: Panel<'_>, columns, lanes| {
        let to = to.view(columns);
        launcher.run(from.view(columns), to, to, lanes)
    };
    if rt.variant() == Variant::Scalar || last == Some(Step::Direct) {
        return in_place(from, to, Columns::Some(LANE), width);
    }
    if to.is_aligned() {
        return in_place(from, to, Columns::Stream, width / LANE);
    }
    let lane = LANE << launcher.schedule().log_out;
    let words = width << launcher.schedule().log_out;
    let few = (GROUP_LANES * lane).min(words / 4);
    let granted = SCRATCH_WORDS.max(words / 16).max(few);
    let panel = (granted.min(rt.max_alloc_words()) / lane).min(width.div_ceil(LANE));
    // Only the forward kernel can move what it computes.
    let scratch = match last {
        Some(Step::Forward) if panel > 0 => Some(rt.alloc(panel * lane)?),
        _ => None,
    };
    let most = if scratch.is_some() { panel } else { width };
    let mut at = 0;
    while at < width {
        // Whole lanes, then the columns that are left.
        let (lanes, columns) = match (width - at) / LANE {
            0 => (1, width - at),
            lanes => (lanes.min(most), LANE),
        };
        let (from, to) = (from.part(at, lanes * columns), to.part(at, lanes * columns));
        let n = Columns::Some(columns);
        match &scratch {
            Some(buffer) => {
                let between = Panel::whole(buffer, lanes * LANE).view(Columns::Stream);
                launcher.run(from.view(n), between, to.view(n), lanes)?;
            }
            None => in_place(from, to, n, lanes)?,
        }
        at += lanes * columns;
    }
    Ok(())
}

/// Transforms a matrix in several buffers, a panel at a time by way of two buffers that hold whole columns.
pub(super) fn transform_chunks(
    rt: &Runtime,
    op: &'static str,
    launcher: &Launcher<'_>,
    input: &Matrix,
    out: &Matrix,
) -> Result<(), HalError> {
    let (most, width) = (rt.max_alloc_words() / out.height, input.width);
    if most == 0 {
        let why = format!(
            "a column of {} words exceeds the largest allocation",
            out.height
        );
        return Err(HalError::unsupported(op, why));
    }
    // Whole lanes where there is room for one.
    let columns = if most < LANE {
        most
    } else {
        most / LANE * LANE
    };
    let columns = columns.min(width);
    let source = rt.alloc(input.height * columns)?;
    let result = rt.alloc(out.height * columns)?;
    for at in (0..width).step_by(columns) {
        let columns = columns.min(width - at);
        let row = |row: usize| Rect {
            at: row * columns,
            pitch: columns,
        };
        let part = Rect { at, pitch: width };
        for (chunk, buffer) in input.chunks.iter().enumerate() {
            let to = (&source, row(chunk * input.rows_per_chunk));
            rt.copy_rect((buffer, part), to, input.chunk_rows(chunk), columns)?;
        }
        transform(
            rt,
            launcher,
            Panel::whole(&source, columns),
            Panel::whole(&result, columns),
        )?;
        for (chunk, buffer) in out.chunks.iter().enumerate() {
            let from = (&result, row(chunk * out.rows_per_chunk));
            rt.copy_rect(from, (buffer, part), out.chunk_rows(chunk), columns)?;
        }
    }
    Ok(())
}
