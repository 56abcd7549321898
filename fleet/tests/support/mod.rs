//! What several test files need. Not all of them need all of it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

pub mod fleet;
pub mod postgres;
pub mod s3;
pub mod tiny;
pub mod toy;
pub mod tree;
pub mod watch;
