//! Settings: a flag before the environment before `starkwright.toml`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use starkwright_hal::DeviceConfig;
use starkwright_prover::machine::keccak::SegmentShape;

use crate::args::ConfigArgs;
use crate::exit::Failure;

/// The file looked for where none is named.
const DEFAULT_FILE: &str = "starkwright.toml";

/// Largest settings file read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// `starkwright.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct File {
    device: DeviceConfig,
    /// How submitters and provers reach an aggregator.
    pub(crate) fleet: LinkConfig,
    /// How an aggregator runs.
    pub(crate) aggregator: AggregatorConfig,
    /// How a prover runs.
    pub(crate) prover: ProverConfig,
}

/// `[fleet]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LinkConfig {
    pub(crate) connect: Option<String>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) insecure: bool,
}

/// `[aggregator]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AggregatorConfig {
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) store: Option<String>,
    pub(crate) proofs: Option<String>,
    pub(crate) submit_token_file: Option<PathBuf>,
    pub(crate) prover_token_file: Option<PathBuf>,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) insecure: bool,
    /// Seconds.
    pub(crate) lease: Option<u64>,
    pub(crate) max_open: Option<u64>,
    pub(crate) page: Option<SocketAddr>,
    pub(crate) target_delay: Option<String>,
    pub(crate) on_provers: Option<String>,
}

/// `[prover]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ProverConfig {
    pub(crate) name: Option<String>,
    pub(crate) provers_per_device: Option<u16>,
    /// Seconds.
    pub(crate) drain: Option<u64>,
    /// Seconds.
    pub(crate) patience: Option<u64>,
}

/// The device settings, with the back end replaced where a flag or the environment names one.
pub(crate) fn device(args: &ConfigArgs, backend: Option<&str>) -> Result<DeviceConfig, Failure> {
    let mut config = file(args)?.device;
    if let Some(backend) = backend {
        config.backend = backend.parse()?;
    }
    Ok(config)
}

/// All settings of the file.
pub(crate) fn file(args: &ConfigArgs) -> Result<File, Failure> {
    match &args.config {
        Some(path) => read(path),
        None if Path::new(DEFAULT_FILE).is_file() => read(Path::new(DEFAULT_FILE)),
        None => Ok(File::default()),
    }
}

fn read(path: &Path) -> Result<File, Failure> {
    let failed = |why: String| Failure::usage(format!("cannot read {}: {why}", path.display()));
    let length = fs::metadata(path)
        .map_err(|error| failed(error.to_string()))?
        .len();
    if length > MAX_BYTES {
        return Err(failed(format!("{length} bytes are too many for settings")));
    }
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    toml::from_str(&text).map_err(|error| failed(error.to_string()))
}

/// The segments with this many blocks when full.
pub(crate) fn shape(blocks: usize) -> Result<SegmentShape, Failure> {
    SegmentShape::from_capacity(blocks).ok_or_else(|| {
        let listed = SegmentShape::all().map(|shape| shape.capacity().to_string());
        let listed: Vec<String> = listed.collect();
        Failure::usage(format!(
            "--segment-blocks {blocks}: choose one of {}",
            listed.join(", ")
        ))
    })
}

/// A context from hexadecimal digits: eight field elements of 32 bits, most significant first.
pub(crate) fn context(digits: &str) -> Result<[u32; 8], Failure> {
    elements("context", digits)
}

/// Eight field elements from hexadecimal digits: see [`context`]. `what` names them in errors.
pub(crate) fn elements(what: &str, digits: &str) -> Result<[u32; 8], Failure> {
    let hex = digits.strip_prefix("0x").unwrap_or(digits);
    let malformed = || {
        Failure::usage(format!(
            "{what} {digits:?}: write up to 64 hexadecimal digits, eight 32-bit field elements, each below 2130706433"
        ))
    };
    if hex.is_empty() || hex.len() > 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(malformed());
    }
    let padded = format!("{hex:0>64}");
    let mut elements = [0; 8];
    for (i, element) in elements.iter_mut().enumerate() {
        *element = u32::from_str_radix(&padded[8 * i..8 * i + 8], 16).map_err(|_| malformed())?;
        if *element >= starkwright_prover::keccak_file::CONTEXT_LIMIT {
            return Err(malformed());
        }
    }
    Ok(elements)
}
