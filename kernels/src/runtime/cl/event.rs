//! Completion of commands.

use std::ffi::c_void;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opencl3::error_codes::CL_INVALID_VALUE;
use opencl3::event as cl;

use super::{ClError, ClResult, Mem, named};

/// A command that was enqueued, with the host's words that it reads.
#[derive(Debug)]
pub(crate) struct Event {
    pub(super) raw: *mut c_void,
    words: Vec<u32>,
    /// What the command uses, freed after it has ended, or never.
    mems: Vec<Mem>,
    /// Whether the driver may have to compile before the command runs.
    compiles: bool,
}

// SAFETY: OpenCL events may be used from any thread.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// Takes over one reference to an event.
    pub(super) fn new(raw: *mut c_void) -> Self {
        Self::reading(raw, Vec::new())
    }

    /// As [`Self::new`], for a command that reads `words`: they are freed after it has ended, or never.
    pub(super) fn reading(raw: *mut c_void, words: Vec<u32>) -> Self {
        Self {
            raw,
            words,
            mems: Vec::new(),
            compiles: false,
        }
    }

    /// Keeps buffers alive until the command has ended.
    pub(crate) fn using(mut self, mems: Vec<Mem>) -> Self {
        self.mems = mems;
        self
    }

    /// Says whether the driver may have to compile before the command runs.
    pub(crate) fn compiling(mut self, compiles: bool) -> Self {
        self.compiles = compiles;
        self
    }

    /// See [`Self::compiling`].
    pub(crate) fn compiles(&self) -> bool {
        self.compiles
    }

    /// Number of the host's words that the command reads.
    pub(crate) fn staged(&self) -> usize {
        self.words.len()
    }

    /// Whether the command has ended: `None` while it waits or runs, else 0 or the error that ended it.
    pub(crate) fn outcome(&self) -> ClResult<Option<i32>> {
        const CALL: &str = "clGetEventInfo";
        let data = cl::get_event_data(self.raw, cl::CL_EVENT_COMMAND_EXECUTION_STATUS);
        let data = named(CALL, data)?;
        let unknown = ClError {
            call: CALL,
            code: CL_INVALID_VALUE,
        };
        let status = i32::from_ne_bytes(data.try_into().map_err(|_| unknown)?);
        Ok((status <= cl::CL_COMPLETE).then_some(status))
    }

    /// Nanoseconds the command ran on the device; `None` where the driver does not say.
    pub(crate) fn nanoseconds(&self) -> Option<u64> {
        let time = |property| -> Option<u64> {
            let data = cl::get_event_profiling_data(self.raw, property).ok()?;
            Some(u64::from_ne_bytes(data.try_into().ok()?))
        };
        let start = time(cl::CL_PROFILING_COMMAND_START)?;
        time(cl::CL_PROFILING_COMMAND_END)?.checked_sub(start)
    }

    /// Sets the signal when the command ends, with 0 or its error.
    pub(crate) fn notify(&self, signal: &Arc<Signal>) -> ClResult<()> {
        extern "C" fn ended(_: *mut c_void, status: i32, signal: *mut c_void) {
            // SAFETY: `signal` came from `Arc::into_raw` below, and the driver calls back once.
            let signal = unsafe { Arc::from_raw(signal.cast::<Signal>()) };
            signal.set(status.min(cl::CL_COMPLETE));
        }
        let raw = Arc::into_raw(Arc::clone(signal));
        let result =
            cl::set_event_callback(self.raw, cl::CL_COMPLETE, ended, raw.cast_mut().cast());
        if result.is_err() {
            // SAFETY: the driver refused, so the callback will not take this reference.
            drop(unsafe { Arc::from_raw(raw) });
        }
        named("clSetEventCallback", result)
    }
}

impl Event {
    /// Another handle on the same command, without the words.
    pub(crate) fn share(&self) -> Self {
        // SAFETY: this handle keeps the object alive. Retaining a live event cannot fail.
        let _ = unsafe { cl::retain_event(self.raw) };
        Self::new(self.raw)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        let holds = !self.words.is_empty() || !self.mems.is_empty();
        if holds && !matches!(self.outcome(), Ok(Some(_))) {
            // The device may still use them.
            std::mem::forget(std::mem::take(&mut self.words));
            std::mem::forget(std::mem::take(&mut self.mems));
        }
        // SAFETY: this handle owns one reference.
        let _ = unsafe { cl::release_event(self.raw) };
    }
}

/// A status that one thread sets and another waits for.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    status: Mutex<Option<i32>>,
    changed: Condvar,
}

impl Signal {
    fn set(&self, status: i32) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
        self.changed.notify_all();
    }

    /// Waits at most `limit`; `None` when nothing was set by then.
    pub(crate) fn wait(&self, limit: Duration) -> Option<i32> {
        let end = Instant::now() + limit;
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if status.is_some() || left.is_zero() {
                return *status;
            }
            let woken = self.changed.wait_timeout(status, left);
            status = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
