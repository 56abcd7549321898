//! Walking several matrices at once, whose rows may be cut into buffers at different places.

use starkwright_hal::HalError;

use crate::{Buffer, Matrix};

/// Rows that each of some matrices holds in one buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The first row.
    pub(super) first: usize,
    /// Number of rows. Where the matrices' height is a power of two, so is this, and it divides `first`.
    pub(super) rows: usize,
}

impl Run {
    /// The buffer of a matrix that holds these rows, and the word at which the first begins.
    pub(super) fn locate<'a>(&self, matrix: &'a Matrix) -> Result<(&'a Buffer, u64), HalError> {
        matrix
            .locate(self.first)
            .map(|(buffer, at)| (&**buffer, at as u64))
            .ok_or_else(|| HalError::invalid("matrix", format!("no row {}", self.first)))
    }
}

/// The runs of the first matrix's rows. The others have at least as many rows.
pub(super) fn runs(matrices: &[&Matrix]) -> impl Iterator<Item = Run> + use<> {
    let height = matrices.first().map_or(0, |matrix| matrix.height);
    // Chunks are powers of two, so the smallest divides the others.
    let step = matrices.iter().map(|matrix| matrix.rows_per_chunk).min();
    let step = step.unwrap_or(1).clamp(1, height.max(1));
    (0..height).step_by(step).map(move |first| Run {
        first,
        rows: step.min(height - first),
    })
}
