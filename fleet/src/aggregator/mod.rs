//! The aggregator's role: it keeps the queue and the proofs, plans what is submitted, hands tasks to provers, and verifies
//! every proof before it counts.
//!
//! ```text
//!  submitters ── Jobs ──► plan ──► queue ──► Work ──► provers
//!                                    ▲                   │
//!                   blobs ◄── put ── verify ◄── Deliver ─┘
//! ```
//!
//! Everything that the services do is a method of [`Aggregator`] too: a sequencer in the same process calls them.

mod deliver;
mod foresee;
mod jobs;
mod restore;
mod serve;
mod submit;
mod sweep;
mod tokens;
mod work;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};

use crate::FleetError;
use crate::blobs::Blobs;
use crate::machine::Machine;
use crate::point::Points;
use crate::store::{JobState, JobStore, JobView};
use crate::task::{JobId, MachineId};
use crate::watch::{Metrics, Watched};
use foresee::Foresight;

pub use deliver::Delivered;
pub use foresee::Need;
pub use serve::{Tls, check_exposure};
pub use submit::{Accepted, Submission};
pub use tokens::Tokens;

/// How an aggregator runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a lease holds without a heartbeat.
    pub lease: Duration,
    /// How often provers send one: a third of the lease or less.
    pub heartbeat: Duration,
    /// Proofs verified at a time, and jobs planned.
    pub verifiers: usize,
    /// How long ended jobs keep their tasks and refusals.
    pub keep: Duration,
    /// How old a blob must be before it is collected where nothing refers to it: longer than any upload takes.
    pub grace: Duration,
    /// Who may ask.
    pub tokens: Tokens,
    /// Who is told how many provers are needed.
    pub need: Option<Need>,
    /// Told of moments at which a crash matters: for tests.
    pub points: Points,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            heartbeat: Duration::from_secs(5),
            verifiers: std::thread::available_parallelism().map_or(1, usize::from),
            keep: Duration::from_secs(7 * 24 * 3600),
            grace: Duration::from_secs(24 * 3600),
            tokens: Tokens::default(),
            need: None,
            points: Points::default(),
        }
    }
}

/// See the module.
pub struct Aggregator {
    store: Arc<dyn JobStore>,
    blobs: Blobs,
    /// In the order in which they were given: the last one of a name is the newest.
    machines: Vec<Arc<dyn Machine>>,
    settings: Settings,
    metrics: Arc<Metrics>,
    /// Woken once for each task that becomes ready.
    ready: Notify,
    /// Woken when a job ends.
    ended: Notify,
    verifying: Arc<Semaphore>,
    /// Jobs planned at a time: a plan holds a thread, and its tasks.
    planning: Arc<Semaphore>,
    foresight: Arc<Foresight>,
    /// Devices of the provers met.
    devices: Mutex<BTreeMap<String, String>>,
    stopping: watch::Sender<bool>,
}

impl Aggregator {
    /// An aggregator over this queue and these blobs, for these machines.
    ///
    /// # Errors
    /// [`FleetError::Settings`]: no machine, one twice, or a heartbeat that is too slow for the lease.
    pub fn new(
        store: Arc<dyn JobStore>,
        blobs: Blobs,
        machines: Vec<Arc<dyn Machine>>,
        settings: Settings,
    ) -> Result<Arc<Self>, FleetError> {
        let wrong = |why: &str| FleetError::Settings {
            why: why.to_owned(),
        };
        let ids: Vec<MachineId> = machines.iter().map(|machine| machine.id()).collect();
        let twice = (1..ids.len()).any(|at| ids[..at].contains(&ids[at]));
        if ids.is_empty() || twice {
            return Err(wrong("an aggregator needs machines, each of them once"));
        }
        if settings.heartbeat.is_zero() || settings.heartbeat * 3 > settings.lease {
            return Err(wrong(
                "a lease must outlast two lost heartbeats: make it at least three times as long",
            ));
        }
        let at_a_time = || Arc::new(Semaphore::new(settings.verifiers.max(1)));
        let (verifying, planning) = (at_a_time(), at_a_time());
        let metrics = Arc::new(Metrics::new());
        Ok(Arc::new(Self {
            store: Arc::new(Watched::new(store, Arc::clone(&metrics))),
            blobs,
            machines,
            settings,
            metrics,
            ready: Notify::new(),
            ended: Notify::new(),
            verifying,
            planning,
            foresight: Arc::default(),
            devices: Mutex::default(),
            stopping: watch::channel(false).0,
        }))
    }

    /// The queue.
    #[must_use]
    pub fn store(&self) -> &dyn JobStore {
        &*self.store
    }

    /// Inputs and proofs.
    #[must_use]
    pub const fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// Who makes forecasts of its queue.
    #[must_use]
    pub fn forecaster(&self) -> Arc<dyn crate::watch::Forecaster> {
        Arc::<Foresight>::clone(&self.foresight)
    }

    /// How it runs.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What it has counted since its start.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The machine with this name and version; with an empty version, the newest of this name.
    fn machine(&self, wanted: &MachineId) -> Result<&Arc<dyn Machine>, FleetError> {
        let fits = |machine: &&Arc<dyn Machine>| {
            let id = machine.id();
            id.name == wanted.name && (wanted.version.is_empty() || id.version == wanted.version)
        };
        let found = self.machines.iter().rev().find(fits);
        found.ok_or_else(|| FleetError::UnknownMachine {
            wanted: wanted.to_string(),
            served: self
                .machines
                .iter()
                .map(|machine| machine.id().to_string())
                .collect(),
        })
    }

    /// Waits until a job is no longer open.
    ///
    /// # Errors
    /// [`FleetError::UnknownJob`], the queue's.
    pub async fn wait(&self, id: JobId) -> Result<JobView, FleetError> {
        loop {
            let ended = self.ended.notified();
            let job = self.store.job(id).await?;
            if job.state != JobState::Open {
                return Ok(job);
            }
            // Another aggregator on the same queue may end it.
            let _ = tokio::time::timeout(Duration::from_secs(1), ended).await;
        }
    }

    /// The device of a prover that is registered; its name where it is not.
    async fn device_of(&self, prover: &str) -> Result<String, FleetError> {
        let known = |this: &Self| {
            let devices = this.devices.lock().unwrap_or_else(PoisonError::into_inner);
            devices.get(prover).cloned()
        };
        if let Some(device) = known(self) {
            return Ok(device);
        }
        let registered = self.store.provers().await?;
        let found = registered.into_iter().find(|view| view.info.name == prover);
        let device = found.map_or_else(|| prover.to_owned(), |view| view.info.device);
        self.note_device(prover, &device);
        Ok(device)
    }

    fn note_device(&self, prover: &str, device: &str) {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        devices.insert(prover.to_owned(), device.to_owned());
    }

    fn wake(&self, ready: u64) {
        for _ in 0..ready.min(1 << 10) {
            self.ready.notify_one();
        }
    }

    /// Ends everything that waits: claims, sweeps, the services.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Returns when [`Self::stop`] has been called.
    pub async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender lives as long as this.
        let _ = stopping.wait_for(|&stopping| stopping).await;
    }
}
