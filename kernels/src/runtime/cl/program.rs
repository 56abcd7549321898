//! Programs and kernels.

use std::ffi::{CStr, CString, c_void};
use std::ptr;

use opencl3::error_codes::{CL_INVALID_KERNEL_NAME, CL_INVALID_VALUE};
use opencl3::kernel as clk;
use opencl3::program as clp;

use super::info::text;
use super::{ClError, ClResult, Context, DeviceHandle, Mem, named};

/// A program, built or not.
#[derive(Debug)]
pub(crate) struct ProgramHandle {
    raw: *mut c_void,
    /// Which the program keeps.
    context: *mut c_void,
    device: DeviceHandle,
}

// SAFETY: OpenCL programs may be used from any thread.
unsafe impl Send for ProgramHandle {}
// SAFETY: as above.
unsafe impl Sync for ProgramHandle {}

/// A string for the driver.
fn c_string(call: &'static str, text: &str) -> ClResult<CString> {
    CString::new(text).map_err(|_| ClError {
        call,
        code: CL_INVALID_VALUE,
    })
}

impl ProgramHandle {
    pub(crate) fn from_source(context: &Context, parts: &[&str]) -> ClResult<Self> {
        let raw = clp::create_program_with_source(context.raw, parts);
        Self::owned("clCreateProgramWithSource", context, raw)
    }

    /// From the driver's own binary. The bytes must have been checked: drivers crash on damaged ones.
    pub(crate) fn from_binary(context: &Context, bytes: &[u8]) -> ClResult<Self> {
        let device = context.device.raw();
        // SAFETY: the device is the context's.
        let raw = unsafe { clp::create_program_with_binary(context.raw, &[device], &[bytes]) };
        Self::owned("clCreateProgramWithBinary", context, raw)
    }

    /// From kernels that the device brings, named with `;` between them.
    pub(crate) fn from_built_in(context: &Context, names: &str) -> ClResult<Self> {
        const CALL: &str = "clCreateProgramWithBuiltInKernels";
        let names = c_string(CALL, names)?;
        let device = context.device.raw();
        // SAFETY: the device is the context's.
        let raw =
            unsafe { clp::create_program_with_builtin_kernels(context.raw, &[device], &names) };
        Self::owned(CALL, context, raw)
    }

    fn owned(
        call: &'static str,
        context: &Context,
        raw: Result<*mut c_void, i32>,
    ) -> ClResult<Self> {
        Ok(Self {
            raw: named(call, raw)?,
            context: context.raw,
            device: context.device,
        })
    }

    pub(crate) fn build(&self, options: &str) -> ClResult<()> {
        const CALL: &str = "clBuildProgram";
        let options = c_string(CALL, options)?;
        let built = clp::build_program(
            self.raw,
            &[self.device.raw()],
            &options,
            None,
            ptr::null_mut(),
        );
        named(CALL, built)
    }

    /// The compiler's messages.
    pub(crate) fn build_log(&self) -> String {
        let log =
            clp::get_program_build_data(self.raw, self.device.raw(), clp::CL_PROGRAM_BUILD_LOG);
        text(&log.unwrap_or_default())
    }

    /// The driver's binary; empty where it gives none.
    pub(crate) fn binary(&self) -> Vec<u8> {
        // One device, hence one size and one binary.
        let has_one = clp::get_program_data(self.raw, clp::CL_PROGRAM_BINARY_SIZES)
            .is_ok_and(|sizes| sizes.len() == size_of::<usize>() && sizes.iter().any(|b| *b != 0));
        if !has_one {
            return Vec::new();
        }
        // cl3 answers this property, where it answers at all, with one vector for each device.
        let binaries = clp::get_program_info(self.raw, clp::CL_PROGRAM_BINARIES);
        binaries
            .map(Vec::<Vec<u8>>::from)
            .ok()
            .and_then(|mut all| all.pop())
            .unwrap_or_default()
    }

