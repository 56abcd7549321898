//! The `starkwright` command: proofs on any device, checked by stock Plonky3.
//!
//! ```text
//!  devices, bench   ─┐                        ┌─ hal        which device
//!  prove, verify    ─┼─ args ─► config ─► device ─ kernels   OpenCL
//!  aggregate, wrap  ─┤        (flag, env, file)├─ prover     what is proven
//!  circuit          ─┤                        ├─ aggregator many proofs, one proof
//!  aggregator, prover, submit, status, … ────────└─ fleet   many provers, one queue
//! ```
//!
//! Exit codes: 0 done (for `verify`: valid and complete), 1 a proof is invalid or partial, or the run was interrupted,
//! 2 bad usage, input or output, 3 a device failed, 4 a job is not done, 5 a job failed, 6 an aggregator is out of reach or
//! refused.

/// A line on standard output: `println!`, which panics where nobody reads any more.
macro_rules! say {
    () => { $crate::output::line(format_args!("")) };
    ($($text:tt)*) => { $crate::output::line(format_args!($($text)*)) };
}

mod aggregate;
mod args;
mod bench;
mod circuit;
mod config;
mod cpu_features;
mod device;
mod devices;
mod exit;
mod fleet;
mod interrupt;
mod memory;
mod output;
mod prove;
mod proven;
mod verify;
mod wrap;

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
        Command::Aggregate(args) => aggregate::run(&args),
        Command::Wrap(args) => wrap::run(&args),
        Command::Circuit(args) => circuit::run(&args),
        Command::Aggregator(args) => fleet::aggregator(&args),
        Command::Prover(args) => fleet::prover(&args),
        Command::Submit(args) => fleet::submit(&args),
        Command::Status(args) => fleet::status(&args),
        Command::Forecast(args) => fleet::forecast(&args),
        Command::Plan(args) => fleet::plan(&args),
        Command::Simulate(args) => fleet::simulate(&args),
        Command::Fetch(args) => fleet::fetch(&args),
        Command::Cancel(args) => fleet::cancel(&args),
        Command::Retry(args) => fleet::retry(&args),
        Command::Provers(args) => fleet::provers(&args),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(Failure { code, message }) => {
            eprintln!("starkwright: {message}");
            ExitCode::from(code)
        }
    }
}
