//! Jobs into the queue, and back into it.

use std::collections::BTreeSet;

use super::tx::{Tx, Value, int, ordered, unsigned, values};
use crate::FleetError;
use crate::store::sql::view::job_state;
use crate::store::{JobState, Submitted, TaskState};
use crate::task::{JobId, MachineId, NewJob, TaskSpec};

/// Values in one statement. Databases bound them, SQLite by 32,766; and it looks each `$N` up among those before it, so that
/// a statement's time grows with their square.
const VALUES: usize = 1000;

/// How a machine is written in `tasks`.
pub(super) fn machine_key(machine: &MachineId) -> String {
    machine.to_string()
}

/// Whether so many more open tasks fit under the cap. Nobody else adds any until this transaction ends.
async fn room(tx: &mut Tx<'_>, more: u64, cap: u64) -> Result<(), FleetError> {
    if let Some(lock) = tx.dialect.lock() {
        tx.rows("lock the queue", lock, Vec::new()).await?;
    }
    let sql = "SELECT CAST(COALESCE(SUM(total - done), 0) AS BIGINT) FROM jobs WHERE state = $1";
    let open = JobState::Open as i64;
    let row = tx.row("count open tasks", sql, values![open]).await?;
    let open = row.as_ref().map_or(Ok(0), |row| unsigned(row, 0))?;
    if open.saturating_add(more) > cap {
        return Err(FleetError::Full { open, more, cap });
    }
    Ok(())
}

pub(super) async fn submit(
    tx: &mut Tx<'_>,
    new: &NewJob,
    cap: u64,
) -> Result<Submitted, FleetError> {
    let id = new.id.to_string();
    // The lock first: of two that submit the same job at a time, the second one finds it.
    let fits = room(tx, new.tasks.len() as u64, cap).await;
    let sql = "SELECT state, archived FROM jobs WHERE id = $1";
    let known = tx.row("look up a job", sql, values![id.as_str()]).await?;
    let mut gone = false;
    if let Some(row) = known {
        let state = job_state(int(&row, 0)?)?;
        gone = int(&row, 1)? != 0 && state.may_be_retried();
        if !gone {
            return Ok(Submitted::Known(state));
        }
    }
    fits?;
    if gone {
        // Of an archived job there is nothing left to go on with.
        let sql = "DELETE FROM jobs WHERE id = $1";
        tx.run("queue a job", sql, values![id.as_str()]).await?;
    }
    let now = tx.now().await?;
    let sql = "INSERT INTO jobs (id, machine, version, payload, stream, first, count, priority, state, submitted, error, \
        trace, archived, total, done) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '', $11, 0, $12, 0)";
    let head = values![
        id.as_str(),
        new.machine.name.as_str(),
        new.machine.version.as_str(),
        new.payload.as_slice(),
        new.stream.as_str(),
        ordered(new.first),
        new.count,
        i64::from(new.priority),
        JobState::Open as i64,
        now,
        new.trace.as_str(),
        new.tasks.len() as u64,
    ];
    tx.run("queue a job", sql, head).await?;
    let sql = "SELECT sequence FROM jobs WHERE id = $1";
    let row = tx.row("queue a job", sql, values![id.as_str()]).await?;
    let sequence = row.as_ref().map_or(Ok(0), |row| int(row, 0))?;
    let inputs = new.inputs.iter().zip(0u32..);
    let inputs =
        inputs.map(|(blob, at)| values![id.as_str(), at, blob.hash.to_string(), blob.bytes]);
    insert(tx, "inputs (job, position, hash, bytes)", inputs).await?;
    let tasks = new.tasks.iter().zip(0u32..);
    let rows = tasks
        .clone()
        .map(|(task, number)| task_row(new, &id, sequence, number, task));
    insert(tx, TASK_COLUMNS, rows).await?;
    let mut edges = Vec::new();
    for (task, parent) in tasks {
        for (&child, position) in task.children.iter().zip(0u32..) {
            edges.push((parent, position, child));
        }
    }
    let rows = edges.into_iter();
    let rows = rows.map(|(parent, position, child)| values![id.as_str(), parent, position, child]);
    insert(tx, "edges (job, parent, position, child)", rows).await?;
    Ok(Submitted::New)
}

