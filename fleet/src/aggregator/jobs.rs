//! The service of submitters.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::{Aggregator, Submission};
use crate::FleetError;
use crate::protocol::wire::jobs_server::Jobs;
use crate::protocol::{
    CHUNK, Wire, job_state, prover_to_wire, required, task_to_wire, to_status, wire,
};
use crate::store::{JobState, Submitted};
use crate::task::{Blob, BlobRange, JobId, MachineId};

/// The service, over an aggregator.
pub(super) struct JobsService(pub(super) Arc<Aggregator>);

/// Pieces of a blob, as they are sent.
pub(super) type Chunks = Pin<Box<dyn Stream<Item = Result<wire::Chunk, Status>> + Send>>;

fn job_id(text: &str) -> Result<JobId, Status> {
    text.parse().map_err(to_status)
}

/// W3C's trace context of a request; empty where it has none.
pub(super) fn trace_of<T>(request: &Request<T>) -> String {
    let found = request.metadata().get("traceparent");
    let found = found.and_then(|value| value.to_str().ok());
    found
        .filter(|value| value.len() <= 64)
        .unwrap_or("")
        .to_owned()
}

impl Aggregator {
    /// Streams part of a blob in pieces of at most [`CHUNK`] bytes.
    pub(super) async fn chunks(&self, range: &BlobRange) -> Result<Chunks, FleetError> {
        let pieces = self.blobs.read(range).await?;
        let cut = pieces.flat_map(|piece| {
            let chunks: Vec<Result<wire::Chunk, Status>> = match piece {
                Ok(piece) => (0..piece.len().div_ceil(CHUNK))
                    .map(|at| {
                        let end = piece.len().min((at + 1) * CHUNK);
                        Ok(wire::Chunk {
                            data: piece.slice(at * CHUNK..end).into(),
                        })
                    })
                    .collect(),
                Err(error) => vec![Err(to_status(error))],
            };
            futures::stream::iter(chunks)
        });
        Ok(Box::pin(cut))
    }
}

#[tonic::async_trait]
impl Jobs for JobsService {
    async fn put_blob(
        &self,
        request: Request<Streaming<wire::PutBlobRequest>>,
    ) -> Result<Response<wire::PutBlobReply>, Status> {
        let mut stream = request.into_inner();
        let first = stream.message().await?.unwrap_or_default();
        let blob = required("blob", first.blob).and_then(Blob::from_wire);
        let blob = blob.map_err(to_status)?;
        if self.0.blobs.have(&blob).await.map_err(to_status)? {
            return Ok(Response::new(wire::PutBlobReply { known: true }));
        }
        let mut incoming = self.0.blobs.begin(blob).await.map_err(to_status)?;
        let mut next = Some(first.data);
        while let Some(data) = next {
            if let Err(error) = incoming.push(Bytes::from(data)).await {
                incoming.abort().await;
                return Err(to_status(error));
            }
            next = match stream.message().await {
                Ok(message) => message.map(|message| message.data),
                Err(status) => {
                    incoming.abort().await;
                    return Err(status);
                }
            };
        }
        incoming.finish().await.map_err(to_status)?;
        Ok(Response::new(wire::PutBlobReply { known: false }))
    }

    async fn have_blobs(
        &self,
        request: Request<wire::HaveBlobsRequest>,
    ) -> Result<Response<wire::HaveBlobsReply>, Status> {
        let mut have = Vec::new();
        for blob in request.into_inner().blobs {
            let blob = Blob::from_wire(blob).map_err(to_status)?;
            have.push(self.0.blobs.have(&blob).await.map_err(to_status)?);
        }
        Ok(Response::new(wire::HaveBlobsReply { have }))
    }

    async fn submit(
        &self,
        request: Request<wire::SubmitRequest>,
    ) -> Result<Response<wire::SubmitReply>, Status> {
        let trace = trace_of(&request);
        let message = request.into_inner();
        let machine = required("machine", message.machine).map_err(to_status)?;
        let inputs = message.inputs.into_iter().map(Blob::from_wire);
        let submission = Submission {
            machine: MachineId {
                name: machine.name,
                version: machine.version,
            },
            payload: message.payload,
            inputs: inputs.collect::<Result<_, _>>().map_err(to_status)?,
            stream: message.stream,
            priority: message.priority,
            trace,
        };
        let accepted = self.0.submit(submission).await.map_err(to_status)?;
        let (known, state) = match accepted.submitted {
            Submitted::New => (false, JobState::Open),
            Submitted::Known(state) => (true, state),
        };
        Ok(Response::new(wire::SubmitReply {
            job: accepted.job.to_string(),
            known,
            state: state.name().to_owned(),
            tasks: accepted.tasks,
        }))
    }

    async fn get_job(
        &self,
        request: Request<wire::GetJobRequest>,
    ) -> Result<Response<wire::Job>, Status> {
        let id = job_id(&request.into_inner().job)?;
        let job = self.0.store.job(id).await.map_err(to_status)?;
        let mut message = job.to_wire();
        if job.state == JobState::Open {
            // A job is shown without its forecast where there is none.
            let seen = self.0.forecast().await.ok();
            let seen = seen.and_then(|seen| seen.jobs.into_iter().find(|job| job.job == id));
            message.eta_s = seen.map(|job| job.eta_s);
        }
        Ok(Response::new(message))
    }

