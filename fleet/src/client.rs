//! The submitter's side: sends inputs, submits jobs, watches them, fetches proofs.

use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request};

use crate::FleetError;
use crate::aggregator::Submission;
use crate::link::{Address, Link};
use crate::protocol::wire::jobs_client::JobsClient;
use crate::protocol::{CHUNK, MAX_MESSAGE, Wire, from_status, job_state, wire};
use crate::store::{JobState, JobView};
use crate::task::{Blob, BlobHash, JobId};

/// A client of an aggregator. Clones share its connection.
#[derive(Clone)]
pub struct Client {
    jobs: JobsClient<Link>,
    address: String,
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmitReply {
    /// The job's name.
    pub job: JobId,
    /// Whether it had been submitted before.
    pub known: bool,
    /// Its state.
    pub state: JobState,
    /// Its tasks.
    pub tasks: u64,
}

fn io(what: &'static str, path: &Path) -> impl Fn(std::io::Error) -> FleetError {
    let path = path.to_owned();
    move |source| FleetError::Io {
        what,
        path: path.clone(),
        source,
    }
}

/// Hash and length of a file.
///
/// # Errors
/// [`FleetError::Io`].
pub fn blob_of_file(path: &Path) -> Result<Blob, FleetError> {
    let mut file = std::fs::File::open(path).map_err(io("read", path))?;
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                hash.update(&buffer[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io("read", path)(error)),
        }
    }
    Ok(Blob {
        hash: BlobHash(hash.finalize().into()),
        bytes,
    })
}

impl Client {
    /// A client of the aggregator there. Nothing is sent yet.
    ///
    /// # Errors
    /// What [`Address`] says of bad ones.
    pub fn new(address: &Address) -> Result<Self, FleetError> {
        let jobs = JobsClient::new(address.link()?)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        Ok(Self {
            jobs,
            address: address.name().to_owned(),
        })
    }

