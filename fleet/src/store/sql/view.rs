//! How things stand.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::any::AnyRow;

use super::tx::{
    Tx, Value, bytes, float, from_ordered, int, maybe_float, maybe_int, maybe_text, text, unsigned,
    values,
};
use crate::FleetError;
use crate::store::{
    Backlog, JobState, JobView, ProverInfo, ProverView, Rate, Refusal, Standing, TaskCounts,
    TaskState, TaskView,
};
use crate::task::{Blob, BlobHash, BlobRange, JobId, MachineId, Place, TaskId, TaskSpec};

fn damaged(why: String) -> FleetError {
    FleetError::Damaged { why }
}

pub(super) fn job_state(code: i64) -> Result<JobState, FleetError> {
    let found = JobState::ALL
        .into_iter()
        .find(|&state| state as i64 == code);
    found.ok_or_else(|| damaged(format!("{code} is no state of a job")))
}

pub(super) fn task_state(code: i64) -> Result<TaskState, FleetError> {
    let found = TaskState::ALL
        .into_iter()
        .find(|&state| state as i64 == code);
    found.ok_or_else(|| damaged(format!("{code} is no state of a task")))
}

pub(super) fn job_id(text: &str) -> Result<JobId, FleetError> {
    text.parse()
        .map_err(|_| damaged(format!("{text:?} is no job's name")))
}

fn hash(text: &str) -> Result<BlobHash, FleetError> {
    text.parse()
        .map_err(|_| damaged(format!("{text:?} is no blob's name")))
}

/// A blob in two columns from `at` on, where there is one.
pub(super) fn blob(row: &AnyRow, at: usize) -> Result<Option<Blob>, FleetError> {
    match (maybe_text(row, at)?, maybe_int(row, at + 1)?) {
        (Some(name), Some(bytes)) => Ok(Some(Blob {
            hash: hash(&name)?,
            bytes: bytes as u64,
        })),
        _ => Ok(None),
    }
}

/// The thirteen columns of a task as it was planned, but for its children.
pub(super) const SPEC_COLUMNS: &str = "tasks.kind, tasks.owner, tasks.level, tasks.idx, tasks.cnt, tasks.circuit, \
    tasks.input, tasks.input_blob, tasks.input_offset, tasks.input_bytes, tasks.payload, tasks.memory, tasks.work";

/// A task from [`SPEC_COLUMNS`]. Its urgency has done its work and is not read back.
pub(super) fn spec(row: &AnyRow) -> Result<TaskSpec, FleetError> {
    let input = text(row, 6)?;
    let input = if input.is_empty() {
        None
    } else {
        Some(BlobRange {
            blob: Blob {
                hash: hash(&input)?,
                bytes: unsigned(row, 7)?,
            },
            offset: unsigned(row, 8)?,
            bytes: unsigned(row, 9)?,
        })
    };
    Ok(TaskSpec {
        kind: text(row, 0)?,
        place: place(row, 1)?,
        circuit: text(row, 5)?,
        urgency: 0,
        children: Vec::new(),
        input,
        payload: bytes(row, 10)?,
        memory: from_ordered(int(row, 11)?),
        work: unsigned(row, 12)?,
    })
}

fn place(row: &AnyRow, at: usize) -> Result<Place, FleetError> {
    Ok(Place {
        owner: unsigned(row, at)?,
        level: int(row, at + 1)? as u32,
        index: unsigned(row, at + 2)?,
        count: unsigned(row, at + 3)?,
    })
}

pub(super) async fn task(tx: &mut Tx<'_>, task: TaskId) -> Result<Standing, FleetError> {
    let sql = format!(
        "SELECT {SPEC_COLUMNS}, jobs.machine, jobs.version, jobs.state, tasks.behind_urgency, tasks.state \
         FROM tasks JOIN jobs ON jobs.id = tasks.job WHERE tasks.job = $1 AND tasks.number = $2"
    );
    let id = task.job.to_string();
    let row = tx
        .row("read a task", sql, values![id.as_str(), task.number])
        .await?;
    let row = row.ok_or(FleetError::UnknownTask { id: task })?;
    let machine = MachineId {
        name: text(&row, 13)?,
        version: text(&row, 14)?,
    };
    let job = job_state(int(&row, 15)?)?;
    let mut found = spec(&row)?;
    found.urgency = u8::try_from(-int(&row, 16)?).unwrap_or(u8::MAX);
    let sql = "SELECT child FROM edges WHERE job = $1 AND parent = $2 ORDER BY position";
    for row in &tx
        .rows("read a task", sql, values![id, task.number])
        .await?
    {
        found.children.push(int(row, 0)? as u32);
    }
    Ok(Standing {
        machine,
        job,
        state: task_state(int(&row, 17)?)?,
        spec: found,
    })
}

