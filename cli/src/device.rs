//! The one place where the configuration becomes a back end: everything after it is static dispatch.

use starkwright_hal::{
    Backend, ByteSize, Candidate, Cpu, DeviceConfig, DeviceKind, Fallback, HalError, Selector,
    Shadow, Target, Variant, pick,
};
use starkwright_kernels::{DeviceInfo, OpenCl, Options};
use starkwright_prover::keccak_file::Val;

/// The family of back ends that this command knows besides the CPU.
pub(crate) const OPENCL: &str = "opencl";

/// What is done with a device, whichever it is.
pub(crate) trait OnDevice {
    /// The result.
    type Output;
    /// Does it.
    fn run<B: Backend<Val>>(self, device: &B) -> Self::Output;
}

/// Opens the device that the configuration names and does something with it.
pub(crate) fn with_device<T: OnDevice>(
    config: &DeviceConfig,
    action: T,
) -> Result<T::Output, HalError> {
    let device = open(config)?;
    Ok(match (&config.backend, device) {
        // The reference beside itself, or helping itself, is the reference.
        (_, None) => action.run(&Cpu::<Val>::new()),
        (Selector::Direct(_), Some(device)) => action.run(&device),
        (Selector::Shadow(_), Some(device)) => action.run(&Shadow::new(device, Cpu::<Val>::new())),
        (Selector::Fallback(_), Some(device)) => {
            action.run(&Fallback::new(device, Cpu::<Val>::new()))
        }
    })
}

/// The OpenCL device that the configuration names; `None` for the CPU.
pub(crate) fn open(config: &DeviceConfig) -> Result<Option<OpenCl>, HalError> {
    match config.backend.target() {
        Target::Cpu => Ok(None),
        Target::Device { family, filter } if family == OPENCL => {
            let found = OpenCl::list()?;
            let index = pick(&candidates(&found), filter.as_deref())?;
            Ok(Some(OpenCl::open(&found[index], options(config))?))
        }
        Target::Device { family, .. } => Err(unknown(family)),
    }
}

/// The error for a family nobody knows, with the selectors that work here.
fn unknown(family: &str) -> HalError {
    let mut known = vec!["cpu".to_owned()];
    if let Ok(found) = OpenCl::list() {
        known.extend(candidates(&found).iter().map(ToString::to_string));
    }
    HalError::NoSuchDevice {
        wanted: family.to_owned(),
        known,
    }
}

/// The devices found, as hal chooses among them.
pub(crate) fn candidates(found: &[DeviceInfo]) -> Vec<Candidate> {
    found
        .iter()
        .map(|info| Candidate {
            selector: format!("{OPENCL}:{}", info.index),
            names: vec![info.platform.clone(), info.name.clone()],
            kind: kind(info),
            compute_units: info.compute_units,
        })
        .collect()
}

/// hal's word for the kind of a device.
pub(crate) const fn kind(info: &DeviceInfo) -> DeviceKind {
    match info.kind {
        starkwright_kernels::DeviceKind::Cpu => DeviceKind::Cpu,
        starkwright_kernels::DeviceKind::Gpu => DeviceKind::Gpu,
        starkwright_kernels::DeviceKind::Accelerator => DeviceKind::Accelerator,
        starkwright_kernels::DeviceKind::Custom => DeviceKind::Custom,
    }
}

fn options(config: &DeviceConfig) -> Options {
    let defaults = Options::default();
    Options {
        variant: match config.variant {
            Variant::Auto => None,
            Variant::Vector => Some(starkwright_kernels::Variant::Vector),
            Variant::Scalar => Some(starkwright_kernels::Variant::Scalar),
        },
        memory_limit: config.memory_limit.map(ByteSize::bytes),
        max_alloc: config.max_alloc.map(ByteSize::bytes),
        deadline: config.kernel_deadline().unwrap_or(std::time::Duration::MAX),
        cache_dir: config.cache_dir.clone(),
        disk_cache: config.cache,
        programs: config.programs.clone(),
        ..defaults
    }
}
