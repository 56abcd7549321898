//! OpenCL's error codes as [`HalError`]s.

use opencl3::error_codes as code;
use starkwright_hal::HalError;

use super::ClError;

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
        match self.code {
            code::CL_MEM_OBJECT_ALLOCATION_FAILURE
            | code::CL_OUT_OF_RESOURCES
            | code::CL_OUT_OF_HOST_MEMORY => HalError::OutOfMemory {
                device: device.to_owned(),
                requested,
                available,
            },
            code::CL_DEVICE_NOT_AVAILABLE => HalError::DeviceLost {
                device: device.to_owned(),
                why: format!("{} says that the device is not available", self.call),
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
        ClError {
            call: "clTest",
            code,
        }
        .on("d", 7, 5)
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
        assert!(matches!(error(-2), HalError::DeviceLost { .. }));
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
}
