//! `starkwright prove keccak --provers N`: a fleet of this host, for one file.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;
use starkwright_aggregator::aggregate::{VerifyOptions, verify};
use starkwright_fleet::blobs::Blobs;
use starkwright_fleet::keccak::KeccakMachine;
use starkwright_fleet::private::{PrivateJob, PrivateWatch, prove_privately};
use starkwright_fleet::prover::Activity;
use starkwright_fleet::store::{JobView, Limits, open_store};
use tokio::sync::watch;
use tracing::level_filters::LevelFilter;

use super::roles::OnThis;
use super::settings;
use crate::args::KeccakArgs;
use crate::config;
use crate::device::with_device;
use crate::exit::{DONE, Failure};
use crate::interrupt;
use crate::proven::Proven;

/// What is counted, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Counts {
    tasks: u64,
    provers: u16,
}

/// Proves the file with `provers` provers of a private fleet.
pub(crate) fn prove(args: &KeccakArgs, provers: u16) -> Result<u8, Failure> {
    let device = config::device(&args.config, args.on.backend.as_deref())?;
    let job = settings::keccak_job(&args.proof, 0, "0")?;
    let context = job.context;
    let refused = |error: &dyn std::fmt::Display| Failure::usage(error.to_string());
    let payload = job.to_payload().map_err(|error| refused(&error))?;
    let machine = KeccakMachine::new().map_err(|error| refused(&error))?;
    let prover = with_device(&device, OnThis)?.map_err(|error| refused(&error))?;
    let folder = folder(args)?;
    let stop = interrupt::watch("after the tasks that are running")?;
    let bars = Arc::new(Bars::new(provers, args.json));
    let private = PrivateJob {
        machine: Arc::new(machine),
        prover,
        provers: usize::from(provers),
        payload,
        inputs: vec![args.input.clone()],
    };
    let start = Instant::now();
    let running = async {
        let traces = settings::log("starkwright-prove", LevelFilter::WARN)?;
        let store = format!("sqlite://{}", folder.join("queue.db").display());
        let queue = open_store(&store, Limits::default()).await?;
        let blobs = Blobs::folder(&folder.join("proofs"))?;
        let (stopper, stopped) = watch::channel(false);
        tokio::spawn(watch_flag(stop, stopper));
        let watcher: Arc<dyn PrivateWatch> = Arc::<Bars>::clone(&bars);
        let proven = prove_privately(private, (queue, blobs), &args.output, watcher, stopped).await;
        settings::finish(traces).await;
        Ok::<_, Failure>(proven?)
    };
    let job = settings::run(running);
    bars.clear();
    let job = job?;
    let seconds = start.elapsed().as_secs_f64();
    let options = VerifyOptions {
        least: args.proof.profile,
        context,
        inputs: std::slice::from_ref(&args.input),
    };
    let report = verify(&args.output, &options)?;
    // What stays behind costs space and nothing else.
    let _ = std::fs::remove_dir_all(&folder);
    Proven {
        statement: &report.statement,
        profile: report.profile,
        security: &report.security,
        proof_bytes: report.proof_bytes,
        backend: device.backend.to_string(),
        seconds,
        line: format!("tasks     {} by {provers} provers", job.tasks.all()),
        counts: Counts {
            tasks: job.tasks.all(),
            provers,
        },
    }
    .print(args.json)?;
    Ok(DONE)
}

async fn watch_flag(stop: Arc<AtomicBool>, stopper: watch::Sender<bool>) {
    while !stop.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stopper.send_replace(true);
}

/// The folder beside the output: an interrupted run's where `--resume` is given, else a new one.
fn folder(args: &KeccakArgs) -> Result<PathBuf, Failure> {
    let mut name = OsString::from(&args.output);
    name.push(".fleet");
    let folder = PathBuf::from(name);
    if folder.exists() && !args.resume {
        return Err(Failure::usage(format!(
            "{} holds an interrupted run: go on with --resume, or remove it",
            folder.display()
        )));
    }
    std::fs::create_dir_all(&folder)
        .map_err(|error| Failure::usage(format!("cannot make {}: {error}", folder.display())))?;
    Ok(folder)
}

/// A bar for the job and a line for each prover, on standard error where that is a terminal.
struct Bars {
    all: MultiProgress,
    job: ProgressBar,
    provers: Vec<ProgressBar>,
}

impl Bars {
    fn new(provers: u16, quiet: bool) -> Self {
        let all = MultiProgress::new();
        let add = |template: &str, bar: ProgressBar| {
            let bar = all.add(bar);
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            if !quiet {
                bar.enable_steady_tick(Duration::from_millis(250));
            }
            bar
        };
        if quiet {
            all.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
        let job = add(
            "{bar:40} {pos}/{len} tasks, {elapsed} elapsed, {eta} left",
            ProgressBar::new(0),
        );
        let provers = (0..provers)
            .map(|number| {
                let bar = add(
                    "{spinner} {prefix} {pos} done  {msg}",
                    ProgressBar::new_spinner(),
                );
                bar.set_prefix(format!("prover {number:2}"));
                bar
            })
            .collect();
        Self { all, job, provers }
    }

    fn clear(&self) {
        // Nothing can be done about a terminal that is gone.
        let _ = self.all.clear();
    }
}

impl PrivateWatch for Bars {
    fn activity(&self, prover: usize, activity: &Activity) {
        if let Some(bar) = self.provers.get(prover) {
            match activity {
                Activity::Idle => bar.set_message("idle"),
                Activity::Proving { kind } => bar.set_message(kind.clone()),
                Activity::Delivered { .. } => bar.inc(1),
            }
        }
    }

    fn job(&self, job: &JobView) {
        self.job.set_length(job.tasks.all());
        self.job.set_position(job.tasks.done);
    }
}
