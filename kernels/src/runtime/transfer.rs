//! Moving words between host and device, and between buffers.

use std::sync::atomic::Ordering;

use starkwright_hal::HalError;

use super::cl::RectBytes;
use super::mapped::Mapped;
use super::word::{as_words, as_words_mut, zeroed_vec};
use super::{Buffer, Runtime, Word};

/// A panel of a row-major matrix inside a buffer: where it starts and how far apart its rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rect {
    /// Word of the first row's first column.
    pub at: usize,
    /// Words from one row to the next: the width of the whole matrix.
    pub pitch: usize,
}

/// Most words copied aside for writes that wait behind other commands (64 MiB). A larger write waits itself.
const MOST_STAGED: usize = 16 << 20;

impl Runtime {
    /// A buffer with undefined contents, or poisoned ones: see [`Self::set_poison`].
    ///
    /// # Errors
    /// [`HalError::OutOfMemory`] above the device's, or the configured, limit for one buffer or for all of them.
    pub fn alloc(&self, words: usize) -> Result<Buffer, HalError> {
        let buffer = self.0.alloc(words)?;
        if self.0.poison.load(Ordering::Relaxed) {
            self.fill(&buffer, 0, words, u32::MAX)?;
        }
        Ok(buffer)
    }

    /// A buffer that holds a copy of `data`.
    ///
    /// # Errors
    /// As [`Self::alloc`].
    pub fn upload<T: Word>(&self, data: &[T]) -> Result<Buffer, HalError> {
        if self.0.info.host_unified && !self.0.stream.is_idle() {
            // Memory that is new to the device: the host writes it at once, whatever the queue is doing.
            let buffer = self.0.alloc_filled(as_words(data))?;
            self.0.stream.count_up(buffer.words());
            return Ok(buffer);
        }
        let buffer = self.0.alloc(data.len())?;
        if self.0.is_piped(data.len()) {
            self.0
                .pipe(&buffer, 0, as_words(data), buffer.ready_after())?;
        } else {
            self.write(&buffer, 0, data)?;
        }
        Ok(buffer)
    }

    /// As [`Self::upload`], for a table that a kernel multiplies by: a plan of faults may spoil it.
    pub(crate) fn upload_table(&self, words: &[u32]) -> Result<Buffer, HalError> {
        if self.0.faults.as_ref().is_some_and(|f| f.table()) {
            let mut spoiled = words.to_vec();
            flip(&mut spoiled);
            return self.upload(&spoiled);
        }
        self.upload(words)
    }

    /// A buffer that holds `data`, without a copy where the device shares the host's memory.
    ///
    /// # Errors
    /// As [`Self::alloc`].
    pub fn adopt<T: Word>(&self, data: Vec<T>) -> Result<Buffer, HalError> {
        if !self.0.info.host_unified || data.is_empty() {
            return self.upload(&data);
        }
        let words = data.len();
        let mut buffers = self.0.adopt_chunks(data, words)?;
        buffers
            .pop()
            .ok_or_else(|| HalError::invalid("adopt", "no words"))
    }

    /// Splits a vector into buffers of `chunk` words (the last may be shorter), as [`Self::adopt`] does with one.
    ///
    /// # Errors
    /// As [`Self::alloc`].
    pub fn adopt_chunks<T: Word>(
        &self,
        data: Vec<T>,
        chunk: usize,
    ) -> Result<Vec<Buffer>, HalError> {
        if chunk == 0 {
            return Err(HalError::invalid("adopt", "chunks of no words"));
        }
        if self.0.info.host_unified {
            self.0.adopt_chunks(data, chunk)
        } else {
            data.chunks(chunk).map(|part| self.upload(part)).collect()
        }
    }

