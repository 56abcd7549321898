//! How tasks and jobs end.

use super::lease::{exists, lock_job, release, take_all_back, take_back};
use super::tx::{Tx, from_ordered, int, text, unsigned, values};
use super::view::{job_id, job_state, task_state};
use crate::FleetError;
use crate::store::{Completed, Failed, JobState, Proof, RATE_WEIGHT, Refusal, Refused, TaskState};
use crate::task::{BlobHash, JobId, TaskId};

const READY: i64 = TaskState::Ready as i64;
const LEASED: i64 = TaskState::Leased as i64;
const DONE: i64 = TaskState::Done as i64;
const WAITING: i64 = TaskState::Waiting as i64;

pub(super) async fn complete(
    tx: &mut Tx<'_>,
    task: TaskId,
    proof: &Proof,
) -> Result<Completed, FleetError> {
    let job = task.job.to_string();
    let lock = tx.dialect.for_update();
    let sql = format!(
        "SELECT jobs.state, jobs.total, tasks.state, tasks.kind, tasks.work FROM jobs \
         JOIN tasks ON tasks.job = jobs.id WHERE jobs.id = $1 AND tasks.number = $2{lock}"
    );
    let row = tx
        .row("look up a task", sql, values![job.as_str(), task.number])
        .await?;
    let row = row.ok_or(FleetError::UnknownTask { id: task })?;
    let (state, total) = (job_state(int(&row, 0)?)?, unsigned(&row, 1)?);
    let found = task_state(int(&row, 2)?)?;
    if found == TaskState::Done {
        return Ok(Completed::Duplicate);
    }
    if state != JobState::Open {
        return Ok(Completed::Closed(state));
    }
    if found == TaskState::Waiting {
        return Err(FleetError::Refused {
            why: format!("task {task} waits for other proofs: nobody was asked for its own"),
        });
    }
    let (kind, work) = (text(&row, 3)?, unsigned(&row, 4)?.max(1) as f64);
    let sql = "UPDATE tasks SET state = $1, live = 0, prover = $2, proof = $3, proof_bytes = $4, seconds = $5 \
        WHERE job = $6 AND number = $7";
    let hash = proof.blob.hash.to_string();
    let done = values![
        DONE,
        proof.prover.as_str(),
        hash.as_str(),
        proof.blob.bytes,
        proof.seconds,
        job.as_str(),
        task.number
    ];
    tx.run("book a proof", sql, done).await?;
    let sql = "UPDATE tasks SET missing = missing - 1, \
        state = CASE WHEN missing = 1 AND state = $3 THEN $4 ELSE state END \
        WHERE job = $1 AND number IN (SELECT parent FROM edges WHERE job = $1 AND child = $2) RETURNING missing, state";
    let woken = values![job.as_str(), task.number, WAITING, READY];
    let mut ready = 0;
    for parent in tx.rows("book a proof", sql, woken).await? {
        // One that is done has its proof from before one of its own was lost.
        ready += u32::from(int(&parent, 0)? == 0 && int(&parent, 1)? == READY);
    }
    let now = tx.now().await?;
    let job_done = u64::from(task.number) + 1 == total;
    if job_done {
        let sql = "UPDATE jobs SET done = done + 1, state = $1, ended = $2, result = $3, result_bytes = $4 WHERE id = $5";
        let ended = values![
            JobState::Done as i64,
            now,
            hash,
            proof.blob.bytes,
            job.as_str()
        ];
        tx.run("end a job", sql, ended).await?;
    } else {
        let sql = "UPDATE jobs SET done = done + 1 WHERE id = $1";
        tx.run("book a proof", sql, values![job.as_str()]).await?;
    }
    let sql = "UPDATE provers SET done = done + 1, seen = $1 WHERE name = $2";
    tx.run("note a prover", sql, values![now, proof.prover.as_str()])
        .await?;
    let sql = "INSERT INTO rates (device, machine, kind, samples, pace) \
        SELECT $1, machine, $2, 1, $3 FROM jobs WHERE id = $4 \
        ON CONFLICT (device, machine, kind) DO UPDATE \
        SET samples = rates.samples + 1, pace = rates.pace + $5 * (excluded.pace - rates.pace)";
    let rate = values![
        proof.device.as_str(),
        kind,
        proof.seconds / work,
        job,
        RATE_WEIGHT
    ];
    tx.run("note a rate", sql, rate).await?;
    Ok(Completed::Accepted { ready, job_done })
}

