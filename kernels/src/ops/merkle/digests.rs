//! A long row of digests over one buffer or several.

use starkwright_hal::HalError;

use crate::{Buffer, Runtime};

/// Words of a digest.
pub(super) const DIGEST: usize = 8;

/// `len` digests, numbered from 0, in buffers of a power of two of them.
///
/// So a run of a power of two of digests that begins at a multiple of its length lies in one buffer or fills whole
/// buffers.
#[derive(Debug)]
pub(super) struct Digests {
    buffers: Vec<Buffer>,
    log_per_buffer: u32,
    len: usize,
}

impl Digests {
    /// `len` digests, a power of two, of which the last `unused` need no memory.
    pub(super) fn alloc(rt: &Runtime, len: usize, unused: usize) -> Result<Self, HalError> {
        let most = rt.max_alloc_words() / DIGEST;
        if most < 2 {
            return Err(HalError::OutOfMemory {
                device: rt.info().name.clone(),
                requested: 8 * DIGEST as u64,
                available: 4 * rt.max_alloc_words() as u64,
            });
        }
        let log_per_buffer = most.ilog2().min(len.ilog2());
        let per_buffer = 1 << log_per_buffer;
        let len = len - unused;
        let buffers = (0..len.div_ceil(per_buffer))
            .map(|i| rt.alloc(DIGEST * per_buffer.min(len - i * per_buffer)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            buffers,
            log_per_buffer,
            len,
        })
    }

    /// The buffer of digest `first`, its word there, and how many of the `want` digests from it on lie in that buffer.
    pub(super) fn run(
        &self,
        first: usize,
        want: usize,
    ) -> Result<(&Buffer, usize, usize), HalError> {
        let per_buffer = 1 << self.log_per_buffer;
        let within = first % per_buffer;
        match self.buffers.get(first >> self.log_per_buffer) {
            Some(buffer) if first.checked_add(want).is_some_and(|end| end <= self.len) => {
                Ok((buffer, within * DIGEST, want.min(per_buffer - within)))
            }
            _ => Err(HalError::invalid(
                "digests",
                format!("{want} of {} from {first}", self.len),
            )),
        }
    }
}
