//! What a device is and what it has done: capabilities, timings and byte counters.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// The kind of processor behind a back end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// p3's own code on the host: the reference.
    Reference,
    /// A many-core CPU behind a device runtime.
    Cpu,
    /// A graphics processor.
    Gpu,
    /// A card that computes and does not draw: FPGA or other accelerator.
    Accelerator,
    /// A device with a fixed set of loaded kernels and no compiler.
    Custom,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reference => "reference",
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
            Self::Accelerator => "accelerator",
            Self::Custom => "custom",
        })
    }
}

/// Where in a device's memory a matrix is wanted. A hint: a device that has no banks, or whose driver takes no orders,
/// puts it where it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Placement {
    /// Anywhere.
    #[default]
    Any,
    /// In the memory bank of this number, below [`Caps::banks`].
    Bank(u8),
}

impl Placement {
    /// For the `index`-th of several matrices that are read together: one bank after another, so that each streams over
    /// its own channel.
    #[must_use]
    pub fn spread(index: usize, banks: u8) -> Self {
        match banks {
            0 | 1 => Self::Any,
            // Below `banks`, so it fits.
            _ => Self::Bank((index % usize::from(banks)) as u8),
        }
    }
}

/// What a device offers. Sizes are bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Caps {
    /// The selector that names exactly this device, as `cpu` or `opencl:0`.
    pub selector: String,
    /// The device's own name.
    pub name: String,
    /// Driver and its version; part of every published measurement.
    pub driver: String,
    /// Kind of processor.
    pub kind: DeviceKind,
    /// Compute units (cores, multiprocessors).
    pub compute_units: u32,
    /// Memory that all live buffers together may take.
    pub memory: u64,
    /// Memory that one allocation may take; larger matrices are spread over several.
    pub max_alloc: u64,
    /// Memory banks that a [`Placement`] may name; 1 where memory is one.
    pub banks: u8,
    /// Whether the device works in the host's memory, so that a mapped buffer is read in place.
    pub host_memory: bool,
    /// Whether kernels are compiled at run time; otherwise a fixed set is loaded.
    pub compiles: bool,
    /// The form of the kernels in use, as `vector` or `scalar`; empty for the reference.
    pub variant: String,
    /// Largest log2 of an LDE's height.
    pub max_log_height: u32,
}

/// Time and launches of one kind of kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct KernelTime {
    /// Launches.
    pub launches: u64,
    /// Seconds on the device, from profiling events.
    pub seconds: f64,
}

/// What a device has done since it was opened, or since the last [`reset`](crate::Device::reset_statistics).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Statistics {
    /// Bytes moved from the host to the device (0 where buffers are used in place).
    pub bytes_up: u64,
    /// Bytes moved from the device to the host.
    pub bytes_down: u64,
    /// Bytes of buffers alive now.
    pub live_bytes: u64,
    /// Largest number of bytes alive at once since the device was opened.
    pub peak_bytes: u64,
    /// Seconds spent moving bytes.
    pub transfer_seconds: f64,
    /// Seconds spent compiling or loading kernels.
    pub build_seconds: f64,
    /// Seconds and launches by kernel name.
    pub kernels: BTreeMap<String, KernelTime>,
    /// Operations that a [`Fallback`](crate::Fallback) ran on its second back end.
    pub fallbacks: u64,
    /// Bytes of matrices that a [`Fallback`](crate::Fallback) moved from one back end to the other.
    pub fallback_bytes: u64,
}

impl Statistics {
    /// Counters of two devices that worked together, added up. Peaks are added too: an upper bound.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.bytes_up += other.bytes_up;
        self.bytes_down += other.bytes_down;
        self.live_bytes += other.live_bytes;
        self.peak_bytes += other.peak_bytes;
        self.transfer_seconds += other.transfer_seconds;
        self.build_seconds += other.build_seconds;
        self.fallbacks += other.fallbacks;
        self.fallback_bytes += other.fallback_bytes;
        for (name, time) in &other.kernels {
            let sum = self.kernels.entry(name.clone()).or_default();
            sum.launches += time.launches;
            sum.seconds += time.seconds;
        }
        self
    }
}
