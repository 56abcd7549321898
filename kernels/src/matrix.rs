//! Matrices on a device: row-major and unpadded as p3's `RowMajorMatrix`, over one buffer or several.

use std::sync::Arc;

use starkwright_hal::HalError;

use crate::runtime::{Buffer, Runtime, Word};

/// A row-major matrix of words.
///
/// The word of row `r` and column `c` lies in chunk `r / rows_per_chunk`, at `(r % rows_per_chunk) · width + c`. There
/// is one chunk unless the matrix exceeds the device's largest allocation.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// The rows, `rows_per_chunk` in each buffer; the last may hold fewer.
    pub chunks: Vec<Arc<Buffer>>,
    /// Rows in each chunk, a power of two; at least `height` where there is one chunk.
    pub rows_per_chunk: usize,
    /// Words in a row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
}

impl Matrix {
    /// The largest power of two of rows that one buffer holds, and no more than `height` needs.
    fn rows_per_chunk(rt: &Runtime, height: usize, width: usize) -> Result<usize, HalError> {
        let whole = height.checked_next_power_of_two();
        let whole = whole.filter(|_| height.checked_mul(width).is_some());
        let Some(whole) = whole else {
            let why = format!("{height} rows of {width} words are too many");
            return Err(HalError::invalid("matrix", why));
        };
        let most = rt.max_alloc_words();
        if height.max(1).saturating_mul(width) <= most {
            return Ok(whole);
        }
        // The matrix does not fit, so its width is not 0.
        match most / width {
            0 => Err(HalError::OutOfMemory {
                device: rt.info().name.clone(),
                requested: 4 * width as u64,
                available: 4 * most as u64,
            }),
            rows => Ok(1 << rows.ilog2()),
        }
    }

    /// A matrix with undefined contents.
    ///
    /// # Errors
    /// [`HalError::OutOfMemory`], also where a single row exceeds the largest allocation.
    pub fn alloc(rt: &Runtime, height: usize, width: usize) -> Result<Self, HalError> {
        let rows_per_chunk = Self::rows_per_chunk(rt, height, width)?;
        let mut chunks = Vec::new();
        let mut left = height;
        while left > 0 || chunks.is_empty() {
            let rows = left.min(rows_per_chunk);
            chunks.push(Arc::new(rt.alloc(rows * width)?));
            left -= rows;
        }
        Ok(Self {
            chunks,
            rows_per_chunk,
            width,
            height,
        })
    }

    /// A matrix of the given rows, without a copy where the device shares the host's memory.
    ///
    /// # Errors
    /// As [`Self::alloc`], and [`HalError::InvalidArgument`] where `data` is not a whole number of rows.
    pub fn adopt<T: Word>(rt: &Runtime, data: Vec<T>, width: usize) -> Result<Self, HalError> {
        let height = data.len().checked_div(width).unwrap_or(0);
        if height * width != data.len() {
            let why = format!("{} words are no rows of {width}", data.len());
            return Err(HalError::invalid("matrix", why));
        }
        let rows_per_chunk = Self::rows_per_chunk(rt, height, width)?;
        let chunks = if height <= rows_per_chunk {
            vec![rt.adopt(data)?]
        } else {
            rt.adopt_chunks(data, rows_per_chunk * width)?
        };
        Ok(Self {
            chunks: chunks.into_iter().map(Arc::new).collect(),
            rows_per_chunk,
            width,
            height,
        })
    }

    /// A matrix over one buffer that holds `height` rows of `width` words.
    ///
    /// # Errors
    /// [`HalError::InvalidArgument`] where the buffer has another size.
    pub fn from_buffer(buffer: Arc<Buffer>, height: usize, width: usize) -> Result<Self, HalError> {
        if height.checked_mul(width) != Some(buffer.words()) {
            let why = format!("{} words are not {height} rows of {width}", buffer.words());
            return Err(HalError::invalid("matrix", why));
        }
        Ok(Self {
            chunks: vec![buffer],
            rows_per_chunk: height.next_power_of_two(),
            width,
            height,
        })
    }

    /// The one buffer, where there is one.
    #[must_use]
    pub fn single(&self) -> Option<&Arc<Buffer>> {
        match self.chunks.as_slice() {
            [buffer] => Some(buffer),
            _ => None,
        }
    }

    /// Number of rows in a chunk; 0 past the end.
    #[must_use]
    pub fn chunk_rows(&self, chunk: usize) -> usize {
        let before = chunk.saturating_mul(self.rows_per_chunk);
        self.height.saturating_sub(before).min(self.rows_per_chunk)
    }

    /// The chunk that holds a row, and the row's word in it.
    #[must_use]
    pub fn locate(&self, row: usize) -> Option<(&Arc<Buffer>, usize)> {
        let chunk = self.chunks.get(row / self.rows_per_chunk)?;
        (row < self.height).then_some((chunk, (row % self.rows_per_chunk) * self.width))
    }

    /// The same words in rows of another width. Moves nothing unless a new row would lie across two buffers.
    ///
    /// # Errors
    /// [`HalError::InvalidArgument`] unless the width divides the number of words; as [`Self::alloc`] where words move.
    pub fn reshape(self, rt: &Runtime, width: usize) -> Result<Self, HalError> {
        let words = self.height * self.width;
        if width == 0 || !words.is_multiple_of(width) {
            let why = format!("{words} words are no rows of {width}");
            return Err(HalError::invalid("reshape", why));
        }
        let height = words / width;
        if self.chunks.len() == 1 {
            let rows_per_chunk = height.next_power_of_two();
            return Ok(Self {
                chunks: self.chunks,
                rows_per_chunk,
                width,
                height,
            });
        }
        let chunk_words = self.rows_per_chunk * self.width;
        let rows_per_chunk = chunk_words / width;
        if chunk_words.is_multiple_of(width) && rows_per_chunk.is_power_of_two() {
            return Ok(Self {
                chunks: self.chunks,
                rows_per_chunk,
                width,
                height,
            });
        }
        let out = Self::alloc(rt, height, width)?;
        let (from, to) = (chunk_words, out.rows_per_chunk * width);
        let mut at = 0;
        while at < words {
            let run = (from - at % from).min(to - at % to).min(words - at);
            rt.copy(
                &self.chunks[at / from],
                at % from,
                &out.chunks[at / to],
                at % to,
                run,
            )?;
            at += run;
        }
        Ok(out)
    }

    /// Waits, and copies all rows to the host.
    ///
    /// # Errors
    /// As [`Runtime::read`].
    pub fn read_vec<T: Word>(&self, rt: &Runtime) -> Result<Vec<T>, HalError> {
        if let Some(buffer) = self.single() {
            return rt.read_vec(buffer, 0, self.height * self.width);
        }
        let mut all = Vec::with_capacity(self.height * self.width);
        for chunk in &self.chunks {
            all.extend(rt.read_vec::<T>(chunk, 0, chunk.words())?);
        }
        Ok(all)
    }
}
