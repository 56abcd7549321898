//! The command queue.

use std::ffi::c_void;
use std::ptr;

use opencl3::command_queue as cl;
use opencl3::memory::CL_MAP_READ;
use opencl3::types::{CL_FALSE, CL_TRUE};

use super::{ClResult, Context, DeviceHandle, Event, KernelHandle, Mem, named};

/// An in-order queue on one device.
#[derive(Debug)]
pub(crate) struct Queue(pub(super) *mut c_void);

// SAFETY: OpenCL queues may be used from any thread.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

/// A panel of rows inside a buffer, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RectBytes {
    /// Byte of the first row's first column.
    pub(crate) at: usize,
    /// Bytes from one row to the next.
    pub(crate) pitch: usize,
}

impl RectBytes {
    fn origin(self) -> [usize; 3] {
        [self.at % self.pitch, self.at / self.pitch, 0]
    }
}

// Each command that waits shares its buffers before it is enqueued: from then on there is no way back.
impl Queue {
    /// A queue that records times where the driver can.
    pub(crate) fn new(context: &Context, device: DeviceHandle) -> ClResult<Self> {
        // SAFETY: the device is the context's.
        let create =
            |properties| unsafe { cl::create_command_queue(context.raw, device.raw(), properties) };
        let raw = create(cl::CL_QUEUE_PROFILING_ENABLE).or_else(|_| create(0));
        named("clCreateCommandQueue", raw).map(Self)
    }

    /// Keeps the queue alive for the rest of the process.
    pub(crate) fn leak(&self) {
        // SAFETY: the handle is alive, so the object is.
        let _ = unsafe { cl::retain_command_queue(self.0) };
    }

    /// Hands all enqueued commands to the device.
    pub(crate) fn flush(&self) -> ClResult<()> {
        named("clFlush", cl::flush(self.0))
    }

    /// Reads words from a byte offset, and waits for them.
    pub(crate) fn read(&self, mem: &Mem, at: usize, out: &mut [u32]) -> ClResult<Event> {
        let bytes = size_of_val(out);
        let out = out.as_mut_ptr().cast();
        // SAFETY: `out` holds `bytes` bytes, and the call returns when they are written.
        let event = unsafe {
            cl::enqueue_read_buffer(self.0, mem.0, CL_TRUE, at, bytes, out, 0, ptr::null())
        };
        named("clEnqueueReadBuffer", event).map(Event::ended)
    }

    /// Writes words at a byte offset, and waits until the driver has taken them.
    pub(crate) fn write(&self, mem: &Mem, at: usize, data: &[u32]) -> ClResult<Event> {
        let bytes = size_of_val(data);
        let data = data.as_ptr().cast();
        // SAFETY: `data` holds `bytes` bytes, and the call returns when they are taken.
        let event = unsafe {
            cl::enqueue_write_buffer(self.0, mem.0, CL_TRUE, at, bytes, data, 0, ptr::null())
        };
        named("clEnqueueWriteBuffer", event).map(Event::ended)
    }

    /// Writes words at a byte offset when the queue gets there. The event keeps them until then.
    pub(crate) fn write_later(&self, mem: &Mem, at: usize, data: Vec<u32>) -> ClResult<Event> {
        let used = vec![mem.share()?];
        let bytes = size_of_val(data.as_slice());
        let from = data.as_ptr().cast();
        // SAFETY: the event below owns `data`, never changes it, and frees it after the command has ended.
        let event = unsafe {
            cl::enqueue_write_buffer(self.0, mem.0, CL_FALSE, at, bytes, from, 0, ptr::null())
        };
        let event = Event::reading(named("clEnqueueWriteBuffer", event)?, data);
        Ok(event.using(used))
    }

    /// Starts to map bytes for reading. The pointer is good from the event's end to [`Self::unmap`].
    pub(crate) fn map(&self, mem: &Mem, at: usize, bytes: usize) -> ClResult<(Event, *mut c_void)> {
        let used = vec![mem.share()?];
        let mut host = ptr::null_mut();
        // SAFETY: the driver checks the range; nobody reads the pointer before the event has ended.
        let event = unsafe {
            cl::enqueue_map_buffer(
                self.0,
                mem.0,
                CL_FALSE,
                CL_MAP_READ,
                at,
                bytes,
                &mut host,
                0,
                ptr::null(),
            )
        };
        let event = named("clEnqueueMapBuffer", event).map(Event::new)?;
        Ok((event.using(used), host))
    }

