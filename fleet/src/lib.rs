//! Many provers, one queue, one proof out.

mod error;
pub mod forecast;
pub mod hook;
pub mod machine;
pub mod protocol;
pub mod simulate;
pub mod store;
pub mod task;

pub use error::FleetError;
