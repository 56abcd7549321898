//! Memory as wrong kernels leave it: words that are no field elements, tiles that nobody wrote.

use starkwright_hal::{Buffers, HalError, HalField};
use starkwright_kernels::{Arg, Matrix, OpenCl, ProgramSource};

/// Kernels that are wrong on purpose: a race, a word above the prime, an unwritten tile.
#[must_use]
pub fn program() -> ProgramSource {
    ProgramSource::source("planted", [include_str!("../cl/planted.cl")], "")
}

/// A back end whose memory can be left as a wrong kernel leaves it.
pub trait RawWords<F: HalField>: Buffers<F> {
    /// A matrix of these words, row-major.
    ///
    /// # Errors
    /// As [`Buffers::upload`].
    fn upload_words(&self, words: Vec<u32>, width: usize) -> Result<Self::Matrix, HalError>;

    /// The same words in memory of its own, but for a tile in the middle that no kernel wrote. The memory held the right
    /// words before: unless it is poisoned in between, nothing is to be seen.
    ///
    /// # Errors
    /// As [`Buffers::upload`].
    fn unwritten(&self, matrix: &Self::Matrix) -> Result<Self::Matrix, HalError>;
}

impl<F: HalField> RawWords<F> for OpenCl
where
    Self: Buffers<F, Matrix = Matrix>,
{
    fn upload_words(&self, words: Vec<u32>, width: usize) -> Result<Matrix, HalError> {
        Matrix::adopt(self.runtime(), words, width)
    }

    fn unwritten(&self, matrix: &Matrix) -> Result<Matrix, HalError> {
        let rt = self.runtime();
        let kernel = rt.kernel(&rt.program(&program())?, "planted_unwritten")?;
        // The only memory that is kept is then what is dropped here.
        rt.trim();
        let dropped = Matrix::alloc(rt, matrix.height, matrix.width)?;
        for (from, to) in matrix.chunks.iter().zip(&dropped.chunks) {
            rt.copy(from, 0, to, 0, from.words())?;
        }
        drop(dropped);
        let out = Matrix::alloc(rt, matrix.height, matrix.width)?;
        for (from, to) in matrix.chunks.iter().zip(&out.chunks) {
            let words = from.words();
            let args = [Arg::Buffer(from), Arg::Buffer(to), Arg::U32(words as u32)];
            let global = [words.next_multiple_of(64), 1, 1];
            rt.launch(&kernel, global, Some([64, 1, 1]), &args)?;
        }
        Ok(out)
    }
}
