//! Between messages and this crate's types. What comes from outside is checked here.

use super::{MAX_PAYLOAD, wire};
use crate::FleetError;
use crate::machine;
use crate::store::{Claim, JobState, JobView, ProverView, TaskCounts, TaskView};
use crate::task::{Blob, BlobHash, BlobRange, JobId, MachineId, Place, TaskId, TaskSpec};

/// A type with a message of its own.
pub(crate) trait Wire: Sized {
    /// The message.
    type Message;
    /// As a message.
    fn to_wire(&self) -> Self::Message;
    /// From a message.
    fn from_wire(message: Self::Message) -> Result<Self, FleetError>;
}

fn malformed(what: &'static str, why: impl Into<String>) -> FleetError {
    FleetError::Malformed {
        what,
        why: why.into(),
    }
}

/// A field that proto3 lets be absent and we do not.
pub(crate) fn required<T>(what: &'static str, field: Option<T>) -> Result<T, FleetError> {
    field.ok_or_else(|| malformed(what, "it is missing"))
}

/// A name: 1 to 100 letters, digits, dots, underscores, hyphens.
pub(crate) fn name(what: &'static str, text: &str) -> Result<String, FleetError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if text.is_empty() || text.len() > 100 || !text.bytes().all(fits) {
        return Err(malformed(
            what,
            format!("{text:?} is not 1 to 100 of a-z, A-Z, 0-9, '.', '_', '-'"),
        ));
    }
    Ok(text.to_owned())
}

/// Text for people, cut where it is too long, and without the one character that PostgreSQL does not take.
pub(crate) fn text(text: &str, most: usize) -> String {
    text.chars().filter(|&c| c != '\0').take(most).collect()
}

impl Wire for Blob {
    type Message = wire::Blob;

    fn to_wire(&self) -> wire::Blob {
        wire::Blob {
            sha256: self.hash.0.to_vec(),
            bytes: self.bytes,
        }
    }

    fn from_wire(message: wire::Blob) -> Result<Self, FleetError> {
        let hash = <[u8; 32]>::try_from(message.sha256.as_slice());
        let hash = hash.map_err(|_| malformed("blob", "its SHA-256 is not 32 bytes long"))?;
        if message.bytes > crate::blobs::MAX_BLOB_BYTES {
            return Err(malformed(
                "blob",
                format!("{} bytes are too many", message.bytes),
            ));
        }
        Ok(Self {
            hash: BlobHash(hash),
            bytes: message.bytes,
        })
    }
}

impl Wire for MachineId {
    type Message = wire::MachineId;

    fn to_wire(&self) -> wire::MachineId {
        wire::MachineId {
            name: self.name.clone(),
            version: self.version.clone(),
        }
    }

    fn from_wire(message: wire::MachineId) -> Result<Self, FleetError> {
        Ok(Self {
            name: name("machine", &message.name)?,
            version: name("machine's version", &message.version)?,
        })
    }
}

impl Wire for TaskCounts {
    type Message = wire::TaskCounts;

    fn to_wire(&self) -> wire::TaskCounts {
        wire::TaskCounts {
            waiting: self.waiting,
            ready: self.ready,
            leased: self.leased,
            done: self.done,
            failed: self.failed,
        }
    }

    fn from_wire(message: wire::TaskCounts) -> Result<Self, FleetError> {
        Ok(Self {
            waiting: message.waiting,
            ready: message.ready,
            leased: message.leased,
            done: message.done,
            failed: message.failed,
        })
    }
}

/// The state with this name.
pub(crate) fn job_state(name: &str) -> Result<JobState, FleetError> {
    let found = JobState::ALL.into_iter().find(|state| state.name() == name);
    found.ok_or_else(|| {
        malformed(
            "job state",
            format!("{name:?} is none of open, done, failed, cancelled"),
        )
    })
}

impl Wire for JobView {
    type Message = wire::Job;

    fn to_wire(&self) -> wire::Job {
        wire::Job {
            id: self.id.to_string(),
            machine: Some(self.machine.to_wire()),
            stream: self.stream.clone(),
            first: self.first,
            count: self.count,
            priority: self.priority,
            state: self.state.name().to_owned(),
            tasks: Some(self.tasks.to_wire()),
            submitted_ms: self.submitted,
            ended_ms: self.ended,
            result: self.result.as_ref().map(Wire::to_wire),
            error: self.error.clone(),
            archived: self.archived,
            eta_s: None,
        }
    }

