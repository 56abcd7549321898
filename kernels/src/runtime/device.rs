//! What devices there are, and what each can do.

use std::sync::{Mutex, PoisonError};

use opencl3::device as cl;
use starkwright_hal::HalError;

use super::Variant;
use super::cl::{DeviceHandle, devices};

/// What kind of machine a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// A CPU, sharing its memory with the host.
    Cpu,
    /// A GPU.
    Gpu,
    /// An accelerator, such as an FPGA.
    Accelerator,
    /// A device that compiles nothing and brings fixed kernels.
    Custom,
}

/// One device, as its driver describes it.
#[derive(Clone, Debug)]
pub struct DeviceInfo {
    /// Place in [`Runtime::list`](super::Runtime::list).
    pub index: usize,
    /// Name of the platform (the driver's vendor and product).
    pub platform: String,
    /// Name of the device.
    pub name: String,
    /// Who made it.
    pub vendor: String,
    /// Version of the driver.
    pub driver: String,
    /// OpenCL version the device speaks, as `OpenCL 1.2 …`.
    pub version: String,
    /// Kind of machine.
    pub kind: DeviceKind,
    /// Cores, multiprocessors or their like.
    pub compute_units: u32,
    /// Bytes of global memory.
    pub global_memory: u64,
    /// Most bytes of one buffer.
    pub max_alloc: u64,
    /// Bytes of local memory of a work-group.
    pub local_memory: u64,
    /// Most work-items of a work-group.
    pub max_work_group: usize,
    /// Most work-items of a work-group in each dimension.
    pub max_work_items: [usize; 3],
    /// Whether buffers can live in host memory without a copy.
    pub host_unified: bool,
    /// Whether the device builds programs from source.
    pub compiler_available: bool,
    /// Names of the kernels that the device brings.
    pub built_in_kernels: Vec<String>,
    pub(crate) handle: DeviceHandle,
}

impl DeviceInfo {
    fn query(index: usize, platform: String, handle: DeviceHandle) -> Self {
        let bits = handle.integer(cl::CL_DEVICE_TYPE).unwrap_or(0);
        // A simulator claims to be several kinds at once: the most demanding one counts.
        let kind = if bits & cl::CL_DEVICE_TYPE_GPU != 0 {
            DeviceKind::Gpu
        } else if bits & cl::CL_DEVICE_TYPE_CPU != 0 {
            DeviceKind::Cpu
        } else if bits & cl::CL_DEVICE_TYPE_CUSTOM != 0 {
            DeviceKind::Custom
        } else {
            DeviceKind::Accelerator
        };
        let number = |property| handle.integer(property).unwrap_or(0);
        Self {
            index,
            platform,
            name: handle.text(cl::CL_DEVICE_NAME),
            vendor: handle.text(cl::CL_DEVICE_VENDOR),
            driver: handle.text(cl::CL_DRIVER_VERSION),
            version: handle.text(cl::CL_DEVICE_VERSION),
            kind,
            compute_units: u32::try_from(number(cl::CL_DEVICE_MAX_COMPUTE_UNITS)).unwrap_or(1),
            global_memory: number(cl::CL_DEVICE_GLOBAL_MEM_SIZE),
            max_alloc: number(cl::CL_DEVICE_MAX_MEM_ALLOC_SIZE),
            local_memory: number(cl::CL_DEVICE_LOCAL_MEM_SIZE),
            max_work_group: usize::try_from(number(cl::CL_DEVICE_MAX_WORK_GROUP_SIZE)).unwrap_or(1),
            max_work_items: handle
                .sizes(cl::CL_DEVICE_MAX_WORK_ITEM_SIZES)
                .unwrap_or([usize::MAX; 3]),
            host_unified: kind == DeviceKind::Cpu || handle.flag(cl::CL_DEVICE_HOST_UNIFIED_MEMORY),
            compiler_available: handle.flag(cl::CL_DEVICE_COMPILER_AVAILABLE),
            built_in_kernels: handle
                .text(cl::CL_DEVICE_BUILT_IN_KERNELS)
                .split(';')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            handle,
        }
    }

    /// All devices but those of platforms known not to work.
    pub(super) fn list() -> Result<Vec<Self>, HalError> {
        // PoCL 3.1 crashes where two threads ask for its devices while it initialises them.
        static FIRST_USE: Mutex<()> = Mutex::new(());
        let _alone = FIRST_USE.lock().unwrap_or_else(PoisonError::into_inner);
        let found = devices().map_err(|e| e.on("OpenCL", 0, 0))?;
        Ok(found
            .into_iter()
            .filter(|(platform, _)| !IGNORED_PLATFORMS.contains(&platform.as_str()))
            .enumerate()
            .map(|(index, (platform, handle))| Self::query(index, platform, handle))
            .collect())
    }

    /// The kernels to run unless the caller chose: `uint16` code on CPUs, work-items elsewhere.
    pub(super) fn default_variant(&self) -> Variant {
        let scalar = SCALAR_PLATFORMS.contains(&self.platform.as_str());
        if self.kind == DeviceKind::Cpu && !scalar {
            Variant::Vector
        } else {
            Variant::Scalar
        }
    }

    /// Whether it is Intel's runtime for CPUs.
    pub(crate) fn is_intel_cpu(&self) -> bool {
        self.kind == DeviceKind::Cpu && self.platform.starts_with("Intel(R) OpenCL")
    }

    /// Whether it is Oclgrind, which interprets every instruction.
    pub(crate) fn is_simulated(&self) -> bool {
        self.platform.starts_with("Oclgrind")
    }

    /// Whether the driver counts on threads that wait for it: see `lent`.
    pub(super) fn computes_in_waiting_threads(&self) -> bool {
        self.is_intel_cpu()
    }

    /// Refuses a device whose words or addresses are not ours.
    pub(super) fn check(&self) -> Result<(), HalError> {
        let refuse = |why: &str| {
            let why = format!("{}: {why}", self.name);
            Err(HalError::unsupported("opening a device", why))
        };
        if !self.handle.flag(cl::CL_DEVICE_AVAILABLE) {
            return refuse("the driver says that it is not available");
        }
        if !self.handle.flag(cl::CL_DEVICE_ENDIAN_LITTLE) {
            return refuse("it is big-endian");
        }
        Ok(())
    }
}

/// Mesa's old OpenCL front end: incomplete, and superseded by rusticl.
const IGNORED_PLATFORMS: [&str; 1] = ["Clover"];
/// CPU devices on which work-items beat `uint16` code: their compiler is one for GPUs.
const SCALAR_PLATFORMS: [&str; 1] = ["rusticl"];
