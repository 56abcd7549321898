//! `starkwright submit`.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use starkwright_fleet::aggregator::Submission;
use starkwright_fleet::client::Client;
use starkwright_fleet::keccak::NAME;
use starkwright_fleet::task::MachineId;

use super::settings;
use crate::args::{SubmitArgs, SubmitKeccakArgs, Submitted};
use crate::exit::{DONE, Failure};
use crate::output;

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct Sent {
    id: String,
    known: bool,
    state: &'static str,
    tasks: u64,
    files: usize,
    bytes: u64,
    zero_knowledge: bool,
}

pub(crate) fn submit(args: &SubmitArgs) -> Result<u8, Failure> {
    match &args.statement {
        Submitted::Keccak(args) => settings::run(keccak(args)),
    }
}

async fn keccak(args: &SubmitKeccakArgs) -> Result<u8, Failure> {
    let job = settings::keccak_job(&args.proof, args.range.first, &args.range.old)?;
    let payload = job
        .to_payload()
        .map_err(|error| Failure::usage(error.to_string()))?;
    let client = Client::new(&settings::address(&args.link)?)?;
    let mut inputs = Vec::with_capacity(args.input.len());
    for path in &args.input {
        inputs.push(upload(&client, path, args.json).await?);
    }
    let bytes = inputs.iter().map(|blob| blob.bytes).sum();
    let files = inputs.len();
    let reply = client
        .submit(Submission {
            machine: MachineId {
                name: NAME.to_owned(),
                version: String::new(),
            },
            payload,
            inputs,
            stream: args.stream.clone(),
            priority: args.priority,
            trace: String::new(),
        })
        .await?;
    if args.json {
        output::json(&Sent {
            id: reply.job.to_string(),
            known: reply.known,
            state: reply.state.name(),
            tasks: reply.tasks,
            files,
            bytes,
            zero_knowledge: false,
        })?;
        return Ok(DONE);
    }
    if reply.known {
        eprintln!("submitted before: it is {}", reply.state.name());
    } else {
        eprintln!(
            "{} tasks for {files} files of {}; NOT zero-knowledge: the proof reveals their bytes",
            reply.tasks,
            output::bytes(bytes)
        );
    }
    say!("{}", reply.job);
    Ok(DONE)
}

/// Sends a file, with a bar on standard error where that is a terminal.
async fn upload(
    client: &Client,
    path: &Path,
    quiet: bool,
) -> Result<starkwright_fleet::task::Blob, Failure> {
    let length = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let bar = if quiet {
        ProgressBar::hidden()
    } else {
        ProgressBar::new(length)
    };
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {msg}") {
        bar.set_style(style);
    }
    bar.set_message(path.display().to_string());
    let shown = bar.clone();
    let blob = client.upload(path, move |sent| shown.inc(sent)).await?;
    bar.finish_and_clear();
    Ok(blob)
}
