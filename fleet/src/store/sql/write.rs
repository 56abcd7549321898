//! How writes reach the database.
//!
//! SQLite takes one writer at a time, and a synced commit costs a few milliseconds: one task owns the connection and
//! commits what has queued up meanwhile together, each operation behind a savepoint of its own, and nobody is answered before
//! the commit. PostgreSQL takes many: there an operation is a transaction.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Connection};
use tokio::sync::{mpsc, oneshot};

use super::dialect::Dialect;
use super::tx::{Tx, failed};
use crate::FleetError;
use crate::error::room;

/// Operations that are committed together at most.
const GROUP: usize = 256;

/// How long an operation is tried where the database cannot be reached.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an answer is waited for: longer than any operation takes.
const SILENCE: Duration = Duration::from_secs(300);

/// Tells how it went: whether the operation's changes are to be kept.
type Erased = Box<dyn for<'t, 'c> Fn(&'t mut Tx<'c>) -> BoxFuture<'t, bool> + Send + Sync>;

/// An operation on its way to the writer.
pub(super) struct Queued {
    run: Erased,
    committed: oneshot::Sender<Result<(), FleetError>>,
}

/// The database's clock, unless a test has stopped it.
#[derive(Default)]
pub(super) struct Clock(Mutex<Option<i64>>);

impl Clock {
    pub(super) fn stop(&self, milliseconds: i64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(milliseconds);
    }

    pub(super) fn now(&self) -> Option<i64> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to the database.
pub(super) struct Database {
    pub(super) dialect: Dialect,
    pub(super) pool: AnyPool,
    pub(super) writer: Option<mpsc::Sender<Queued>>,
    pub(super) clock: Arc<Clock>,
}

/// An operation in a transaction: called again where the database asks for that.
pub(super) trait Operation<T>:
    for<'t, 'c> Fn(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, FleetError>> + Send + Sync + 'static
{
}

impl<T, F> Operation<T> for F where
    F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, FleetError>>
        + Send
        + Sync
        + 'static
{
}

impl Database {
    /// Runs an operation that changes something, in a transaction that is committed when this returns.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        operation: impl Operation<T>,
    ) -> Result<T, FleetError> {
        match &self.writer {
            Some(writer) => queue(writer, operation).await,
            None => self.transact(&operation).await,
        }
    }

    /// Runs an operation that only looks.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        operation: impl Operation<T>,
    ) -> Result<T, FleetError> {
        let mut patience = Patience::new();
        loop {
            match self.look(&operation).await {
                Ok(value) => return Ok(value),
                Err(error) => patience.after(error).await?,
            }
        }
    }

    async fn look<T: Send + 'static>(
        &self,
        operation: &impl Operation<T>,
    ) -> Result<T, FleetError> {
        let mut connection = self.pool.acquire().await.map_err(failed("connect"))?;
        let looking = async { operation(&mut self.tx(&mut connection)).await };
        match tokio::time::timeout(SILENCE, looking).await {
            Ok(found) => found,
            Err(_) => Err(silent(connection)),
        }
    }

    fn tx<'c>(&self, connection: &'c mut AnyConnection) -> Tx<'c> {
        Tx {
            connection,
            dialect: self.dialect,
            stopped: self.clock.now(),
        }
    }

    /// In a transaction. Every operation bears being repeated where its commit's answer was lost: a lease that nobody was
    /// told of runs out, a proof that was booked is a duplicate, a job that was queued is known.
    async fn transact<T: Send + 'static>(
        &self,
        operation: &impl Operation<T>,
    ) -> Result<T, FleetError> {
        let mut patience = Patience::new();
        loop {
            match self.once(operation).await {
                Ok(value) => return Ok(value),
                Err(error) => patience.after(error).await?,
            }
        }
    }

    async fn once<T: Send + 'static>(
        &self,
        operation: &impl Operation<T>,
    ) -> Result<T, FleetError> {
        let mut connection = self.pool.acquire().await.map_err(failed("connect"))?;
        let writing = async {
            let mut transaction = connection.begin().await.map_err(failed("begin"))?;
            let value = operation(&mut self.tx(&mut transaction)).await?;
            transaction.commit().await.map_err(failed("commit"))?;
            Ok(value)
        };
        match tokio::time::timeout(SILENCE, writing).await {
            Ok(written) => written,
            Err(_) => Err(silent(connection)),
        }
    }
}

/// A database whose host is gone says nothing: its connection is given up.
fn silent(mut connection: PoolConnection<Any>) -> FleetError {
    connection.close_on_drop();
    FleetError::Database {
        what: "wait for an answer",
        source: sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()),
    }
}

