//! How the fleet stands: what the page shows and what gauges are made of. Every list is bounded.

use serde::Serialize;

use super::forecast::{Forecast, Forecaster};
use super::throughput::STEP;
use crate::FleetError;
use crate::aggregator::Aggregator;
use crate::protocol::text;
use crate::store::{Backlog, JobState, JobStore, JobView, ProverView, Rate, TaskCounts};
use crate::task::JobId;

/// Open jobs that are read from the queue; of more, the newest.
const MAX_OPEN: u32 = 1000;
/// Open jobs that are listed: those submitted first.
const LISTED: usize = 24;
/// Ended jobs that are listed: the newest.
const ENDED: u32 = 8;
/// Provers that are listed: those that work, then those heard of last.
const MAX_PROVERS: usize = 200;
/// Kinds of task, and rates, that are listed.
const MAX_KINDS: usize = 100;
/// Longest text of somebody else's, in characters.
const MAX_TEXT: usize = 300;
/// After how long without a word a prover counts as gone, in milliseconds: idle ones ask every 20 s.
const GONE: i64 = 60_000;
/// What `seen` is rounded to, in milliseconds: a state that only says that time passed is no news.
const COARSE: i64 = 30_000;

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub struct State {
    /// Milliseconds since 1970, by the store's clock.
    pub now: i64,
    /// All that does not change by itself.
    #[serde(flatten)]
    pub view: View,
}

/// A state without its time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct View {
    /// Of this software.
    pub release: &'static str,
    /// Tasks of the open jobs.
    pub queue: TaskCounts,
    /// The same by machine and kind.
    pub kinds: Vec<Backlog>,
    /// Provers.
    pub provers: Provers,
    /// Jobs.
    pub jobs: Jobs,
    /// The open job that was submitted first.
    pub oldest: Option<Oldest>,
    /// Proofs accepted by this aggregator, in steps of `step_s` seconds, oldest first; the last step is not over yet.
    pub throughput: Vec<u64>,
    /// Seconds of a step.
    pub step_s: u64,
    /// Rates measured.
    pub rates: Vec<Rate>,
    /// The forecast, where rates are measured.
    pub forecast: Option<Forecast>,
}

/// Provers that ever registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Provers {
    /// Holding a task.
    pub working: u64,
    /// Waiting for one.
    pub idle: u64,
    /// Not heard of for a minute.
    pub gone: u64,
    /// Caught at sending false proofs.
    pub quarantined: u64,
    /// Those listed.
    pub list: Vec<ProverRow>,
}

/// What a prover is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProverState {
    /// It holds a task.
    Working,
    /// It waits for one.
    Idle,
    /// It was caught at sending false proofs.
    Quarantined,
    /// It was not heard of for a minute.
    Gone,
}

/// A prover of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProverRow {
    /// Its name.
    pub name: String,
    /// Its device.
    pub device: String,
    /// Device memory in bytes.
    pub memory: u64,
    /// What it is at.
    pub state: ProverState,
    /// Tasks that it holds.
    pub leased: u64,
    /// Tasks that it has done.
    pub done: u64,
    /// Proofs of its that were refused since it was last released.
    pub refused: u32,
    /// Why it is quarantined; empty: it is not.
    pub why: String,
    /// When it was last heard of, to half a minute: milliseconds since 1970 by the store's clock.
    pub seen: i64,
}

/// Jobs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Jobs {
    /// Open ones; where there are more than a thousand, a thousand.
    pub open: u64,
    /// Whether there are more.
    pub more: bool,
    /// Those listed: open ones by age, then those that ended last.
    pub list: Vec<JobRow>,
}

/// A job of the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobRow {
    /// Its name.
    pub id: JobId,
    /// Its machine, with its version.
    pub machine: String,
    /// Its stream, empty: none.
    pub stream: String,
    /// First item of its range.
    pub first: u64,
    /// Items of its range.
    pub count: u64,
    /// Its priority.
    pub priority: i32,
    /// Its state.
    pub state: JobState,
    /// Its tasks by state.
    pub tasks: TaskCounts,
    /// When it was submitted: milliseconds since 1970 by the store's clock.
    pub submitted: i64,
    /// When it ended.
    pub ended: Option<i64>,
    /// Why it failed.
    pub error: String,
    /// Its trace, in W3C's form.
    pub trace: String,
    /// Seconds until it is done, where rates are measured.
    pub eta_s: Option<f64>,
}

/// The open job that was submitted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Oldest {
    /// The job.
    pub job: JobId,
    /// When it was submitted: milliseconds since 1970 by the store's clock.
    pub submitted: i64,
}

