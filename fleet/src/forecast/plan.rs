//! How many provers are needed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::Paces;
use crate::FleetError;
use crate::simulate::{
    Arrival, Bound, Delays, JobOutcome, MAX_SECONDS, ProverGroup, Rules, Scenario, Template,
    doubling, of_mix, poisson, simulate,
};
use crate::store::Rate;

/// The most provers that an aggregator's plans and hook ever name.
pub const MAX_PLANNED: u32 = 1000;

/// A question.
#[derive(Clone, Debug)]
pub struct PlanRequest {
    /// Jobs for a second, on average.
    pub arrivals: f64,
    /// The delay that 95 % of the jobs are not to exceed, in seconds.
    pub target_delay_s: f64,
    /// How fast devices are.
    pub rates: Vec<Rate>,
    /// What provers there are to have: n of them are the first n of this mix, repeated.
    pub mix: Vec<ProverGroup>,
    /// What comes.
    pub job: Arc<Template>,
    /// What a task costs beside proving, in seconds.
    pub overhead_s: f64,
    /// The arrivals follow from it.
    pub seed: u64,
    /// Jobs that are simulated, or as many as 100,000 tasks make, from 10 to 400, where that is less; 0: the latter.
    pub jobs: u32,
    /// Most provers.
    pub max_provers: u32,
}

/// What so many provers make of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PlanPoint {
    /// Provers.
    pub provers: u32,
    /// Share of their time that the arrivals take up: from 1 on, the queue grows without end.
    pub load: f64,
    /// Delays; none where the load is 1 or more, or where jobs are left undone.
    pub delay: Option<Delays>,
    /// Whether the target is met.
    pub meets: bool,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanReport {
    /// Provers needed: they meet the target, and one less does not. None: no number up to the limit does.
    pub provers: Option<u32>,
    /// Why there is none; empty otherwise.
    pub why: String,
    /// A job's work on the mix's first device, and its longest chain on the fastest one.
    pub job: Bound,
    /// What 1, 2, 4, … provers make of it, and the answer itself.
    pub curve: Vec<PlanPoint>,
}

impl PlanRequest {
    /// A task's seconds on a group's provers; none: they cannot do it.
    fn seconds(&self, paces: &Paces, group: &ProverGroup, task: usize) -> Option<f64> {
        let task = self.job.tasks().get(task)?;
        let machine = self.job.machine();
        if task.memory > group.memory || !group.machines.contains(machine) {
            return None;
        }
        let seconds = paces.seconds(&group.device, &machine.name, &task.kind, task.work)?;
        Some(seconds * group.slowdown + self.overhead_s)
    }

    /// Jobs a second that such a prover does if it gets its share of everything that it can do.
    fn capacity(&self, paces: &Paces, group: &ProverGroup) -> f64 {
        let tasks = 0..self.job.tasks().len();
        let seconds = tasks.filter_map(|task| self.seconds(paces, group, task));
        let (work, any) = seconds.fold((0.0, false), |(sum, _), seconds| (sum + seconds, true));
        if any { 1.0 / work } else { 0.0 }
    }

    /// The work on the first device, the chain on the fastest one.
    fn bound(&self, paces: &Paces) -> Bound {
        let numbers: BTreeMap<*const _, usize> = self
            .job
            .tasks()
            .iter()
            .enumerate()
            .map(|(number, task)| (std::ptr::from_ref(task), number))
            .collect();
        let of = |groups: &[ProverGroup]| {
            Bound::of(self.job.tasks(), |task| {
                let number = numbers.get(&std::ptr::from_ref(task)).copied();
                let seconds = groups
                    .iter()
                    .filter_map(|group| self.seconds(paces, group, number?));
                seconds.min_by(f64::total_cmp).unwrap_or(0.0)
            })
        };
        Bound {
            work_s: of(self.mix.get(..1).unwrap_or_default()).work_s,
            chain_s: of(&self.mix).chain_s,
        }
    }

    fn scenario(&self, provers: u32) -> Scenario {
        let tasks = self.job.tasks().len() as u32;
        let many = (100_000 / tasks.max(1)).clamp(10, 400);
        let jobs = if self.jobs == 0 {
            many
        } else {
            self.jobs.min(many)
        };
        let times = poisson(self.seed, self.arrivals, jobs as usize);
        Scenario {
            seed: self.seed,
            rates: self.rates.clone(),
            provers: of_mix(&self.mix, provers),
            arrivals: times
                .into_iter()
                .map(|at_s| Arrival {
                    at_s,
                    job: Arc::clone(&self.job),
                    priority: 0,
                })
                .collect(),
            faults: crate::simulate::Faults::default(),
            rules: Rules::default(),
            overhead_s: self.overhead_s,
        }
    }

