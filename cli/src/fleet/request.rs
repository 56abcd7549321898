//! `starkwright status`, `fetch`, `cancel`, `retry`, `provers`.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use starkwright_fleet::client::Client;
use starkwright_fleet::protocol::wire::GetForecastReply;
use starkwright_fleet::store::{JobState, JobView};
use starkwright_fleet::task::JobId;

use super::settings;
use crate::args::{FetchArgs, JobArgs, LinkArgs, ProversArgs, StatusArgs};
use crate::exit::{DONE, FAILED, Failure, OPEN};
use crate::output;

/// A running request, and the client that it is made with.
pub(super) fn with_client<T>(
    link: &LinkArgs,
    request: impl AsyncFnOnce(Client) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let address = settings::address(link)?;
    settings::run(async { request(Client::new(&address)?).await })
}

fn id(text: &str) -> Result<JobId, Failure> {
    Ok(text.parse()?)
}

const fn code(state: JobState) -> u8 {
    match state {
        JobState::Done => DONE,
        JobState::Open => OPEN,
        JobState::Failed | JobState::Cancelled => FAILED,
    }
}

/// A job, and when it will be done: what `status --json` prints.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    job: JobView,
    /// Seconds from now, where that can be said.
    eta_s: Option<f64>,
}

/// When open jobs will be done; none where no job is open. Jobs are shown without it where there is none.
async fn foresee(client: &Client, jobs: &[JobView]) -> Option<GetForecastReply> {
    if jobs.iter().any(|job| job.state == JobState::Open) {
        client.forecast().await.ok()
    } else {
        None
    }
}

fn shown(job: JobView, forecast: Option<&GetForecastReply>) -> Shown {
    let id = job.id.to_string();
    let mut known = forecast.into_iter().flat_map(|forecast| &forecast.jobs);
    let eta_s = known.find(|known| known.job == id).map(|known| known.eta_s);
    Shown { job, eta_s }
}

pub(crate) fn status(args: &StatusArgs) -> Result<u8, Failure> {
    match &args.id {
        Some(text) => one(id(text)?, args),
        None => list(args),
    }
}

fn list(args: &StatusArgs) -> Result<u8, Failure> {
    let jobs = with_client(&args.link, async |client| {
        let jobs = client.jobs(None, args.limit).await?;
        let forecast = foresee(&client, &jobs).await;
        let jobs = jobs.into_iter().map(|job| shown(job, forecast.as_ref()));
        Ok(jobs.collect::<Vec<_>>())
    })?;
    if args.json {
        output::json(&jobs)?;
    } else {
        jobs.iter().for_each(line);
    }
    Ok(DONE)
}

fn one(id: JobId, args: &StatusArgs) -> Result<u8, Failure> {
    let (job, forecast) = with_client(&args.link, async |client| {
        let job = if args.wait {
            wait(&client, id, args.json).await?
        } else {
            client.job(id).await?
        };
        let forecast = foresee(&client, std::slice::from_ref(&job)).await;
        Ok((job, forecast))
    })?;
    let shown = shown(job, forecast.as_ref());
    if args.json {
        output::json(&shown)?;
    } else {
        describe(&shown.job);
        if let Some(forecast) = &forecast {
            say!("forecast  {}", when(shown.eta_s, forecast));
        }
    }
    Ok(code(shown.job.state))
}

/// Waits until the job is no longer open, with a bar on standard error where that is a terminal.
async fn wait(client: &Client, id: JobId, quiet: bool) -> Result<JobView, Failure> {
    let bar = if quiet {
        ProgressBar::hidden()
    } else {
        ProgressBar::new(0)
    };
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {pos}/{len} tasks, {elapsed} elapsed, {msg}")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    let job = client
        .wait(id, Duration::from_secs(600), |job| {
            bar.set_length(job.tasks.all());
            bar.set_position(job.tasks.done);
            bar.set_message(format!("{} running", job.tasks.leased));
        })
        .await?;
    bar.finish_and_clear();
    Ok(job)
}

/// When an open job will be done, or why nobody knows.
fn when(eta_s: Option<f64>, forecast: &GetForecastReply) -> String {
    match eta_s {
        Some(eta_s) if forecast.rough => {
            format!("done in {eta_s:.0} s at the earliest: too many tasks to simulate each")
        }
        Some(eta_s) => format!("done in about {eta_s:.0} s"),
        None if forecast.provers == 0 => "no forecast: no prover works".to_owned(),
        None if !forecast.unmeasured.is_empty() => format!(
            "no forecast yet: nobody was measured at {}",
            forecast.unmeasured.join(", ")
        ),
        None => "no forecast yet: it is new, or no prover that works can do all of it".to_owned(),
    }
}

fn line(shown: &Shown) {
    let job = &shown.job;
    let eta = shown
        .eta_s
        .map(|eta_s| format!("  done in about {eta_s:.0} s"));
    say!(
        "{}  {:9}  {:>6}/{:<6}  items {}..{}  {}{}",
        job.id,
        job.state.name(),
        job.tasks.done,
        job.tasks.all(),
        job.first,
        job.first.saturating_add(job.count),
        job.machine.name,
        eta.unwrap_or_default()
    );
}