    /// Writes words from `at` on. `data` is copied before the call returns; the device sees it in the queue's order.
    ///
    /// # Errors
    /// [`HalError::InvalidArgument`] for a range outside the buffer or a mapped buffer; else the driver's refusal.
    pub fn write<T: Word>(&self, dst: &Buffer, at: usize, data: &[T]) -> Result<(), HalError> {
        const OP: &str = "write";
        let (start, bytes) = self.destination(OP, dst, at, data.len())?;
        if bytes == 0 {
            return Ok(());
        }
        let stream = &self.0.stream;
        let data = as_words(data);
        if self.0.is_piped(data.len()) {
            return self.0.pipe(dst, start, data, stream.position());
        }
        self.arrive(dst)?;
        if stream.is_idle() || stream.staged_words().saturating_add(data.len()) > MOST_STAGED {
            self.finish()?;
            self.0.enqueue(OP, |queue| {
                dst.check_writable(OP)?;
                Ok(queue.write(dst.mem(), start, data)?)
            })?;
        } else {
            let staged = data.to_vec();
            self.0.enqueue(OP, |queue| {
                dst.check_writable(OP)?;
                Ok(queue.write_later(dst.mem(), start, staged)?)
            })?;
        }
        stream.count_up(data.len());
        Ok(())
    }

    /// Waits for everything enqueued, and reads words from `at` on.
    ///
    /// # Errors
    /// As [`Self::finish`], and [`HalError::InvalidArgument`] for a range outside the buffer.
    pub fn read<T: Word>(&self, src: &Buffer, at: usize, out: &mut [T]) -> Result<(), HalError> {
        const OP: &str = "read";
        let (start, bytes) = self.source(OP, src, at, out.len())?;
        if bytes == 0 {
            return Ok(());
        }
        // Waiting first keeps a hung kernel from writing to `out` after the deadline gave the device up.
        self.arrive(src)?;
        self.0.finish_commands()?;
        let out = as_words_mut(out);
        let read = self
            .0
            .stream
            .run(OP, |queue| queue.read(src.mem(), start, out));
        read.map_err(|e| self.0.error(e))?;
        self.0.stream.count_down(out.len());
        if self.read_must_flip() {
            flip(out);
        }
        Ok(())
    }

