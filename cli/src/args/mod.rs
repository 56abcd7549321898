//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use starkwright_prover::profile::Profile;

/// What every command's help says about how it ends.
macro_rules! exit_codes {
    () => {
        "Exit codes: 0 done (verify: valid and complete), 1 proof invalid or partial, or the run was interrupted, \
         2 bad usage, input or output, 3 device failure, 4 job not done, 5 job failed, 6 aggregator unreachable or \
         request refused."
    };
}

mod flags;
mod fleet;

pub(crate) use flags::{BackendArgs, ConfigArgs, ProofArgs, RangeArgs};
pub(crate) use fleet::{
    AggregatorArgs, FetchArgs, ForecastArgs, JobArgs, LinkArgs, PlanArgs, ProverArgs, ProversArgs,
    SimulateArgs, StatusArgs, SubmitArgs, SubmitKeccakArgs, Submitted,
};

/// Proves Plonky3 STARKs on any OpenCL device, with the same proof bytes from each, checked by stock Plonky3.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = concat!(
        exit_codes!(),
        "\n\nThe back end is chosen by --backend, else by STARKWRIGHT_BACKEND, else by starkwright.toml, else it is cpu."
    )
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists the devices, or tests them with known answers.
    #[command(
        after_help = concat!(
            "Examples:\n  starkwright devices\n  starkwright devices --test opencl:0\n  ",
            "starkwright devices --export programs --backend opencl:0\n\n",
            exit_codes!()
        )
    )]
    Devices(DevicesArgs),
    /// Proves a statement about a file. NOT zero-knowledge: a proof reveals its input's bytes.
    #[command(after_help = concat!("Examples:\n  \
        starkwright prove keccak -i report.pdf -o report.proof\n  \
        starkwright prove keccak -i disk.img -o disk.proof --backend opencl --resume\n\n\
        The proof is NOT zero-knowledge: it reveals bytes of its input.\n\n", exit_codes!()))]
    Prove(ProveArgs),
    /// Verifies a proof file, an aggregated file or a wrap, with stock Plonky3.
    #[command(after_help = concat!("Examples:\n  \
        starkwright verify report.proof\n  \
        starkwright verify report.proof -i report.pdf --json\n  \
        starkwright verify all.agg -i first.bin -i second.bin\n\n", exit_codes!()))]
    Verify(VerifyArgs),
    /// Aggregates proof files into one proof, whose size does not depend on how many there are.
    #[command(after_help = concat!("Examples:\n  \
        starkwright aggregate a.proof b.proof -o all.agg\n  \
        starkwright aggregate c.proof -o next.agg --first 2 --old 1f\u{2026} --backend opencl --resume\n\n\
        Each file becomes an item; the result states the items' range and the accumulator before and after it.\n\n",
        exit_codes!()))]
    Aggregate(AggregateArgs),
    /// Wraps an aggregated file into the last proof: small, and hashed with Keccak-256, for a contract.
    #[command(after_help = concat!("Examples:\n  \
        starkwright wrap all.agg -o all.wrap\n\n", exit_codes!()))]
    Wrap(WrapArgs),
    /// Prints the circuits of a tree: rows, slack, security, the root of the allowed keys; --write also writes the key files.
    #[command(after_help = concat!("Examples:\n  \
        starkwright circuit\n  \
        starkwright circuit --profile conjectured100 --json\n  \
        starkwright circuit --write aggregator/keys\n\n", exit_codes!()))]
    Circuit(CircuitArgs),
    /// Serves a fleet: keeps the queue and the proofs, hands tasks to provers, verifies every proof.
    #[command(after_help = concat!("Examples:\n  \
        starkwright aggregator\n  \
        starkwright aggregator --listen 0.0.0.0:7070 --store postgres://queue.example/fleet --proofs s3://proofs/fleet \\\n    \
        --tls-cert fleet.pem --tls-key fleet.key --submit-token-file submit.token --prover-token-file prover.token\n\n",
        exit_codes!()))]
    Aggregator(AggregatorArgs),
    /// Proves for a fleet: dials an aggregator and does what it hands out, until told to stop.
    #[command(after_help = concat!("Examples:\n  \
        starkwright prover --backend opencl\n  \
        starkwright prover --connect https://fleet.example:7070 --token-file prover.token --backend opencl:0\n\n\
        Told to stop (SIGTERM), it finishes its task first, for --drain seconds at most, and then gives it back. Told again, it \
        ends at once, and its lease runs out: a failed attempt.\n\n", exit_codes!()))]
    Prover(ProverArgs),
    /// Submits a job to a fleet, and prints its id.
    #[command(after_help = concat!("Examples:\n  \
        starkwright submit keccak -i a.bin -i b.bin\n\n", exit_codes!()))]
    Submit(SubmitArgs),
    /// Shows a fleet's jobs, or one of them: exit code 0 where it is done, 4 where it is open, 5 where it failed.
    #[command(after_help = concat!("Examples:\n  \
        starkwright status\n  \
        starkwright status 0123456789abcdef0123456789abcdef --wait\n\n", exit_codes!()))]
    Status(StatusArgs),
    /// Says when the open jobs will be done, and what more or fewer provers would do.
    #[command(after_help = concat!("Examples:\n  \
        starkwright forecast\n  \
        starkwright forecast --connect https://fleet.example:7070 --json\n\n", exit_codes!()))]
    Forecast(ForecastArgs),
    /// Says how many provers are needed for a rate of jobs and a delay, by the rates that a fleet has measured.
    #[command(after_help = concat!("Examples:\n  \
        starkwright plan --arrivals 120/h --target-delay 5m\n\n\
        4 means that no number of provers suffices.\n\n", exit_codes!()))]
    Plan(PlanArgs),
    /// Simulates a fleet in virtual time, from a scenario (docs/fleet-planning.md).
    #[command(after_help = concat!("Examples:\n  \
        starkwright simulate scenario.json --curve 64\n\n", exit_codes!()))]
    Simulate(SimulateArgs),
    /// Fetches a job's proof.
    #[command(after_help = concat!("Examples:\n  \
        starkwright fetch 0123456789abcdef0123456789abcdef -o all.wrap\n\n", exit_codes!()))]
    Fetch(FetchArgs),
    /// Calls a job off.
    #[command(after_help = concat!("Examples:\n  \
        starkwright cancel 0123456789abcdef0123456789abcdef\n\n", exit_codes!()))]
    Cancel(JobArgs),
    /// Queues a failed or cancelled job again; what is proven stays proven.
    #[command(after_help = concat!("Examples:\n  \
        starkwright retry 0123456789abcdef0123456789abcdef\n\n", exit_codes!()))]
    Retry(JobArgs),
    /// Lists a fleet's provers, or lets a quarantined one work again.
    #[command(after_help = concat!("Examples:\n  \
        starkwright provers\n  \
        starkwright provers --release host-1\n\n", exit_codes!()))]
    Provers(ProversArgs),
    /// Measures devices against Plonky3 on the CPU, in one run.
    #[command(after_help = concat!("Examples:\n  \
        starkwright bench --quick\n  \
        starkwright bench --backend opencl:0 --backend cpu --json bench.json\n\n", exit_codes!()))]
    Bench(BenchArgs),
}