    fn check(&self) -> Result<(), FleetError> {
        let positive = |value: f64| value > 0.0 && value <= MAX_SECONDS;
        let wrong = |why: &str| {
            Err(FleetError::Settings {
                why: why.to_owned(),
            })
        };
        if !positive(self.arrivals) || self.arrivals < 1e-6 {
            return wrong("a rate of arrivals is at least one job in a million seconds");
        }
        if !positive(self.target_delay_s) {
            return wrong("a delay is a positive number of seconds");
        }
        if self.max_provers == 0 || of_mix(&self.mix, 1).is_empty() {
            return wrong("no prover is allowed: give a limit and a mix of at least one");
        }
        Ok(())
    }

    /// What so many provers make of it.
    ///
    /// # Errors
    /// [`FleetError::Settings`] for a question that makes no sense, or a kind of task without a rate.
    pub fn evaluate(&self, provers: u32) -> Result<PlanPoint, FleetError> {
        self.check()?;
        let paces = Paces::new(&self.rates);
        let groups = of_mix(&self.mix, provers);
        let capacity = groups
            .iter()
            .map(|group| self.capacity(&paces, group) * f64::from(group.count));
        let load = self.arrivals / capacity.sum::<f64>();
        let mut point = PlanPoint {
            provers,
            load,
            delay: None,
            meets: false,
        };
        if load < 1.0 {
            let report = simulate(&self.scenario(provers))?;
            if report.all_done() {
                // The first tenth finds an emptier fleet than the others.
                let jobs = &report.jobs[report.jobs.len() / 10..];
                let delays = jobs.iter().filter_map(JobOutcome::delay_s);
                point.delay = Delays::of(delays.collect());
            }
        }
        point.meets = point
            .delay
            .is_some_and(|delay| delay.p95_s <= self.target_delay_s);
        Ok(point)
    }
}

/// How many provers are needed, so that 95 % of the jobs are done within the target and the queue does not grow.
///
/// The number found meets the target in simulation and one less does not. It is the smallest such number unless more provers
/// happen to be slower, which scheduling anomalies (Graham 1966) make possible for single jobs; of many jobs' 95 % that is
/// rare.
///
/// Blocks: about twenty simulations.
///
/// # Errors
/// [`FleetError::Settings`] for a question that makes no sense, or a kind of task without a rate.
pub fn plan(request: &PlanRequest) -> Result<PlanReport, FleetError> {
    request.check()?;
    // Rates that are missing, or a scenario that makes no sense.
    request.scenario(1).check()?;
    let job = request.bound(&Paces::new(&request.rates));
    let mut known: BTreeMap<u32, PlanPoint> = BTreeMap::new();
    let mut evaluate = |provers: u32| -> Result<bool, FleetError> {
        if let Some(point) = known.get(&provers) {
            return Ok(point.meets);
        }
        let point = request.evaluate(provers)?;
        known.insert(provers, point);
        Ok(point.meets)
    };
    let (provers, why) = if job.chain_s > request.target_delay_s {
        let why = format!(
            "the longest chain of a job's tasks takes {:.1} s on the fastest device: no number of provers is faster",
            job.chain_s
        );
        (None, why)
    } else {
        let counts = doubling(request.max_provers);
        let mut below = 0;
        let mut above = None;
        for count in counts {
            if evaluate(count)? {
                above = Some(count);
                break;
            }
            below = count;
        }
        match above {
            None => {
                let why = format!(
                    "{} provers, the limit, do not meet the target",
                    request.max_provers
                );
                (None, why)
            }
            Some(mut above) => {
                while above - below > 1 {
                    let middle = below + (above - below) / 2;
                    if evaluate(middle)? {
                        above = middle;
                    } else {
                        below = middle;
                    }
                }
                (Some(above), String::new())
            }
        }
    };
    let limit = provers.unwrap_or(request.max_provers);
    let wanted: BTreeSet<u32> = doubling(limit.saturating_mul(2).min(request.max_provers))
        .into_iter()
        .chain(provers)
        .collect();
    for &count in &wanted {
        evaluate(count)?;
    }
    known.retain(|count, _| wanted.contains(count));
    Ok(PlanReport {
        provers,
        why,
        job,
        curve: known.into_values().collect(),
    })
}

/// Jobs for a second from `120/h`: a number, and one of `/s`, `/min`, `/h`, `/d`; a number alone is jobs for an hour.
///
/// # Errors
/// [`FleetError::Malformed`].
pub fn parse_rate(text: &str) -> Result<f64, FleetError> {
    let (number, unit) = text.split_once('/').unwrap_or((text, "h"));
    let seconds = match unit.trim() {
        "s" => Some(1.0),
        "min" => Some(60.0),
        "h" => Some(3600.0),
        "d" => Some(86_400.0),
        _ => None,
    };
    let number = number.trim().parse::<f64>().ok();
    let number = number.filter(|number| number.is_finite() && *number > 0.0);
    match (number, seconds) {
        (Some(number), Some(seconds)) => Ok(number / seconds),
        _ => Err(FleetError::Malformed {
            what: "rate",
            why: format!("{text:?} is none: write `120/h`, with one of /s, /min, /h, /d"),
        }),
    }
}
