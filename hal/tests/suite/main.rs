//! The reference against independent oracles, and the wrappers against devices with planted faults.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

mod arguments;
mod check;
mod draw;
mod fallback;
mod faulty;
mod fri;
mod grind;
mod job;
mod lde;
mod merkle;
mod replay;
mod shadow;
