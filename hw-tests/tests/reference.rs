//! The reference passes its own tests: what the suites ask of a device is what p3 does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

use starkwright_hal::Cpu;

starkwright_hw_tests::conformance! { cpu => Cpu::new() }