    async fn list_jobs(
        &self,
        request: Request<wire::ListJobsRequest>,
    ) -> Result<Response<wire::ListJobsReply>, Status> {
        let message = request.into_inner();
        let state = match message.state.as_str() {
            "" => None,
            name => Some(job_state(name).map_err(to_status)?),
        };
        let jobs = self.0.store.jobs(state, message.limit.min(1000)).await;
        let jobs = jobs.map_err(to_status)?.iter().map(Wire::to_wire).collect();
        Ok(Response::new(wire::ListJobsReply { jobs }))
    }

    async fn list_tasks(
        &self,
        request: Request<wire::ListTasksRequest>,
    ) -> Result<Response<wire::ListTasksReply>, Status> {
        let message = request.into_inner();
        let (id, limit) = (job_id(&message.job)?, message.limit.min(10_000));
        let tasks = self.0.store.tasks(id, message.from, limit).await;
        let tasks = tasks.map_err(to_status)?;
        Ok(Response::new(wire::ListTasksReply {
            tasks: tasks.iter().map(task_to_wire).collect(),
        }))
    }

    type GetResultStream = Chunks;

    async fn get_result(
        &self,
        request: Request<wire::GetResultRequest>,
    ) -> Result<Response<Chunks>, Status> {
        let id = job_id(&request.into_inner().job)?;
        let job = self.0.store.job(id).await.map_err(to_status)?;
        let Some(blob) = job.result else {
            let error = match job.state {
                JobState::Failed => FleetError::JobFailed { id, why: job.error },
                state => FleetError::State {
                    id,
                    state: state.name(),
                },
            };
            return Err(to_status(error));
        };
        let range = BlobRange {
            blob,
            offset: 0,
            bytes: blob.bytes,
        };
        let chunks = self.0.chunks(&range).await.map_err(to_status)?;
        Ok(Response::new(chunks))
    }

    async fn cancel_job(
        &self,
        request: Request<wire::CancelJobRequest>,
    ) -> Result<Response<wire::CancelJobReply>, Status> {
        let id = job_id(&request.into_inner().job)?;
        self.0.cancel(id).await.map_err(to_status)?;
        Ok(Response::new(wire::CancelJobReply {}))
    }

    async fn cancel_suffix(
        &self,
        request: Request<wire::CancelSuffixRequest>,
    ) -> Result<Response<wire::CancelSuffixReply>, Status> {
        let message = request.into_inner();
        let cancelled = self.0.cancel_suffix(&message.stream, message.from).await;
        let jobs = cancelled.map_err(to_status)?;
        Ok(Response::new(wire::CancelSuffixReply {
            jobs: jobs.iter().map(ToString::to_string).collect(),
        }))
    }

    async fn retry_job(
        &self,
        request: Request<wire::RetryJobRequest>,
    ) -> Result<Response<wire::RetryJobReply>, Status> {
        let id = job_id(&request.into_inner().job)?;
        self.0.retry(id).await.map_err(to_status)?;
        Ok(Response::new(wire::RetryJobReply {}))
    }

    async fn list_provers(
        &self,
        _request: Request<wire::ListProversRequest>,
    ) -> Result<Response<wire::ListProversReply>, Status> {
        let provers = self.0.store.provers().await.map_err(to_status)?;
        Ok(Response::new(wire::ListProversReply {
            provers: provers.iter().map(prover_to_wire).collect(),
            now_ms: self.0.store.now().await.map_err(to_status)?,
        }))
    }

    async fn release_prover(
        &self,
        request: Request<wire::ReleaseProverRequest>,
    ) -> Result<Response<wire::ReleaseProverReply>, Status> {
        let name = request.into_inner().name;
        let released = self.0.store.release_prover(&name).await;
        released.map_err(to_status)?;
        self.0.wake(1);
        Ok(Response::new(wire::ReleaseProverReply {}))
    }

    async fn get_forecast(
        &self,
        _request: Request<wire::GetForecastRequest>,
    ) -> Result<Response<wire::GetForecastReply>, Status> {
        let seen = self.0.forecast().await.map_err(to_status)?;
        let jobs = seen.jobs.iter().map(|job| wire::JobForecast {
            job: job.job.to_string(),
            eta_s: job.eta_s,
        });
        let curve = seen.curve.iter().map(|point| wire::DelayPoint {
            provers: point.provers,
            delay_s: point.delay_s,
        });
        Ok(Response::new(wire::GetForecastReply {
            jobs: jobs.collect(),
            provers: seen.provers,
            curve: curve.collect(),
            unmeasured: seen.unmeasured.into_iter().collect(),
            rough: seen.rough,
        }))
    }

    async fn get_plan(
        &self,
        request: Request<wire::GetPlanRequest>,
    ) -> Result<Response<wire::GetPlanReply>, Status> {
        let asked = request.into_inner();
        let plan = self
            .0
            .plan_provers(asked.arrivals_per_s, asked.target_delay_s)
            .await
            .map_err(to_status)?;
        let curve = plan.curve.iter().map(|point| wire::PlanPoint {
            provers: point.provers,
            load: point.load,
            p95_s: point.delay.map(|delay| delay.p95_s),
            meets: point.meets,
        });
        Ok(Response::new(wire::GetPlanReply {
            provers: plan.provers,
            curve: curve.collect(),
            why: plan.why,
            work_s: plan.job.work_s,
            chain_s: plan.job.chain_s,
        }))
    }
}
