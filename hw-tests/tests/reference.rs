//! The reference passes its own tests: what the suites ask of a device is what p3 does.

use starkwright_hal::Cpu;

starkwright_hw_tests::conformance! { cpu => Cpu::new() }
