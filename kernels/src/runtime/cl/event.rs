//! Completion of commands.

use std::ffi::c_void;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opencl3::error_codes::CL_INVALID_VALUE;
use opencl3::event as cl;

use super::{ClError, ClResult, Mem, named};

/// A command that was enqueued, with the host's words that it reads.
///
/// Whether it has ended is known from a callback that is registered before the command can start. Asking the driver
/// instead may block: rusticl holds an event's lock while its command runs.
#[derive(Debug)]
pub(crate) struct Event {
    pub(super) raw: *mut c_void,
    /// 0 once the command has ended, or the error that ended it.
    end: Arc<Signal>,
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
    /// Takes over one reference to the event of a command that was not flushed yet.
    pub(super) fn new(raw: *mut c_void) -> Self {
        Self::reading(raw, Vec::new())
    }

    /// As [`Self::new`], for a command that reads `words`: they are freed after it has ended, or never.
    pub(super) fn reading(raw: *mut c_void, words: Vec<u32>) -> Self {
        let mut event = Self::with(raw, Arc::default());
        event.words = words;
        event.watch();
        event
    }

    /// Takes over one reference to the event of a command that has ended well: its call waited for it.
    pub(super) fn ended(raw: *mut c_void) -> Self {
        let event = Self::with(raw, Arc::default());
        event.end.set(cl::CL_COMPLETE);
        event
    }

    fn with(raw: *mut c_void, end: Arc<Signal>) -> Self {
        Self {
            raw,
            end,
            words: Vec::new(),
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

    /// Whether the command is known to have ended: 0 or the error that ended it. Never waits.
    pub(crate) fn outcome(&self) -> Option<i32> {
        self.end.status()
    }

    /// Waits at most `limit` for the command's end; see [`Self::outcome`].
    pub(crate) fn wait(&self, limit: Duration) -> Option<i32> {
        self.end.wait(limit)
    }

    /// Waits in the driver, however long it takes; how the command ended is known as by [`Self::outcome`].
    pub(crate) fn wait_in_driver(&self) {
        let _ = cl::wait_for_events(&[self.raw]);
    }

    /// The outcome of a command that a later one of its queue followed to the end: the driver is asked where its
    /// callback is still to come.
    pub(crate) fn settle(&self) -> ClResult<Option<i32>> {
        const CALL: &str = "clGetEventInfo";
        if let Some(status) = self.outcome() {
            return Ok(Some(status));
        }
        let data = cl::get_event_data(self.raw, cl::CL_EVENT_COMMAND_EXECUTION_STATUS);
        let data = named(CALL, data)?;
        let unknown = ClError {
            call: CALL,
            code: CL_INVALID_VALUE,
        };
        let status = i32::from_ne_bytes(data.try_into().map_err(|_| unknown)?);
        if status <= cl::CL_COMPLETE {
            self.end.set(status);
        }
        Ok(self.outcome())
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

    /// Another handle on the same command, without the words.
    pub(crate) fn share(&self) -> Self {
        // SAFETY: this handle keeps the object alive. Retaining a live event cannot fail.
        let _ = unsafe { cl::retain_event(self.raw) };
        Self::with(self.raw, Arc::clone(&self.end))
    }

    /// Has the driver set the signal when the command ends.
    fn watch(&self) {
        extern "C" fn ended(_: *mut c_void, status: i32, signal: *mut c_void) {
            // SAFETY: `signal` came from `Arc::into_raw` below, and the driver calls back once.
            let signal = unsafe { Arc::from_raw(signal.cast::<Signal>()) };
            signal.set(status.min(cl::CL_COMPLETE));
        }
        let signal = Arc::into_raw(Arc::clone(&self.end));
        let data = signal.cast_mut().cast();
        if cl::set_event_callback(self.raw, cl::CL_COMPLETE, ended, data).is_err() {
            // SAFETY: the driver refused, so the callback will not take this reference.
            drop(unsafe { Arc::from_raw(signal) });
            // Nobody will tell, and the command is on its way: its end must be known before its memory goes.
            let _ = cl::wait_for_events(&[self.raw]);
            let _ = self.settle();
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if self.outcome().is_none() {
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
struct Signal {
    status: Mutex<Option<i32>>,
    changed: Condvar,
}

impl Signal {
    /// The first status stays.
    fn set(&self, status: i32) {
        let mut held = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        held.get_or_insert(status);
        self.changed.notify_all();
    }

    fn status(&self) -> Option<i32> {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits at most `limit`; `None` when nothing was set by then.
    fn wait(&self, limit: Duration) -> Option<i32> {
        let end = Instant::now().checked_add(limit);
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = end.map_or(limit, |end| end.saturating_duration_since(Instant::now()));
            if status.is_some() || left.is_zero() {
                return *status;
            }
            let woken = self.changed.wait_timeout(status, left);
            status = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
