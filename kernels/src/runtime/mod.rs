//! One opened OpenCL device: its memory, its queue, its launches.
//!
//! A [`Runtime`] owns a context and **one in-order queue**. Everything but [`Runtime::read`], [`Runtime::map`] and
//! [`Runtime::finish`] only enqueues. The order of the queue is what makes the rest simple: a buffer that was dropped
//! can be handed to the next [`Runtime::alloc`] while commands that use it are still waiting to run, because whatever
//! the new owner enqueues runs after them.
//!
//! Host memory under buffers is shared without a copy where the device can ([`DeviceInfo::host_unified`]). Elsewhere
//! large uploads go through pinned memory on a queue of their own, and the first command that uses such a buffer waits
//! for it: see `staging`.
//!
//! A device that fails or hangs is **lost**: every later call says so at once, and what its driver may still be using is
//! leaked rather than freed. A command that finds no memory when it runs does not end the device, but every wait says so
//! until the last buffer is gone: nobody knows which of them hold wrong words.
//!
//! Known about drivers, and heeded here or by the kernels:
//! - PoCL 3.1 crashes on a truncated binary, and where two threads list its devices for the first time.
//! - Mesa's llvmpipe ends the loops of a work-item after 65,535 rounds in all, without an error.
//! - rusticl answers no question about an event while its command runs: only callbacks tell of an end in time.
//! - rusticl keeps the last buffers that a kernel was given for as long as the kernel, and reports all times as 0.
//! - Intel's runtime forgets kernels' arguments with the source: the disk cache keeps them beside the binary.
//! - Intel's CPU runtime computes in the thread that waits, beside its own: see `lent`.
//! - Oclgrind runs kernels in the thread that waits, and in one thread at a time.
//!
//! Words are `u32`; offsets and lengths count words. Field elements are p3's Montgomery words.

mod block;
mod cl;
mod device;
mod faults;
mod launch;
mod lent;
mod mapped;
mod memory;
mod open;
mod options;
mod record;
mod staging;
mod statistics;
mod status;
mod stream;
mod transfer;
mod word;

pub use device::{DeviceInfo, DeviceKind};
pub use faults::{FaultCounts, FaultPlan};
pub use launch::Arg;
pub use mapped::Mapped;
pub use memory::Buffer;
pub use open::Runtime;
pub use options::{Options, Variant};
pub use record::{Launch, RecordedArg, Recorder};
pub use statistics::{CommandStatistics, Statistics};
pub use transfer::Rect;
pub use word::Word;

pub(crate) use cl::{ArgAddress, ClError, KernelHandle, ProgramHandle};
pub(crate) use open::WAIT;