const TASK_COLUMNS: &str = "tasks (job, number, machine, kind, owner, level, idx, cnt, circuit, input, input_blob, \
    input_offset, input_bytes, payload, memory, work, behind_priority, behind_urgency, first, sequence, missing, live, state, \
    attempts, token, prover, expires, failed_by)";

fn task_row(new: &NewJob, id: &str, sequence: i64, number: u32, task: &TaskSpec) -> Vec<Value> {
    let children: BTreeSet<u32> = task.children.iter().copied().collect();
    let state = match children.len() {
        0 => TaskState::Ready,
        _ => TaskState::Waiting,
    };
    let input = task.input;
    let clamp = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    values![
        id,
        number,
        machine_key(&new.machine),
        task.kind.as_str(),
        task.place.owner,
        task.place.level,
        task.place.index,
        task.place.count,
        task.circuit.as_str(),
        input.map_or_else(String::new, |input| input.blob.hash.to_string()),
        input.map_or(0, |input| input.blob.bytes),
        input.map_or(0, |input| input.offset),
        input.map_or(0, |input| input.bytes),
        task.payload.as_slice(),
        ordered(task.memory),
        clamp(task.work),
        -i64::from(new.priority),
        -i64::from(task.urgency),
        ordered(new.first),
        sequence,
        children.len() as u64,
        1i64,
        state as i64,
        0i64,
        0i64,
        "",
        0i64,
        "",
    ]
}

/// Inserts rows of equal length, many in one statement.
async fn insert(
    tx: &mut Tx<'_>,
    into: &str,
    mut rows: impl Iterator<Item = Vec<Value>> + Send,
) -> Result<(), FleetError> {
    while let Some(mut values) = rows.next() {
        let columns = values.len();
        let more = (VALUES / columns).saturating_sub(1);
        values.extend(rows.by_ref().take(more).flatten());
        let row = |from: usize| {
            let names: Vec<String> = (1..=columns).map(|at| format!("${}", from + at)).collect();
            format!("({})", names.join(", "))
        };
        let all: Vec<String> = (0..values.len()).step_by(columns).map(row).collect();
        let sql = format!("INSERT INTO {into} VALUES {}", all.join(", "));
        tx.run("queue tasks", sql, values).await?;
    }
    Ok(())
}

pub(super) async fn retry(tx: &mut Tx<'_>, id: JobId, cap: u64) -> Result<(), FleetError> {
    let lock = tx.dialect.for_update();
    let sql = format!("SELECT state, archived, total - done FROM jobs WHERE id = $1{lock}");
    let row = tx
        .row("look up a job", sql, values![id.to_string()])
        .await?;
    let row = row.ok_or(FleetError::UnknownJob { id })?;
    let (state, archived) = (job_state(int(&row, 0)?)?, int(&row, 1)? != 0);
    if !state.may_be_retried() || archived {
        return Err(FleetError::State {
            id,
            state: if archived { "archived" } else { state.name() },
        });
    }
    room(tx, unsigned(&row, 2)?, cap).await?;
    let sql = "UPDATE jobs SET state = $1, ended = NULL, error = '' WHERE id = $2";
    let open = JobState::Open as i64;
    tx.run("queue a job", sql, values![open, id.to_string()])
        .await?;
    let sql = "UPDATE tasks SET live = 1, attempts = 0, state = CASE WHEN state = $1 THEN $2 ELSE state END \
        WHERE job = $3 AND state <> $4";
    let (failed, ready, done) = (
        TaskState::Failed as i64,
        TaskState::Ready as i64,
        TaskState::Done as i64,
    );
    tx.run(
        "queue tasks",
        sql,
        values![failed, ready, id.to_string(), done],
    )
    .await?;
    Ok(())
}
