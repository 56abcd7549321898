//! OpenCL kernels for 31-bit Montgomery fields, and the runtime layer that launches them.
//!
//! ```text
//!   backend   hal's traits                                (what a prover calls)
//!      │
//!     ops     LDE, Merkle trees, FRI: free functions that enqueue
//!      │
//!   matrix    row-major matrices over one or several buffers
//!      │
//!   program   source, binary or built-in kernels; the disk cache
//!      │
//!   runtime   devices, buffers, one in-order queue, deadlines, statistics
//!      │
//!   OpenCL    loaded at run time
//! ```
//!
//! Everything fallible returns [`HalError`](starkwright_hal::HalError); nothing here panics on a device's failure.

mod backend;
mod export;
pub mod matrix;
pub mod ops;
pub mod program;
pub mod runtime;

pub use backend::{Committed, OpenCl};
pub use matrix::Matrix;
pub use program::{Kernel, Manifest, Program, ProgramSource, Requirements};
pub use runtime::{
    Arg, Buffer, DeviceInfo, DeviceKind, FaultPlan, Launch, Mapped, Options, RecordedArg, Recorder,
    Rect, Runtime, Statistics, Variant, Word,
};
