//! OpenCL's error codes as [`HalError`]s.

use opencl3::error_codes as code;
use starkwright_hal::HalError;

use super::ClError;

/// What a [`ClError`] names as its call where a command ended in an error.
pub(super) const COMMAND: &str = "a command";

/// Calls that tell of commands enqueued before: "out of resources" is then how a kernel's crash or a watchdog's reset
/// appears (NVIDIA), and not a want of anything.
const WAITS: [&str; 6] = [
    COMMAND,
    "clFlush",
    "clFinish",
    "clWaitForEvents",
    "clGetEventInfo",
    "clEnqueueReadBuffer",
];

/// NVIDIA's code for a kernel that touched memory that is not its own.
const NVIDIA_ILLEGAL_ACCESS: i32 = -9999;

/// What a code is called, and what to do about it where that is known.
fn hint(code: i32) -> String {
    let name = code::error_text(code);
    let advice = match code {
        code::CL_PLATFORM_NOT_FOUND_KHR => "no OpenCL driver is installed (no .icd file found)",
        code::CL_COMPILER_NOT_AVAILABLE => "this device takes binaries or built-in kernels only",
        code::CL_INVALID_WORK_GROUP_SIZE => "the kernel's work-group does not fit this device",
        code::CL_INVALID_KERNEL_NAME => "the program has no kernel of that name",
        code::CL_INVALID_KERNEL_ARGS => "not every argument of the kernel was set",
        code::CL_INVALID_BINARY => "the binary was made for another device or driver",
        code::CL_MEM_COPY_OVERLAP => "source and destination overlap",
        code::DLOPEN_FUNCTION_NOT_AVAILABLE => "the OpenCL library lacks this function",
        _ => return format!(": {name}"),
    };
    format!(": {name}, {advice}")
}

impl ClError {
    /// As an error of the device named; `requested` and `available` are bytes, used where memory ran out.
    pub(crate) fn on(self, device: &str, requested: u64, available: u64) -> HalError {
        let lost = |why: &str| HalError::DeviceLost {
            device: device.to_owned(),
            why: format!("{} failed with code {}: {why}", self.call, self.code),
        };
        match self.code {
            code::CL_OUT_OF_RESOURCES if WAITS.contains(&self.call) => {
                lost("a kernel crashed, or was stopped because it ran too long")
            }
            NVIDIA_ILLEGAL_ACCESS => lost("a kernel touched memory that is not its own"),
            code::CL_DEVICE_NOT_AVAILABLE => lost("the device is not available"),
            // Our queues are valid until the driver gives their context up.
            code::CL_INVALID_COMMAND_QUEUE => lost("the driver has given the queue up"),
            code::CL_OUT_OF_RESOURCES if self.call == "clEnqueueNDRangeKernel" => {
                let why = "a work-group needs more registers or local memory than the device has";
                HalError::unsupported("launch", format!("{device}: {why}"))
            }
            code::CL_MEM_OBJECT_ALLOCATION_FAILURE
            | code::CL_OUT_OF_RESOURCES
            | code::CL_OUT_OF_HOST_MEMORY => HalError::OutOfMemory {
                device: device.to_owned(),
                requested,
                available,
            },
            code::DLOPEN_RUNTIME_LOAD_FAILED => HalError::LibraryMissing {
                library: LIBRARY.to_owned(),
            },
            code => HalError::Driver {
                device: device.to_owned(),
                call: self.call,
                code,
                hint: hint(code),
            },
        }
    }
}

/// The library that is looked for (`OPENCL_DYLIB_PATH` names others to try first).
const LIBRARY: &str = if cfg!(target_os = "windows") {
    "OpenCL.dll"
} else if cfg!(target_os = "macos") {
    "OpenCL.framework"
} else {
    "libOpenCL.so.1"
};

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i32) -> HalError {
        of("clTest", code)
    }

    fn of(call: &'static str, code: i32) -> HalError {
        ClError { call, code }.on("d", 7, 5)
    }

    #[test]
    fn codes_become_the_errors_that_callers_act_on() {
        let full = HalError::OutOfMemory {
            device: "d".to_owned(),
            requested: 7,
            available: 5,
        };
        assert_eq!(error(-4), full);
        assert_eq!(error(-5), full);
        assert_eq!(error(-6), full);
        assert!(matches!(error(-2000), HalError::LibraryMissing { .. }));
        match error(-54) {
            HalError::Driver {
                call, code, hint, ..
            } => {
                assert_eq!((call, code), ("clTest", -54));
                assert!(hint.starts_with(": CL_INVALID_WORK_GROUP_SIZE, "));
            }
            other => panic!("{other}"),
        }
    }
    #[test]
    fn a_device_that_died_is_lost() {
        let is_lost = |error| matches!(error, HalError::DeviceLost { .. });
        for code in [-2, -36, -9999] {
            for call in ["clTest", COMMAND, "clEnqueueNDRangeKernel"] {
                assert!(is_lost(of(call, code)), "{call}: {code}");
            }
        }
        for call in WAITS {
            assert!(is_lost(of(call, -5)), "{call}");
            // Memory that a command asked for when it ran.
            assert!(matches!(of(call, -4), HalError::OutOfMemory { .. }));
        }
    }

    #[test]
    fn a_launch_without_resources_is_unsupported() {
        let launch = of("clEnqueueNDRangeKernel", -5);
        assert!(matches!(launch, HalError::Unsupported { .. }), "{launch}");
        for call in ["clCreateBuffer", "clEnqueueWriteBuffer", "clBuildProgram"] {
            assert!(matches!(of(call, -5), HalError::OutOfMemory { .. }));
        }
    }
}
