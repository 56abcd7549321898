//! `starkwright wrap`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::Serialize;
use starkwright_aggregator::AggregatorError;
use starkwright_aggregator::aggregate::{self, Interrupted, WrapReport};
use starkwright_hal::Backend;
use starkwright_prover::keccak_file::Val;

use crate::args::WrapArgs;
use crate::config;
use crate::device::{OnDevice, with_device};
use crate::exit::{DONE, Failure};
use crate::interrupt;
use crate::memory;
use crate::output::{self, bytes, digits};

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct Wrapped {
    first: u64,
    count: u64,
    old: String,
    new: String,
    list: String,
    backend: String,
    profile: String,
    zero_knowledge: bool,
    proof_bytes: u64,
    file_bytes: u64,
    prove_s: f64,
    peak_host_bytes: Option<u64>,
    valid: bool,
}

pub(crate) fn run(args: &WrapArgs) -> Result<u8, Failure> {
    let config = config::device(&args.config, args.on.backend.as_deref())?;
    let stop = interrupt::watch("after the step that is running")?;
    let bar = output::spinner("sealing and wrapping", args.json);
    let start = Instant::now();
    let report = with_device(&config, Job { args, stop: &stop })?;
    let seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let report = report?;
    let statement = &report.statement;
    if args.json {
        output::json(&Wrapped {
            first: statement.first_index,
            count: statement.count,
            old: digits(&statement.begin),
            new: digits(&statement.end),
            list: digits(&statement.list),
            backend: config.backend.to_string(),
            profile: report.profile.to_string(),
            zero_knowledge: false,
            proof_bytes: report.proof_bytes,
            file_bytes: report.file_bytes,
            prove_s: seconds,
            peak_host_bytes: memory::peak_bytes(),
            valid: true,
        })?;
        return Ok(DONE);
    }
    output::range(statement);
    say!("profile   {}", report.profile);
    say!("proof     {}", bytes(report.proof_bytes));
    say!("time      {seconds:.2} s");
    Ok(DONE)
}

struct Job<'a> {
    args: &'a WrapArgs,
    stop: &'a AtomicBool,
}

impl OnDevice for Job<'_> {
    type Output = Result<WrapReport, AggregatorError>;

    fn run<B: Backend<Val>>(self, device: &B) -> Self::Output {
        let go_on = || match self.stop.load(Ordering::SeqCst) {
            true => Err(Interrupted),
            false => Ok(()),
        };
        aggregate::wrap(device, &self.args.input, &self.args.output, &go_on)
    }
}
