//! The queue in a database: SQLite by default, PostgreSQL when one machine is outgrown.
//!
//! ```text
//!  jobs ─┬─ inputs                 provers   rates   refusals
//!        └─ tasks ── edges (which proofs a task takes)
//! ```
//!
//! Statements are shared; what the two databases say differently is in `dialect`. Locks are taken in one order, job, task,
//! prover, as far as possible (a claim takes its prover first, and passes over locked tasks), so that operations wait for each
//! other and seldom collide; those that collide are tried again.

mod dialect;
mod end;
mod insert;
mod lease;
mod schema;
mod tx;
mod view;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, Connection};
use tokio::sync::{Semaphore, mpsc};

use super::{
    Backlog, Claim, Completed, Expired, Failed, JobState, JobStore, JobView, Limits, Proof,
    ProverInfo, ProverView, Rate, Refusal, Refused, Standing, Submitted, TaskView, millis,
};
use crate::FleetError;
use crate::task::{Blob, BlobHash, JobId, NewJob, TaskId};

use dialect::Dialect;
use tx::{Tx, failed, int, values};
use write::{Clock, Database};

/// Addresses of queues.
const URLS: &[&str] = &["sqlite://FILE", "postgres://USER@HOST/DATABASE"];

/// How long a connection that is given back has to answer.
const ALIVE: Duration = Duration::from_secs(5);

/// Operations that wait for the writer at most: whoever comes then waits to queue up.
const QUEUED: usize = 4096;

/// Opens the queue at this address, and brings its tables up to this version.
///
/// # Errors
/// [`FleetError::UnknownUrl`]; [`FleetError::Database`]; [`FleetError::Settings`] for a database that a newer version wrote.
pub async fn open_store(url: &str, limits: Limits) -> Result<Arc<dyn JobStore>, FleetError> {
    Ok(Arc::new(SqlStore::open(url, limits).await?))
}

/// See the module.
pub struct SqlStore {
    limits: Limits,
    database: Database,
    /// Proofs that are booked at a time. A job's are booked one after the other: whoever waited for its lock would hold a
    /// connection, which claims and heartbeats need.
    booking: Semaphore,
}

