//! Launches written down, so that a test can run them again another way.

use std::sync::{Arc, Mutex, PoisonError};

use starkwright_hal::HalError;

use super::{Arg, Buffer, Runtime};
use crate::program::Kernel;

/// Where a runtime writes down its launches ([`Options::recorder`](super::Options::recorder)). Clones share the list.
///
/// Every launch is waited for, and its buffers are read before and after it: for tiny shapes.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Vec<Launch>>>);

impl Recorder {
    /// The launches since the last call, in order.
    #[must_use]
    pub fn take(&self) -> Vec<Launch> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One launch, with all that it read and wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// [`ProgramSource::hash`](crate::ProgramSource::hash) of the kernel's program.
    pub source_hash: [u8; 32],
    /// The compiler's options of the program.
    pub options: String,
    /// Work-items.
    pub global: [usize; 3],
    /// Work-items of a work-group; `None` where the driver chose.
    pub local: Option<[usize; 3]>,
    /// The arguments, in order.
    pub args: Vec<RecordedArg>,
    /// Words of each buffer before the launch. A buffer that is several arguments is here once.
    pub before: Vec<Vec<u32>>,
    /// Words of each buffer after it.
    pub after: Vec<Vec<u32>>,
}

/// One argument of a [`Launch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordedArg {
    /// The buffer of this index in [`Launch::before`] and [`Launch::after`].
    Buffer(usize),
    /// A `uint`.
    U32(u32),
    /// A `ulong`.
    U64(u64),
    /// So many bytes of local memory.
    Local(usize),
}

/// The buffers among the arguments, each once.
fn buffers<'a>(args: &[Arg<'a>]) -> Vec<&'a Buffer> {
    let mut found: Vec<&Buffer> = Vec::new();
    for arg in args {
        if let Arg::Buffer(buffer) = *arg
            && !found.iter().any(|known| std::ptr::eq(*known, buffer))
        {
            found.push(buffer);
        }
    }
    found
}

impl Runtime {
    fn contents(&self, args: &[Arg<'_>]) -> Result<Vec<Vec<u32>>, HalError> {
        let all = buffers(args).into_iter();
        all.map(|buffer| self.read_vec(buffer, 0, buffer.words()))
            .collect()
    }

    /// A launch as it is before it happens.
    pub(super) fn before_launch(
        &self,
        kernel: &Kernel,
        global: [usize; 3],
        local: Option<[usize; 3]>,
        args: &[Arg<'_>],
    ) -> Result<Launch, HalError> {
        let known = buffers(args);
        let index = |buffer| known.iter().position(|known| std::ptr::eq(*known, buffer));
        let recorded = |arg: &Arg<'_>| match *arg {
            Arg::Buffer(buffer) => RecordedArg::Buffer(index(buffer).unwrap_or(known.len())),
            Arg::U32(value) => RecordedArg::U32(value),
            Arg::U64(value) => RecordedArg::U64(value),
            Arg::Local(bytes) => RecordedArg::Local(bytes),
        };
        let (source_hash, options) = kernel.origin().clone();
        Ok(Launch {
            kernel: kernel.name(),
            source_hash,
            options,
            global,
            local,
            args: args.iter().map(recorded).collect(),
            before: self.contents(args)?,
            after: Vec::new(),
        })
    }

    /// Writes a launch down, with what it left.
    pub(super) fn after_launch(
        &self,
        recorder: &Recorder,
        mut launch: Launch,
        args: &[Arg<'_>],
    ) -> Result<(), HalError> {
        launch.after = self.contents(args)?;
        let mut all = recorder.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(launch);
        Ok(())
    }
}