    /// Ends a map.
    ///
    /// # Safety
    ///
    /// `host` came from [`Self::map`] of the same buffer, and nobody reads it any more.
    pub(crate) unsafe fn unmap(&self, mem: &Mem, host: *mut c_void) -> ClResult<Event> {
        let used = vec![mem.share()?];
        // SAFETY: passed on to the caller.
        let event = unsafe { cl::enqueue_unmap_mem_object(self.0, mem.0, host, 0, ptr::null()) };
        let event = named("clEnqueueUnmapMemObject", event).map(Event::new)?;
        Ok(event.using(used))
    }

    /// Fills bytes with a word.
    pub(crate) fn fill(&self, mem: &Mem, at: usize, bytes: usize, word: u32) -> ClResult<Event> {
        let used = vec![mem.share()?];
        let pattern = (&raw const word).cast();
        // SAFETY: the driver copies the pattern before it returns.
        let event = unsafe {
            cl::enqueue_fill_buffer(self.0, mem.0, pattern, 4, at, bytes, 0, ptr::null())
        };
        let event = named("clEnqueueFillBuffer", event).map(Event::new)?;
        Ok(event.using(used))
    }

    /// Copies bytes between buffers.
    pub(crate) fn copy(
        &self,
        (src, from): (&Mem, usize),
        (dst, to): (&Mem, usize),
        bytes: usize,
    ) -> ClResult<Event> {
        let used = vec![src.share()?, dst.share()?];
        // SAFETY: no host memory is involved.
        let event = unsafe {
            cl::enqueue_copy_buffer(self.0, src.0, dst.0, from, to, bytes, 0, ptr::null())
        };
        let event = named("clEnqueueCopyBuffer", event).map(Event::new)?;
        Ok(event.using(used))
    }

    /// Copies `rows` rows of `bytes` bytes between panels.
    pub(crate) fn copy_rect(
        &self,
        (src, from): (&Mem, RectBytes),
        (dst, to): (&Mem, RectBytes),
        rows: usize,
        bytes: usize,
    ) -> ClResult<Event> {
        let used = vec![src.share()?, dst.share()?];
        // SAFETY: the arrays outlive the call; no other host memory is involved.
        let event = unsafe {
            cl::enqueue_copy_buffer_rect(
                self.0,
                src.0,
                dst.0,
                from.origin().as_ptr(),
                to.origin().as_ptr(),
                [bytes, rows, 1].as_ptr(),
                from.pitch,
                0,
                to.pitch,
                0,
                0,
                ptr::null(),
            )
        };
        let event = named("clEnqueueCopyBufferRect", event).map(Event::new)?;
        Ok(event.using(used))
    }

    /// Makes all later commands of this queue wait for an event, which another queue may hold.
    pub(crate) fn barrier(&self, after: &Event) -> ClResult<Event> {
        // SAFETY: the list holds one live event, and the driver copies it before it returns.
        let event = unsafe { cl::enqueue_barrier_with_wait_list(self.0, 1, [after.raw].as_ptr()) };
        named("clEnqueueBarrierWithWaitList", event).map(Event::new)
    }

    /// Launches a kernel whose arguments are set.
    pub(crate) fn launch(
        &self,
        kernel: &KernelHandle,
        global: &[usize; 3],
        local: Option<&[usize; 3]>,
    ) -> ClResult<Event> {
        let local = local.map_or(ptr::null(), |l| l.as_ptr());
        // SAFETY: both arrays have three entries and outlive the call. What the kernel does to its buffers is as
        // trusted as the rest of this crate: its sources are part of it.
        let event = unsafe {
            cl::enqueue_nd_range_kernel(
                self.0,
                kernel.raw,
                3,
                ptr::null(),
                global.as_ptr(),
                local,
                0,
                ptr::null(),
            )
        };
        named("clEnqueueNDRangeKernel", event).map(Event::new)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: this handle owns one reference.
        let _ = unsafe { cl::release_command_queue(self.0) };
    }
}