    fn from_wire(message: wire::Job) -> Result<Self, FleetError> {
        Ok(Self {
            id: message.id.parse()?,
            machine: MachineId::from_wire(required("machine", message.machine)?)?,
            stream: message.stream,
            first: message.first,
            count: message.count,
            priority: message.priority,
            state: job_state(&message.state)?,
            tasks: TaskCounts::from_wire(message.tasks.unwrap_or_default())?,
            submitted: message.submitted_ms,
            ended: message.ended_ms,
            result: message.result.map(Blob::from_wire).transpose()?,
            error: message.error,
            trace: String::new(),
            archived: message.archived,
        })
    }
}

/// A task, for those who watch.
pub(crate) fn task_to_wire(task: &TaskView) -> wire::Task {
    wire::Task {
        number: task.number,
        kind: task.kind.clone(),
        owner: task.place.owner,
        level: task.place.level,
        index: task.place.index,
        count: task.place.count,
        children: task.children.clone(),
        state: task.state.name().to_owned(),
        attempts: task.attempts,
        prover: task.prover.clone(),
        proof: task.proof.as_ref().map(Wire::to_wire),
        seconds: task.seconds,
    }
}

/// A prover, for those who watch.
pub(crate) fn prover_to_wire(prover: &ProverView) -> wire::Prover {
    wire::Prover {
        name: prover.info.name.clone(),
        device: prover.info.device.clone(),
        memory: prover.info.memory,
        machines: prover.info.machines.iter().map(Wire::to_wire).collect(),
        leased: prover.leased,
        done: prover.done,
        refused: prover.refused,
        quarantined: prover.quarantined.clone(),
        seen_ms: prover.seen,
    }
}

impl Wire for Claim {
    type Message = wire::Assignment;

    fn to_wire(&self) -> wire::Assignment {
        let input = self.spec.input;
        wire::Assignment {
            job: self.task.job.to_string(),
            number: self.task.number,
            token: self.token,
            machine: Some(self.machine.to_wire()),
            kind: self.spec.kind.clone(),
            owner: self.spec.place.owner,
            level: self.spec.place.level,
            index: self.spec.place.index,
            count: self.spec.place.count,
            circuit: self.spec.circuit.clone(),
            payload: self.spec.payload.clone(),
            input: input.as_ref().map(|input| input.blob.to_wire()),
            input_offset: input.map_or(0, |input| input.offset),
            input_bytes: input.map_or(0, |input| input.bytes),
            children: self.children.iter().map(Wire::to_wire).collect(),
            memory: self.spec.memory,
            work: self.spec.work,
            trace: self.trace.clone(),
        }
    }

    fn from_wire(message: wire::Assignment) -> Result<Self, FleetError> {
        if message.payload.len() > MAX_PAYLOAD {
            return Err(malformed("task", "its payload is too long"));
        }
        let blob = message.input.map(Blob::from_wire).transpose()?;
        let input = blob.map(|blob| BlobRange {
            blob,
            offset: message.input_offset,
            bytes: message.input_bytes,
        });
        let children = message.children.into_iter().map(Blob::from_wire);
        Ok(Self {
            task: TaskId {
                job: message.job.parse()?,
                number: message.number,
            },
            token: message.token,
            machine: MachineId::from_wire(required("machine", message.machine)?)?,
            trace: message.trace,
            spec: TaskSpec {
                kind: message.kind,
                place: Place {
                    owner: message.owner,
                    level: message.level,
                    index: message.index,
                    count: message.count,
                },
                circuit: message.circuit,
                // What a prover does not decide.
                urgency: 0,
                children: Vec::new(),
                input,
                payload: message.payload,
                memory: message.memory,
                work: message.work,
            },
            children: children.collect::<Result<_, _>>()?,
        })
    }
}

/// A lease.
pub(crate) fn lease_to_wire(task: TaskId, token: i64) -> wire::Lease {
    wire::Lease {
        job: task.job.to_string(),
        number: task.number,
        token,
    }
}

/// The task of a lease, and its token.
pub(crate) fn lease(message: Option<wire::Lease>) -> Result<(TaskId, i64), FleetError> {
    let lease = required("lease", message)?;
    let job: JobId = lease.job.parse()?;
    let task = TaskId {
        job,
        number: lease.number,
    };
    Ok((task, lease.token))
}

/// A machine's refusal of a job.
pub(crate) fn unprovable(error: &machine::MachineError) -> FleetError {
    FleetError::Unprovable {
        why: error.to_string(),
    }
}
