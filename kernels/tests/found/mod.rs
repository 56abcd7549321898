//! The OpenCL devices that a test runs on.

use starkwright_hal::HalError;
use starkwright_kernels::{DeviceInfo, Runtime};

/// Every device of this machine. Where there is none, a test says `skipped` and passes at a desk; CI has devices, and a
/// test that finds none there has found a fault.
pub(crate) fn devices() -> Vec<DeviceInfo> {
    let (found, why) = match Runtime::list() {
        Err(HalError::LibraryMissing { library }) => (Vec::new(), format!("{library} is missing")),
        found => (
            found.expect("the drivers tell their devices"),
            "there is no OpenCL device".to_owned(),
        ),
    };
    if found.is_empty() {
        let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!in_ci, "{why}, and CI has devices");
        println!("skipped: {why}");
    }
    found
}
