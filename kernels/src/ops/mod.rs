//! Operations on device matrices: free functions over a [`Runtime`](crate::Runtime) that enqueue and return.

mod denominators;
pub mod evaluate;
mod extension;
pub mod fold;
pub mod grind;
pub mod lde;
pub mod merkle;
mod poseidon2;
pub mod reduce;
mod runs;