/// What `devices` takes.
#[derive(Debug, Args)]
pub(crate) struct DevicesArgs {
    /// Run known answers on this device: cpu, opencl, opencl:NAME (a part of its name, or its index), shadow:DEVICE,
    /// fallback:DEVICE.
    #[arg(long, value_name = "SEL", conflicts_with = "export")]
    pub(crate) test: Option<String>,
    /// Compile every kernel that a proof may need and write source, binary and manifest of each to this folder, which
    /// `programs` in the settings names to a device without a compiler.
    #[arg(long, value_name = "DIR")]
    pub(crate) export: Option<PathBuf>,
    /// The device to export for; else as for the other commands.
    #[arg(long, value_name = "SEL", requires = "export")]
    pub(crate) backend: Option<String>,
    /// Print one JSON value.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// What `prove` takes.
#[derive(Debug, Args)]
pub(crate) struct ProveArgs {
    #[command(subcommand)]
    pub(crate) statement: Statement,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Statement {
    /// That a file has its Keccak-256 digest and length. NOT zero-knowledge: the proof reveals the file's bytes.
    #[command(after_help = concat!("Examples:\n  \
        starkwright prove keccak -i report.pdf -o report.proof\n  \
        starkwright prove keccak -i disk.img -o disk.proof --backend opencl --segment-blocks 1365 --resume\n\n\
        The proof is NOT zero-knowledge: it reveals bytes of its input.\n\n", exit_codes!()))]
    Keccak(KeccakArgs),
}

/// What `prove keccak` takes.
#[derive(Debug, Args)]
pub(crate) struct KeccakArgs {
    /// The file to prove.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// The proof file to write, with --provers the wrap; it appears only when it is complete.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) on: BackendArgs,
    #[command(flatten)]
    pub(crate) proof: ProofArgs,
    /// Go on where an interrupted run stopped.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Start a private fleet of this many provers on this host, and end with one wrapped proof.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) provers: Option<u16>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// What `verify` takes.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The proof file, aggregated file or wrap.
    #[arg(value_name = "FILE")]
    pub(crate) proof: PathBuf,
    /// The file that the proof must be about; of an aggregated file or a wrap, all of them in order.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: Vec<PathBuf>,
    /// Least security profile accepted: proven100 or conjectured100.
    #[arg(long, value_name = "P", default_value_t = Profile::Proven100)]
    pub(crate) profile: Profile,
    /// Context expected: up to 64 hexadecimal digits.
    #[arg(long, value_name = "HEX", default_value = "0")]
    pub(crate) context: String,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `aggregate` takes.
#[derive(Debug, Args)]
pub(crate) struct AggregateArgs {
    /// Proof files, each of a whole file, of one profile; their order is the items' order.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) inputs: Vec<PathBuf>,
    /// The aggregated file to write; it appears only when it is complete.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) on: BackendArgs,
    #[command(flatten)]
    pub(crate) range: RangeArgs,
    /// Context expected of every proof: up to 64 hexadecimal digits.
    #[arg(long, value_name = "HEX", default_value = "0")]
    pub(crate) context: String,
    /// Steps taken at a time. Proofs of one circuit wait for each other; what is done beside them does not.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) workers: u8,
    /// Go on where an interrupted run stopped.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// What `wrap` takes.
#[derive(Debug, Args)]
pub(crate) struct WrapArgs {
    /// The aggregated file.
    #[arg(value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// The wrap to write; it appears only when it is complete.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) on: BackendArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// What `circuit` takes.
#[derive(Debug, Args)]
pub(crate) struct CircuitArgs {
    /// Only this profile's: proven100 or conjectured100.
    #[arg(long, value_name = "P")]
    pub(crate) profile: Option<Profile>,
    /// Write each profile's key file into this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) write: Option<PathBuf>,
    /// Device to set the circuits up on: the keys are the same on each.
    #[arg(long, value_name = "SEL", env = "STARKWRIGHT_BACKEND")]
    pub(crate) backend: Option<String>,
    /// Print one JSON array.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// What `bench` takes.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Device to measure; every OpenCL device found where none is given. May be repeated.
    #[arg(long, value_name = "SEL")]
    pub(crate) backend: Vec<String>,
    /// Small shapes and few repetitions.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Write a JSON array, a row for each measurement.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}