fn describe(job: &JobView) {
    say!("job       {} ({})", job.id, job.state.name());
    say!("machine   {}", job.machine);
    say!(
        "items     {} to {}",
        job.first,
        job.first.saturating_add(job.count.saturating_sub(1))
    );
    say!(
        "tasks     {} done, {} running, {} ready, {} waiting, {} failed",
        job.tasks.done,
        job.tasks.leased,
        job.tasks.ready,
        job.tasks.waiting,
        job.tasks.failed
    );
    if let Some(ended) = job.ended {
        let seconds = ended.saturating_sub(job.submitted) as f64 / 1000.0;
        say!("time      {seconds:.2} s from submission to end");
    }
    if let Some(result) = &job.result {
        say!("proof     {}", output::bytes(result.bytes));
    }
    if !job.error.is_empty() {
        say!("error     {}", job.error);
    }
}

/// The object that `fetch --json` prints.
#[derive(Debug, Serialize)]
struct Fetched {
    id: JobId,
    output: String,
    proof_bytes: u64,
}

pub(crate) fn fetch(args: &FetchArgs) -> Result<u8, Failure> {
    let id = id(&args.job.id)?;
    let fetched = with_client(&args.job.link, async |client| {
        let job = client.job(id).await?;
        match job.state {
            JobState::Done => Ok(client.fetch(id, &args.output).await?),
            state => Err(Failure {
                code: code(state),
                message: match state {
                    JobState::Failed => format!("job {id} failed: {}", job.error),
                    JobState::Cancelled => format!("job {id} was cancelled"),
                    _ => format!(
                        "job {id} is not done: {} of {} tasks are",
                        job.tasks.done,
                        job.tasks.all()
                    ),
                },
            }),
        }
    })?;
    if args.job.json {
        output::json(&Fetched {
            id,
            output: args.output.display().to_string(),
            proof_bytes: fetched,
        })?;
    } else {
        say!("proof     {}", output::bytes(fetched));
    }
    Ok(DONE)
}

/// The object that `cancel --json` and `retry --json` print.
#[derive(Debug, Serialize)]
struct Changed {
    id: JobId,
    state: &'static str,
}

fn change(
    args: &JobArgs,
    state: JobState,
    request: impl AsyncFnOnce(Client, JobId) -> Result<(), Failure>,
) -> Result<u8, Failure> {
    let id = id(&args.id)?;
    with_client(&args.link, async |client| request(client, id).await)?;
    if args.json {
        output::json(&Changed {
            id,
            state: state.name(),
        })?;
    } else {
        say!("job {id} is {}", state.name());
    }
    Ok(DONE)
}

pub(crate) fn cancel(args: &JobArgs) -> Result<u8, Failure> {
    change(args, JobState::Cancelled, async |client, id| {
        Ok(client.cancel(id).await?)
    })
}

pub(crate) fn retry(args: &JobArgs) -> Result<u8, Failure> {
    change(args, JobState::Open, async |client, id| {
        Ok(client.retry(id).await?)
    })
}

/// An element of the array that `provers --json` prints.
#[derive(Debug, Serialize)]
struct ProverRow {
    name: String,
    device: String,
    memory: u64,
    machines: Vec<String>,
    leased: u64,
    done: u64,
    refused: u32,
    quarantined: String,
    seen_s_ago: f64,
}

pub(crate) fn provers(args: &ProversArgs) -> Result<u8, Failure> {
    if let Some(name) = &args.release {
        with_client(&args.link, async |client| {
            Ok(client.release_prover(name).await?)
        })?;
        if args.json {
            output::json(&serde_json::json!({ "released": name }))?;
        } else {
            say!("prover {name} may work again");
        }
        return Ok(DONE);
    }
    let (provers, now) = with_client(&args.link, async |client| Ok(client.provers().await?))?;
    let rows = provers.into_iter().map(|prover| ProverRow {
        name: prover.name,
        device: prover.device,
        memory: prover.memory,
        machines: prover
            .machines
            .iter()
            .map(|machine| format!("{} {}", machine.name, machine.version))
            .collect(),
        leased: prover.leased,
        done: prover.done,
        refused: prover.refused,
        quarantined: prover.quarantined,
        seen_s_ago: now.saturating_sub(prover.seen_ms) as f64 / 1000.0,
    });
    let rows: Vec<ProverRow> = rows.collect();
    if args.json {
        output::json(&rows)?;
        return Ok(DONE);
    }
    for row in rows {
        let state = match (row.quarantined.is_empty(), row.leased) {
            (false, _) => "quarantined",
            (true, 0) => "idle",
            (true, _) => "proving",
        };
        say!(
            "{:20}  {state:11}  {:>6} done  seen {:.0} s ago  {}",
            row.name,
            row.done,
            row.seen_s_ago,
            row.device
        );
        if !row.quarantined.is_empty() {
            say!("{:20}  {}", "", row.quarantined);
        }
    }
    Ok(DONE)
}
