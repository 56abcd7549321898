//! Device traits for proving.
mod backend;
mod cpu;
mod device;
mod error;
mod fallback;
mod field;
mod held;
mod merkle;

pub use backend::*;
pub use cpu::{Cpu, CpuCommitted};
pub use device::*;
pub use error::HalError;
pub use fallback::{Fallback, FallbackCommitted, FallbackMatrix};
pub use field::*;
pub use merkle::*;
