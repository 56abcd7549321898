//! Buffers, and the host memory that some of them stand on.

use std::ffi::c_void;
use std::ptr::{self, NonNull};

use opencl3::memory as cl;

use super::{ClResult, Context, named};

/// A buffer object.
#[derive(Debug)]
pub(crate) struct Mem(pub(super) *mut c_void);

// SAFETY: OpenCL memory objects may be used from any thread.
unsafe impl Send for Mem {}
// SAFETY: as above.
unsafe impl Sync for Mem {}

impl Mem {
    /// A buffer in the device's own memory.
    pub(crate) fn device(context: &Context, bytes: usize) -> ClResult<Self> {
        // SAFETY: no host memory is involved.
        let raw = unsafe {
            cl::create_buffer(context.raw, cl::CL_MEM_READ_WRITE, bytes, ptr::null_mut())
        };
        named("clCreateBuffer", raw).map(Self)
    }

    /// A buffer over host memory, which `owner` keeps alive and gives back when dropped.
    ///
    /// The driver drops `owner` when the object is deleted, that is after this handle is gone **and** every command
    /// that uses it has ended (clSetMemObjectDestructorCallback). A hung command therefore never loses its memory.
    ///
    /// # Safety
    ///
    /// `host` points to `bytes` bytes, initialised or never read before written, which stay valid and which nobody
    /// else touches until `owner` is dropped, whatever the thread.
    pub(crate) unsafe fn over_host(
        context: &Context,
        host: NonNull<u8>,
        bytes: usize,
        owner: Box<dyn Send>,
    ) -> ClResult<Self> {
        extern "C" fn deleted(_: *mut c_void, owner: *mut c_void) {
            // SAFETY: `owner` came from `Box::into_raw` below, and the driver calls back once.
            drop(unsafe { Box::from_raw(owner.cast::<Box<dyn Send>>()) });
        }
        let flags = cl::CL_MEM_READ_WRITE | cl::CL_MEM_USE_HOST_PTR;
        // SAFETY: the caller promises that the memory outlives the object.
        let raw = unsafe { cl::create_buffer(context.raw, flags, bytes, host.as_ptr().cast()) };
        let mem = Self(named("clCreateBuffer", raw)?);
        // A thin pointer for the driver: a box of the fat one.
        let owner = Box::into_raw(Box::new(owner));
        // SAFETY: `mem` is alive; `owner` is valid until the callback takes it.
        let set = unsafe { cl::set_mem_object_destructor_callback(mem.0, deleted, owner.cast()) };
        match named("clSetMemObjectDestructorCallback", set) {
            Ok(()) => Ok(mem),
            Err(error) => {
                drop(mem);
                // SAFETY: the driver refused the callback; no command ever used the object, which is gone.
                drop(unsafe { Box::from_raw(owner) });
                Err(error)
            }
        }
    }
}

impl Mem {
    /// A second reference to the object.
    ///
    /// For pending commands: rusticl does not count them, and deletes an object under a command that waits.
    pub(crate) fn share(&self) -> ClResult<Self> {
        // SAFETY: the handle is alive, so the object is.
        let retained = unsafe { cl::retain_mem_object(self.0) };
        named("clRetainMemObject", retained)?;
        Ok(Self(self.0))
    }
}

impl Drop for Mem {
    fn drop(&mut self) {
        // SAFETY: this handle owns one reference.
        let _ = unsafe { cl::release_mem_object(self.0) };
    }
}
