//! Opening a device, and the state that its buffers and programs share.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use starkwright_hal::HalError;

use super::cl::{ClError, Context, Event, Queue};
use super::memory::Memory;
use super::staging::Staging;
use super::status::COMMAND;
use super::stream::{Refusal, Stream, Stuck};
use super::{Buffer, DeviceInfo, FaultPlan, Options, Recorder, Statistics, Variant};
use crate::program::{BuildFigures, DiskCache, Program, ProgramFolder, ProgramSource};

/// One opened device. Clones share it.
#[derive(Clone, Debug)]
pub struct Runtime(pub(crate) Arc<Inner>);

/// What a runtime, its buffers and its programs share.
pub(crate) struct Inner {
    pub(crate) info: DeviceInfo,
    variant: Variant,
    pub(super) deadline: Duration,
    pub(super) faults: Option<FaultPlan>,
    pub(crate) programs: Mutex<Vec<(ProgramSource, Program)>>,
    pub(crate) disk_cache: Option<DiskCache>,
    pub(crate) folder: Option<ProgramFolder>,
    pub(super) recorder: Option<Recorder>,
    pub(crate) builds: Mutex<BuildFigures>,
    /// Whether every allocation is filled with words that are no field elements.
    pub(super) poison: AtomicBool,
    /// Why the device must not be used again.
    lost: OnceLock<String>,
    // Dropped in this order: memory objects, queues, context.
    pub(super) memory: Memory,
    /// For devices with their own memory.
    pub(super) staging: Option<Staging>,
    pub(super) stream: Stream,
    pub(crate) context: Context,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("platform", &self.info.platform)
            .field("device", &self.info.name)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    /// Every device that can be opened.
    ///
    /// # Errors
    /// [`HalError::LibraryMissing`] where the OpenCL library cannot be loaded. A machine with the library and without
    /// devices has an empty list.
    pub fn list() -> Result<Vec<DeviceInfo>, HalError> {
        DeviceInfo::list()
    }

    /// Opens a device.
    ///
    /// # Errors
    /// [`HalError::Unsupported`] for a device that is unavailable or big-endian; else the driver's refusal.
    pub fn open(info: &DeviceInfo, options: Options) -> Result<Self, HalError> {
        info.check()?;
        let mut info = info.clone();
        info.compiler_available &= options.compiler;
        info.host_unified &= !options.assume_discrete;
        let failed = |error: ClError| error.on(&info.name, 0, 0);
        let context = Context::new(info.handle).map_err(failed)?;
        let stream = Stream::new(&context, &info).map_err(failed)?;
        let staging = match info.host_unified {
            true => None,
            false => Some(Staging::new(&context, info.handle).map_err(failed)?),
        };
        let least = |limit: Option<u64>, own| limit.map_or(own, |limit| limit.min(own));
        let disk_cache = options.disk_cache.then(|| DiskCache::at(options.cache_dir));
        Ok(Self(Arc::new(Inner {
            variant: options.variant.unwrap_or_else(|| info.default_variant()),
            deadline: options.deadline,
            faults: options.faults,
            programs: Mutex::default(),
            disk_cache: disk_cache.flatten(),
            folder: options.programs.map(ProgramFolder::new),
            recorder: options.recorder,
            builds: Mutex::default(),
            poison: AtomicBool::new(cfg!(debug_assertions)),
            lost: OnceLock::new(),
            memory: Memory::new(
                least(options.memory_limit, info.global_memory),
                least(options.max_alloc, info.max_alloc),
                info.host_unified,
            ),
            info,
            staging,
            stream,
            context,
        })))
    }

    /// The device.
    #[must_use]
    pub fn info(&self) -> &DeviceInfo {
        &self.0.info
    }

    /// The kernels that this runtime is to run.
    #[must_use]
    pub fn variant(&self) -> Variant {
        self.0.variant
    }

    /// Most words of one buffer.
    #[must_use]
    pub fn max_alloc_words(&self) -> usize {
        usize::try_from(self.0.memory.max_alloc / 4).unwrap_or(usize::MAX)
    }

    /// Waits until everything enqueued has ended.
    ///
    /// # Errors
    /// [`HalError::DeviceLost`] where a command ended in an error, or where no command ended within the deadline. The
    /// runtime is then lost: every later call says so at once. [`HalError::OutOfMemory`] where a command found no memory
    /// when it ran: every wait says so until the last buffer is dropped, since any of them may hold wrong words.
    pub fn finish(&self) -> Result<(), HalError> {
        self.0.finish()
    }

    /// Hands everything enqueued to the device without waiting. Worth calling before work on the host: some drivers
    /// start only then.
    ///
    /// # Errors
    /// The driver's refusal.
    pub fn flush(&self) -> Result<(), HalError> {
        self.0.check_alive()?;
        self.0.stream.flush().map_err(|e| self.0.error(e))
    }

    /// What the programs built so far were made from: text and options, for whoever builds them another way.
    #[must_use]
    pub fn sources(&self) -> Vec<ProgramSource> {
        // A poisoned lock still holds whole entries.
        let programs = self
            .0
            .programs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        programs.iter().map(|(source, _)| source.clone()).collect()
    }

    /// Whether [`Self::alloc`] fills memory with `0xFFFF_FFFF` from now on: words that no field element is, so that those
    /// that a kernel forgot to write are seen. Builds with debug assertions always do.
    pub fn set_poison(&self, on: bool) {
        let on = on || cfg!(debug_assertions);
        self.0.poison.store(on, Ordering::Relaxed);
    }

    /// Frees the memory kept for reuse, once the device is done with it.
    pub fn trim(&self) {
        self.0.memory.trim();
    }

