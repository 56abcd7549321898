//! Many provers, one queue, one proof out.

pub mod aggregator;
pub mod blobs;
pub mod client;
mod error;
pub mod keccak;
pub mod link;
pub mod machine;
pub mod point;
pub mod private;
pub mod protocol;
pub mod prover;
pub mod simulate;
pub mod store;
pub mod task;
pub mod watch;

pub use error::FleetError;
