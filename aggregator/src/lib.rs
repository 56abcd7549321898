//! Recursive aggregation: many proofs, one proof, constant cost.

pub mod circuit;
mod error;

pub use error::AggregatorError;
