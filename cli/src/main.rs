//! The `starkwright` command: proofs on any device, checked by stock Plonky3.
//!
//! ```text
//!  devices ─┐                        ┌─ hal      which device
//!  prove   ─┼─ args ─► config ─► device ─ prover what is proven
//!  verify  ─┤        (flag, env, file)└─ kernels OpenCL
//!  bench   ─┘
//! ```
//!
//! Exit codes: 0 done (for `verify`: valid and complete), 1 a proof is invalid or partial, or the run was interrupted,
//! 2 bad usage, input or output, 3 a device failed.

mod args;
mod bench;
mod config;
mod cpu_features;
mod device;
mod devices;
mod exit;
mod memory;
mod output;
mod prove;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use exit::Failure;

fn main() -> ExitCode {
    if let Err(missing) = cpu_features::check() {
        eprintln!("starkwright: {missing}");
        return ExitCode::from(exit::USAGE);
    }
    // clap ends the process with code 2 on bad usage, and with 0 after --help.
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Devices(args) => devices::run(&args),
        Command::Prove(args) => prove::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(Failure { code, message }) => {
            eprintln!("starkwright: {message}");
            ExitCode::from(code)
        }
    }
}
