//! When the open jobs will be done, and how many provers are needed.
//!
//! Every [`Rate`](crate::store::Rate) is measured: whenever a proof is accepted, the store takes the seconds that its prover
//! says, for a unit of work, into a mean that forgets. A forecast lets the simulator ([`crate::simulate`]) do what remains at
//! those rates, with the provers that work now and the tasks that they are at. It follows from the queue's state alone:
//! whoever takes a new [`Snapshot`] has the corrected forecast.
//!
//! [`forecast`] is about what is queued; [`plan`] is about what may come.

mod need;
mod paces;
mod plan;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use need::{Demand, NeedSettings, needed};
pub use paces::Paces;
pub use plan::{MAX_PLANNED, PlanPoint, PlanReport, PlanRequest, parse_rate, plan};
pub use snapshot::{
    ALIVE_MS, MAX_SIMULATED, OpenJob, Snapshot, measured_arrivals, measured_overhead, newest_done,
};

use crate::FleetError;
use crate::simulate::{
    Arrival, Bound, Faults, ProverGroup, Rules, Running, Scenario, doubling, run,
};
use crate::task::JobId;

/// When one job will be done.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct JobForecast {
    /// The job.
    pub job: JobId,
    /// Seconds from now.
    pub eta_s: f64,
}

/// How long everything that is queued would take so many provers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DelayPoint {
    /// Provers.
    pub provers: u32,
    /// Seconds until all of it is done.
    pub delay_s: f64,
}

/// A forecast.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Forecast {
    /// The open jobs that can be forecast, the lowest range first: none without provers, and none with kinds of tasks that nobody
    /// was measured at.
    pub jobs: Vec<JobForecast>,
    /// Provers working now.
    pub provers: u32,
    /// What more or fewer of them would do, by their number: 1, 2, 4, … and the number of now.
    pub curve: Vec<DelayPoint>,
    /// Kinds of tasks that wait and that nobody was measured at.
    pub unmeasured: BTreeSet<String>,
    /// Whether there is too much for a simulation of every task: delays are then W/n or the longest chain known,
    /// whichever is more, and may be low by up to that chain.
    pub rough: bool,
}

/// How forecasts are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ForecastSettings {
    /// What a task costs beside proving, in seconds ([`measured_overhead`]).
    pub overhead_s: f64,
    /// The last point of the curve.
    pub max_provers: u32,
}

impl Default for ForecastSettings {
    fn default() -> Self {
        Self {
            overhead_s: 0.0,
            max_provers: 64,
        }
    }
}

/// The forecast. Blocks: up to [`MAX_SIMULATED`] tasks are simulated for every point of the curve.
///
/// # Errors
/// [`FleetError::Settings`] for an overhead that is no time, or more provers than can be simulated.
pub fn forecast(snapshot: &Snapshot, settings: &ForecastSettings) -> Result<Forecast, FleetError> {
    let paces = Paces::new(&snapshot.rates);
    let mut forecast = Forecast {
        provers: snapshot.provers.len() as u32,
        unmeasured: unmeasured(snapshot, &paces),
        rough: snapshot.jobs.iter().any(|job| job.rest.is_none()),
        ..Forecast::default()
    };
    let mut counts: BTreeSet<u32> = doubling(settings.max_provers.max(1)).into_iter().collect();
    counts.insert(forecast.provers);
    counts.remove(&0);
    for provers in counts {
        let etas = etas(snapshot, &paces, provers, settings)?;
        if let Some(delay_s) = last(&etas) {
            forecast.curve.push(DelayPoint { provers, delay_s });
        }
        if provers == forecast.provers {
            forecast.jobs = etas;
        }
    }
    Ok(forecast)
}

/// When each job is done with so many provers.
fn etas(
    snapshot: &Snapshot,
    paces: &Paces,
    provers: u32,
    settings: &ForecastSettings,
) -> Result<Vec<JobForecast>, FleetError> {
    let groups = snapshot.groups(provers);
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    if snapshot.jobs.iter().any(|job| job.rest.is_none()) {
        return Ok(rough(snapshot, paces, &groups));
    }
    simulated(snapshot, paces, groups, settings)
}

/// When the last one is.
fn last(etas: &[JobForecast]) -> Option<f64> {
    let etas = etas.iter().map(|job| job.eta_s);
    etas.max_by(f64::total_cmp)
}