impl SqlStore {
    /// Opens the database at this address: see [`open_store`].
    ///
    /// # Errors
    /// As [`open_store`].
    pub async fn open(url: &str, limits: Limits) -> Result<Self, FleetError> {
        sqlx::any::install_default_drivers();
        let (dialect, url) = if let Some(file) = url.strip_prefix("sqlite://") {
            (Dialect::Sqlite, sqlite_url(file)?)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            (Dialect::Postgres, url.to_owned())
        } else {
            // Whatever it is, it may hold a password.
            let scheme = url.split(':').next().unwrap_or_default();
            return Err(FleetError::UnknownUrl {
                what: "queue",
                url: format!("{scheme}:…"),
                known: URLS,
            });
        };
        let pool = AnyPoolOptions::new()
            .max_connections(match dialect {
                Dialect::Sqlite => 4,
                Dialect::Postgres => 16,
            })
            .acquire_timeout(Duration::from_secs(5))
            // One whose answer nobody waits for any more may belong to a host that is gone: it must not keep its place.
            .after_release(|connection, _| {
                Box::pin(async move {
                    let alive = tokio::time::timeout(ALIVE, connection.ping()).await;
                    alive
                        .map(|alive| alive.is_ok())
                        .map_err(|_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
                })
            })
            .after_connect(move |connection, _| {
                Box::pin(async move { prepare(connection, dialect).await })
            })
            .connect(&url)
            .await
            .map_err(failed("open the queue"))?;
        let clock = Arc::<Clock>::default();
        let mut database = Database {
            dialect,
            pool,
            writer: None,
            clock: Arc::clone(&clock),
        };
        if dialect == Dialect::Sqlite {
            let mut connection = AnyConnection::connect(&url)
                .await
                .map_err(failed("open the queue"))?;
            prepare(&mut connection, dialect)
                .await
                .map_err(failed("open the queue"))?;
            let (writer, operations) = mpsc::channel(QUEUED);
            tokio::spawn(write::write_in_groups(
                connection, operations, dialect, clock,
            ));
            database.writer = Some(writer);
        }
        database.write(|tx| Box::pin(migrate(tx))).await?;
        Ok(Self {
            limits,
            database,
            booking: Semaphore::new(match dialect {
                Dialect::Sqlite => Semaphore::MAX_PERMITS,
                Dialect::Postgres => 3,
            }),
        })
    }

    /// Stops the database's clock, as this store sees it, at so many milliseconds since 1970: for tests.
    #[doc(hidden)]
    pub fn stop_clock(&self, milliseconds: i64) {
        self.database.clock.stop(milliseconds);
    }

    /// Queues a job within a transaction of the caller's, on a connection to the same database: it is queued when that is
    /// committed, and never if it is not.
    ///
    /// # Errors
    /// As [`JobStore::submit`].
    pub async fn submit_in(
        &self,
        connection: &mut AnyConnection,
        job: &NewJob,
    ) -> Result<Submitted, FleetError> {
        job.check()?;
        let mut tx = Tx {
            connection,
            dialect: self.database.dialect,
            stopped: self.database.clock.now(),
        };
        insert::submit(&mut tx, job, self.limits.max_open).await
    }
}

/// A file that is made where it is missing. What follows a question mark would be options of the driver.
fn sqlite_url(file: &str) -> Result<String, FleetError> {
    let folder = Path::new(file).parent();
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
    if file.is_empty() || file.contains('?') || folder.is_some_and(|folder| !folder.is_dir()) {
        return Err(FleetError::Malformed {
            what: "queue",
            why: format!("{file:?} is no file in a folder that exists"),
        });
    }
    Ok(format!("sqlite://{file}?mode=rwc"))
}

async fn prepare(connection: &mut AnyConnection, dialect: Dialect) -> sqlx::Result<()> {
    for setting in dialect.settings() {
        sqlx::query(*setting).fetch_all(&mut *connection).await?;
    }
    Ok(())
}

/// Takes the steps of the schema that are missing.
async fn migrate(tx: &mut Tx<'_>) -> Result<(), FleetError> {
    if let Some(lock) = tx.dialect.lock() {
        tx.rows("lock the queue", lock, Vec::new()).await?;
    }
    tx.run(
        "make tables",
        "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)",
        Vec::new(),
    )
    .await?;
    let found = tx
        .row(
            "read its version",
            "SELECT version FROM schema_version",
            Vec::new(),
        )
        .await?;
    let version = match &found {
        Some(row) => int(row, 0)?,
        None => 0,
    };
    let newest = schema::STEPS.len() as i64;
    if version > newest || version < 0 {
        return Err(FleetError::Settings {
            why: format!(
                "the queue has tables of version {version}, this program knows up to {newest}: run a newer one"
            ),
        });
    }
    if version == newest {
        return Ok(());
    }
    for step in &schema::STEPS[version as usize..] {
        for statement in *step {
            let statement = tx.dialect.schema(statement);
            tx.run("make tables", statement, Vec::new()).await?;
        }
    }
    let sql = match found {
        Some(_) => "UPDATE schema_version SET version = $1",
        None => "INSERT INTO schema_version (version) VALUES ($1)",
    };
    tx.run("note its version", sql, values![newest]).await?;
    Ok(())
}

/// Calls a function of a module in a transaction, with what it takes in its hands.
macro_rules! within {
    ($self:ident.$how:ident, |$tx:ident $(, $name:ident)*| $body:expr) => {{
        $(let $name = std::sync::Arc::new($name);)*
        $self.database.$how(move |$tx| {
            $(let $name = std::sync::Arc::clone(&$name);)*
            Box::pin(async move { $body.await })
        }).await
    }};
}

#[async_trait]
impl JobStore for SqlStore {
    async fn submit(&self, job: &NewJob) -> Result<Submitted, FleetError> {
        job.check()?;
        let (job, cap) = (job.clone(), self.limits.max_open);
        within!(self.write, |tx, job| insert::submit(tx, &job, cap))
    }

    async fn register(&self, prover: &ProverInfo) -> Result<(), FleetError> {
        let prover = prover.clone();
        within!(self.write, |tx, prover| lease::register(tx, &prover))
    }

    async fn claim(&self, prover: &str, lease: Duration) -> Result<Option<Claim>, FleetError> {
        let (prover, lease) = (prover.to_owned(), millis(lease));
        within!(self.write, |tx, prover| lease::claim(tx, &prover, lease))
    }

    async fn heartbeat(
        &self,
        prover: &str,
        held: &[(TaskId, i64)],
        lease: Duration,
    ) -> Result<Vec<bool>, FleetError> {
        let (prover, held, lease) = (prover.to_owned(), held.to_vec(), millis(lease));
        within!(self.write, |tx, prover, held| lease::heartbeat(
            tx, &prover, &held, lease
        ))
    }

    async fn complete(&self, task: TaskId, proof: &Proof) -> Result<Completed, FleetError> {
        let proof = proof.clone();
        // The semaphore is never closed.
        let _turn = self.booking.acquire().await.ok();
        within!(self.write, |tx, proof| end::complete(tx, task, &proof))
    }

