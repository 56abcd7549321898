//! Many provers, one queue, one proof out.

mod error;
pub mod machine;
pub mod protocol;
pub mod store;
pub mod task;

pub use error::FleetError;
