//! Buffers: allocation, accounting, reuse.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use starkwright_hal::HalError;

use super::Word;
use super::block::{Adopted, HostBlock};
use super::cl::{ClError, ClResult, Context, Event, Mem};
use super::open::Inner;

/// Words on a device. Freed when dropped, which is safe while commands that use it are still waiting to run.
#[derive(Debug)]
pub struct Buffer {
    /// `None` only while being dropped.
    block: Option<Block>,
    words: usize,
    /// The upload that fills the buffer on the transfer queue, until a command was made to wait for it.
    pub(super) arrival: Mutex<Option<Event>>,
    /// Maps alive: nothing may be enqueued that writes to the buffer.
    pub(super) maps: AtomicU32,
    pub(super) runtime: Arc<Inner>,
}

/// A buffer object and its size.
#[derive(Debug)]
struct Block {
    mem: Mem,
    bytes: u64,
    /// Whether the memory may serve another buffer. False for a caller's own vector.
    reusable: bool,
    /// The number of the last command that may use the memory for an earlier buffer; 0 for new memory.
    last_use: u64,
}

impl Buffer {
    /// Number of words.
    #[must_use]
    pub fn words(&self) -> usize {
        self.words
    }

    #[allow(
        clippy::expect_used,
        reason = "the block is taken in `drop` only, after which no method can run"
    )]
    pub(super) fn mem(&self) -> &Mem {
        &self.block.as_ref().expect("buffer is alive").mem
    }

    /// The byte offset and length of a range of words that lies inside the buffer.
    pub(super) fn range(
        &self,
        op: &'static str,
        at: usize,
        words: usize,
    ) -> Result<(usize, usize), HalError> {
        match at.checked_add(words) {
            Some(end) if end <= self.words => Ok((at * 4, words * 4)),
            _ => Err(HalError::invalid(
                op,
                format!("{words} words at {at} of a buffer of {}", self.words),
            )),
        }
    }

    /// The number of the command after which nothing uses the memory but for this buffer.
    pub(super) fn ready_after(&self) -> u64 {
        self.block.as_ref().map_or(0, |block| block.last_use)
    }

    /// Refuses a write while the host reads the buffer's memory. Called under the stream's lock.
    pub(super) fn check_writable(&self, op: &'static str) -> Result<(), HalError> {
        if self.maps.load(Ordering::Acquire) == 0 {
            Ok(())
        } else {
            Err(HalError::invalid(op, "the buffer is mapped for reading"))
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(mut block) = self.block.take() {
            let arrival = self.arrival.get_mut();
            let arriving = arrival.unwrap_or_else(PoisonError::into_inner).is_some();
            // An upload that no command waits for may come after whatever a new owner enqueues.
            block.reusable &= !arriving;
            block.last_use = self.runtime.stream.position();
            self.runtime.memory.give_back(block);
            if self.runtime.memory.none_alive() {
                self.runtime.stream.none_alive();
            }
        }
    }
}

/// Accounting and reuse of one runtime's memory.
///
/// Dropped memory is kept for the next allocation of nearly its size. What is kept never raises the sum of live and
/// kept bytes above the peak of the live ones, so reuse costs no memory that the work did not need anyway.
#[derive(Debug)]
pub(super) struct Memory {
    /// Most live bytes.
    limit: u64,
    /// Most bytes of one buffer.
    pub(super) max_alloc: u64,
    host_unified: bool,
    /// Bytes of host memory under buffers.
    host_bytes: Arc<AtomicU64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    live: u64,
    peak: u64,
    kept: VecDeque<Block>,
    kept_bytes: u64,
    reused: u64,
}

/// The memory figures of [`Statistics`](super::Statistics).
pub(super) struct MemoryFigures {
    pub(super) live: u64,
    pub(super) peak: u64,
    pub(super) kept: u64,
    pub(super) host: u64,
    pub(super) reused: u64,
}

/// Most blocks kept, so that finding one stays cheap.
const MOST_KEPT: usize = 256;

