//! From flags, environment and settings file to what the fleet takes.

use std::env;
use std::fs;
use std::path::Path;
use std::time::Duration;

use starkwright_fleet::keccak::KeccakJob;
use starkwright_fleet::link::Address;
use starkwright_fleet::watch::trace::Traces;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::{LinkArgs, ProofArgs};
use crate::config::{self, LinkConfig};
use crate::exit::Failure;

/// Where an aggregator listens, and where it is looked for.
pub(super) const ADDRESS: &str = "127.0.0.1:7070";

/// Longest token or certificate file, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// A small file's bytes.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |why: String| Failure::usage(format!("cannot read {}: {why}", path.display()));
    let length = fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    if length.len() > MAX_BYTES {
        return Err(failed(format!("{} bytes are too many", length.len())));
    }
    fs::read(path).map_err(|error| failed(error.to_string()))
}

/// A token: from the file named, else from the environment.
pub(super) fn token(
    flag: Option<&Path>,
    variable: &str,
    configured: Option<&Path>,
) -> Result<Option<String>, Failure> {
    let of_file = |path: &Path| {
        let text = String::from_utf8(read(path)?).unwrap_or_default();
        match text.trim() {
            "" => Err(Failure::usage(format!("{} holds no token", path.display()))),
            token => Ok(Some(token.to_owned())),
        }
    };
    if let Some(path) = flag {
        return of_file(path);
    }
    match env::var(variable) {
        Ok(token) if !token.is_empty() => Ok(Some(token)),
        _ => configured.map_or(Ok(None), of_file),
    }
}

/// How to reach the aggregator.
pub(super) fn address(args: &LinkArgs) -> Result<Address, Failure> {
    let LinkConfig {
        connect,
        token_file,
        ca,
        insecure,
    } = config::file(&args.config)?.fleet;
    let url = args.connect.clone().or(connect);
    let authority = args.ca.clone().or(ca);
    Ok(Address {
        url: url.unwrap_or_else(|| ADDRESS.to_owned()),
        token: token(
            args.token_file.as_deref(),
            "STARKWRIGHT_TOKEN",
            token_file.as_deref(),
        )?,
        authority: authority.as_deref().map(read).transpose()?,
        insecure: args.insecure || insecure,
    })
}

/// A job over files, the first of them item `first`, after the accumulator `old`.
pub(super) fn keccak_job(args: &ProofArgs, first: u64, old: &str) -> Result<KeccakJob, Failure> {
    // What is no segment is said before anything is sent.
    config::shape(args.segment_blocks)?;
    Ok(KeccakJob {
        profile: args.profile,
        segment_blocks: args.segment_blocks,
        context: config::context(&args.context)?,
        first,
        old: config::elements("accumulator", old)?,
    })
}

/// Runs this to its end, on threads that wait for sockets and disks. A computation whose result nobody wants any more is not
/// waited for.
pub(super) fn run<T>(running: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::usage(format!("cannot start threads: {error}")))?;
    let ended = runtime.block_on(running);
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// Seconds of a delay, as 5m or 90s.
pub(super) fn seconds(what: &str, text: &str) -> Result<f64, Failure> {
    let delay = humantime::parse_duration(text).map_err(|error| {
        Failure::usage(format!("{what} {text}: {error}; write it as 5m or 90s"))
    })?;
    Ok(delay.as_secs_f64())
}

/// Lines about what a role does, on standard error (STARKWRIGHT_LOG names the least important ones shown), and its spans to
/// a collector where the environment names one: then the second value ends it. Within a Tokio runtime.
pub(super) fn log(service: &str, least: LevelFilter) -> Result<Option<Traces>, Failure> {
    let level = match env::var("STARKWRIGHT_LOG") {
        Ok(name) => name.parse().map_err(|_| {
            Failure::usage(format!(
                "STARKWRIGHT_LOG={name:?}: choose one of off, error, warn, info, debug, trace"
            ))
        })?,
        Err(_) => least,
    };
    let color = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(color)
        .with_target(false)
        .with_filter(level);
    let traces = Traces::from_environment(service)?;
    let spans = traces.as_ref().map(Traces::layer);
    // A second subscriber in one process would be a bug of ours; it changes nothing.
    let _ = tracing_subscriber::registry()
        .with(spans)
        .with(lines)
        .try_init();
    Ok(traces)
}

/// Sends what spans are left.
pub(super) async fn finish(traces: Option<Traces>) {
    if let Some(traces) = traces
        && let Err(error) = traces.finish().await
    {
        tracing::warn!(%error, "the last spans were not sent");
    }
}