const JOB_COLUMNS: &str = "id, machine, version, stream, first, count, priority, state, submitted, ended, result, \
    result_bytes, error, trace, archived, done";

async fn job_view(tx: &mut Tx<'_>, row: &AnyRow) -> Result<JobView, FleetError> {
    let id = text(row, 0)?;
    let archived = int(row, 14)? != 0;
    let mut tasks = TaskCounts::default();
    if archived {
        tasks.done = unsigned(row, 15)?;
    } else {
        let sql = "SELECT state, COUNT(*) FROM tasks WHERE job = $1 GROUP BY state";
        for row in &tx.rows("count tasks", sql, values![id.as_str()]).await? {
            *tasks.of(task_state(int(row, 0)?)?) = unsigned(row, 1)?;
        }
    }
    Ok(JobView {
        id: job_id(&id)?,
        machine: MachineId {
            name: text(row, 1)?,
            version: text(row, 2)?,
        },
        stream: text(row, 3)?,
        first: from_ordered(int(row, 4)?),
        count: unsigned(row, 5)?,
        priority: int(row, 6)? as i32,
        state: job_state(int(row, 7)?)?,
        tasks,
        submitted: int(row, 8)?,
        ended: maybe_int(row, 9)?,
        result: blob(row, 10)?,
        error: text(row, 12)?,
        trace: text(row, 13)?,
        archived,
    })
}

pub(super) async fn job(tx: &mut Tx<'_>, id: JobId) -> Result<JobView, FleetError> {
    let sql = format!("SELECT {JOB_COLUMNS} FROM jobs WHERE id = $1");
    let row = tx.row("read a job", sql, values![id.to_string()]).await?;
    let row = row.ok_or(FleetError::UnknownJob { id })?;
    job_view(tx, &row).await
}

pub(super) async fn jobs(
    tx: &mut Tx<'_>,
    state: Option<JobState>,
    limit: u32,
) -> Result<Vec<JobView>, FleetError> {
    let (filter, mut found) = match state {
        Some(state) => ("WHERE state = $2 ", values![limit, state as i64]),
        None => ("", values![limit]),
    };
    let sql = format!("SELECT {JOB_COLUMNS} FROM jobs {filter}ORDER BY sequence DESC LIMIT $1");
    let rows = tx
        .rows("list jobs", sql, std::mem::take(&mut found))
        .await?;
    let mut jobs = Vec::with_capacity(rows.len());
    for row in &rows {
        jobs.push(job_view(tx, row).await?);
    }
    Ok(jobs)
}

pub(super) async fn tasks(
    tx: &mut Tx<'_>,
    id: JobId,
    from: u32,
    limit: u32,
) -> Result<Vec<TaskView>, FleetError> {
    let job = id.to_string();
    let sql = "SELECT id FROM jobs WHERE id = $1";
    if tx
        .row("read a job", sql, values![job.as_str()])
        .await?
        .is_none()
    {
        return Err(FleetError::UnknownJob { id });
    }
    let to = u64::from(from) + u64::from(limit);
    let range = values![job, from, to];
    let sql = "SELECT parent, child FROM edges WHERE job = $1 AND parent >= $2 AND parent < $3 ORDER BY parent, position";
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for row in &tx.rows("list tasks", sql, range.clone()).await? {
        let (parent, child) = (int(row, 0)? as u32, int(row, 1)? as u32);
        children.entry(parent).or_default().push(child);
    }
    let sql = "SELECT number, kind, owner, level, idx, cnt, state, attempts, prover, proof, proof_bytes, seconds, work \
        FROM tasks WHERE job = $1 AND number >= $2 AND number < $3 ORDER BY number";
    let rows = tx.rows("list tasks", sql, range).await?;
    let view = |row: &AnyRow| {
        let number = int(row, 0)? as u32;
        Ok(TaskView {
            number,
            kind: text(row, 1)?,
            place: place(row, 2)?,
            children: children.remove(&number).unwrap_or_default(),
            state: task_state(int(row, 6)?)?,
            attempts: int(row, 7)? as u32,
            prover: text(row, 8)?,
            proof: blob(row, 9)?,
            seconds: maybe_float(row, 11)?,
            work: unsigned(row, 12)?,
        })
    };
    rows.iter().map(view).collect()
}

