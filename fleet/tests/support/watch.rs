//! A fleet that is watched: its page on a socket of its own, and a forecaster that divides.

use std::net::SocketAddr;
use std::sync::Arc;

use starkwright_fleet::FleetError;
use starkwright_fleet::aggregator::Aggregator;
use starkwright_fleet::store::{JobState, JobStore};
use starkwright_fleet::watch::{DelayPoint, Forecast, Forecaster, JobForecast, Page};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// All work, divided by the provers.
pub struct Divides;

#[tonic::async_trait]
impl Forecaster for Divides {
    async fn forecast(&self, store: &dyn JobStore) -> Result<Option<Forecast>, FleetError> {
        let rates = store.rates().await?;
        let pace = rates.iter().map(|rate| rate.seconds_per_work);
        let Some(pace) = pace.reduce(f64::max) else {
            return Ok(None);
        };
        let backlog = store.backlog().await?;
        let work: u64 = backlog.iter().map(|kind| kind.work).sum();
        let provers = store.provers().await?;
        let working = provers
            .iter()
            .filter(|prover| prover.quarantined.is_empty());
        let working = (working.count() as u32).max(1);
        let delay = |provers: u32| work as f64 * pace / f64::from(provers);
        let jobs = store.jobs(Some(JobState::Open), 100).await?;
        let eta = |job: &starkwright_fleet::store::JobView| JobForecast {
            job: job.id,
            eta_s: job.tasks.unproven() as f64 * pace / f64::from(working),
        };
        Ok(Some(Forecast {
            jobs: jobs.iter().map(eta).collect(),
            provers: working,
            curve: (1..=2 * working)
                .map(|provers| DelayPoint {
                    provers,
                    delay_s: delay(provers),
                })
                .collect(),
        }))
    }
}

/// Serves the page of an aggregator, with forecasts.
pub async fn serve(
    aggregator: &Arc<Aggregator>,
    address: &str,
) -> (SocketAddr, JoinHandle<Result<(), FleetError>>) {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let page = Page::new(Arc::clone(aggregator), Some(Arc::new(Divides)));
    (address, tokio::spawn(page.serve(listener)))
}
