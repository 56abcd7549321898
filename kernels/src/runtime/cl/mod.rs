//! OpenCL objects as owned handles: the only code that calls the driver.
//!
//! Each handle releases its object when dropped. Functions here check what memory safety on the host needs; what a
//! command means is checked by their callers. Errors keep the name of the call and the driver's code.
#![allow(unsafe_code)]

mod event;
mod info;
mod memory;
mod pinned;
mod program;
mod queue;

use std::ffi::c_void;
use std::ptr;

pub(crate) use event::Event;
pub(crate) use info::{DeviceHandle, devices};
pub(crate) use memory::Mem;
use opencl3::context::context;
pub(crate) use pinned::Pinned;
pub(crate) use program::{ArgAddress, KernelHandle, ProgramHandle};
pub(crate) use queue::{Queue, RectBytes};

/// A driver call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClError {
    pub(crate) call: &'static str,
    pub(crate) code: i32,
}

pub(crate) type ClResult<T> = Result<T, ClError>;

/// Names the call whose code failed.
fn named<T>(call: &'static str, result: Result<T, i32>) -> ClResult<T> {
    result.map_err(|code| ClError { call, code })
}

/// A context of one device.
#[derive(Debug)]
pub(crate) struct Context {
    raw: *mut c_void,
    device: DeviceHandle,
}

// SAFETY: OpenCL contexts may be used from any thread (OpenCL 1.2, appendix A.2).
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    pub(crate) fn new(device: DeviceHandle) -> ClResult<Self> {
        let raw = context::create_context(&[device.raw()], ptr::null(), None, ptr::null_mut());
        Ok(Self {
            raw: named("clCreateContext", raw)?,
            device,
        })
    }

    /// Keeps the context alive for the rest of the process.
    pub(crate) fn leak(&self) {
        // SAFETY: the handle is alive, so the object is.
        let _ = unsafe { context::retain_context(self.raw) };
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: this handle owns one reference.
        let _ = unsafe { context::release_context(self.raw) };
    }
}
