//! Everything that needs a device, on each OpenCL device of this machine (or on the one that
//! `STARKWRIGHT_TEST_RUNTIME` names), with both variants of the kernels.
//!
//! One process: drivers compile their programs once in each. See [`runtimes`](starkwright_hw_tests::runtimes) for the
//! variables that choose, and [`report`](starkwright_hw_tests::report) for the table of what ran.
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod detectors;
mod discrete;
mod failures;
mod offline;
mod proof;
mod second_launcher;

use starkwright_hw_tests::runtimes;

starkwright_hw_tests::conformance! { opencl => each runtimes::subjects().unwrap() }

/// The named runtime is there.
#[test]
fn the_runtime_is_found() {
    for target in runtimes::targets().unwrap() {
        let info = &target.info;
        println!(
            "{}: {} ({} {}, {}), {} KiB of local memory, {:?}",
            target.row,
            info.name,
            info.platform,
            info.driver,
            info.version,
            info.local_memory >> 10,
            target.effort
        );
    }
}
