//! `starkwright prove keccak`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use starkwright_hal::{Backend, KernelTime};
use starkwright_prover::ProverError;
use starkwright_prover::keccak_file::{
    self, Estimate, Interrupted, Progress, ProveOptions, ProveReport, Val,
};
use starkwright_prover::phases::PhaseSeconds;
use starkwright_prover::profile::Profile;
use starkwright_prover::security::{Bits, Security};

use crate::args::{KeccakArgs, ProveArgs, Statement};
use crate::config;
use crate::device::{OnDevice, with_device};
use crate::exit::{DONE, Failure};
use crate::interrupt;
use crate::memory;
use crate::output::{self, bytes, hex};

pub(crate) fn run(args: &ProveArgs) -> Result<u8, Failure> {
    match &args.statement {
        Statement::Keccak(args) => keccak(args),
    }
}

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct Proved {
    digest: String,
    length: u64,
    segments: u64,
    resumed_segments: u64,
    backend: String,
    device: String,
    driver: String,
    profile: String,
    security_bits: f64,
    security_binding_term: &'static str,
    security_scope: &'static str,
    zero_knowledge: bool,
    proof_bytes: u64,
    estimated_bytes: u64,
    prove_s: f64,
    estimated_s: f64,
    phases_s: PhaseSeconds,
    kernels: std::collections::BTreeMap<String, KernelTime>,
    bytes_up: u64,
    bytes_down: u64,
    fallbacks: u64,
    fallback_bytes: u64,
    build_s: f64,
    peak_device_bytes: u64,
    peak_host_bytes: Option<u64>,
    valid: bool,
    complete: bool,
}

fn keccak(args: &KeccakArgs) -> Result<u8, Failure> {
    if let Some(provers) = args.provers {
        return crate::fleet::prove(args, provers);
    }
    let config = config::device(&args.config, args.on.backend.as_deref())?;
    let options = ProveOptions {
        profile: args.proof.profile,
        context: config::context(&args.proof.context)?,
        shape: config::shape(args.proof.segment_blocks)?,
        resume: args.resume,
    };
    let mut bar = Bar::new(args.json, args.proof.profile)?;
    let job = Job {
        input: &args.input,
        output: &args.output,
        options: &options,
        bar: &mut bar,
    };
    let report = with_device(&config, job)?;
    bar.bar.finish_and_clear();
    print(&report?, &config.backend.to_string(), args.json)?;
    Ok(DONE)
}

struct Job<'a> {
    input: &'a Path,
    output: &'a Path,
    options: &'a ProveOptions,
    bar: &'a mut Bar,
}

impl OnDevice for Job<'_> {
    type Output = Result<ProveReport, ProverError>;

    fn run<B: Backend<Val>>(self, device: &B) -> Self::Output {
        keccak_file::prove(device, self.input, self.output, self.options, self.bar)
    }
}

/// The progress bar on standard error, which indicatif hides where that is no terminal.
struct Bar {
    bar: ProgressBar,
    quiet: bool,
    profile: Profile,
    stop: Arc<AtomicBool>,
}

impl Bar {
    fn new(quiet: bool, profile: Profile) -> Result<Self, Failure> {
        let stop = interrupt::watch("after this segment")?;
        Ok(Self {
            bar: ProgressBar::hidden(),
            quiet,
            profile,
            stop,
        })
    }
}

impl Progress for Bar {
    fn begins(&mut self, estimate: &Estimate, security: &Security) {
        if !self.quiet {
            eprintln!(
                "{} segments, about {:.0} s to go and {} of proof; {} bits of security for {}, limited by {}; \
                 NOT zero-knowledge: the proof reveals its input's bytes",
                estimate.segments,
                estimate.seconds,
                bytes(estimate.proof_bytes),
                Bits(security.bits),
                self.profile.scope(),
                security.binding_term,
            );
        }
        self.bar = ProgressBar::new(estimate.segments);
        if let Ok(style) = ProgressStyle::with_template(
            "{bar:40} {pos}/{len} segments, {elapsed} elapsed, {eta} left",
        ) {
            self.bar.set_style(style);
        }
        self.bar
            .enable_steady_tick(std::time::Duration::from_millis(500));
    }

    fn segment(&mut self, _index: u64, _kept: bool) -> Result<(), Interrupted> {
        self.bar.inc(1);
        if self.stop.load(Ordering::SeqCst) {
            Err(Interrupted)
        } else {
            Ok(())
        }
    }
}

fn print(report: &ProveReport, backend: &str, json: bool) -> Result<(), Failure> {
    let statement = &report.statement;
    if json {
        return output::json(&Proved {
            digest: hex(&statement.digest),
            length: statement.length,
            segments: statement.segments,
            resumed_segments: report.resumed,
            backend: backend.to_owned(),
            device: report.device.name.clone(),
            driver: report.device.driver.clone(),
            profile: report.profile.to_string(),
            security_bits: report.security.bits,
            security_binding_term: report.security.binding_term,
            security_scope: report.profile.scope(),
            zero_knowledge: false,
            proof_bytes: report.proof_bytes,
            estimated_bytes: report.estimate.proof_bytes,
            prove_s: report.seconds,
            estimated_s: report.estimate.seconds,
            phases_s: report.phases.clone(),
            kernels: report.statistics.kernels.clone(),
            bytes_up: report.statistics.bytes_up,
            bytes_down: report.statistics.bytes_down,
            fallbacks: report.statistics.fallbacks,
            fallback_bytes: report.statistics.fallback_bytes,
            build_s: report.statistics.build_seconds,
            peak_device_bytes: report.statistics.peak_bytes,
            peak_host_bytes: memory::peak_bytes(),
            valid: true,
            complete: true,
        });
    }
    say!("digest    {}", hex(&statement.digest));
    say!(
        "length    {} bytes in {} segments",
        statement.length,
        statement.segments
    );
    say!(
        "device    {} ({})",
        report.device.name,
        report.device.driver
    );
    output::security(report.profile, &report.security);
    say!("proof     {}", bytes(report.proof_bytes));
    say!("time      {:.2} s", report.seconds);
    for (phase, seconds) in &report.phases {
        say!("          {seconds:8.2} s  {phase}");
    }
    say!(
        "moved     {} up, {} down",
        bytes(report.statistics.bytes_up),
        bytes(report.statistics.bytes_down)
    );
    say!(
        "memory    {} device peak, {} host peak",
        bytes(report.statistics.peak_bytes),
        memory::peak_bytes().map_or_else(|| "unknown".to_owned(), bytes)
    );
    Ok(())
}
