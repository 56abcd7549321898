//! The service of provers.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};

use super::jobs::Chunks;
use super::tokens::Caller;
use super::{Aggregator, Delivered};
use crate::FleetError;
use crate::point::Point;
use crate::protocol::wire::deliver_reply::Outcome;
use crate::protocol::wire::work_server::Work;
use crate::protocol::{PROTOCOL, Wire, lease, name, required, text, to_status, wire};
use crate::store::{Claim, Failed, ProverInfo};
use crate::task::{Blob, BlobHash, BlobRange, MachineId};
use crate::watch::Kind;

/// The service, over an aggregator.
pub(super) struct WorkService(pub(super) Arc<Aggregator>);

/// Longest wait for a task in one call.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// How often a waiting prover asks again without being woken: another aggregator may have made a task ready.
const POLL: Duration = Duration::from_secs(1);

/// Most leases in one heartbeat.
const MAX_LEASES: usize = 1000;

impl Aggregator {
    /// Leases a task to a registered prover, waiting for one.
    ///
    /// # Errors
    /// [`FleetError::UnknownProver`], [`FleetError::Quarantined`], the queue's.
    pub async fn claim(&self, prover: &str, wait: Duration) -> Result<Option<Claim>, FleetError> {
        let start = Instant::now();
        let until = start + wait.min(MAX_WAIT);
        loop {
            let ready = self.ready.notified();
            if *self.stopping.borrow() {
                return Ok(None);
            }
            let claim = self.store.claim(prover, self.settings.lease).await?;
            if claim.is_some() {
                self.settings.points.meet(Point::Leased);
            }
            let now = Instant::now();
            if let Some(claim) = &claim {
                let kind = Kind::of(&claim.machine, &claim.spec.kind);
                self.metrics.waited(&kind, now - start);
            }
            if claim.is_some() || now >= until {
                return Ok(claim);
            }
            tokio::select! {
                () = ready => {}
                () = tokio::time::sleep_until(until.min(now + POLL)) => {}
                () = self.stopped() => {}
            }
        }
    }
}

#[tonic::async_trait]
impl Work for WorkService {
    async fn hello(
        &self,
        request: Request<wire::HelloRequest>,
    ) -> Result<Response<wire::HelloReply>, Status> {
        let caller = Caller::of(&request);
        let message = request.into_inner();
        caller.check(&message.name)?;
        if message.protocol != PROTOCOL {
            return Err(to_status(FleetError::Refused {
                why: format!(
                    "this aggregator speaks protocol {PROTOCOL}, the prover protocol {}: run the same release on both",
                    message.protocol
                ),
            }));
        }
        let machines = message.machines.into_iter().take(100);
        let machines = machines.map(MachineId::from_wire);
        let machines: Vec<MachineId> = machines.collect::<Result<_, _>>().map_err(to_status)?;
        if !machines.iter().any(|id| self.0.machine(id).is_ok()) {
            let wanted: Vec<String> = machines.iter().map(ToString::to_string).collect();
            return Err(to_status(FleetError::UnknownMachine {
                wanted: wanted.join(", "),
                served: self
                    .0
                    .machines
                    .iter()
                    .map(|machine| machine.id().to_string())
                    .collect(),
            }));
        }
        let info = ProverInfo {
            name: name("prover's name", &message.name).map_err(to_status)?,
            device: text(&message.device, 200),
            memory: message.memory,
            machines,
        };
        self.0.store.register(&info).await.map_err(to_status)?;
        self.0.note_device(&info.name, &info.device);
        tracing::info!(
            prover = info.name,
            device = info.device,
            release = text(&message.release, 50),
            "prover registered"
        );
        let limits = self
            .0
            .machines
            .iter()
            .map(|machine| machine.max_proof_bytes());
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Ok(Response::new(wire::HelloReply {
            lease_ms: millis(self.0.settings.lease),
            heartbeat_ms: millis(self.0.settings.heartbeat),
            max_proof_bytes: limits.max().unwrap_or(0),
        }))
    }

    async fn claim(
        &self,
        request: Request<wire::ClaimRequest>,
    ) -> Result<Response<wire::ClaimReply>, Status> {
        let caller = Caller::of(&request);
        let message = request.into_inner();
        caller.check(&message.prover)?;
        let wait = Duration::from_millis(message.wait_ms);
        let claim = self
            .0
            .claim(&message.prover, wait)
            .await
            .map_err(to_status)?;
        Ok(Response::new(wire::ClaimReply {
            assignment: claim.as_ref().map(Wire::to_wire),
        }))
    }

