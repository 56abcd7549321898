//! The OpenCL devices to test, each with each variant of the kernels.
//!
//! | variable | meaning |
//! |---|---|
//! | `STARKWRIGHT_TEST_RUNTIME` | `pocl`, `intel`, `rusticl` or `oclgrind`: the driver that must be there. Unset: every device found, and none is no failure |
//! | `STARKWRIGHT_TEST_VARIANTS` | `vector`, `scalar` or both, comma-separated. Unset: those that the device can run |
//! | `STARKWRIGHT_LONG` | 1: many more and larger cases |

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use starkwright_hal::HalError;
use starkwright_kernels::{DeviceInfo, OpenCl, Options, Runtime, Variant};

use crate::conformance::{Effort, SMALL_ALLOC_BYTES, Subject, Subjects};
use crate::expectations::{Quirk, VECTOR_LOCAL_MEMORY, expects};
use crate::report::Row;

/// Short names of the drivers that CI has, and a part of their platforms' names.
const RUNTIMES: [(&str, &str); 4] = [
    ("pocl", "Portable Computing Language"),
    ("intel", "Intel(R) OpenCL"),
    ("rusticl", "rusticl"),
    ("oclgrind", "Oclgrind"),
];

/// A device, and the kernels to run on it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The device.
    pub info: DeviceInfo,
    /// The kernels.
    pub variant: Variant,
    /// The runtime's short name and the variant.
    pub row: Row,
    /// How much to draw.
    pub effort: Effort,
}

impl Target {
    /// Options for opening the device: this target's variant, a cache of programs that only tests use, and patience: some
    /// drivers compile at the first launch, on machines that are busy with other things.
    #[must_use]
    pub fn options(&self) -> Options {
        Options {
            variant: Some(self.variant),
            cache_dir: Some(program_cache()),
            deadline: Duration::from_secs(600),
            ..Options::default()
        }
    }

    /// Opens the device.
    ///
    /// # Errors
    /// As [`OpenCl::open`].
    pub fn open(&self) -> Result<OpenCl, HalError> {
        OpenCl::open(&self.info, self.options())
    }

    /// Whether the device's driver is known for a quirk.
    #[must_use]
    pub fn expects(&self, quirk: Quirk) -> bool {
        expects(&self.info, quirk)
    }
}

/// Beside the build's output, so that a clean build starts without it.
fn program_cache() -> PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    let folder = executable
        .parent()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    folder.join("starkwright-test-programs")
}

/// Whether the long tests are wanted.
#[must_use]
pub fn long() -> bool {
    std::env::var_os("STARKWRIGHT_LONG").is_some_and(|value| value == "1")
}

/// The devices to test, each with each variant.
///
/// # Errors
/// A runtime was named and is not there, or a variable has a value that means nothing.
pub fn targets() -> Result<Vec<Target>, String> {
    let wanted = std::env::var("STARKWRIGHT_TEST_RUNTIME").ok();
    let variants = std::env::var("STARKWRIGHT_TEST_VARIANTS").ok();
    let variants = variants.as_deref().map(parse_variants).transpose()?;
    let devices = match (Runtime::list(), &wanted) {
        (Err(HalError::LibraryMissing { .. }), None) => Vec::new(),
        (devices, _) => devices.map_err(|error| error.to_string())?,
    };
    let mut targets = Vec::new();
    for info in devices {
        let runtime = short_name(&info);
        if wanted.as_ref().is_some_and(|wanted| *wanted != runtime) {
            continue;
        }
        let able = [Variant::Vector, Variant::Scalar]
            .into_iter()
            .filter(|variant| {
                *variant == Variant::Scalar || info.local_memory >= VECTOR_LOCAL_MEMORY
            });
        for variant in variants.clone().unwrap_or_else(|| able.collect()) {
            let row = Row {
                runtime: runtime.clone(),
                variant: variant.name().to_owned(),
            };
            targets.push(Target {
                info: info.clone(),
                variant,
                row,
                effort: effort(&info),
            });
        }
    }
    match wanted {
        Some(wanted) if targets.is_empty() => Err(format!(
            "STARKWRIGHT_TEST_RUNTIME={wanted}, and no OpenCL device of that runtime was found"
        )),
        _ => Ok(targets),
    }
}

fn parse_variants(text: &str) -> Result<Vec<Variant>, String> {
    let known = [Variant::Vector, Variant::Scalar];
    let parse = |name: &str| {
        let variant = known
            .into_iter()
            .find(|variant| variant.name() == name.trim());
        variant.ok_or_else(|| format!("STARKWRIGHT_TEST_VARIANTS={text}: {name:?} is no variant"))
    };
    text.split(',').map(parse).collect()
}

fn short_name(info: &DeviceInfo) -> String {
    let known = RUNTIMES
        .iter()
        .find(|(_, platform)| info.platform.contains(platform));
    known.map_or_else(
        || info.platform.to_lowercase(),
        |(name, _)| (*name).to_owned(),
    )
}

fn effort(info: &DeviceInfo) -> Effort {
    match (expects(info, Quirk::Interpreted), long()) {
        (true, _) => Effort::Traced,
        (false, true) => Effort::Long,
        (false, false) if expects(info, Quirk::Emulated) => Effort::Modest,
        (false, false) => Effort::Normal,
    }
}

/// A target, opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The device and its kernels.
    pub target: Target,
    /// The device.
    pub device: OpenCl,
    /// The device as one with a small largest allocation.
    pub small: OpenCl,
}

/// The targets, opened: once in a process, since drivers compile their programs once for each opening.
///
/// # Errors
/// As [`targets`], or a device cannot be opened.
pub fn opened() -> Result<&'static [Opened], String> {
    static OPENED: OnceLock<Result<Vec<Opened>, String>> = OnceLock::new();
    OPENED
        .get_or_init(open_all)
        .as_deref()
        .map_err(Clone::clone)
}

fn open_all() -> Result<Vec<Opened>, String> {
    let targets = targets()?;
    if targets.is_empty() {
        println!("skipped: no OpenCL device was found");
    }
    let open = |target: Target| {
        let small = Options {
            max_alloc: Some(SMALL_ALLOC_BYTES),
            ..target.options()
        };
        let opened = target
            .open()
            .and_then(|device| Ok((device, OpenCl::open(&target.info, small)?)))
            .map_err(|error| format!("{}: {error}", target.row));
        opened.map(|(device, small)| Opened {
            target,
            device,
            small,
        })
    };
    targets.into_iter().map(open).collect()
}

/// The opened targets, for the conformance suites.
///
/// # Errors
/// As [`opened`].
pub fn subjects() -> Result<Subjects<OpenCl>, String> {
    let subject = |opened: &Opened| Subject {
        device: opened.device.clone(),
        small: Some(opened.small.clone()),
        effort: opened.target.effort,
        row: Some(opened.target.row.clone()),
    };
    Ok(Subjects(opened()?.iter().map(subject).collect()))
}

/// Runs a suite on every target, and reports what it ran.
///
/// # Errors
/// As [`opened`], or the suite's failures on all targets.
pub fn each(suite: &str, check: impl Fn(&Opened) -> Result<u64, String>) -> Result<(), String> {
    let mut failures = Vec::new();
    for opened in opened()?
        .iter()
        .filter(|opened| opened.target.effort.runs(suite))
    {
        let row = &opened.target.row;
        let start = Instant::now();
        let result = check(opened).and_then(|cases| row.ran(suite, cases, start.elapsed()));
        if let Err(why) = result {
            failures.push(format!("{row}: {suite}: {why}"));
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("\n"))
    }
}