/// Pauses that grow, until the patience is used up.
struct Patience {
    start: Instant,
    pause: Duration,
}

impl Patience {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            pause: Duration::from_millis(5),
        }
    }

    /// Waits after a failure that passes; hands any other one on.
    async fn after(&mut self, error: FleetError) -> Result<(), FleetError> {
        match &error {
            FleetError::Database { what, source }
                if passes(source) && self.start.elapsed() < PATIENCE =>
            {
                tracing::debug!(what, error = %source, "trying again");
                tokio::time::sleep(self.pause).await;
                self.pause = (self.pause * 2).min(Duration::from_secs(1));
                Ok(())
            }
            _ => Err(error),
        }
    }
}

/// Whether the same may succeed a little later: a deadlock or a collision of transactions, a database that is not there.
fn passes(error: &sqlx::Error) -> bool {
    match error {
        // PostgreSQL's serialization failure, deadlock, session that was given up, shutdown and start-up.
        sqlx::Error::Database(error) => matches!(
            error.code().as_deref(),
            Some("40001" | "40P01" | "25P03" | "57P01" | "57P02" | "57P03" | "53300")
        ),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => true,
        _ => false,
    }
}

async fn queue<T: Send + 'static>(
    writer: &mpsc::Sender<Queued>,
    operation: impl Operation<T>,
) -> Result<T, FleetError> {
    let gone = || FleetError::Internal {
        why: "the queue's writer ended".to_owned(),
    };
    let slot: Arc<Mutex<Option<Result<T, FleetError>>>> = Arc::default();
    let (committed, answer) = oneshot::channel();
    let (operation, filled) = (Arc::new(operation), Arc::clone(&slot));
    let run: Erased = Box::new(move |tx| {
        let (operation, filled) = (Arc::clone(&operation), Arc::clone(&filled));
        Box::pin(async move {
            let outcome = operation(tx).await;
            let keep = outcome.is_ok();
            *filled.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
            keep
        })
    });
    let queued = Queued { run, committed };
    writer.send(queued).await.map_err(|_| gone())?;
    let committed = answer.await.map_err(|_| gone())?;
    let outcome = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (committed, outcome) {
        // An operation that failed by itself says more than the group's end.
        (_, Some(Err(error))) => Err(error),
        (Ok(()), Some(outcome)) => outcome,
        (Err(error), _) => Err(error),
        (Ok(()), None) => Err(gone()),
    }
}

/// Takes operations until nobody can send any, and commits them in groups.
pub(super) async fn write_in_groups(
    mut connection: AnyConnection,
    mut operations: mpsc::Receiver<Queued>,
    dialect: Dialect,
    clock: Arc<Clock>,
) {
    let mut group = Vec::with_capacity(GROUP);
    while operations.recv_many(&mut group, GROUP).await > 0 {
        let mut tx = Tx {
            connection: &mut connection,
            dialect,
            stopped: clock.now(),
        };
        let written = write_group(&mut tx, &group).await;
        if written.is_err() {
            // It may have rolled back by itself (a full disk does that): then this is refused, and nothing is lost by it.
            let _ = tx.run("roll back", "ROLLBACK", Vec::new()).await;
        }
        for queued in group.drain(..) {
            let answer = match &written {
                Ok(()) => Ok(()),
                Err(error) => Err(again(error)),
            };
            // Whoever does not wait any more does not need to know.
            let _ = queued.committed.send(answer);
        }
    }
}

/// A group's error, for each of its operations.
fn again(error: &FleetError) -> FleetError {
    let FleetError::Database { what, source } = error else {
        return FleetError::Internal {
            why: error.to_string(),
        };
    };
    let room = room(source);
    FleetError::Database {
        what,
        source: sqlx::Error::InvalidArgument(format!("{source}{room}")),
    }
}

async fn write_group(tx: &mut Tx<'_>, group: &[Queued]) -> Result<(), FleetError> {
    tx.run("begin", "BEGIN IMMEDIATE", Vec::new()).await?;
    for queued in group {
        tx.run("write", "SAVEPOINT operation", Vec::new()).await?;
        if !(queued.run)(tx).await {
            tx.run("roll back", "ROLLBACK TO operation", Vec::new())
                .await?;
        }
        tx.run("write", "RELEASE operation", Vec::new()).await?;
    }
    tx.run("commit", "COMMIT", Vec::new()).await?;
    Ok(())
}
