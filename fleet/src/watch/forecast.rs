//! What the page shows of a forecast, and who makes it.

use async_trait::async_trait;
use serde::Serialize;

use crate::FleetError;
use crate::store::JobStore;
use crate::task::JobId;

/// When one job will be done.
#[derive(Clone, Debug, PartialEq, Serialize)]
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

/// A forecast, as the protocol's `GetForecastReply` has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// The open jobs.
    pub jobs: Vec<JobForecast>,
    /// Provers working now.
    pub provers: u32,
    /// What more or fewer of them would do, by their number.
    pub curve: Vec<DelayPoint>,
}

impl Forecast {
    /// Seconds until everything that is queued is done, with the provers of now.
    #[must_use]
    pub fn delay(&self) -> Option<f64> {
        let here = |point: &&DelayPoint| point.provers == self.provers;
        self.curve.iter().find(here).map(|point| point.delay_s)
    }
}

/// Makes forecasts from a queue.
#[async_trait]
pub trait Forecaster: Send + Sync {
    /// A forecast; none while no rates are measured.
    ///
    /// # Errors
    /// The queue's.
    async fn forecast(&self, store: &dyn JobStore) -> Result<Option<Forecast>, FleetError>;
}