    fn failed(&self) -> impl Fn(tonic::Status) -> FleetError + '_ {
        |status| from_status(&self.address, &status)
    }

    /// Sends a file, unless the aggregator has it. `sent` is told of each piece's length.
    ///
    /// # Errors
    /// [`FleetError::Io`], also where the file changes while it is read; [`FleetError::Unreachable`],
    /// [`FleetError::Refused`].
    pub async fn upload(
        &self,
        path: &Path,
        sent: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<Blob, FleetError> {
        let owned = path.to_owned();
        let hashing = tokio::task::spawn_blocking(move || blob_of_file(&owned));
        let blob = hashing.await.map_err(|error| FleetError::Internal {
            why: format!("hashing ended: {error}"),
        })??;
        let request = wire::HaveBlobsRequest {
            blobs: vec![blob.to_wire()],
        };
        let have = self.jobs.clone().have_blobs(request).await;
        let have = have.map_err(self.failed())?.into_inner().have;
        if have.first() == Some(&true) {
            sent(blob.bytes);
            return Ok(blob);
        }
        let (send, receive) = mpsc::channel(4);
        let reading = async {
            // A receiver that is gone says why itself.
            let mut piece = wire::PutBlobRequest {
                blob: Some(blob.to_wire()),
                data: Vec::new(),
            };
            let mut file = tokio::fs::File::open(path).await?;
            while send.send(piece).await.is_ok() {
                let mut data = vec![0; CHUNK];
                let read = file.read(&mut data).await?;
                if read == 0 {
                    break;
                }
                sent(read as u64);
                data.truncate(read);
                piece = wire::PutBlobRequest { blob: None, data };
            }
            drop(send);
            Ok(())
        };
        let mut client = self.jobs.clone();
        let putting = client.put_blob(ReceiverStream::new(receive));
        let (read, put): (std::io::Result<()>, _) = tokio::join!(reading, putting);
        read.map_err(io("read", path))?;
        put.map_err(|status| match status.code() {
            Code::InvalidArgument => {
                let changed =
                    std::io::Error::other("it changed while it was read; submit it again");
                io("send", path)(changed)
            }
            _ => from_status(&self.address, &status),
        })?;
        Ok(blob)
    }

    /// Submits a job over inputs that were uploaded.
    ///
    /// # Errors
    /// [`FleetError::Unreachable`], [`FleetError::Refused`].
    pub async fn submit(&self, submission: Submission) -> Result<SubmitReply, FleetError> {
        let mut request = Request::new(wire::SubmitRequest {
            machine: Some(submission.machine.to_wire()),
            payload: submission.payload,
            inputs: submission.inputs.iter().map(Wire::to_wire).collect(),
            stream: submission.stream,
            priority: submission.priority,
        });
        if let Ok(trace) = submission.trace.parse() {
            request.metadata_mut().insert("traceparent", trace);
        }
        let reply = self.jobs.clone().submit(request).await;
        let reply = reply.map_err(self.failed())?.into_inner();
        Ok(SubmitReply {
            job: reply.job.parse()?,
            known: reply.known,
            state: job_state(&reply.state)?,
            tasks: reply.tasks,
        })
    }

    /// A job.
    ///
    /// # Errors
    /// [`FleetError::Unreachable`], [`FleetError::Refused`].
    pub async fn job(&self, id: JobId) -> Result<JobView, FleetError> {
        let request = wire::GetJobRequest {
            job: id.to_string(),
        };
        let job = self.jobs.clone().get_job(request).await;
        JobView::from_wire(job.map_err(self.failed())?.into_inner())
    }

    /// The newest jobs, at most `limit`; only those in `state` where one is given.
    ///
    /// # Errors
    /// As [`Self::job`].
    pub async fn jobs(
        &self,
        state: Option<JobState>,
        limit: u32,
    ) -> Result<Vec<JobView>, FleetError> {
        let request = wire::ListJobsRequest {
            state: state.map_or("", JobState::name).to_owned(),
            limit,
        };
        let jobs = self.jobs.clone().list_jobs(request).await;
        let jobs = jobs.map_err(self.failed())?.into_inner().jobs;
        jobs.into_iter().map(JobView::from_wire).collect()
    }

    /// A job's tasks from number `from`, at most `limit`, as the protocol has them.
    ///
    /// # Errors
    /// As [`Self::job`].
    pub async fn tasks(
        &self,
        id: JobId,
        from: u32,
        limit: u32,
    ) -> Result<Vec<wire::Task>, FleetError> {
        let request = wire::ListTasksRequest {
            job: id.to_string(),
            from,
            limit,
        };
        let tasks = self.jobs.clone().list_tasks(request).await;
        Ok(tasks.map_err(self.failed())?.into_inner().tasks)
    }

    /// Waits until a job is no longer open, and tells `watch` how it stands from time to time. An aggregator that is out of
    /// reach for a while is waited for.
    ///
    /// # Errors
    /// As [`Self::job`]; [`FleetError::Unreachable`] after `patience` out of reach.
    pub async fn wait(
        &self,
        id: JobId,
        patience: Duration,
        mut watch: impl FnMut(&JobView),
    ) -> Result<JobView, FleetError> {
        let mut reached = Instant::now();
        loop {
            match self.job(id).await {
                Ok(job) => {
                    reached = Instant::now();
                    watch(&job);
                    if job.state != JobState::Open {
                        return Ok(job);
                    }
                }
                Err(FleetError::Unreachable { .. } | FleetError::Unable { .. })
                    if reached.elapsed() < patience => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Writes a job's proof to `output`, which appears complete or not at all. Returns its length.
    ///
    /// # Errors
    /// As [`Self::job`]; [`FleetError::Refused`] where there is none; [`FleetError::BlobDamaged`]; [`FleetError::Io`].
    pub async fn fetch(&self, id: JobId, output: &Path) -> Result<u64, FleetError> {
        let job = self.job(id).await?;
        let request = wire::GetResultRequest {
            job: id.to_string(),
        };
        let chunks = self.jobs.clone().get_result(request).await;
        let mut chunks = chunks.map_err(self.failed())?.into_inner();
        let blob = job.result.ok_or_else(|| FleetError::Refused {
            why: format!("job {id} has no proof"),
        })?;
        let folder = output
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        // Unnamed until it is whole.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io("write into", folder))?;
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        while let Some(chunk) = chunks.message().await.map_err(self.failed())? {
            hash.update(&chunk.data);
            bytes += chunk.data.len() as u64;
            file.write_all(&chunk.data).map_err(io("write", output))?;
        }
        if (BlobHash(hash.finalize().into()), bytes) != (blob.hash, blob.bytes) {
            return Err(FleetError::BlobDamaged {
                hash: blob.hash,
                why: "other bytes came; fetch it again".to_owned(),
            });
        }
        file.as_file().sync_all().map_err(io("write", output))?;
        file.persist(output)
            .map_err(|error| io("write", output)(error.error))?;
        Ok(bytes)
    }

    /// Calls a job off.
    ///
    /// # Errors
    /// As [`Self::job`].
    pub async fn cancel(&self, id: JobId) -> Result<(), FleetError> {
        let request = wire::CancelJobRequest {
            job: id.to_string(),
        };
        let cancelled = self.jobs.clone().cancel_job(request).await;
        cancelled.map(drop).map_err(self.failed())
    }

    /// Calls off the open jobs of a stream that reach beyond `from`.
    ///
    /// # Errors
    /// As [`Self::job`].
    pub async fn cancel_suffix(&self, stream: &str, from: u64) -> Result<Vec<JobId>, FleetError> {
        let request = wire::CancelSuffixRequest {
            stream: stream.to_owned(),
            from,
        };
        let cancelled = self.jobs.clone().cancel_suffix(request).await;
        let jobs = cancelled.map_err(self.failed())?.into_inner().jobs;
        jobs.iter().map(|id| id.parse()).collect()
    }

    /// Queues a failed or cancelled job again.
    ///
    /// # Errors
    /// As [`Self::job`].
    pub async fn retry(&self, id: JobId) -> Result<(), FleetError> {
        let request = wire::RetryJobRequest {
            job: id.to_string(),
        };
        let queued = self.jobs.clone().retry_job(request).await;
        queued.map(drop).map_err(self.failed())
    }

    /// When the open jobs will be done, as the protocol has it.
    ///
    /// # Errors
    /// As [`Self::job`].
    pub async fn forecast(&self) -> Result<wire::GetForecastReply, FleetError> {
        let request = wire::GetForecastRequest {};
        let forecast = self.jobs.clone().get_forecast(request).await;
        Ok(forecast.map_err(self.failed())?.into_inner())
    }

    /// How many provers are needed for so many jobs a second, each done within so many seconds.
    ///
    /// # Errors
    /// As [`Self::job`]; [`FleetError::Refused`] where nothing was measured yet.
    pub async fn plan(
        &self,
        arrivals_per_s: f64,
        target_delay_s: f64,
    ) -> Result<wire::GetPlanReply, FleetError> {
        let request = wire::GetPlanRequest {
            arrivals_per_s,
            target_delay_s,
        };
        let plan = self.jobs.clone().get_plan(request).await;
        Ok(plan.map_err(self.failed())?.into_inner())
    }

    /// Every prover that has registered and was not forgotten, and the store's clock in milliseconds since 1970.
    ///
    /// # Errors
    /// As [`Self::job`].
    pub async fn provers(&self) -> Result<(Vec<wire::Prover>, i64), FleetError> {
        let provers = self
            .jobs
            .clone()
            .list_provers(wire::ListProversRequest {})
            .await;
        let reply = provers.map_err(self.failed())?.into_inner();
        Ok((reply.provers, reply.now_ms))
    }

    /// Lets a quarantined prover work again.
    ///
    /// # Errors
    /// As [`Self::job`].
    pub async fn release_prover(&self, name: &str) -> Result<(), FleetError> {
        let request = wire::ReleaseProverRequest {
            name: name.to_owned(),
        };
        let released = self.jobs.clone().release_prover(request).await;
        released.map(drop).map_err(self.failed())
    }
}