impl ProverRow {
    fn of(prover: ProverView, now: i64) -> Self {
        let state = if !prover.quarantined.is_empty() {
            ProverState::Quarantined
        } else if prover.leased > 0 {
            ProverState::Working
        } else if now - prover.seen > GONE {
            ProverState::Gone
        } else {
            ProverState::Idle
        };
        Self {
            name: prover.info.name,
            device: text(&prover.info.device, MAX_TEXT),
            memory: prover.info.memory,
            state,
            leased: prover.leased,
            done: prover.done,
            refused: prover.refused,
            why: text(&prover.quarantined, MAX_TEXT),
            seen: prover.seen / COARSE * COARSE,
        }
    }
}

impl JobRow {
    pub(super) fn of(job: JobView, forecast: Option<&Forecast>) -> Self {
        let eta = forecast.and_then(|forecast| forecast.jobs.iter().find(|eta| eta.job == job.id));
        Self {
            id: job.id,
            machine: job.machine.to_string(),
            stream: text(&job.stream, MAX_TEXT),
            first: job.first,
            count: job.count,
            priority: job.priority,
            state: job.state,
            tasks: job.tasks,
            submitted: job.submitted,
            ended: job.ended,
            error: text(&job.error, MAX_TEXT),
            trace: text(&job.trace, MAX_TEXT),
            eta_s: eta.map(|eta| eta.eta_s),
        }
    }
}

impl Provers {
    fn of(views: Vec<ProverView>, now: i64) -> Self {
        let rows = views.into_iter().map(|view| ProverRow::of(view, now));
        let mut list: Vec<ProverRow> = rows.collect();
        let count = |state| list.iter().filter(|row| row.state == state).count() as u64;
        let counted = Self {
            working: count(ProverState::Working),
            idle: count(ProverState::Idle),
            gone: count(ProverState::Gone),
            quarantined: count(ProverState::Quarantined),
            list: Vec::new(),
        };
        if list.len() > MAX_PROVERS {
            list.sort_by_key(|row| (row.state, -row.seen));
            list.truncate(MAX_PROVERS);
        }
        list.sort_by(|one, other| one.name.cmp(&other.name));
        Self { list, ..counted }
    }
}

impl State {
    /// Asks the queue.
    ///
    /// # Errors
    /// The queue's. A forecast that fails is none.
    pub(super) async fn of(
        aggregator: &Aggregator,
        forecaster: Option<&dyn Forecaster>,
    ) -> Result<Self, FleetError> {
        let store = aggregator.store();
        let now = store.now().await?;
        let mut kinds = store.backlog().await?;
        kinds.truncate(MAX_KINDS);
        let mut rates = store.rates().await?;
        rates.truncate(MAX_KINDS);
        let forecast = match forecaster {
            Some(forecaster) => forecaster.forecast(store).await.unwrap_or_else(|error| {
                tracing::debug!(%error, "no forecast");
                None
            }),
            None => None,
        };
        let mut queue = TaskCounts::default();
        for kind in &kinds {
            queue.waiting += kind.tasks.waiting;
            queue.ready += kind.tasks.ready;
            queue.leased += kind.tasks.leased;
            queue.done += kind.tasks.done;
            queue.failed += kind.tasks.failed;
        }
        let provers = Provers::of(store.provers().await?, now);
        let (jobs, oldest) = jobs(store, forecast.as_ref()).await?;
        Ok(Self {
            now,
            view: View {
                release: env!("CARGO_PKG_VERSION"),
                queue,
                kinds,
                provers,
                jobs,
                oldest,
                throughput: aggregator.metrics().throughput.counts(),
                step_s: STEP.as_secs(),
                rates,
                // Jobs have theirs in the list.
                forecast: forecast.map(|forecast| Forecast {
                    jobs: Vec::new(),
                    ..forecast
                }),
            },
        })
    }
}

async fn jobs(
    store: &dyn JobStore,
    forecast: Option<&Forecast>,
) -> Result<(Jobs, Option<Oldest>), FleetError> {
    let mut open = store.jobs(Some(JobState::Open), MAX_OPEN + 1).await?;
    let more = open.len() > MAX_OPEN as usize;
    open.truncate(MAX_OPEN as usize);
    let count = open.len() as u64;
    open.reverse();
    let oldest = open.iter().min_by_key(|job| job.submitted);
    let oldest = oldest.map(|job| Oldest {
        job: job.id,
        submitted: job.submitted,
    });
    open.truncate(LISTED);
    let mut ended = Vec::new();
    for state in [JobState::Done, JobState::Failed, JobState::Cancelled] {
        ended.extend(store.jobs(Some(state), ENDED).await?);
    }
    ended.sort_by_key(|job| std::cmp::Reverse(job.ended));
    ended.truncate(ENDED as usize);
    let listed = open.into_iter().chain(ended);
    let jobs = Jobs {
        open: count,
        more,
        list: listed.map(|job| JobRow::of(job, forecast)).collect(),
    };
    Ok((jobs, oldest))
}