/// A failed attempt, under this token or, without one, under whatever lease there is.
pub(super) async fn fail(
    tx: &mut Tx<'_>,
    task: TaskId,
    token: Option<i64>,
    why: &str,
    most: u32,
) -> Result<Failed, FleetError> {
    let job = task.job.to_string();
    if lock_job(tx, task.job).await?.is_none() {
        return Err(FleetError::UnknownTask { id: task });
    }
    let lock = tx.dialect.for_update();
    let sql =
        format!("SELECT state, token, attempts FROM tasks WHERE job = $1 AND number = $2{lock}");
    let row = tx
        .row("look up a task", sql, values![job.as_str(), task.number])
        .await?;
    let row = row.ok_or(FleetError::UnknownTask { id: task })?;
    let held = task_state(int(&row, 0)?)? == TaskState::Leased;
    if !held || token.is_some_and(|token| int(&row, 1).ok() != Some(token)) {
        return Ok(Failed::NotYours);
    }
    let attempts = int(&row, 2)? as u32 + 1;
    let last = attempts >= most;
    let state = if last {
        TaskState::Failed
    } else {
        TaskState::Ready
    };
    let sql = "UPDATE tasks SET state = $1, attempts = $2, failed_by = prover, prover = '' WHERE job = $3 AND number = $4";
    let failed = values![state as i64, attempts, job, task.number];
    tx.run("note a failure", sql, failed).await?;
    if !last {
        return Ok(Failed::Again {
            left: most - attempts,
        });
    }
    let why = format!("task {} failed {most} times, at last: {why}", task.number);
    close(tx, task.job, JobState::Failed, &why).await?;
    Ok(Failed::JobFailed)
}

/// Leases that have run out, with their holders and tokens.
pub(super) async fn overdue(
    tx: &mut Tx<'_>,
    longest: i64,
) -> Result<Vec<(TaskId, String, i64)>, FleetError> {
    let now = tx.now().await?;
    let sql = "SELECT job, number, prover, token FROM tasks WHERE state = 2 AND (expires <= $1 OR expires > $2) \
        ORDER BY expires, job, number LIMIT 1000";
    let times = values![now, now.saturating_add(longest)];
    let rows = tx.rows("find lost leases", sql, times).await?;
    let overdue = rows.iter().map(|row| {
        let task = TaskId {
            job: job_id(&text(row, 0)?)?,
            number: int(row, 1)? as u32,
        };
        Ok((task, text(row, 2)?, int(row, 3)?))
    });
    overdue.collect()
}

/// Takes a lease back that has run out, unless a heartbeat came meanwhile.
pub(super) async fn expire(
    tx: &mut Tx<'_>,
    task: TaskId,
    (prover, token): (&str, i64),
    longest: i64,
    most: u32,
) -> Result<Failed, FleetError> {
    if lock_job(tx, task.job).await?.is_none() {
        return Ok(Failed::NotYours);
    }
    let lock = tx.dialect.for_update();
    let sql = format!(
        "SELECT expires, attempts, state, token FROM tasks WHERE job = $1 AND number = $2{lock}"
    );
    let row = tx
        .row(
            "look up a task",
            sql,
            values![task.job.to_string(), task.number],
        )
        .await?;
    let Some(row) = row else {
        return Ok(Failed::NotYours);
    };
    // After the lock: whoever was waited for may have prolonged the lease by a newer clock.
    let now = tx.now().await?;
    let (expires, attempts) = (int(&row, 0)?, int(&row, 1)? as u32);
    if int(&row, 2)? != LEASED || int(&row, 3)? != token {
        return Ok(Failed::NotYours);
    }
    if expires > now.saturating_add(longest) {
        // Nobody's failure.
        release(tx, task, token).await?;
        return Ok(Failed::Again {
            left: most.saturating_sub(attempts),
        });
    }
    if expires > now {
        return Ok(Failed::NotYours);
    }
    let why = format!("prover {prover:?} was not heard of in time");
    fail(tx, task, Some(token), &why, most).await
}