    /// As [`Self::read`], into a new vector.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_vec<T: Word>(
        &self,
        src: &Buffer,
        at: usize,
        words: usize,
    ) -> Result<Vec<T>, HalError> {
        self.source("read", src, at, words)?;
        let mut out = zeroed_vec(words);
        self.read(src, at, &mut out)?;
        Ok(out)
    }

    /// Waits for everything enqueued, and shows words from `at` on: in place where the device shares the host's
    /// memory, as a copy elsewhere. While the map lives, commands that could write the buffer are refused.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn map<'a, T: Word>(
        &self,
        src: &'a Buffer,
        at: usize,
        words: usize,
    ) -> Result<Mapped<'a, T>, HalError> {
        let (start, bytes) = self.source("map", src, at, words)?;
        self.refused_map()?;
        if bytes == 0 || !self.0.info.host_unified {
            return Ok(Mapped::owned(self.read_vec(src, at, words)?));
        }
        if self.read_must_flip() {
            let mut copy = self.read_vec(src, at, words)?;
            flip(as_words_mut(&mut copy));
            return Ok(Mapped::owned(copy));
        }
        Mapped::new(self, src, start, words)
    }

    /// Copies words between buffers, or between ranges of one that do not overlap.
    ///
    /// # Errors
    /// [`HalError::InvalidArgument`] for ranges outside their buffers, overlapping ranges or a mapped destination.
    pub fn copy(
        &self,
        src: &Buffer,
        src_at: usize,
        dst: &Buffer,
        dst_at: usize,
        words: usize,
    ) -> Result<(), HalError> {
        const OP: &str = "copy";
        let (from, bytes) = self.source(OP, src, src_at, words)?;
        let (to, _) = self.destination(OP, dst, dst_at, words)?;
        if bytes == 0 {
            return Ok(());
        }
        if std::ptr::eq(src, dst) && from < to + bytes && to < from + bytes {
            return Err(HalError::invalid(OP, "the ranges overlap"));
        }
        self.arrive(src)?;
        self.arrive(dst)?;
        self.0.enqueue(OP, |queue| {
            dst.check_writable(OP)?;
            Ok(queue.copy((src.mem(), from), (dst.mem(), to), bytes)?)
        })
    }

    /// Copies `rows` rows of `columns` words between panels of row-major matrices.
    ///
    /// # Errors
    /// As [`Self::copy`], and [`HalError::InvalidArgument`] for a pitch below the panel's columns.
    pub fn copy_rect(
        &self,
        (src, from): (&Buffer, Rect),
        (dst, to): (&Buffer, Rect),
        rows: usize,
        columns: usize,
    ) -> Result<(), HalError> {
        const OP: &str = "copy";
        if rows == 0 || columns == 0 {
            return Ok(());
        }
        let from = from.check(rows, columns, |at, words| self.source(OP, src, at, words))?;
        let to = to.check(rows, columns, |at, words| {
            self.destination(OP, dst, at, words)
        })?;
        self.arrive(src)?;
        self.arrive(dst)?;
        self.0.enqueue(OP, |queue| {
            dst.check_writable(OP)?;
            Ok(queue.copy_rect((src.mem(), from), (dst.mem(), to), rows, columns * 4)?)
        })
    }

    /// Fills words from `at` on with one value.
    ///
    /// # Errors
    /// [`HalError::InvalidArgument`] for a range outside the buffer or a mapped buffer.
    pub fn fill(&self, dst: &Buffer, at: usize, words: usize, value: u32) -> Result<(), HalError> {
        const OP: &str = "fill";
        let (start, bytes) = self.destination(OP, dst, at, words)?;
        if bytes == 0 {
            return Ok(());
        }
        self.arrive(dst)?;
        self.0.enqueue(OP, |queue| {
            dst.check_writable(OP)?;
            Ok(queue.fill(dst.mem(), start, bytes, value)?)
        })
    }

    /// Checks a range that is read: owner, bounds, device. Gives its first byte and its length.
    fn source(
        &self,
        op: &'static str,
        buffer: &Buffer,
        at: usize,
        words: usize,
    ) -> Result<(usize, usize), HalError> {
        self.0.check_alive()?;
        self.check_owner(op, buffer)?;
        buffer.range(op, at, words)
    }

    /// Checks a range that is written; see [`Self::source`]. Maps are checked where the command is enqueued.
    fn destination(
        &self,
        op: &'static str,
        buffer: &Buffer,
        at: usize,
        words: usize,
    ) -> Result<(usize, usize), HalError> {
        self.source(op, buffer, at, words)
    }

    /// Fails where a test wants it.
    fn refused_map(&self) -> Result<(), HalError> {
        match &self.0.faults {
            Some(faults) if faults.map() => Err(HalError::Driver {
                device: self.0.info.name.clone(),
                call: "clEnqueueMapBuffer",
                code: opencl3::error_codes::CL_MAP_FAILURE,
                hint: ": injected by a test".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn read_must_flip(&self) -> bool {
        self.0.faults.as_ref().is_some_and(|f| f.read())
    }
}

impl Rect {
    /// The panel in bytes, checked against its buffer by `range`.
    fn check(
        self,
        rows: usize,
        columns: usize,
        range: impl FnOnce(usize, usize) -> Result<(usize, usize), HalError>,
    ) -> Result<RectBytes, HalError> {
        let invalid = || {
            HalError::invalid(
                "copy",
                format!("{rows} rows of {columns} words at {self:?} make no panel"),
            )
        };
        if columns > self.pitch {
            return Err(invalid());
        }
        let last_row = (rows - 1).checked_mul(self.pitch).ok_or_else(invalid)?;
        let words = last_row.checked_add(columns).ok_or_else(invalid)?;
        let (at, _) = range(self.at, words)?;
        Ok(RectBytes {
            at,
            pitch: self.pitch * 4,
        })
    }
}

/// The injected fault of a read or a table: one bit in the middle.
fn flip(words: &mut [u32]) {
    let middle = words.len() / 2;
    if let Some(word) = words.get_mut(middle) {
        *word ^= 1;
    }
}
