//! `starkwright aggregate`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use p3_field::PrimeCharacteristicRing;
use serde::Serialize;
use starkwright_aggregator::AggregatorError;
use starkwright_aggregator::aggregate::{
    self, AggregateOptions, AggregateReport, Interrupted, Progress, Work,
};
use starkwright_hal::Backend;
use starkwright_prover::keccak_file::Val;

use crate::args::AggregateArgs;
use crate::config;
use crate::device::{OnDevice, with_device};
use crate::exit::{DONE, Failure};
use crate::interrupt;
use crate::proven::Proven;

/// What is counted, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Counts {
    segments: u64,
    steps: u64,
    resumed_steps: u64,
}

pub(crate) fn run(args: &AggregateArgs) -> Result<u8, Failure> {
    let config = config::device(&args.config, args.on.backend.as_deref())?;
    let options = AggregateOptions {
        first: args.range.first,
        old: config::elements("accumulator", &args.range.old)?.map(Val::from_u32),
        context: config::context(&args.context)?,
        workers: usize::from(args.workers),
        resume: args.resume,
    };
    let mut bar = Bar {
        bar: ProgressBar::hidden(),
        quiet: args.json,
        stop: interrupt::watch("after the steps that are running")?,
    };
    let job = Job {
        args,
        options: &options,
        bar: &mut bar,
    };
    let start = Instant::now();
    let report = with_device(&config, job)?;
    bar.bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    let report = report?;
    Proven {
        statement: &report.statement,
        profile: report.profile,
        security: &report.security,
        proof_bytes: report.proof_bytes,
        backend: config.backend.to_string(),
        seconds,
        line: format!(
            "segments  {} in {} files, {} steps ({} resumed)",
            report.segments, report.statement.count, report.steps, report.resumed
        ),
        counts: Counts {
            segments: report.segments,
            steps: report.steps,
            resumed_steps: report.resumed,
        },
    }
    .print(args.json)?;
    Ok(DONE)
}

struct Job<'a> {
    args: &'a AggregateArgs,
    options: &'a AggregateOptions,
    bar: &'a mut Bar,
}

impl OnDevice for Job<'_> {
    type Output = Result<AggregateReport, AggregatorError>;

    fn run<B: Backend<Val>>(self, device: &B) -> Self::Output {
        let (inputs, output) = (&self.args.inputs, &self.args.output);
        aggregate::aggregate(device, inputs, output, self.options, self.bar)
    }
}

/// The progress bar on standard error, which indicatif hides where that is no terminal.
struct Bar {
    bar: ProgressBar,
    quiet: bool,
    stop: Arc<AtomicBool>,
}

impl Progress for Bar {
    fn begins(&mut self, steps: u64, kept: u64) {
        if !self.quiet {
            eprintln!("{steps} steps, {kept} of them kept from an interrupted run");
        }
        self.bar = ProgressBar::new(steps);
        if let Ok(style) = ProgressStyle::with_template(
            "{bar:40} {pos}/{len} steps, {elapsed} elapsed, {eta} left",
        ) {
            self.bar.set_style(style);
        }
        self.bar.set_position(kept);
        self.bar
            .enable_steady_tick(std::time::Duration::from_millis(500));
    }

    fn done(&mut self, _work: Work) -> Result<(), Interrupted> {
        self.bar.inc(1);
        if self.stop.load(Ordering::SeqCst) {
            Err(Interrupted)
        } else {
            Ok(())
        }
    }
}
