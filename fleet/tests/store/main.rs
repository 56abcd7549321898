//! Every queue against the model: the same operations, the same answers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod again;
mod crowd;
mod leases;
mod model;
mod rules;
#[path = "../support/mod.rs"]
mod support;
mod survive;

use std::sync::Arc;
use std::time::Duration;

use starkwright_fleet::store::{JobStore, Limits, MemoryStore, SqlStore};
use starkwright_fleet::task::{
    Blob, BlobHash, BlobRange, JobId, MachineId, NewJob, Place, TaskSpec,
};
use support::postgres::Postgres;

const LEASE: Duration = Duration::from_secs(10);

const LIMITS: Limits = Limits {
    max_open: 60,
    max_attempts: 3,
    max_refused: 2,
};

fn machine(version: u32) -> MachineId {
    MachineId {
        name: "toy".to_owned(),
        version: version.to_string(),
    }
}

fn blob(name: &str) -> Blob {
    Blob {
        hash: BlobHash::of(name.as_bytes()),
        bytes: name.len() as u64,
    }
}

/// A tree over so many leaves: joins of two, and a wrap.
fn tree(name: &str, leaves: u32) -> NewJob {
    let task = |kind: &str, level: u32, index: u64, children: Vec<u32>| TaskSpec {
        kind: kind.to_owned(),
        place: Place {
            owner: u64::MAX,
            level,
            index,
            count: 1 << level,
        },
        circuit: format!("{kind} circuit"),
        urgency: level as u8,
        input: children.is_empty().then(|| BlobRange {
            blob: blob(name),
            offset: index,
            bytes: u64::MAX,
        }),
        children,
        payload: vec![0, 255, level as u8],
        memory: if level == 1 { 1 << 40 } else { 1 },
        work: 3,
    };
    NewJob {
        id: JobId::of(&[name.as_bytes()]),
        machine: machine(1),
        payload: name.as_bytes().to_vec(),
        stream: String::new(),
        first: 0,
        count: u64::from(leaves),
        priority: 0,
        inputs: vec![blob(name)],
        trace: "00-trace".to_owned(),
        tasks: support::tree::tree(leaves, task),
    }
}

/// A store under test, with a clock that is moved by hand.
struct Tested {
    name: &'static str,
    store: Arc<dyn JobStore>,
    sql: Option<Arc<SqlStore>>,
    memory: Option<Arc<MemoryStore>>,
    _folder: Option<tempfile::TempDir>,
}

impl Tested {
    fn memory(limits: Limits) -> Self {
        let memory = Arc::new(MemoryStore::new(limits));
        Self {
            name: "memory",
            store: Arc::<MemoryStore>::clone(&memory),
            sql: None,
            memory: Some(memory),
            _folder: None,
        }
    }

    async fn sqlite(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("queue.db").display());
        Self::sql("sqlite", &url, limits, Some(folder)).await
    }

    async fn postgres(server: &Postgres, limits: Limits) -> Self {
        Self::sql("postgres", &server.database(), limits, None).await
    }

    async fn sql(
        name: &'static str,
        url: &str,
        limits: Limits,
        folder: Option<tempfile::TempDir>,
    ) -> Self {
        let sql = Arc::new(SqlStore::open(url, limits).await.unwrap());
        Self {
            name,
            store: Arc::<SqlStore>::clone(&sql),
            sql: Some(sql),
            memory: None,
            _folder: folder,
        }
    }

    /// Stopped at so many milliseconds.
    fn set_clock(&self, milliseconds: i64) {
        if let Some(sql) = &self.sql {
            sql.stop_clock(milliseconds);
        }
        if let Some(memory) = &self.memory {
            memory.set_now(milliseconds);
        }
    }

    /// All stores there are here.
    async fn all(limits: Limits) -> (Vec<Self>, Option<Postgres>) {
        let mut all = vec![Self::memory(limits), Self::sqlite(limits).await];
        let server = Postgres::start();
        if let Some(server) = &server {
            all.push(Self::postgres(server, limits).await);
        }
        (all, server)
    }
}
