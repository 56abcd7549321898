//! How many provers a running fleet needs, by what it has measured itself: what the hook is told.

use std::sync::Arc;

use super::plan::{PlanRequest, plan};
use super::{
    ForecastSettings, Paces, Snapshot, etas, last, measured_arrivals, newest_done, unmeasured,
};
use crate::FleetError;
use crate::simulate::Template;
use crate::store::JobStore;

/// What is asked of a fleet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NeedSettings {
    /// The delay that 95 % of the jobs are not to exceed, in seconds.
    pub target_delay_s: f64,
    /// Arrivals are counted over so many seconds.
    pub window_s: f64,
    /// Never fewer provers.
    pub min_provers: u32,
    /// How forecasts are made; never more provers than its limit.
    pub forecast: ForecastSettings,
}

/// What a fleet has before it.
#[derive(Clone, Debug)]
pub struct Demand {
    /// The queue.
    pub snapshot: Snapshot,
    /// Jobs for a second, of late; none: no job came.
    pub arrivals: Option<f64>,
    /// The newest job that is done: what the next ones are taken to be like.
    pub job: Option<Arc<Template>>,
}

/// Jobs looked at to count the arrivals.
const MAX_ARRIVED: u32 = 10_000;

/// Jobs simulated for a plan: fewer than for a person's, since it is made again and again.
const JOBS: u32 = 60;

impl Demand {
    /// Reads a queue; `before` is the reading before it.
    ///
    /// # Errors
    /// The store's.
    pub async fn take(
        store: &dyn JobStore,
        before: Option<&Self>,
        window_s: f64,
    ) -> Result<Self, FleetError> {
        let mut snapshot = Snapshot::take(store, before.map(|before| &before.snapshot)).await?;
        let jobs = store.jobs(None, MAX_ARRIVED).await?;
        let arrivals = measured_arrivals(&jobs, snapshot.now, window_s);
        let job = newest_done(store).await?.map(Arc::new);
        let machine = job.iter().map(|job| job.machine().clone());
        snapshot.machines.extend(machine);
        Ok(Self {
            snapshot,
            arrivals,
            job,
        })
    }
}

/// Provers needed: enough for the jobs that come as they came of late ([`plan`]), and enough to do what is queued within the
/// target, or within a tenth more than the time that it takes with all provers allowed. While tasks wait that nobody was
/// measured at, one at least: somebody has to begin. None while there is nothing to tell from.
///
/// Blocks: some ten simulations for each of the two.
///
/// # Errors
/// As [`plan`].
pub fn needed(demand: &Demand, settings: &NeedSettings) -> Result<Option<u32>, FleetError> {
    let snapshot = &demand.snapshot;
    let paces = Paces::new(&snapshot.rates);
    let limit = settings.forecast.max_provers.max(1);
    let begin = u32::from(!unmeasured(snapshot, &paces).is_empty());
    let mut provers = settings.min_provers.max(begin).min(limit);
    let mix = snapshot.mix();
    if mix.is_empty() {
        return Ok((begin > 0).then_some(provers));
    }
    if let (Some(arrivals), Some(job)) = (demand.arrivals, &demand.job) {
        let report = plan(&PlanRequest {
            arrivals,
            target_delay_s: settings.target_delay_s,
            rates: snapshot.rates.clone(),
            mix,
            job: Arc::clone(job),
            overhead_s: settings.forecast.overhead_s,
            seed: 0,
            jobs: JOBS,
            max_provers: limit,
        })?;
        // A target that no number meets: as many as keep up.
        let keep_up = || {
            let stable = report.curve.iter().find(|point| point.delay.is_some());
            stable.map_or(limit, |point| point.provers)
        };
        provers = provers.max(report.provers.unwrap_or_else(keep_up));
    }
    let delay = |count| etas(snapshot, &paces, count, &settings.forecast).map(|etas| last(&etas));
    let Some(best) = delay(limit)? else {
        return Ok(Some(provers));
    };
    let target = settings.target_delay_s.max(1.1 * best);
    let (mut below, mut above) = (provers.max(1) - 1, limit);
    while above > below + 1 {
        let middle = below + (above - below) / 2;
        if delay(middle)?.is_some_and(|delay| delay <= target) {
            above = middle;
        } else {
            below = middle;
        }
    }
    Ok(Some(provers.max(above)))
}