    /// Names of the kernels in a built program.
    pub(crate) fn kernel_names(&self) -> Vec<String> {
        let names = clp::get_program_data(self.raw, clp::CL_PROGRAM_KERNEL_NAMES);
        text(&names.unwrap_or_default())
            .split(';')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for ProgramHandle {
    fn drop(&mut self) {
        // SAFETY: this handle owns one reference.
        let _ = unsafe { clp::release_program(self.raw) };
    }
}

/// A kernel of a built program.
#[derive(Debug)]
pub(crate) struct KernelHandle {
    pub(super) raw: *mut c_void,
    /// Of the program, which the kernel keeps, and which keeps it.
    context: *mut c_void,
}

// SAFETY: kernels may be used from any thread but for clSetKernelArg, whose callers hold the queue's lock until the
// kernel is enqueued.
unsafe impl Send for KernelHandle {}
// SAFETY: as above.
unsafe impl Sync for KernelHandle {}

/// Where an argument points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArgAddress {
    Global,
    Constant,
    Local,
    /// Not a pointer.
    Private,
}

/// What the driver knows about an argument.
#[derive(Clone, Debug)]
pub(crate) struct ArgInfo {
    pub(crate) address: ArgAddress,
    /// A pointer to constant data.
    pub(crate) is_const: bool,
}

impl KernelHandle {
    pub(crate) fn new(program: &ProgramHandle, name: &str) -> ClResult<Self> {
        const CALL: &str = "clCreateKernel";
        let name: &CStr = &CString::new(name).map_err(|_| ClError {
            call: CALL,
            code: CL_INVALID_KERNEL_NAME,
        })?;
        let raw = named(CALL, clk::create_kernel(program.raw, name))?;
        Ok(Self {
            raw,
            context: program.context,
        })
    }

    /// Whether this is a kernel of that context.
    pub(crate) fn is_of(&self, context: &Context) -> bool {
        self.context == context.raw
    }

    /// Number of arguments.
    pub(crate) fn arity(&self) -> ClResult<u32> {
        let data = clk::get_kernel_data(self.raw, clk::CL_KERNEL_NUM_ARGS);
        let data = named("clGetKernelInfo", data)?;
        Ok(data.try_into().map_or(0, u32::from_ne_bytes))
    }

    /// One argument's declaration; `None` where the program was built without that knowledge.
    pub(crate) fn arg(&self, index: u32) -> Option<ArgInfo> {
        let query = |property| clk::get_kernel_arg_data(self.raw, index, property).ok();
        let address = query(clk::CL_KERNEL_ARG_ADDRESS_QUALIFIER)?;
        let address = match u32::from_ne_bytes(address.try_into().ok()?) {
            clk::CL_KERNEL_ARG_ADDRESS_GLOBAL => ArgAddress::Global,
            clk::CL_KERNEL_ARG_ADDRESS_CONSTANT => ArgAddress::Constant,
            clk::CL_KERNEL_ARG_ADDRESS_LOCAL => ArgAddress::Local,
            _ => ArgAddress::Private,
        };
        let qualifiers = query(clk::CL_KERNEL_ARG_TYPE_QUALIFIER)?;
        let qualifiers = u64::from_ne_bytes(qualifiers.try_into().ok()?);
        Some(ArgInfo {
            address,
            is_const: qualifiers & u64::from(clk::CL_KERNEL_ARG_TYPE_CONST) != 0,
        })
    }

    pub(crate) fn set_buffer(&self, index: u32, mem: &Mem) -> ClResult<()> {
        let value = (&raw const mem.0).cast();
        // SAFETY: a buffer argument is the address of its handle.
        let set = unsafe { clk::set_kernel_arg(self.raw, index, size_of::<*mut c_void>(), value) };
        named("clSetKernelArg", set)
    }

    /// Sets a buffer argument to none.
    pub(crate) fn unset_buffer(&self, index: u32) -> ClResult<()> {
        // SAFETY: a null value is a buffer argument without a buffer (OpenCL 1.2, clSetKernelArg).
        let set =
            unsafe { clk::set_kernel_arg(self.raw, index, size_of::<*mut c_void>(), ptr::null()) };
        named("clSetKernelArg", set)
    }

    pub(crate) fn set_bytes(&self, index: u32, value: &[u8]) -> ClResult<()> {
        // SAFETY: the driver copies `value` before it returns and checks its length.
        let set =
            unsafe { clk::set_kernel_arg(self.raw, index, value.len(), value.as_ptr().cast()) };
        named("clSetKernelArg", set)
    }

    pub(crate) fn set_local(&self, index: u32, bytes: usize) -> ClResult<()> {
        // SAFETY: local memory is a size and no address.
        let set = unsafe { clk::set_kernel_arg(self.raw, index, bytes, ptr::null()) };
        named("clSetKernelArg", set)
    }
}

impl Drop for KernelHandle {
    fn drop(&mut self) {
        // SAFETY: this handle owns one reference.
        let _ = unsafe { clk::release_kernel(self.raw) };
    }
}
