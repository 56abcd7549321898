//! The prover's role: dials an aggregator, takes one task at a time, delivers its proof.
//!
//! ```text
//!   Hello ─► Claim ─► GetBlob: input, children ─► prove (a blocking thread) ─► Deliver ─┐
//!              ▲                                     heartbeats (a thread of their own)  │
//!              └─────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Whatever is lost on the way is asked for again; a proof that is finished is delivered however late, since an aggregator
//! takes it while its task is unproven.

mod fetch;
mod heart;
mod retry;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream;
use tokio::sync::watch;
use tracing::Instrument;

use crate::FleetError;
use crate::link::{Address, Link};
use crate::machine::{MachineError, TaskProver};
use crate::point::{Point, Points};
use crate::protocol::wire::deliver_reply::Outcome;
use crate::protocol::wire::work_client::WorkClient;
use crate::protocol::{CHUNK, MAX_MESSAGE, PROTOCOL, Wire, from_status, lease_to_wire, name, wire};
use crate::store::Claim;
use crate::task::{Blob, BlobHash, MachineId};
use crate::watch::trace;

use heart::Heart;
use retry::Retry;

/// How a prover runs.
#[derive(Clone, Debug)]
pub struct ProverSettings {
    /// Its name: unique in the fleet.
    pub name: String,
    /// How long the aggregator may be out of reach before the prover gives up.
    pub patience: Duration,
    /// How long a task may still run once the prover is told to stop; then it is given back.
    pub drain: Duration,
    /// What the software calls itself.
    pub release: String,
    /// Told of moments at which a crash matters: for tests.
    pub points: Points,
}

/// What a prover is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Waiting for a task.
    Idle,
    /// Working on one of this kind.
    Proving {
        /// The task's kind.
        kind: String,
    },
    /// Its proof was delivered.
    Delivered {
        /// The task's kind.
        kind: String,
    },
}

/// Told what a prover is at.
pub type Watcher = Arc<dyn Fn(Activity) + Send + Sync>;

/// What a prover has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProverReport {
    /// Proofs that were accepted.
    pub accepted: u64,
    /// Proofs that somebody else's came before, or whose job was called off.
    pub late: u64,
    /// Tasks that failed here.
    pub failed: u64,
    /// Proofs that were refused.
    pub refused: u64,
}

/// Works until `stop` holds true, or something ends it.
///
/// # Errors
/// [`FleetError::Unreachable`] after the patience in the settings; [`FleetError::Refused`] for a wrong token, another
/// protocol, an unserved machine, or where the prover was quarantined before; [`FleetError::Quarantined`] where it is for its
/// last delivery; [`FleetError::Device`] where its device is lost.
pub async fn prove_for(
    address: &Address,
    machines: Vec<Arc<dyn TaskProver>>,
    settings: ProverSettings,
    stop: watch::Receiver<bool>,
    watcher: Watcher,
) -> Result<ProverReport, FleetError> {
    name("prover's name", &settings.name)?;
    let client = client(address.link()?);
    let retry = Retry::new(address.name(), settings.patience, stop.clone());
    let mut session = Session {
        client,
        address: address.clone(),
        machines,
        settings,
        retry,
        stop,
        watcher,
        report: ProverReport::default(),
    };
    session.run().await
}

fn client(link: Link) -> WorkClient<Link> {
    WorkClient::new(link)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE)
}

struct Session {
    client: WorkClient<Link>,
    address: Address,
    machines: Vec<Arc<dyn TaskProver>>,
    settings: ProverSettings,
    retry: Retry,
    stop: watch::Receiver<bool>,
    watcher: Watcher,
    report: ProverReport,
}

/// How a task that was taken ended.
enum Ended {
    /// With a proof, in so many seconds.
    Proof(Vec<u8>, f64),
    /// It failed here.
    Failed(MachineError),
    /// There was no time left for it.
    Stopped,
}

impl Session {
    async fn run(&mut self) -> Result<ProverReport, FleetError> {
        let rules = self.hello().await?;
        let beat = Duration::from_millis(rules.heartbeat_ms.clamp(10, 60_000));
        let heart = Heart::start(&self.address, &self.settings.name, beat)?;
        while !*self.stop.borrow() {
            (self.watcher)(Activity::Idle);
            let Some(claim) = self.claim().await? else {
                continue;
            };
            heart.hold(claim.task, claim.token);
            let span = trace::of_task(&claim, &self.settings.name);
            let taken = self.take(&claim).instrument(span).await;
            heart.let_go(claim.task);
            taken?;
        }
        Ok(self.report)
    }

    async fn hello(&mut self) -> Result<wire::HelloReply, FleetError> {
        let machines: Vec<MachineId> = self.machines.iter().map(|machine| machine.id()).collect();
        let first = self.machines.first().ok_or_else(|| FleetError::Settings {
            why: "a prover needs a machine".to_owned(),
        })?;
        let request = wire::HelloRequest {
            protocol: PROTOCOL,
            name: self.settings.name.clone(),
            device: first.device(),
            memory: first.memory(),
            machines: machines.iter().map(Wire::to_wire).collect(),
            release: self.settings.release.clone(),
        };
        let client = &self.client;
        self.retry
            .call(|| {
                let (mut client, request) = (client.clone(), request.clone());
                async move { client.hello(request).await }
            })
            .await
    }

