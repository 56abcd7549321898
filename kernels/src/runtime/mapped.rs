//! Buffers read in place.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use starkwright_hal::HalError;

use super::word::from_words;
use super::{Buffer, Runtime, Word};

/// Words of a buffer, readable as a slice: the device's own memory where the host can see it, a copy elsewhere.
#[derive(Debug)]
pub struct Mapped<'a, T: Word>(Words<'a, T>);

#[derive(Debug)]
enum Words<'a, T: Word> {
    Owned(Vec<T>),
    InPlace(Map<'a>),
}

/// A map of a buffer, ended when dropped.
#[derive(Debug)]
struct Map<'a> {
    runtime: Runtime,
    buffer: &'a Buffer,
    host: NonNull<u32>,
    words: usize,
}

// SAFETY: the map is only read.
unsafe impl Send for Map<'_> {}
// SAFETY: as above.
unsafe impl Sync for Map<'_> {}

impl<'a, T: Word> Mapped<'a, T> {
    pub(super) fn owned(words: Vec<T>) -> Self {
        Self(Words::Owned(words))
    }

    /// Maps `words` words from byte `start` on, which the caller checked, once everything enqueued has ended.
    pub(super) fn new(
        runtime: &Runtime,
        buffer: &'a Buffer,
        start: usize,
        words: usize,
    ) -> Result<Self, HalError> {
        let inner = &runtime.0;
        let mut host: *mut c_void = std::ptr::null_mut();
        inner.enqueue("map", |queue| {
            let (event, address) = queue.map(buffer.mem(), start, words * 4)?;
            host = address;
            // From here on, under the stream's lock, nothing that writes is enqueued.
            buffer.maps.fetch_add(1, Ordering::AcqRel);
            Ok(event)
        })?;
        let Some(host) = NonNull::new(host.cast::<u32>()) else {
            buffer.maps.fetch_sub(1, Ordering::AcqRel);
            return Err(HalError::invalid("map", "the driver mapped nothing"));
        };
        // Owned before the wait, so that a failed wait ends the map too.
        let map = Map {
            runtime: runtime.clone(),
            buffer,
            host,
            words,
        };
        inner.finish()?;
        Ok(Self(Words::InPlace(map)))
    }
}

impl<T: Word> Deref for Mapped<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Words::Owned(words) => words,
            Words::InPlace(map) => {
                // SAFETY: the map's event has ended, so the driver's memory holds `words` words; buffers start on a
                // word, and so do offsets. Until the map is dropped nothing that writes the buffer is enqueued, and
                // what was enqueued earlier has ended.
                from_words(unsafe { std::slice::from_raw_parts(map.host.as_ptr(), map.words) })
            }
        }
    }
}

impl<T: Word> AsRef<[T]> for Mapped<'_, T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl Drop for Map<'_> {
    fn drop(&mut self) {
        let inner = &self.runtime.0;
        // A lost device keeps its maps, since it takes no commands: the error is known already.
        let _ = inner.enqueue("unmap", |queue| {
            // SAFETY: `host` came from this buffer's map, and this was its only reader.
            let event = unsafe { queue.unmap(self.buffer.mem(), self.host.as_ptr().cast()) };
            self.buffer.maps.fetch_sub(1, Ordering::AcqRel);
            Ok(event?)
        });
    }
}
