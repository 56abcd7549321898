//! Flags that several commands take.

use std::path::PathBuf;

use clap::Args;
use starkwright_prover::profile::Profile;

/// Where settings come from when no flag gives them.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Settings file; starkwright.toml of this folder where it exists.
    #[arg(long, value_name = "FILE", env = "STARKWRIGHT_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

/// Which device proves.
#[derive(Debug, Args)]
pub(crate) struct BackendArgs {
    /// Device: cpu, opencl, opencl:NAME (a part of its name, or its index), shadow:DEVICE, fallback:DEVICE.
    #[arg(long, value_name = "SEL", env = "STARKWRIGHT_BACKEND")]
    pub(crate) backend: Option<String>,
}

/// How files are proven.
#[derive(Debug, Args)]
pub(crate) struct ProofArgs {
    /// Security profile: proven100 or conjectured100.
    #[arg(long, value_name = "P", default_value_t = Profile::Proven100)]
    pub(crate) profile: Profile,
    /// Context bound into the proof: up to 64 hexadecimal digits, eight 32-bit field elements, most significant first.
    #[arg(long, value_name = "HEX", default_value = "0")]
    pub(crate) context: String,
    /// Blocks of 136 bytes in a full segment: 85, 341, 1365 or 5461.
    #[arg(long, value_name = "N", default_value_t = 1365)]
    pub(crate) segment_blocks: usize,
}

/// Where the items of files stand in a chain of ranges.
#[derive(Debug, Args)]
pub(crate) struct RangeArgs {
    /// Index of the first file's item.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) first: u64,
    /// The accumulator before it, in up to 64 hexadecimal digits: the `new` that `verify` prints of the range before.
    #[arg(long, value_name = "HEX", default_value = "0")]
    pub(crate) old: String,
}
