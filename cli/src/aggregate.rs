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
use starkwright_prover::security::Bits;

use crate::args::AggregateArgs;
use crate::config;
use crate::device::{OnDevice, with_device};
use crate::exit::{DONE, Failure};
use crate::interrupt;
use crate::memory;
use crate::output::{self, bytes, digits};

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct Aggregated {
    first: u64,
    count: u64,
    old: String,
    new: String,
    list: String,
    segments: u64,
    steps: u64,
    resumed_steps: u64,
    backend: String,
    profile: String,
    security_bits: f64,
    security_binding_term: &'static str,
    security_scope: &'static str,
    zero_knowledge: bool,
    proof_bytes: u64,
    prove_s: f64,
    peak_host_bytes: Option<u64>,
    valid: bool,
    complete: bool,
}

pub(crate) fn run(args: &AggregateArgs) -> Result<u8, Failure> {
    let config = config::device(&args.config, args.backend.as_deref())?;
    let options = AggregateOptions {
        first: args.first,
        old: config::elements("accumulator", &args.old)?.map(Val::from_u32),
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
    print(&report?, seconds, &config.backend.to_string(), args.json)?;
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

fn print(report: &AggregateReport, seconds: f64, backend: &str, json: bool) -> Result<(), Failure> {
    let statement = &report.statement;
    if json {
        return output::json(&Aggregated {
            first: statement.first_index,
            count: statement.count,
            old: digits(&statement.begin),
            new: digits(&statement.end),
            list: digits(&statement.list),
            segments: report.segments,
            steps: report.steps,
            resumed_steps: report.resumed,
            backend: backend.to_owned(),
            profile: report.profile.to_string(),
            security_bits: report.security.bits,
            security_binding_term: report.security.binding_term,
            security_scope: report.profile.scope(),
            zero_knowledge: false,
            proof_bytes: report.proof_bytes,
            prove_s: seconds,
            peak_host_bytes: memory::peak_bytes(),
            valid: true,
            complete: true,
        });
    }
    output::range(statement);
    println!(
        "segments  {} in {} files, {} steps ({} resumed)",
        report.segments, statement.count, report.steps, report.resumed
    );
    println!(
        "security  {} ({} bits for {}, limited by {}), not zero-knowledge",
        report.profile,
        Bits(report.security.bits),
        report.profile.scope(),
        report.security.binding_term
    );
    println!("proof     {}", bytes(report.proof_bytes));
    println!("time      {seconds:.2} s");
    println!(
        "memory    {} host peak",
        memory::peak_bytes().map_or_else(|| "unknown".to_owned(), bytes)
    );
    Ok(())
}