pub(super) async fn refuse(
    tx: &mut Tx<'_>,
    refusal: &Refusal,
    token: i64,
    most: u32,
) -> Result<Refused, FleetError> {
    let task = refusal.task;
    exists(tx, task).await?;
    let name = refusal.prover.as_str();
    let held = take_back(tx, task, token, name).await?;
    let sql = "UPDATE provers SET refused = refused + $1 WHERE name = $2";
    let counted = values![i64::from(held), name];
    if tx.run("note a refusal", sql, counted).await? == 0 {
        return Err(FleetError::UnknownProver {
            name: name.to_owned(),
        });
    }
    if !held {
        return Ok(Refused::NotYours);
    }
    let sql = "SELECT refused, quarantined FROM provers WHERE name = $1";
    let row = tx.row("look up a prover", sql, values![name]).await?;
    let row = row.ok_or_else(|| FleetError::UnknownProver {
        name: name.to_owned(),
    })?;
    let (refused, mut quarantined) = (int(&row, 0)?, !text(&row, 1)?.is_empty());
    if refused >= i64::from(most) && !quarantined {
        quarantined = true;
        let why = format!(
            "{refused} of its proofs were refused, the last one of task {task}: {}",
            refusal.why
        );
        let sql = "UPDATE provers SET quarantined = $1 WHERE name = $2";
        tx.run("quarantine a prover", sql, values![why, name])
            .await?;
    }
    if quarantined {
        take_all_back(tx, name).await?;
    }
    let now = tx.now().await?;
    let sql = "INSERT INTO refusals (job, number, prover, blob, bytes, why, at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let row = values![
        task.job.to_string(),
        task.number,
        name,
        refusal.blob.hash.to_string(),
        refusal.blob.bytes,
        refusal.why.as_str(),
        now
    ];
    tx.run("note a refusal", sql, row).await?;
    Ok(Refused::Counted { quarantined })
}

/// Nobody works on the job any more. Its row is locked.
async fn close(tx: &mut Tx<'_>, id: JobId, state: JobState, why: &str) -> Result<(), FleetError> {
    let now = tx.now().await?;
    let sql = "UPDATE jobs SET state = $1, ended = $2, error = $3 WHERE id = $4";
    let ended = values![state as i64, now, why, id.to_string()];
    tx.run("end a job", sql, ended).await?;
    let sql = "UPDATE tasks SET live = 0, \
        prover = CASE WHEN state = $1 THEN '' ELSE prover END, \
        state = CASE WHEN state = $1 THEN $2 ELSE state END \
        WHERE job = $3 AND live = 1";
    tx.run("end a job", sql, values![LEASED, READY, id.to_string()])
        .await?;
    Ok(())
}

pub(super) async fn cancel(tx: &mut Tx<'_>, id: JobId) -> Result<(), FleetError> {
    let Some((state, _)) = lock_job(tx, id).await? else {
        return Err(FleetError::UnknownJob { id });
    };
    match job_state(state)? {
        JobState::Open => close(tx, id, JobState::Cancelled, "").await,
        JobState::Cancelled => Ok(()),
        state => Err(FleetError::State {
            id,
            state: state.name(),
        }),
    }
}

