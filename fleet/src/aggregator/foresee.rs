//! When the open jobs will be done, and with how many provers: from what was measured here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::{Mutex, Semaphore};

use super::Aggregator;
use crate::FleetError;
use crate::forecast::{
    Demand, Forecast, ForecastSettings, MAX_PLANNED, NeedSettings, PlanReport, PlanRequest,
    Snapshot, forecast, needed, newest_done, plan,
};
use crate::hook::{Hook, HookSettings};
use crate::store::JobStore;
use crate::watch;

/// How long a forecast is handed out before the next one is made.
const FRESH: Duration = Duration::from_secs(3);

/// How often the number of provers needed is computed for the hook.
const NEED: Duration = Duration::from_secs(15);

/// Forecasts of a queue, each made with the reading before it.
pub(super) struct Foresight {
    last: Mutex<Option<(Instant, Snapshot, Forecast)>>,
    /// Plans are made one at a time: each takes a core for a while, wanted or not.
    planning: Arc<Semaphore>,
}

impl Default for Foresight {
    fn default() -> Self {
        Self {
            last: Mutex::default(),
            planning: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Foresight {
    async fn see(&self, store: &dyn JobStore) -> Result<Forecast, FleetError> {
        let mut last = self.last.lock().await;
        if let Some((at, _, forecast)) = &*last
            && at.elapsed() < FRESH
        {
            return Ok(forecast.clone());
        }
        let before = last.as_ref().map(|(_, snapshot, _)| snapshot);
        let snapshot = Snapshot::take(store, before).await?;
        let (snapshot, made) = blocking(move || {
            let made = forecast(&snapshot, &ForecastSettings::default());
            (snapshot, made)
        })
        .await?;
        let made = made?;
        *last = Some((Instant::now(), snapshot, made.clone()));
        Ok(made)
    }
}

/// Runs what takes time off the asynchronous threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, FleetError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| FleetError::Internal {
        why: format!("a forecast ended: {error}"),
    })
}

#[async_trait]
impl watch::Forecaster for Foresight {
    async fn forecast(&self, store: &dyn JobStore) -> Result<Option<watch::Forecast>, FleetError> {
        let seen = self.see(store).await?;
        if seen.curve.is_empty() {
            return Ok(None);
        }
        let jobs = seen.jobs.iter().map(|job| watch::JobForecast {
            job: job.job,
            eta_s: job.eta_s,
        });
        let curve = seen.curve.iter().map(|point| watch::DelayPoint {
            provers: point.provers,
            delay_s: point.delay_s,
        });
        Ok(Some(watch::Forecast {
            jobs: jobs.collect(),
            provers: seen.provers,
            curve: curve.collect(),
        }))
    }
}

/// What is told of the number of provers needed, and to whom.
#[derive(Clone, Debug)]
pub struct Need {
    /// What is asked of the fleet.
    pub settings: NeedSettings,
    /// Who is told.
    pub hook: HookSettings,
}

impl Aggregator {
    /// When the open jobs will be done, by the rates measured: at most a few seconds old.
    ///
    /// # Errors
    /// The queue's.
    pub async fn forecast(&self) -> Result<Forecast, FleetError> {
        self.foresight.see(&*self.store).await
    }

    /// How many provers jobs need that come so many a second and are to be done within so many seconds. The newest job that is
    /// done is what they are taken to be like.
    ///
    /// # Errors
    /// [`FleetError::Refused`] where nothing was measured yet; as [`plan`].
    pub async fn plan_provers(
        &self,
        arrivals: f64,
        target_delay_s: f64,
    ) -> Result<PlanReport, FleetError> {
        let refused = |why: &str| FleetError::Refused {
            why: why.to_owned(),
        };
        // The semaphore is never closed.
        let turn = Arc::clone(&self.foresight.planning);
        let turn = turn.acquire_owned().await.ok();
        let job = newest_done(&*self.store).await?;
        let job = job.ok_or_else(|| {
            refused(
                "no job is done yet that a plan could be made from (one of at most 20,000 tasks)",
            )
        })?;
        let mut demand = Demand::take(&*self.store, None, 3600.0).await?;
        let mix = demand.snapshot.mix();
        if mix.is_empty() {
            return Err(refused("no prover was measured yet"));
        }
        let request = PlanRequest {
            arrivals,
            target_delay_s,
            rates: std::mem::take(&mut demand.snapshot.rates),
            mix,
            job: Arc::new(job),
            overhead_s: 0.0,
            seed: 0,
            jobs: 0,
            max_provers: MAX_PLANNED,
        };
        blocking(move || {
            let planned = plan(&request);
            drop(turn);
            planned
        })
        .await?
    }

    /// Tells the hook how many provers are needed, until [`Self::stop`].
    pub(super) async fn tell_need(&self) {
        let Some(need) = &self.settings.need else {
            return;
        };
        let mut hook = match Hook::new(need.hook.clone()) {
            Ok(hook) => hook,
            Err(error) => {
                tracing::error!(%error, "nobody is told how many provers are needed");
                return;
            }
        };
        let start = Instant::now();
        let mut before = None;
        let telling = async {
            loop {
                tokio::time::sleep(NEED).await;
                match self.need(before.as_ref(), &need.settings).await {
                    Ok((demand, number)) => {
                        before = Some(demand);
                        if let Some(number) = number {
                            hook.see(start.elapsed().as_millis() as i64, number).await;
                        }
                    }
                    Err(error) => tracing::warn!(%error, "cannot tell how many provers are needed"),
                }
            }
        };
        tokio::select! {
            () = telling => {}
            () = self.stopped() => {}
        }
    }

    async fn need(
        &self,
        before: Option<&Demand>,
        settings: &NeedSettings,
    ) -> Result<(Demand, Option<u32>), FleetError> {
        let demand = Demand::take(&*self.store, before, settings.window_s).await?;
        let settings = *settings;
        blocking(move || {
            let number = needed(&demand, &settings);
            number.map(|number| (demand, number))
        })
        .await?
    }
}