    /// The next task, or none for now.
    async fn claim(&mut self) -> Result<Option<Claim>, FleetError> {
        let request = wire::ClaimRequest {
            prover: self.settings.name.clone(),
            wait_ms: 20_000,
        };
        let client = &self.client;
        let claiming = self.retry.call(|| {
            let (mut client, request) = (client.clone(), request.clone());
            async move { client.claim(request).await }
        });
        let mut stop = self.stop.clone();
        let reply = tokio::select! {
            reply = claiming => reply,
            // A lease that is given out at this moment expires.
            _ = stop.wait_for(|&stop| stop) => return Ok(None),
        };
        match reply {
            Ok(reply) => reply.assignment.map(Claim::from_wire).transpose(),
            // Its queue was replaced: it does not know us any more.
            Err(FleetError::UnknownProver { .. }) => {
                self.hello().await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn take(&mut self, claim: &Claim) -> Result<(), FleetError> {
        let kind = claim.spec.kind.clone();
        self.settings.points.meet(Point::Claimed);
        (self.watcher)(Activity::Proving { kind: kind.clone() });
        let mut stop = self.stop.clone();
        let drain = self.settings.drain;
        let too_late = async {
            // The sender may be gone: then nobody says stop.
            if stop.wait_for(|&stop| stop).await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(drain).await;
        };
        let ended = tokio::select! {
            ended = self.work(claim) => ended,
            () = too_late => Ended::Stopped,
        };
        match ended {
            Ended::Proof(proof, seconds) => {
                self.settings.points.meet(Point::Proven);
                self.deliver(claim, proof, seconds).await?;
                self.settings.points.meet(Point::Acknowledged);
                (self.watcher)(Activity::Delivered { kind });
                Ok(())
            }
            Ended::Failed(error) => {
                self.report.failed += 1;
                tracing::warn!(task = %claim.task, %error, "task failed");
                let request = wire::FailRequest {
                    prover: self.settings.name.clone(),
                    lease: Some(lease_to_wire(claim.task, claim.token)),
                    why: error.to_string(),
                };
                let client = &self.client;
                self.retry
                    .call(|| {
                        let (mut client, request) = (client.clone(), request.clone());
                        async move { client.fail(request).await }
                    })
                    .await?;
                match error {
                    MachineError::DeviceLost(why) => Err(FleetError::Device { why }),
                    _ => Ok(()),
                }
            }
            Ended::Stopped => {
                let request = wire::ReleaseRequest {
                    prover: self.settings.name.clone(),
                    lease: Some(lease_to_wire(claim.task, claim.token)),
                };
                // Out of reach, it expires.
                let released = self.client.clone().release(request).await;
                released
                    .map(drop)
                    .map_err(|status| from_status(self.address.name(), &status))
            }
        }
    }

    /// Fetches what the task needs, and proves it off the asynchronous threads.
    async fn work(&self, claim: &Claim) -> Ended {
        let machine = self
            .machines
            .iter()
            .find(|machine| machine.id() == claim.machine);
        let Some(machine) = machine.cloned() else {
            let why = format!("machine {} is not served here", claim.machine);
            return Ended::Failed(MachineError::Input(why));
        };
        let fetching = fetch::inputs(&self.client, &self.retry, claim);
        let fetched = fetching.instrument(tracing::info_span!("fetch")).await;
        let (input, children) = match fetched {
            Ok(fetched) => fetched,
            Err(error) => return Ended::Failed(MachineError::Input(error.to_string())),
        };
        self.settings.points.meet(Point::Fetched);
        let spec = claim.spec.clone();
        let span = tracing::info_span!("prove");
        let proving = tokio::task::spawn_blocking(move || {
            let _within = span.enter();
            let start = Instant::now();
            let proof = machine.prove(&spec, input.as_deref(), &children);
            (proof, start.elapsed().as_secs_f64())
        });
        match proving.await {
            Ok((Ok(proof), seconds)) => Ended::Proof(proof, seconds),
            Ok((Err(error), _)) => Ended::Failed(error),
            Err(error) => Ended::Failed(MachineError::Device(format!("proving ended: {error}"))),
        }
    }

    #[tracing::instrument(skip_all)]
    async fn deliver(
        &mut self,
        claim: &Claim,
        proof: Vec<u8>,
        seconds: f64,
    ) -> Result<(), FleetError> {
        let blob = Blob {
            hash: BlobHash::of(&proof),
            bytes: proof.len() as u64,
        };
        let head = wire::DeliverHead {
            prover: self.settings.name.clone(),
            lease: Some(lease_to_wire(claim.task, claim.token)),
            proof: Some(blob.to_wire()),
            seconds,
        };
        let mut messages: Vec<wire::DeliverRequest> = proof
            .chunks(CHUNK)
            .map(|chunk| wire::DeliverRequest {
                head: None,
                data: chunk.to_vec(),
            })
            .collect();
        if messages.is_empty() {
            messages.push(wire::DeliverRequest::default());
        }
        if let Some(first) = messages.first_mut() {
            first.head = Some(head);
        }
        let client = &self.client;
        let reply = self
            .retry
            .call(|| {
                let (mut client, messages) = (client.clone(), messages.clone());
                async move { client.deliver(stream::iter(messages)).await }
            })
            .await?;
        match reply.outcome() {
            Outcome::Accepted => self.report.accepted += 1,
            Outcome::Duplicate | Outcome::Closed => self.report.late += 1,
            Outcome::Refused | Outcome::Unspecified => {
                self.report.refused += 1;
                tracing::error!(task = %claim.task, why = reply.why, "proof refused");
            }
        }
        if reply.quarantined {
            return Err(FleetError::Quarantined {
                name: self.settings.name.clone(),
                why: reply.why,
            });
        }
        Ok(())
    }
}