pub(super) async fn provers(tx: &mut Tx<'_>) -> Result<Vec<ProverView>, FleetError> {
    let sql = "SELECT prover, COUNT(*) FROM tasks WHERE state = 2 GROUP BY prover";
    let mut leased: BTreeMap<String, u64> = BTreeMap::new();
    for row in &tx.rows("list provers", sql, Vec::new()).await? {
        leased.insert(text(row, 0)?, unsigned(row, 1)?);
    }
    let sql = "SELECT name, device, memory, machines, done, refused, quarantined, seen FROM provers ORDER BY name";
    let rows = tx.rows("list provers", sql, Vec::new()).await?;
    let view = |row: &AnyRow| {
        let name = text(row, 0)?;
        let machines = serde_json::from_str(&text(row, 3)?)
            .map_err(|error| damaged(format!("machines of prover {name:?}: {error}")))?;
        Ok(ProverView {
            leased: leased.get(&name).copied().unwrap_or(0),
            info: ProverInfo {
                name,
                device: text(row, 1)?,
                memory: from_ordered(int(row, 2)?),
                machines,
            },
            done: unsigned(row, 4)?,
            refused: int(row, 5)? as u32,
            quarantined: text(row, 6)?,
            seen: int(row, 7)?,
        })
    };
    rows.iter().map(view).collect()
}

pub(super) async fn refusals(tx: &mut Tx<'_>, limit: u32) -> Result<Vec<Refusal>, FleetError> {
    let sql =
        "SELECT job, number, prover, blob, bytes, why, at FROM refusals ORDER BY id DESC LIMIT $1";
    let rows = tx.rows("list refusals", sql, values![limit]).await?;
    let view = |row: &AnyRow| {
        Ok(Refusal {
            task: TaskId {
                job: job_id(&text(row, 0)?)?,
                number: int(row, 1)? as u32,
            },
            prover: text(row, 2)?,
            blob: Blob {
                hash: hash(&text(row, 3)?)?,
                bytes: unsigned(row, 4)?,
            },
            why: text(row, 5)?,
            at: int(row, 6)?,
        })
    };
    rows.iter().map(view).collect()
}

pub(super) async fn rates(tx: &mut Tx<'_>) -> Result<Vec<Rate>, FleetError> {
    let sql =
        "SELECT device, machine, kind, samples, pace FROM rates ORDER BY device, machine, kind";
    let rows = tx.rows("list rates", sql, Vec::new()).await?;
    let view = |row: &AnyRow| {
        Ok(Rate {
            device: text(row, 0)?,
            machine: text(row, 1)?,
            kind: text(row, 2)?,
            samples: unsigned(row, 3)?,
            seconds_per_work: float(row, 4)?,
        })
    };
    rows.iter().map(view).collect()
}

pub(super) async fn backlog(tx: &mut Tx<'_>) -> Result<Vec<Backlog>, FleetError> {
    let sql = "SELECT jobs.machine, tasks.kind, tasks.state, COUNT(*), CAST(SUM(tasks.work) AS BIGINT) \
        FROM tasks JOIN jobs ON jobs.id = tasks.job WHERE jobs.state = $1 \
        GROUP BY jobs.machine, tasks.kind, tasks.state";
    let open = values![JobState::Open as i64];
    let mut found: BTreeMap<(String, String), (TaskCounts, u64)> = BTreeMap::new();
    for row in &tx.rows("sum up the backlog", sql, open).await? {
        let (counts, work) = found.entry((text(row, 0)?, text(row, 1)?)).or_default();
        let state = task_state(int(row, 2)?)?;
        *counts.of(state) = unsigned(row, 3)?;
        if state != TaskState::Done {
            *work += unsigned(row, 4)?;
        }
    }
    let backlog = found
        .into_iter()
        .map(|((machine, kind), (tasks, work))| Backlog {
            machine,
            kind,
            tasks,
            work,
        });
    Ok(backlog.collect())
}

/// Blobs that are asked for in one statement.
const NAMES: usize = 256;

pub(super) async fn referenced(
    tx: &mut Tx<'_>,
    blobs: &[BlobHash],
) -> Result<Vec<bool>, FleetError> {
    let mut found = BTreeSet::new();
    for some in blobs.chunks(NAMES) {
        let names: Vec<String> = (1..=some.len()).map(|at| format!("${at}")).collect();
        let names = names.join(", ");
        let sql = format!(
            "SELECT proof FROM tasks WHERE proof IN ({names}) UNION SELECT result FROM jobs WHERE result IN ({names}) \
             UNION SELECT hash FROM inputs WHERE hash IN ({names}) UNION SELECT blob FROM refusals WHERE blob IN ({names})"
        );
        let values = some.iter().map(|blob| Value::from(blob.to_string()));
        let rows = tx
            .rows("look for references", sql, values.collect())
            .await?;
        for row in &rows {
            found.insert(hash(&text(row, 0)?)?);
        }
    }
    Ok(blobs.iter().map(|blob| found.contains(blob)).collect())
}