    /// Waits for everything enqueued, so that [`Self::statistics`] cover it. What went wrong is reported by the next call
    /// that waits for data.
    pub(crate) fn settle(&self) {
        self.0.settle();
    }

    /// Counters since the device was opened. Times cover the commands up to the last wait.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let memory = self.0.memory.figures();
        let builds = self
            .0
            .builds
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (bytes_up, bytes_down) = self.0.stream.moved();
        Statistics {
            bytes_up,
            bytes_down,
            live_bytes: memory.live,
            peak_bytes: memory.peak,
            kept_bytes: memory.kept,
            host_bytes: memory.host,
            reused: memory.reused,
            build_seconds: builds.seconds,
            programs_compiled: builds.compiled,
            programs_cached: builds.cached,
            programs_loaded: builds.loaded,
            cache_rejected: builds.rejected,
            commands: self.0.stream.commands(),
        }
    }

    /// Refuses a buffer of another runtime.
    pub(super) fn check_owner(&self, op: &'static str, buffer: &Buffer) -> Result<(), HalError> {
        if Arc::ptr_eq(&self.0, &buffer.runtime) {
            Ok(())
        } else {
            Err(HalError::invalid(
                op,
                "the buffer belongs to another runtime",
            ))
        }
    }
}

impl Inner {
    /// A driver's error, as one of this device, which is lost where the error says so.
    pub(crate) fn error(&self, error: ClError) -> HalError {
        match error.on(&self.info.name, 0, 0) {
            HalError::DeviceLost { why, .. } => self.lose(why),
            other => other,
        }
    }

    /// Fails once the device is lost.
    pub(crate) fn check_alive(&self) -> Result<(), HalError> {
        match self.lost.get() {
            None => Ok(()),
            Some(why) => Err(HalError::DeviceLost {
                device: self.info.name.clone(),
                why: why.clone(),
            }),
        }
    }

    /// Gives the device up. The first reason stays.
    pub(super) fn lose(&self, why: String) -> HalError {
        let why = self.lost.get_or_init(|| why).clone();
        HalError::DeviceLost {
            device: self.info.name.clone(),
            why,
        }
    }

    /// Whether an injected fault fires at this build.
    pub(crate) fn build_must_fail(&self) -> bool {
        self.faults.as_ref().is_some_and(FaultPlan::build)
    }

    /// Enqueues one command; see [`Stream::enqueue`].
    pub(super) fn enqueue(
        &self,
        name: &'static str,
        command: impl FnOnce(&Queue) -> Result<Event, Refusal>,
    ) -> Result<(), HalError> {
        let enqueued = self.stream.enqueue(name, |queue| {
            // Under the stream's lock: a queue that was given up takes no more commands.
            self.check_alive()?;
            command(queue)
        });
        enqueued.map_err(|refusal| match refusal {
            Refusal::Driver(error) => self.error(error),
            Refusal::Caller(error) => error,
        })
    }

    /// Waits for both queues.
    pub(super) fn finish(&self) -> Result<(), HalError> {
        self.join_uploads()?;
        self.finish_commands()?;
        if let Some(staging) = &self.staging {
            staging.collect(&self.stream);
            return self.stream.report().map_err(|stuck| self.stuck(stuck));
        }
        Ok(())
    }

    /// As [`Self::finish`] for a caller without interest in data: an error is left to the next one who waits for some.
    fn settle(&self) {
        if self.check_alive().is_err() || self.join_uploads().is_err() {
            return;
        }
        match self.stream.wait(self.deadline) {
            // The stream keeps it.
            Ok(()) | Err(Stuck::Command(_)) => {}
            // The device is lost, which stays too; a driver that refuses a flush will refuse the next one.
            Err(stuck) => drop(self.stuck(stuck)),
        }
        if let Some(staging) = &self.staging {
            staging.collect(&self.stream);
        }
    }

    /// Makes the commands wait for the uploads.
    fn join_uploads(&self) -> Result<(), HalError> {
        match self.staging.as_ref().and_then(Staging::last) {
            Some(event) => self.enqueue(WAIT, |queue| Ok(queue.barrier(&event)?)),
            None => Ok(()),
        }
    }

    /// Waits for the commands, and for those uploads that one of them uses.
    pub(super) fn finish_commands(&self) -> Result<(), HalError> {
        self.check_alive()?;
        self.stream
            .wait(self.deadline)
            .map_err(|stuck| self.stuck(stuck))
    }

    /// What a wait that did not succeed means.
    pub(super) fn stuck(&self, stuck: Stuck) -> HalError {
        match stuck {
            Stuck::Driver(error) => self.error(error),
            Stuck::Command(code) => {
                let call = COMMAND;
                match self.error(ClError { call, code }) {
                    full @ HalError::OutOfMemory { .. } => {
                        self.stream.reported(self.memory.none_alive());
                        full
                    }
                    lost @ HalError::DeviceLost { .. } => lost,
                    other => self.lose(other.to_string()),
                }
            }
            Stuck::Deadline => {
                let limit = self.deadline.as_secs_f64();
                // In this order: what another thread enqueues from here on would be on a queue without an owner.
                let lost = self.lose(format!("no command ended within {limit} s"));
                self.abandon();
                lost
            }
        }
    }

    /// Leaves the device to itself: what it may still be running must keep its queues and its memory.
    fn abandon(&self) {
        self.stream.abandon();
        if let Some(staging) = &self.staging {
            staging.abandon();
        }
        self.context.leak();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A failed job leaves commands behind, and some drivers (rusticl) free a buffer under a command that waits.
        if !self.stream.drain(self.deadline) {
            self.abandon();
        }
    }
}

/// The name of waits for the other queue among the commands.
pub(crate) const WAIT: &str = "wait";
