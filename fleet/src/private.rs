//! A fleet of one host, for one job: nothing to install, nothing left behind.
//!
//! It is the real thing: an aggregator on a socket of this host that only its own provers know the token of, a queue on disk
//! and its proofs beside it. Stopped in the middle, the next run goes on where this one stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::FleetError;
use crate::aggregator::{Aggregator, Settings, Submission, Tokens};
use crate::blobs::Blobs;
use crate::client::Client;
use crate::link::Address;
use crate::machine::{Machine, TaskProver};
use crate::point::Points;
use crate::prover::{Activity, ProverSettings, prove_for};
use crate::store::{JobState, JobStore, JobView};
use crate::task::JobId;

/// What a private fleet does.
pub struct PrivateJob {
    /// The aggregator's half of the machine.
    pub machine: Arc<dyn Machine>,
    /// The prover's half: all provers share the device.
    pub prover: Arc<dyn TaskProver>,
    /// Provers: tasks done at a time.
    pub provers: usize,
    /// The job's payload.
    pub payload: Vec<u8>,
    /// The files that it reads.
    pub inputs: Vec<PathBuf>,
}

/// Watches a private fleet.
pub trait PrivateWatch: Send + Sync {
    /// What a prover is at, by its number.
    fn activity(&self, prover: usize, activity: &Activity);
    /// How the job stands, some times a second.
    fn job(&self, job: &JobView);
}

/// A token that nobody can guess.
fn token() -> String {
    let secret: [u8; 32] = rand::rng().random();
    crate::task::hex(&secret)
}

/// Runs the job on a queue and blobs of its own until it ends, or `stop` holds true: then what is proven is kept there.
/// Writes its proof to `output`, which appears complete or not at all. Returns the job.
///
/// # Errors
/// [`FleetError::Unprovable`], [`FleetError::JobFailed`], [`FleetError::Device`], [`FleetError::Stopped`], [`FleetError::Io`], the stores'.
pub async fn prove_privately(
    job: PrivateJob,
    (queue, blobs): (Arc<dyn JobStore>, Blobs),
    output: &Path,
    watch: Arc<dyn PrivateWatch>,
    mut stop: watch::Receiver<bool>,
) -> Result<JobView, FleetError> {
    let (submitters, provers) = (token(), token());
    let settings = Settings {
        tokens: Tokens::new(Some(&submitters), Some(&provers)),
        ..Settings::default()
    };
    let id = job.machine.id();
    let aggregator = Aggregator::new(queue, blobs, vec![job.machine], settings)?;
    let internal = |error: std::io::Error| FleetError::Internal {
        why: format!("no socket on this host: {error}"),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(internal)?;
    let url = listener.local_addr().map_err(internal)?.to_string();
    let address = |token: &str| Address {
        url: url.clone(),
        token: Some(token.to_owned()),
        ..Address::default()
    };
    let served = Arc::clone(&aggregator);
    let serving = tokio::spawn(async move { served.serve(listener, None).await });
    let client = Client::new(&address(&submitters))?;

    let proving = async {
        let mut inputs = Vec::with_capacity(job.inputs.len());
        for path in &job.inputs {
            inputs.push(client.upload(path, |_| {}).await?);
        }
        let submission = Submission {
            machine: id,
            payload: job.payload,
            inputs,
            stream: String::new(),
            priority: 0,
            trace: String::new(),
        };
        let reply = client.submit(submission).await?;
        if matches!(reply.state, JobState::Failed | JobState::Cancelled) {
            // An earlier run gave up; this one is asked to try again.
            client.retry(reply.job).await?;
        }
        let (stop_provers, stopped) = watch::channel(false);
        let mut working = JoinSet::new();
        for number in 0..job.provers.max(1) {
            let settings = ProverSettings {
                name: format!("prover-{number}"),
                patience: Duration::from_secs(30),
                drain: Duration::from_secs(600),
                release: env!("CARGO_PKG_VERSION").to_owned(),
                points: Points::default(),
            };
            let (address, prover) = (address(&provers), Arc::clone(&job.prover));
            let (stopped, watch) = (stopped.clone(), Arc::clone(&watch));
            working.spawn(async move {
                let watcher = Arc::new(move |activity| watch.activity(number, &activity));
                prove_for(&address, vec![prover], settings, stopped, watcher).await
            });
        }
        let ended = wait(&client, reply.job, &watch, &mut working, &mut stop).await;
        stop_provers.send_replace(true);
        while let Some(ended) = working.join_next().await {
            if let Ok(Err(error)) = ended {
                tracing::warn!(%error, "a prover ended");
            }
        }
        // What was running when it was told to stop has been delivered by now.
        let job = match ended? {
            Some(job) => job,
            None => client.job(reply.job).await?,
        };
        match job.state {
            JobState::Done => {
                client.fetch(job.id, output).await?;
                Ok(job)
            }
            JobState::Open => Err(FleetError::Stopped {
                done: job.tasks.done,
                all: job.tasks.all(),
            }),
            JobState::Failed | JobState::Cancelled => Err(FleetError::JobFailed {
                id: job.id,
                why: job.error,
            }),
        }
    };
    let ended = proving.await;
    aggregator.stop();
    // Its own end says nothing that matters any more.
    let _ = serving.await;
    ended
}

/// Until the job ends; none where it was stopped.
async fn wait(
    client: &Client,
    id: JobId,
    watch: &Arc<dyn PrivateWatch>,
    working: &mut JoinSet<Result<crate::prover::ProverReport, FleetError>>,
    stop: &mut watch::Receiver<bool>,
) -> Result<Option<JobView>, FleetError> {
    let patience = Duration::from_secs(30);
    let waiting = client.wait(id, patience, |job| watch.job(job));
    // A prover that ends by itself has lost its device, and the others share it.
    tokio::select! {
        job = waiting => job.map(Some),
        ended = working.join_next() => match ended {
            Some(Ok(Err(error))) => Err(error),
            _ => Err(FleetError::Internal { why: "a prover ended too early".to_owned() }),
        },
        _ = stop.wait_for(|&stop| stop) => Ok(None),
    }
}
