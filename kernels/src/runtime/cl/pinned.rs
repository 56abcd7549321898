//! Host memory that a device reads directly.

use std::ffi::c_void;
use std::ptr::{self, NonNull};

use opencl3::command_queue as cl;
use opencl3::error_codes::CL_MAP_FAILURE;
use opencl3::memory as clm;
use opencl3::types::{CL_FALSE, CL_TRUE};

use super::{ClError, ClResult, Context, Event, Mem, Queue, named};

/// Host memory of the driver's choice: page-locked where the device is behind a bus, so that it is read without another
/// copy. Mapped for as long as it lives.
#[derive(Debug)]
pub(crate) struct Pinned {
    mem: Mem,
    host: NonNull<u32>,
    words: usize,
    /// The transfer that reads the memory.
    transfer: Option<Event>,
}

// SAFETY: owned memory.
unsafe impl Send for Pinned {}

impl Pinned {
    /// So many words, mapped on `queue`.
    pub(crate) fn new(context: &Context, queue: &Queue, words: usize) -> ClResult<Self> {
        let flags = clm::CL_MEM_READ_WRITE | clm::CL_MEM_ALLOC_HOST_PTR;
        // SAFETY: no host memory of ours is involved.
        let raw = unsafe { clm::create_buffer(context.raw, flags, words * 4, ptr::null_mut()) };
        let mem = Mem(named("clCreateBuffer", raw)?);
        let mut host = ptr::null_mut();
        // SAFETY: the range is the whole object; the call returns when it is mapped.
        let event = unsafe {
            cl::enqueue_map_buffer(
                queue.0,
                mem.0,
                CL_TRUE,
                clm::CL_MAP_WRITE,
                0,
                words * 4,
                &mut host,
                0,
                ptr::null(),
            )
        };
        drop(Event::ended(named("clEnqueueMapBuffer", event)?));
        let none = ClError {
            call: "clEnqueueMapBuffer",
            code: CL_MAP_FAILURE,
        };
        let host = NonNull::new(host.cast()).ok_or(none)?;
        Ok(Self {
            mem,
            host,
            words,
            transfer: None,
        })
    }

    /// The last transfer, until [`Self::take_ended`] gave it away.
    pub(crate) fn transfer(&self) -> Option<&Event> {
        self.transfer.as_ref()
    }

    /// The last transfer, once it has ended.
    pub(crate) fn take_ended(&mut self) -> Option<Event> {
        self.transfer
            .take_if(|transfer| matches!(transfer.settle(), Ok(Some(_))))
    }

    /// Copies words to the start, and from there to byte `at` of a buffer, once `after` has ended. The last transfer must
    /// have been taken.
    pub(crate) fn send(
        &mut self,
        queue: &Queue,
        data: &[u32],
        to: (&Mem, usize),
        after: Option<&Event>,
    ) -> ClResult<Event> {
        assert!(
            data.len() <= self.words && self.transfer.is_none(),
            "pinned memory is too small, or in use"
        );
        let used = to.0.share()?;
        let wait = after.map(|event| event.raw);
        let list = wait.as_slice();
        let list_start = match list {
            [] => ptr::null::<*mut c_void>(),
            list => list.as_ptr(),
        };
        // SAFETY: the map is ours alone, large enough and read by no transfer, by the line above. It stays mapped, and
        // unchanged until the event kept below has ended.
        let event = unsafe {
            let start = self.host.as_ptr();
            start.copy_from_nonoverlapping(data.as_ptr(), data.len());
            cl::enqueue_write_buffer(
                queue.0,
                to.0.0,
                CL_FALSE,
                to.1,
                size_of_val(data),
                self.host.as_ptr().cast(),
                list.len() as u32,
                list_start,
            )
        };
        let event = named("clEnqueueWriteBuffer", event).map(Event::new)?;
        let shared = event.share();
        self.transfer = Some(event.using(vec![used]));
        Ok(shared)
    }

    /// Ends the map behind everything on `queue`, and frees the memory.
    pub(crate) fn release(self, queue: &Queue) {
        // SAFETY: the map of `new`, which nobody uses any more; the driver ends it after the queue's earlier commands.
        let event = unsafe {
            let host = self.host.as_ptr().cast();
            cl::enqueue_unmap_mem_object(queue.0, self.mem.0, host, 0, ptr::null())
        };
        if let Ok(event) = event {
            drop(Event::new(event));
        }
    }
}
