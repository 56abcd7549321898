//! What can go wrong in this crate.

use std::path::PathBuf;

use crate::task::{BlobHash, JobId, TaskId};

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// Something that was given does not read as what it should be.
    #[error("{what}: {why}")]
    Malformed {
        /// What it should be.
        what: &'static str,
        /// Why it is not.
        why: String,
    },
    /// A machine's plan is none.
    #[error("job {job} cannot be queued: {why}")]
    Plan {
        /// The job.
        job: JobId,
        /// What is wrong with its tasks.
        why: String,
    },
    /// A machine refuses a job.
    #[error("the job cannot be proven: {why}")]
    Unprovable {
        /// Why.
        why: String,
    },
    /// No such job.
    #[error("there is no job {id}; `starkwright status` lists the jobs")]
    UnknownJob {
        /// The name asked for.
        id: JobId,
    },
    /// No such task.
    #[error("there is no task {id}")]
    UnknownTask {
        /// The name asked for.
        id: TaskId,
    },
    /// A prover that never registered.
    #[error("there is no prover {name:?}; `starkwright provers` lists them")]
    UnknownProver {
        /// The name asked for.
        name: String,
    },
    /// Nobody here serves this machine, or not in this version.
    #[error("machine {wanted} is not served here; served: {}", served.join(", "))]
    UnknownMachine {
        /// The machine asked for.
        wanted: String,
        /// Those served.
        served: Vec<String>,
    },
    /// The queue is full.
    #[error(
        "{open} tasks are unproven and {more} more would exceed the cap of {cap}; submit again later"
    )]
    Full {
        /// Unproven tasks.
        open: u64,
        /// Tasks of the job refused.
        more: u64,
        /// The cap.
        cap: u64,
    },
    /// A job is not in the state that the request needs.
    #[error("job {id} is {state}{}", hint(state))]
    State {
        /// The job.
        id: JobId,
        /// Its state.
        state: &'static str,
    },
    /// The prover is quarantined.
    #[error(
        "prover {name:?} is quarantined: {why}; `starkwright provers --release {name}` lets it work again"
    )]
    Quarantined {
        /// Its name.
        name: String,
        /// What it was caught at.
        why: String,
    },
    /// A store's address that names no kind of store known here.
    #[error("{url:?} names no {what}: write one of {}", known.join(", "))]
    UnknownUrl {
        /// What it should name.
        what: &'static str,
        /// The address.
        url: String,
        /// Forms that work.
        known: &'static [&'static str],
    },
    /// The database failed, and may do better in a moment.
    #[error("the queue's database failed to {what}: {source}{}", room(source))]
    Database {
        /// What was attempted.
        what: &'static str,
        /// Its error.
        source: sqlx::Error,
    },
    /// The database holds what this version cannot have written.
    #[error("the queue's database is damaged: {why}; restore it from a backup")]
    Damaged {
        /// What was found.
        why: String,
    },
    /// A blob is not there.
    #[error("blob {hash} is not in the store: submit again, which sends it")]
    UnknownBlob {
        /// Its name.
        hash: BlobHash,
    },
    /// A blob's bytes are not what its name says.
    #[error("blob {hash} is damaged: {why}")]
    BlobDamaged {
        /// Its name.
        hash: BlobHash,
        /// What was found.
        why: String,
    },
    /// The store of blobs failed.
    #[error("the store of proofs failed to {what}: {source}")]
    Blobs {
        /// What was attempted.
        what: &'static str,
        /// Its error.
        source: object_store::Error,
    },
    /// A file cannot be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A request was refused by the other side.
    #[error("{why}")]
    Refused {
        /// Its answer.
        why: String,
    },
    /// The other side cannot be reached.
    #[error("cannot reach {address}: {why}")]
    Unreachable {
        /// Its address.
        address: String,
        /// Why.
        why: String,
    },
    /// The other side answers, and its stores do not.
    #[error("{address} cannot do this now: {why}; try again")]
    Unable {
        /// Its address.
        address: String,
        /// What it said.
        why: String,
    },
    /// Settings that do not go together.
    #[error("{why}")]
    Settings {
        /// What to do.
        why: String,
    },
    /// A device failed.
    #[error("{why}")]
    Device {
        /// What it said.
        why: String,
    },
    /// A job failed.
    #[error("job {id} failed: {why}")]
    JobFailed {
        /// The job.
        id: JobId,
        /// Its last error.
        why: String,
    },
    /// Work was stopped before it was done; what is proven is kept.
    #[error("stopped with {done} of {all} tasks done; run it again with --resume")]
    Stopped {
        /// Tasks that are done.
        done: u64,
        /// All tasks.
        all: u64,
    },
    /// A part of this process ended although it should not have.
    #[error("internal: {why}")]
    Internal {
        /// Which.
        why: String,
    },
}

/// What to do about a full disk: SQLite's code, and PostgreSQL's.
pub(crate) fn room(error: &sqlx::Error) -> &'static str {
    let code = error.as_database_error().and_then(|error| error.code());
    match code.as_deref() {
        Some("13" | "53100") => "; make room on its disk",
        _ => "",
    }
}

fn hint(state: &str) -> &'static str {
    match state {
        "open" => "; wait for it, or cancel it",
        "failed" => "; `starkwright retry` queues it again",
        "cancelled" => "; `starkwright retry` queues it again",
        _ => "",
    }
}
