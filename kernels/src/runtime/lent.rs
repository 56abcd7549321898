//! A thread that waits inside the driver, for drivers that compute in whoever waits.
//!
//! Intel's CPU runtime starts one thread fewer than the device has compute units: the thread that calls `clWaitForEvents`
//! or `clFinish` is the missing one. Ours wait for callbacks, so that a hung device is noticed; this thread waits in the
//! driver in their place. Without it such a device has one core less than it says.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use super::cl::Event;

/// The thread; it ends with the value.
#[derive(Debug)]
pub(super) struct Lent {
    /// Taken when the thread is to end.
    events: Option<Sender<Event>>,
    thread: Option<JoinHandle<()>>,
    abandoned: AtomicBool,
}

impl Lent {
    pub(super) fn start() -> io::Result<Self> {
        let (events, requests) = channel::<Event>();
        let thread = thread::Builder::new()
            .name("opencl-lent".to_owned())
            .spawn(move || requests.iter().for_each(|event| event.wait_in_driver()))?;
        Ok(Self {
            events: Some(events),
            thread: Some(thread),
            abandoned: AtomicBool::new(false),
        })
    }

    /// Lends the thread until this command, which was flushed, has ended.
    pub(super) fn until(&self, event: Event) {
        if let Some(events) = &self.events {
            // It listens as long as `events` is there.
            let _ = events.send(event);
        }
    }

    /// Leaves the thread to itself: it may wait for ever.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.events = None;
        if let Some(thread) = self.thread.take()
            && !self.abandoned.load(Ordering::Relaxed)
        {
            // It runs no code that panics.
            let _ = thread.join();
        }
    }
}