fn unmeasured(snapshot: &Snapshot, paces: &Paces) -> BTreeSet<String> {
    let waiting = snapshot.backlog.iter();
    let waiting = waiting.filter(|backlog| backlog.tasks.unproven() > 0);
    let unknown = waiting.filter(|backlog| {
        paces
            .seconds("", &backlog.machine, &backlog.kind, 1)
            .is_none()
    });
    unknown.map(|backlog| backlog.kind.clone()).collect()
}

/// Every task simulated.
fn simulated(
    snapshot: &Snapshot,
    paces: &Paces,
    groups: Vec<ProverGroup>,
    settings: &ForecastSettings,
) -> Result<Vec<JobForecast>, FleetError> {
    let count: u32 = groups.iter().map(|group| group.count).sum();
    let mut scenario = Scenario {
        seed: 0,
        rates: snapshot.rates.clone(),
        provers: groups,
        arrivals: Vec::new(),
        faults: Faults::default(),
        rules: Rules::default(),
        overhead_s: settings.overhead_s,
    };
    let numbers: BTreeMap<&str, usize> = snapshot
        .provers
        .iter()
        .take(count as usize)
        .enumerate()
        .map(|(number, prover)| (prover.info.name.as_str(), number))
        .collect();
    let mut running = Vec::new();
    let mut ids = Vec::new();
    for job in &snapshot.jobs {
        let Some(rest) = &job.rest else { continue };
        let machine = &rest.template.machine().name;
        let tasks = rest.template.tasks();
        let seconds = |device: &str, task: usize| {
            let task = &tasks[task];
            paces.seconds(device, machine, &task.kind, task.work)
        };
        if (0..tasks.len()).any(|task| seconds("", task).is_none()) {
            continue;
        }
        for (task, prover, since) in &rest.running {
            if let Some(&number) = numbers.get(prover.as_str()) {
                let device = &snapshot.provers[number].info.device;
                let whole = seconds(device, *task as usize).unwrap_or_default();
                let gone = (snapshot.now - since).max(0) as f64 / 1e3;
                running.push(Running {
                    job: ids.len(),
                    task: *task,
                    prover: number,
                    remaining_s: (whole + settings.overhead_s - gone).max(0.0),
                });
            }
        }
        ids.push(job.view.id);
        scenario.arrivals.push(Arrival {
            at_s: 0.0,
            job: std::sync::Arc::clone(&rest.template),
            priority: job.view.priority,
        });
    }
    let report = run(&scenario, &running, |_| ())?;
    let jobs = ids.into_iter().zip(report.jobs);
    let known = jobs.filter_map(|(job, outcome)| {
        let eta_s = outcome.delay_s()?;
        Some(JobForecast { job, eta_s })
    });
    Ok(known.collect())
}

/// The lower bound: jobs one after the other at the speed of all provers, none sooner than its longest chain.
fn rough(snapshot: &Snapshot, paces: &Paces, groups: &[ProverGroup]) -> Vec<JobForecast> {
    // Seconds until everything is done, were all provers like one of the group: speeds add up.
    let all = |group: &ProverGroup| -> f64 {
        let waiting = snapshot.backlog.iter();
        let seconds = waiting.filter_map(|backlog| {
            paces.seconds(&group.device, &backlog.machine, &backlog.kind, backlog.work)
        });
        seconds.sum()
    };
    let speed: f64 = groups
        .iter()
        .map(|group| f64::from(group.count) / all(group).max(1e-6))
        .sum();
    let everything: u64 = snapshot
        .backlog
        .iter()
        .map(|kind| kind.tasks.unproven())
        .sum();
    let mut until = 0;
    let mut eta_s: f64 = 0.0;
    let mut etas = Vec::new();
    for job in &snapshot.jobs {
        until += job.view.tasks.unproven();
        let share = until as f64 / everything.max(1) as f64;
        let chain = job.rest.as_ref().map_or(0.0, |rest| {
            let template = &rest.template;
            let seconds = |task: &crate::task::TaskSpec| {
                let device = &groups[0].device;
                let machine = &template.machine().name;
                let seconds = paces.seconds(device, machine, &task.kind, task.work);
                seconds.unwrap_or(0.0)
            };
            Bound::of(template.tasks(), seconds).chain_s
        });
        // Those behind it may be as long: what is not known of them is taken from those that are.
        eta_s = eta_s.max(share / speed).max(chain);
        etas.push(JobForecast {
            job: job.view.id,
            eta_s,
        });
    }
    etas
}
