//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use starkwright_prover::profile::Profile;

/// What every command's help says about how it ends.
macro_rules! exit_codes {
    () => {
        "Exit codes: 0 done (verify: valid and complete), 1 proof invalid or partial, or the run was interrupted, \
         2 bad usage, input or output, 3 device failure."
    };
}

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
    /// Verifies a proof file with stock Plonky3.
    #[command(after_help = concat!("Examples:\n  \
        starkwright verify report.proof\n  \
        starkwright verify report.proof -i report.pdf --json\n\n", exit_codes!()))]
    Verify(VerifyArgs),
    /// Measures devices against Plonky3 on the CPU, in one run.
    #[command(after_help = "Examples:\n  \
        starkwright bench --quick\n  \
        starkwright bench --backend opencl:0 --backend cpu --json bench.json")]
    Bench(BenchArgs),
}

/// What `devices` takes.
#[derive(Debug, Args)]
pub(crate) struct DevicesArgs {
    /// Run known answers on this device: cpu, opencl, opencl:NAME (a part of its name, or its index).
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

/// Where settings come from when no flag gives them.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Settings file; starkwright.toml of this folder where it exists.
    #[arg(long, value_name = "FILE", env = "STARKWRIGHT_CONFIG")]
    pub(crate) config: Option<PathBuf>,
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
    /// The proof file to write; it appears only when it is complete.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Device: cpu, opencl, opencl:NAME (a part of its name, or its index), shadow:DEVICE, fallback:DEVICE.
    #[arg(long, value_name = "SEL", env = "STARKWRIGHT_BACKEND")]
    pub(crate) backend: Option<String>,
    /// Security profile: proven100 or conjectured100.
    #[arg(long, value_name = "P", default_value_t = Profile::Proven100)]
    pub(crate) profile: Profile,
    /// Context bound into the proof: up to 64 hexadecimal digits, eight 32-bit field elements, most significant first.
    #[arg(long, value_name = "HEX", default_value = "0")]
    pub(crate) context: String,
    /// Blocks of 136 bytes in a full segment: 85, 341, 1365 or 5461.
    #[arg(long, value_name = "N", default_value_t = 1365)]
    pub(crate) segment_blocks: usize,
    /// Go on where an interrupted run stopped.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// What `verify` takes.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The proof file.
    #[arg(value_name = "FILE")]
    pub(crate) proof: PathBuf,
    /// The file that the proof must be about.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
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

/// What `bench` takes.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Device to measure; every device found where none is given. May be repeated.
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
