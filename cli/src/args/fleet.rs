//! The fleet's commands.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{BackendArgs, ConfigArgs, ProofArgs, RangeArgs};

/// How to reach an aggregator.
#[derive(Debug, Args)]
pub(crate) struct LinkArgs {
    /// The aggregator: HOST:PORT (http on this host, https beyond), http://HOST:PORT or https://HOST:PORT
    /// [default: 127.0.0.1:7070].
    #[arg(long, value_name = "ADDR", env = "STARKWRIGHT_CONNECT")]
    pub(crate) connect: Option<String>,
    /// A file with the token to show; else STARKWRIGHT_TOKEN holds it.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The authority, in PEM, that the aggregator's certificate is checked with; else the web's.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Allow an unencrypted connection to another host: where the network is trusted.
    #[arg(long)]
    pub(crate) insecure: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// What `aggregator` takes.
#[derive(Debug, Args)]
pub(crate) struct AggregatorArgs {
    /// Where to listen for submitters and provers [default: 127.0.0.1:7070].
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// The queue: sqlite://FILE or postgres://… [default: sqlite://starkwright-fleet/queue.db].
    #[arg(long, value_name = "URL", env = "STARKWRIGHT_STORE")]
    pub(crate) store: Option<String>,
    /// Inputs and proofs: file:///FOLDER or s3://BUCKET/PREFIX [default: the folder starkwright-fleet/proofs].
    #[arg(long, value_name = "URL", env = "STARKWRIGHT_PROOFS")]
    pub(crate) proofs: Option<String>,
    /// A file with the submitters' token; else STARKWRIGHT_SUBMIT_TOKEN holds it.
    #[arg(long, value_name = "FILE")]
    pub(crate) submit_token_file: Option<PathBuf>,
    /// A file with the provers' token, or with one a line: TOKEN for provers of any name, NAME TOKEN for the prover of that
    /// name and those called NAME.*; else STARKWRIGHT_PROVER_TOKEN holds it.
    #[arg(long, value_name = "FILE")]
    pub(crate) prover_token_file: Option<PathBuf>,
    /// The certificate's chain, in PEM: with --tls-key.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's key, in PEM: with --tls-cert.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Listen on another address than this host's without TLS: where the network is trusted.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Seconds that a lease holds without a heartbeat [default: 30].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(3..=86_400))]
    pub(crate) lease: Option<u64>,
    /// Most unproven tasks: what would exceed it is refused [default: 1000000].
    #[arg(long, value_name = "N")]
    pub(crate) max_open: Option<u64>,
    /// Where the status page and the figures (/metrics) are served: an address of this host.
    #[arg(long, value_name = "ADDR")]
    pub(crate) page: Option<SocketAddr>,
    /// The delay that 95 % of the jobs are not to exceed, as 5m or 90s: for --on-provers.
    #[arg(long, value_name = "D")]
    pub(crate) target_delay: Option<String>,
    /// Told how many provers are needed when that changes: a command (the number is its last argument) or an http address.
    #[arg(long, value_name = "HOOK")]
    pub(crate) on_provers: Option<String>,
    /// Print one JSON object when it listens.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// What `prover` takes.
#[derive(Debug, Args)]
pub(crate) struct ProverArgs {
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    #[command(flatten)]
    pub(crate) on: BackendArgs,
    /// Tasks done at a time on the device [default: 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) provers_per_device: Option<u16>,
    /// The prover's name, unique in the fleet [default: the host's name and the process's number].
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Seconds that a running task is waited for when the prover is told to stop [default: 600].
    #[arg(long, value_name = "S")]
    pub(crate) drain: Option<u64>,
    /// Seconds that the aggregator may be out of reach before the prover gives up [default: 600].
    #[arg(long, value_name = "S")]
    pub(crate) patience: Option<u64>,
    /// Print one JSON object at the end.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `submit` takes.
#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    #[command(subcommand)]
    pub(crate) statement: Submitted,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Submitted {
    /// That files have their Keccak-256 digests and lengths: one wrapped proof of all. NOT zero-knowledge.
    #[command(after_help = concat!("Examples:\n  \
        starkwright submit keccak -i a.bin -i b.bin\n  \
        starkwright submit keccak -i a.bin --connect fleet.example:7070 --profile conjectured100\n\n\
        The last line of the output is the job's id. The proof is NOT zero-knowledge.\n\n", exit_codes!()))]
    Keccak(SubmitKeccakArgs),
}

/// What `submit keccak` takes.
#[derive(Debug, Args)]
pub(crate) struct SubmitKeccakArgs {
    /// The files, in order.
    #[arg(short, long, value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) input: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) proof: ProofArgs,
    #[command(flatten)]
    pub(crate) range: RangeArgs,
    /// A name for the chain of ranges that the job belongs to: shown with it, and a part of what makes it another job.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(crate) stream: String,
    /// Larger first.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_hyphen_values = true
    )]
    pub(crate) priority: i32,
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `status` takes.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The job; every one where none is given.
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Wait until it is no longer open.
    #[arg(long, requires = "id")]
    pub(crate) wait: bool,
    /// Jobs listed at most, the newest first.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    /// Print one JSON object, or an array of them.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `fetch` takes.
#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// The file to write; it appears only when it is complete.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) job: JobArgs,
}

/// Which job is meant: what `cancel` and `retry` take.
#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    /// The job.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `forecast` takes.
#[derive(Debug, Args)]
pub(crate) struct ForecastArgs {
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `plan` takes.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Jobs that come: 120/h, with one of /s, /min, /h, /d.
    #[arg(long, value_name = "RATE")]
    pub(crate) arrivals: String,
    /// The delay that 95 % of them are not to exceed, as 5m or 90s.
    #[arg(long, value_name = "D")]
    pub(crate) target_delay: String,
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `simulate` takes.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// The scenario, as JSON.
    #[arg(value_name = "FILE")]
    pub(crate) scenario: PathBuf,
    /// Simulate it with 1, 2, 4, … provers up to this number too.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) curve: Option<u32>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `provers` takes.
#[derive(Debug, Args)]
pub(crate) struct ProversArgs {
    /// Let this quarantined prover work again.
    #[arg(long, value_name = "NAME")]
    pub(crate) release: Option<String>,
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    /// Print one JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}
