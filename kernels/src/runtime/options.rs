//! How a device is opened.

use std::path::PathBuf;
use std::time::Duration;

use super::{FaultPlan, Recorder};

/// The two families of kernels, made from the same headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// `uint16` code, one work-item per work-group or a few: for CPU devices.
    Vector,
    /// One element per work-item, at most 32 KiB of local memory, work-groups of at most 256: for GPUs.
    Scalar,
}

impl Variant {
    /// Lower-case name, as in options and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vector => "vector",
            Self::Scalar => "scalar",
        }
    }
}

/// What can be chosen when a device is opened. [`Options::default`] is right for everyday use.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which kernels to run; `None` chooses by device.
    pub variant: Option<Variant>,
    /// Most bytes that buffers may hold together; `None` is the device's memory. Makes a device behave as a smaller one.
    pub memory_limit: Option<u64>,
    /// Most bytes of one buffer; `None` is the device's own limit. Only lowers it.
    pub max_alloc: Option<u64>,
    /// A device on which no command completes for this long is given up as lost; ten times as long while a kernel is
    /// launched for the first time, since some drivers compile it then.
    pub deadline: Duration,
    /// Folder of built programs; `None` is `$XDG_CACHE_HOME/starkwright` or `~/.cache/starkwright`. One that other users
    /// may write (Unix) is not used.
    pub cache_dir: Option<PathBuf>,
    /// Whether built programs are kept on disk at all.
    pub disk_cache: bool,
    /// Folder of programs made beforehand, looked into before anything is compiled. Needed where the device compiles
    /// nothing; see [`OpenCl::export_programs`](crate::OpenCl::export_programs).
    pub programs: Option<PathBuf>,
    /// Failures to inject (tests).
    pub faults: Option<FaultPlan>,
    /// False makes a device behave as one without a compiler, as FPGAs are (tests).
    pub compiler: bool,
    /// Makes a device behave as one with its own memory, behind a bus (tests).
    pub assume_discrete: bool,
    /// Where to write down every launch (tests).
    pub recorder: Option<Recorder>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            variant: None,
            memory_limit: None,
            max_alloc: None,
            deadline: Duration::from_secs(120),
            cache_dir: None,
            disk_cache: true,
            programs: None,
            faults: None,
            compiler: true,
            assume_discrete: false,
            recorder: None,
        }
    }
}
