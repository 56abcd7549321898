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
//! # Example
//!
//! Open a device, or say that there is none:
//!
//! ```
//! use starkwright_hal::{Device, HalError};
//! use starkwright_kernels::{OpenCl, Options};
//!
//! # fn main() -> Result<(), HalError> {
//! let devices = match OpenCl::list() {
//!     Err(HalError::LibraryMissing { library }) => {
//!         println!("{library} is not installed");
//!         return Ok(());
//!     }
//!     devices => devices?,
//! };
//! let Some(info) = devices.first() else {
//!     println!("no OpenCL device is there");
//!     return Ok(());
//! };
//! let device = OpenCl::open(info, Options::default())?;
//! println!("{} in {} form", device.caps().name, device.caps().variant);
//! # Ok(())
//! # }
//! ```
//!
//! `device` is a [`Backend`](starkwright_hal::Backend): a prover takes it as it takes the reference.
//!
//! # Measuring a kernel
//!
//! `cargo run --release -p starkwright-kernels --example NAME` compares process CPU time with p3's at the Keccak machine's
//! shape: `lde_bench` (transforms), `merkle_bench` (trees and permutations), `fri_bench` (evaluation, reduced openings,
//! folding).
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
    Arg, Buffer, DeviceInfo, DeviceKind, FaultCounts, FaultPlan, Launch, Mapped, Options,
    RecordedArg, Recorder, Rect, Runtime, Statistics, Variant, Word,
};