    async fn fail(&self, task: TaskId, token: i64, why: &str) -> Result<Failed, FleetError> {
        let (why, attempts) = (why.to_owned(), self.limits.max_attempts);
        within!(self.write, |tx, why| end::fail(
            tx,
            task,
            Some(token),
            &why,
            attempts
        ))
    }

    async fn release(&self, task: TaskId, token: i64) -> Result<bool, FleetError> {
        within!(self.write, |tx| lease::release(tx, task, token))
    }

    async fn refuse(&self, refusal: &Refusal, token: i64) -> Result<Refused, FleetError> {
        let (refusal, most) = (refusal.clone(), self.limits.max_refused);
        within!(self.write, |tx, refusal| end::refuse(
            tx, &refusal, token, most
        ))
    }

    async fn expire(&self, longest: Duration) -> Result<Vec<Expired>, FleetError> {
        let (attempts, longest) = (self.limits.max_attempts, millis(longest));
        let mut expired = Vec::new();
        // Each in a transaction of its own: a job's lock is held for one task.
        for (task, prover, token) in within!(self.read, |tx| end::overdue(tx, longest))? {
            let holder = prover.clone();
            let outcome = within!(self.write, |tx, holder| end::expire(
                tx,
                task,
                (&holder, token),
                longest,
                attempts
            ))?;
            if outcome != Failed::NotYours {
                expired.push(Expired {
                    task,
                    prover,
                    outcome,
                });
            }
        }
        Ok(expired)
    }

    async fn task(&self, task: TaskId) -> Result<Standing, FleetError> {
        within!(self.read, |tx| view::task(tx, task))
    }

    async fn job(&self, id: JobId) -> Result<JobView, FleetError> {
        within!(self.read, |tx| view::job(tx, id))
    }

    async fn jobs(&self, state: Option<JobState>, limit: u32) -> Result<Vec<JobView>, FleetError> {
        within!(self.read, |tx| view::jobs(tx, state, limit))
    }

    async fn tasks(&self, id: JobId, from: u32, limit: u32) -> Result<Vec<TaskView>, FleetError> {
        within!(self.read, |tx| view::tasks(tx, id, from, limit))
    }

    async fn cancel(&self, id: JobId) -> Result<(), FleetError> {
        within!(self.write, |tx| end::cancel(tx, id))
    }

    async fn cancel_suffix(&self, stream: &str, from: u64) -> Result<Vec<JobId>, FleetError> {
        let stream = stream.to_owned();
        within!(self.write, |tx, stream| end::cancel_suffix(
            tx, &stream, from
        ))
    }

    async fn retry(&self, id: JobId) -> Result<(), FleetError> {
        let cap = self.limits.max_open;
        within!(self.write, |tx| insert::retry(tx, id, cap))
    }

    async fn unprove(&self, task: TaskId, proof: &Blob) -> Result<bool, FleetError> {
        let hash = proof.hash;
        within!(self.write, |tx| end::unprove(tx, task, hash))
    }

    async fn provers(&self) -> Result<Vec<ProverView>, FleetError> {
        within!(self.read, |tx| view::provers(tx))
    }

    async fn release_prover(&self, name: &str) -> Result<(), FleetError> {
        let name = name.to_owned();
        within!(self.write, |tx, name| lease::release_prover(tx, &name))
    }

    async fn refusals(&self, limit: u32) -> Result<Vec<Refusal>, FleetError> {
        within!(self.read, |tx| view::refusals(tx, limit))
    }

    async fn rates(&self) -> Result<Vec<Rate>, FleetError> {
        within!(self.read, |tx| view::rates(tx))
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, FleetError> {
        within!(self.read, |tx| view::backlog(tx))
    }

    async fn referenced(&self, blobs: &[BlobHash]) -> Result<Vec<bool>, FleetError> {
        let blobs = blobs.to_vec();
        within!(self.read, |tx, blobs| view::referenced(tx, &blobs))
    }

    async fn archive(&self, age: Duration) -> Result<u64, FleetError> {
        let age = millis(age);
        within!(self.write, |tx| end::drop_refusals(tx, age))?;
        let mut archived = 0;
        // Each in a transaction of its own: claims and heartbeats come between.
        for id in within!(self.read, |tx| end::old_jobs(tx, age))? {
            archived += u64::from(within!(self.write, |tx, id| end::archive(tx, &id, age))?);
        }
        Ok(archived)
    }

    async fn forget(&self, age: Duration) -> Result<u64, FleetError> {
        let age = millis(age);
        within!(self.write, |tx| lease::forget(tx, age))
    }

    async fn now(&self) -> Result<i64, FleetError> {
        self.database
            .read(|tx| Box::pin(async move { tx.now().await }))
            .await
    }
}