pub(super) async fn cancel_suffix(
    tx: &mut Tx<'_>,
    stream: &str,
    from: u64,
) -> Result<Vec<JobId>, FleetError> {
    let lock = tx.dialect.for_update();
    let sql = format!(
        "SELECT id, first, count FROM jobs WHERE state = $1 AND stream = $2 ORDER BY sequence{lock}"
    );
    let open = values![JobState::Open as i64, stream];
    let rows = tx.rows("find jobs", sql, open).await?;
    let mut cancelled = Vec::new();
    for row in &rows {
        let first = from_ordered(int(row, 1)?);
        if first.saturating_add(unsigned(row, 2)?) > from {
            let id = job_id(&text(row, 0)?)?;
            close(tx, id, JobState::Cancelled, "").await?;
            cancelled.push(id);
        }
    }
    Ok(cancelled)
}

/// A proof that is lost: its task is to be done again, and what takes it waits.
pub(super) async fn unprove(
    tx: &mut Tx<'_>,
    task: TaskId,
    proof: BlobHash,
) -> Result<bool, FleetError> {
    let Some((state, _)) = lock_job(tx, task.job).await? else {
        return Err(FleetError::UnknownTask { id: task });
    };
    exists(tx, task).await?;
    if !job_state(state)?.may_be_retried() {
        return Ok(false);
    }
    let job = task.job.to_string();
    let sql = "UPDATE tasks SET state = CASE WHEN missing = 0 THEN $1 ELSE $2 END, attempts = 0, prover = '', \
        proof = NULL, proof_bytes = NULL, seconds = NULL WHERE job = $3 AND number = $4 AND state = $5 AND proof = $6";
    let undone = values![
        READY,
        WAITING,
        job.as_str(),
        task.number,
        DONE,
        proof.to_string()
    ];
    if tx.run("take a proof back", sql, undone).await? == 0 {
        return Ok(false);
    }
    let sql = "UPDATE tasks SET missing = missing + 1, state = CASE WHEN state = $3 THEN state ELSE $4 END \
        WHERE job = $1 AND number IN (SELECT parent FROM edges WHERE job = $1 AND child = $2)";
    let waiting = values![job.as_str(), task.number, DONE, WAITING];
    tx.run("take a proof back", sql, waiting).await?;
    let sql = "UPDATE jobs SET done = done - 1 WHERE id = $1";
    tx.run("take a proof back", sql, values![job]).await?;
    Ok(true)
}

/// Jobs that ended before that time and are not archived yet.
pub(super) async fn old_jobs(tx: &mut Tx<'_>, age: i64) -> Result<Vec<String>, FleetError> {
    let before = tx.now().await?.saturating_sub(age);
    let sql = "SELECT id FROM jobs WHERE archived = 0 AND ended IS NOT NULL AND ended <= $1 ORDER BY sequence LIMIT 1000";
    let rows = tx.rows("find old jobs", sql, values![before]).await?;
    rows.iter().map(|row| text(row, 0)).collect()
}

/// Archives a job, unless it was queued again meanwhile.
pub(super) async fn archive(tx: &mut Tx<'_>, id: &str, age: i64) -> Result<bool, FleetError> {
    let before = tx.now().await?.saturating_sub(age);
    let sql = "UPDATE jobs SET archived = 1 WHERE id = $1 AND archived = 0 AND ended IS NOT NULL AND ended <= $2";
    if tx.run("archive a job", sql, values![id, before]).await? == 0 {
        return Ok(false);
    }
    for sql in [
        "DELETE FROM edges WHERE job = $1",
        "DELETE FROM tasks WHERE job = $1",
        "DELETE FROM inputs WHERE job = $1",
    ] {
        tx.run("archive a job", sql, values![id]).await?;
    }
    Ok(true)
}

pub(super) async fn drop_refusals(tx: &mut Tx<'_>, age: i64) -> Result<(), FleetError> {
    let before = tx.now().await?.saturating_sub(age);
    let sql = "DELETE FROM refusals WHERE at <= $1";
    tx.run("drop old refusals", sql, values![before]).await?;
    Ok(())
}