impl Memory {
    pub(super) fn new(limit: u64, max_alloc: u64, host_unified: bool) -> Self {
        Self {
            limit,
            max_alloc,
            host_unified,
            host_bytes: Arc::default(),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts `bytes` as live, or says how many there are.
    fn reserve(&self, bytes: u64) -> Result<(), u64> {
        if bytes > self.max_alloc {
            return Err(self.max_alloc);
        }
        let mut state = self.state();
        let available = self.limit.saturating_sub(state.live);
        if bytes > available {
            return Err(available);
        }
        state.live += bytes;
        state.peak = state.peak.max(state.live);
        // Kept memory makes room, the longest unused first.
        while state.live + state.kept_bytes > state.peak {
            let Some(block) = state.kept.pop_front() else {
                break;
            };
            state.kept_bytes -= block.bytes;
        }
        Ok(())
    }

    /// Takes a reservation back.
    fn unreserve(&self, bytes: u64) {
        self.state().live -= bytes;
    }

    /// Kept memory of at least `bytes` bytes and at most a quarter more.
    fn reuse(&self, bytes: u64) -> Option<Block> {
        let mut state = self.state();
        let most = bytes
            .saturating_add(bytes / 4)
            .min(self.limit.saturating_sub(state.live));
        let fits = |block: &Block| (bytes..=most).contains(&block.bytes);
        let kept = state
            .kept
            .iter()
            .enumerate()
            .filter(|(_, block)| fits(block));
        let (index, _) = kept.min_by_key(|(_, block)| block.bytes)?;
        let block = state.kept.remove(index)?;
        state.kept_bytes -= block.bytes;
        state.live += block.bytes;
        state.peak = state.peak.max(state.live);
        state.reused += 1;
        Some(block)
    }

    /// New memory, with `contents` at its start where the device shares the host's memory.
    fn create(&self, context: &Context, bytes: u64, contents: &[u32]) -> ClResult<Mem> {
        const OUT_OF_HOST_MEMORY: ClError = ClError {
            call: "allocation of host memory",
            code: opencl3::error_codes::CL_OUT_OF_HOST_MEMORY,
        };
        let size = usize::try_from(bytes).map_err(|_| OUT_OF_HOST_MEMORY)?;
        if !self.host_unified {
            return Mem::device(context, size);
        }
        let mut block = HostBlock::new(size, &self.host_bytes).ok_or(OUT_OF_HOST_MEMORY)?;
        block.fill(contents);
        block.into_mem(context, size)
    }

    fn give_back(&self, block: Block) {
        let mut state = self.state();
        state.live -= block.bytes;
        if block.reusable {
            state.kept_bytes += block.bytes;
            state.kept.push_back(block);
            if state.kept.len() > MOST_KEPT
                && let Some(oldest) = state.kept.pop_front()
            {
                state.kept_bytes -= oldest.bytes;
            }
        }
    }

    /// Whether no buffer is alive.
    pub(super) fn none_alive(&self) -> bool {
        self.state().live == 0
    }

    /// Frees what is kept.
    pub(super) fn trim(&self) {
        let mut state = self.state();
        state.kept.clear();
        state.kept_bytes = 0;
    }

    pub(super) fn figures(&self) -> MemoryFigures {
        let state = self.state();
        MemoryFigures {
            live: state.live,
            peak: state.peak,
            kept: state.kept_bytes,
            host: self.host_bytes.load(Ordering::Relaxed),
            reused: state.reused,
        }
    }
}

impl Inner {
    fn out_of_memory(&self, requested: u64, available: u64) -> HalError {
        HalError::OutOfMemory {
            device: self.info.name.clone(),
            requested,
            available,
        }
    }

    /// Fails where a test wants it.
    fn injected(&self, bytes: u64) -> Result<(), HalError> {
        match &self.faults {
            Some(faults) if faults.allocation() => Err(self.out_of_memory(bytes, 0)),
            _ => Ok(()),
        }
    }

    /// Memory for a buffer. With `contents` it is new to the device, so that the host may write it whatever the queue
    /// is doing, and holds them at its start (host-unified devices only).
    fn take_block(&self, bytes: u64, contents: Option<&[u32]>) -> Result<Block, HalError> {
        self.check_alive()?;
        self.injected(bytes)?;
        let memory = &self.memory;
        if contents.is_none()
            && let Some(block) = memory.reuse(bytes)
        {
            return Ok(block);
        }
        let refuse = |available| self.out_of_memory(bytes, available);
        memory.reserve(bytes).map_err(refuse)?;
        let create = || memory.create(&self.context, bytes, contents.unwrap_or_default());
        let created = create().or_else(|_| {
            // The driver's memory may be full of what we keep, or of what waiting commands still hold.
            memory.trim();
            self.finish()?;
            create().map_err(|error| error.on(&self.info.name, bytes, 0))
        });
        match created {
            Ok(mem) => Ok(Block {
                mem,
                bytes,
                reusable: true,
                last_use: 0,
            }),
            Err(error) => {
                memory.unreserve(bytes);
                Err(error)
            }
        }
    }

    fn buffer(self: &Arc<Self>, block: Block, words: usize) -> Buffer {
        Buffer {
            block: Some(block),
            words,
            arrival: Mutex::default(),
            maps: AtomicU32::new(0),
            runtime: Arc::clone(self),
        }
    }

    /// A buffer with undefined contents.
    pub(super) fn alloc(self: &Arc<Self>, words: usize) -> Result<Buffer, HalError> {
        let block = self.take_block(bytes_of(words), None)?;
        Ok(self.buffer(block, words))
    }

    /// A buffer that holds `data`, written by the host before any command can see it; host-unified devices only.
    pub(super) fn alloc_filled(self: &Arc<Self>, data: &[u32]) -> Result<Buffer, HalError> {
        let block = self.take_block(bytes_of(data.len()), Some(data))?;
        Ok(self.buffer(block, data.len()))
    }

    /// Buffers over a caller's vector, `chunk` words each; host-unified devices only.
    pub(super) fn adopt_chunks<T: Word>(
        self: &Arc<Self>,
        data: Vec<T>,
        chunk: usize,
    ) -> Result<Vec<Buffer>, HalError> {
        self.check_alive()?;
        let words = data.len();
        let data = Adopted::new(data, &self.memory.host_bytes);
        let mut buffers = Vec::new();
        for at in (0..words).step_by(chunk) {
            let count = chunk.min(words - at);
            let bytes = bytes_of(count);
            self.injected(bytes)?;
            let refuse = |available| self.out_of_memory(bytes, available);
            self.memory.reserve(bytes).map_err(refuse)?;
            match data.mem(&self.context, at, count) {
                Ok(mem) => {
                    let block = Block {
                        mem,
                        bytes,
                        reusable: false,
                        last_use: 0,
                    };
                    buffers.push(self.buffer(block, count));
                }
                Err(error) => {
                    self.memory.unreserve(bytes);
                    return Err(error.on(&self.info.name, bytes, 0));
                }
            }
        }
        Ok(buffers)
    }
}

/// Bytes of memory under a buffer of so many words: at least one word, since OpenCL has no empty buffers.
fn bytes_of(words: usize) -> u64 {
    (words as u64).saturating_mul(4).max(4)
}