    async fn heartbeat(
        &self,
        request: Request<wire::HeartbeatRequest>,
    ) -> Result<Response<wire::HeartbeatReply>, Status> {
        let caller = Caller::of(&request);
        let message = request.into_inner();
        caller.check(&message.prover)?;
        let leases = message.leases.into_iter().take(MAX_LEASES);
        let leases = leases.map(|message| lease(Some(message)));
        let leases: Vec<_> = leases.collect::<Result<_, _>>().map_err(to_status)?;
        let holds = self
            .0
            .store
            .heartbeat(&message.prover, &leases, self.0.settings.lease)
            .await;
        Ok(Response::new(wire::HeartbeatReply {
            holds: holds.map_err(to_status)?,
        }))
    }

    type GetBlobStream = Chunks;

    async fn get_blob(
        &self,
        request: Request<wire::GetBlobRequest>,
    ) -> Result<Response<Chunks>, Status> {
        let message = request.into_inner();
        let blob = required("blob", message.blob).and_then(Blob::from_wire);
        let range = BlobRange {
            blob: blob.map_err(to_status)?,
            offset: message.offset,
            bytes: message.bytes,
        };
        let chunks = self.0.chunks(&range).await.map_err(to_status)?;
        Ok(Response::new(chunks))
    }

    async fn deliver(
        &self,
        request: Request<Streaming<wire::DeliverRequest>>,
    ) -> Result<Response<wire::DeliverReply>, Status> {
        let caller = Caller::of(&request);
        let mut stream = request.into_inner();
        let first = stream.message().await?.unwrap_or_default();
        let head = required("head", first.head).map_err(to_status)?;
        caller.check(&head.prover)?;
        let lease = lease(head.lease).map_err(to_status)?;
        let blob = required("proof", head.proof).and_then(Blob::from_wire);
        let blob = blob.map_err(to_status)?;
        // Bounded before anything is held.
        let limit = match self.0.proof_limit(lease.0).await {
            Ok(limit) => limit,
            // Its job is not in this queue any more, or not of these circuits: no reason for a prover to end.
            Err(FleetError::UnknownTask { .. } | FleetError::UnknownMachine { .. }) => {
                return Ok(Response::new(wire::DeliverReply {
                    outcome: Outcome::Closed.into(),
                    why: "unknown here".to_owned(),
                    quarantined: false,
                }));
            }
            Err(error) => return Err(to_status(error)),
        };
        if blob.bytes > limit {
            return Err(Status::invalid_argument(format!(
                "a proof of {} bytes is longer than {limit}",
                blob.bytes
            )));
        }
        let mut proof = BytesMut::new();
        let mut next = Some(first.data);
        while let Some(data) = next {
            if (proof.len() + data.len()) as u64 > blob.bytes {
                return Err(Status::invalid_argument("more bytes came than announced"));
            }
            proof.extend_from_slice(&data);
            next = stream.message().await?.map(|message| message.data);
        }
        let proof = proof.freeze();
        // What was damaged on its way is not its prover's fault.
        if BlobHash::of(&proof) != blob.hash {
            return Err(Status::unavailable("the proof was damaged on its way"));
        }
        let delivered = self
            .0
            .deliver(&head.prover, lease, proof, head.seconds)
            .await;
        let (outcome, why, quarantined) = match delivered.map_err(to_status)? {
            Delivered::Accepted => (Outcome::Accepted, String::new(), false),
            Delivered::Duplicate => (Outcome::Duplicate, String::new(), false),
            Delivered::Closed(state) => (Outcome::Closed, state.name().to_owned(), false),
            Delivered::Refused { why, quarantined } => (Outcome::Refused, why, quarantined),
        };
        Ok(Response::new(wire::DeliverReply {
            outcome: outcome.into(),
            why,
            quarantined,
        }))
    }

    async fn fail(
        &self,
        request: Request<wire::FailRequest>,
    ) -> Result<Response<wire::FailReply>, Status> {
        let caller = Caller::of(&request);
        let message = request.into_inner();
        caller.check(&message.prover)?;
        let (task, token) = lease(message.lease).map_err(to_status)?;
        let why = text(&message.why, 2000);
        let outcome = match self.0.store.fail(task, token, &why).await {
            Err(FleetError::UnknownTask { .. }) => Failed::NotYours,
            outcome => outcome.map_err(to_status)?,
        };
        tracing::warn!(%task, prover = message.prover, why, ?outcome, "task failed");
        match outcome {
            Failed::JobFailed => self.0.ended.notify_waiters(),
            Failed::Again { .. } => self.0.wake(1),
            Failed::NotYours => {}
        }
        Ok(Response::new(wire::FailReply {
            held: outcome != Failed::NotYours,
        }))
    }

    async fn release(
        &self,
        request: Request<wire::ReleaseRequest>,
    ) -> Result<Response<wire::ReleaseReply>, Status> {
        let caller = Caller::of(&request);
        let message = request.into_inner();
        caller.check(&message.prover)?;
        let (task, token) = lease(message.lease).map_err(to_status)?;
        let held = self.0.store.release(task, token).await;
        let held = held.map_err(to_status)?;
        if held {
            self.0.wake(1);
        }
        Ok(Response::new(wire::ReleaseReply { held }))
    }
}
