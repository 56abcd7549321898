//! Large uploads to devices with their own memory: pinned buffers in a ring, on a queue of their own.
//!
//! ```text
//!   host      copy 0 │ copy 1 │ copy 2 │ … waits only for a free slot
//!   transfer         │ send 0 │ send 1 │ send 2 │
//!   commands  kernels that use other buffers …  │ wait │ kernels that use the upload
//! ```
//!
//! An upload waits for the commands that may still use its memory (an event of the queue of commands), and the first
//! command that uses the uploaded buffer waits for the upload (a barrier in the queue of commands): nothing else does.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use starkwright_hal::HalError;

use super::cl::{ClResult, Context, DeviceHandle, Event, Pinned, Queue};
use super::open::{Inner, WAIT};
use super::stream::{Stream, Stuck};
use super::{Buffer, Runtime};

/// Words of a slot (4 MiB): a bus moves them in a fraction of a millisecond.
const SLOT_WORDS: usize = 1 << 20;
/// Slots: the host fills one while the device reads another, with some to spare.
const SLOTS: usize = 4;
/// Smaller uploads (below 256 KiB) go with the commands, copied aside: an event between queues costs more.
const LEAST_WORDS: usize = 1 << 16;

/// The transfer queue and its pinned memory.
#[derive(Debug)]
pub(super) struct Staging {
    queue: Queue,
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    /// Made at the first use.
    slots: Vec<Pinned>,
    next: usize,
    /// The last upload, until a wait covers it.
    last: Option<Event>,
}

impl Staging {
    pub(super) fn new(context: &Context, device: DeviceHandle) -> ClResult<Self> {
        Ok(Self {
            queue: Queue::new(context, device)?,
            ring: Mutex::default(),
        })
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last upload, unless it was asked for already.
    pub(super) fn last(&self) -> Option<Event> {
        self.ring().last.take()
    }

    /// Counts the transfers that have ended.
    pub(super) fn collect(&self, stream: &Stream) {
        for slot in &mut self.ring().slots {
            if let Some(event) = slot.take_ended() {
                stream.count("write", &event);
            }
        }
    }

    /// Gives the queue up while transfers may still run: what they use is leaked.
    pub(super) fn abandon(&self) {
        self.queue.leak();
        std::mem::forget(std::mem::take(&mut self.ring().slots));
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        for slot in std::mem::take(&mut self.ring().slots) {
            slot.release(&self.queue);
        }
    }
}

impl Inner {
    /// Whether so many words go through the ring.
    pub(super) fn is_piped(&self, words: usize) -> bool {
        self.staging.is_some() && words >= LEAST_WORDS
    }

    /// Uploads words to byte `at` of a buffer once the command numbered `after` has ended. Returns when the last of
    /// them is in pinned memory.
    pub(super) fn pipe(
        &self,
        dst: &Buffer,
        at: usize,
        data: &[u32],
        after: u64,
    ) -> Result<(), HalError> {
        let Some(staging) = &self.staging else {
            return Err(HalError::invalid(
                "write",
                "the device has no transfer queue",
            ));
        };
        self.check_alive()?;
        let failed = |e| self.error(e);
        let mut ring = staging.ring();
        while ring.slots.len() < SLOTS {
            let pinned = Pinned::new(&self.context, &staging.queue, SLOT_WORDS).map_err(failed)?;
            ring.slots.push(pinned);
        }
        let mut after = self.stream.command(after).map_err(failed)?;
        for (data, at) in data.chunks(SLOT_WORDS).zip((at..).step_by(4 * SLOT_WORDS)) {
            let next = ring.next;
            ring.next = (next + 1) % SLOTS;
            let slot = &mut ring.slots[next];
            if let Some(busy) = slot.transfer()
                && let Err(stuck) = ended(busy, &self.stream, self.deadline)
            {
                drop(ring);
                return Err(self.stuck(stuck));
            }
            if let Some(event) = slot.take_ended() {
                self.stream.count("write", &event);
            }
            // The event before is the first part's alone: the queue is in order.
            let after = after.take();
            let to = (dst.mem(), at);
            let event = slot
                .send(&staging.queue, data, to, after.as_ref())
                .map_err(failed)?;
            let mut arrival = dst.arrival.lock().unwrap_or_else(PoisonError::into_inner);
            *arrival = Some(event.share());
            drop(arrival);
            ring.last = Some(event);
            staging.queue.flush().map_err(failed)?;
        }
        self.stream.count_up(data.len());
        Ok(())
    }
}

impl Runtime {
    /// Makes the commands enqueued from here on wait for a buffer's upload.
    pub(super) fn arrive(&self, buffer: &Buffer) -> Result<(), HalError> {
        // Locked until the wait is enqueued: another thread's command must come after it.
        let mut arrival = buffer
            .arrival
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = arrival.as_ref() {
            self.0.enqueue(WAIT, |queue| Ok(queue.barrier(event)?))?;
            *arrival = None;
        }
        Ok(())
    }
}

/// Waits for a transfer. The deadline is for progress, of the commands that it waits for as well.
fn ended(transfer: &Event, stream: &Stream, deadline: Duration) -> Result<(), Stuck> {
    let mut seen = stream.ended();
    loop {
        match transfer.wait(deadline) {
            Some(error @ ..=-1) => return Err(Stuck::Command(error)),
            Some(_) => return Ok(()),
            None => {}
        }
        let now = stream.ended();
        if now == seen {
            return Err(Stuck::Deadline);
        }
        seen = now;
    }
}
