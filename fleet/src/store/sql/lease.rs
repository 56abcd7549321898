//! Who works on what.

use super::insert::machine_key;
use super::tx::{Tx, int, ordered, text, unsigned, values};
use super::view::{SPEC_COLUMNS, blob, job_id, spec};
use crate::FleetError;
use crate::store::{Claim, MAX_HELD, ProverInfo, TaskState, lease_token};
use crate::task::{Blob, JobId, MachineId, TaskId};

const READY: i64 = TaskState::Ready as i64;
const LEASED: i64 = TaskState::Leased as i64;

pub(super) async fn register(tx: &mut Tx<'_>, prover: &ProverInfo) -> Result<(), FleetError> {
    let machines =
        serde_json::to_string(&prover.machines).map_err(|error| FleetError::Damaged {
            why: error.to_string(),
        })?;
    let memory = ordered(prover.memory);
    let now = tx.now().await?;
    let sql = "INSERT INTO provers (name, device, memory, machines, done, refused, quarantined, seen) \
        VALUES ($1, $2, $3, $4, 0, 0, '', $5) ON CONFLICT (name) DO UPDATE \
        SET device = excluded.device, memory = excluded.memory, machines = excluded.machines, seen = excluded.seen";
    let row = values![
        prover.name.as_str(),
        prover.device.as_str(),
        memory,
        machines,
        now
    ];
    tx.run("register a prover", sql, row).await?;
    Ok(())
}

/// Notes that a prover was heard of.
async fn seen(tx: &mut Tx<'_>, prover: &str, now: i64) -> Result<(), FleetError> {
    let sql = "UPDATE provers SET seen = $1 WHERE name = $2";
    let known = tx.run("note a prover", sql, values![now, prover]).await?;
    if known == 0 {
        return Err(FleetError::UnknownProver {
            name: prover.to_owned(),
        });
    }
    Ok(())
}

/// Where a task stands in the order of claims.
type Order = (i64, i64, i64, i64, i64);

pub(super) async fn claim(
    tx: &mut Tx<'_>,
    name: &str,
    lease: i64,
) -> Result<Option<Claim>, FleetError> {
    // This locks the prover's row: nobody quarantines it between the look and the lease. What is refused is rolled back.
    let now = tx.now().await?;
    seen(tx, name, now).await?;
    let sql = "SELECT memory, machines, quarantined FROM provers WHERE name = $1";
    let row = tx.row("look up a prover", sql, values![name]).await?;
    let row = row.ok_or_else(|| FleetError::UnknownProver {
        name: name.to_owned(),
    })?;
    let (memory, quarantined) = (int(&row, 0)?, text(&row, 2)?);
    if !quarantined.is_empty() {
        return Err(FleetError::Quarantined {
            name: name.to_owned(),
            why: quarantined,
        });
    }
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM tasks WHERE prover = $1 AND state = 2";
    let held = tx.row("count leases", sql, values![name]).await?;
    if held.as_ref().map_or(Ok(0), |row| int(row, 0))? >= i64::from(MAX_HELD) {
        return Ok(None);
    }
    let machines: Vec<MachineId> =
        serde_json::from_str(&text(&row, 1)?).map_err(|error| FleetError::Damaged {
            why: format!("machines of prover {name:?}: {error}"),
        })?;
    // What this prover failed last comes after everything else.
    for again in [false, true] {
        let mut best: Option<(Order, TaskId, MachineId)> = None;
        for machine in &machines {
            let lock = tx.dialect.for_update_skipping();
            let failed = if again { "=" } else { "<>" };
            let sql = format!(
                "SELECT job, number, behind_priority, behind_urgency, first, sequence FROM tasks \
                 WHERE machine = $1 AND state = 1 AND live = 1 AND memory <= $2 AND failed_by {failed} $3 \
                 ORDER BY behind_priority, behind_urgency, first, sequence, number LIMIT 1{lock}"
            );
            let row = tx
                .row(
                    "find a task",
                    sql,
                    values![machine_key(machine), memory, name],
                )
                .await?;
            let Some(row) = row else { continue };
            let number = int(&row, 1)?;
            let order = (
                int(&row, 2)?,
                int(&row, 3)?,
                int(&row, 4)?,
                int(&row, 5)?,
                number,
            );
            if best.as_ref().is_none_or(|(first, ..)| order < *first) {
                let task = TaskId {
                    job: job_id(&text(&row, 0)?)?,
                    number: number as u32,
                };
                best = Some((order, task, machine.clone()));
            }
        }
        if let Some((_, task, machine)) = best {
            return take(tx, task, machine, name, now.saturating_add(lease))
                .await
                .map(Some);
        }
    }
    Ok(None)
}

async fn take(
    tx: &mut Tx<'_>,
    task: TaskId,
    machine: MachineId,
    name: &str,
    expires: i64,
) -> Result<Claim, FleetError> {
    let job = task.job.to_string();
    let sql = "UPDATE tasks SET state = $1, token = $2, prover = $3, expires = $4 \
        WHERE job = $5 AND number = $6";
    let token = lease_token();
    let lease = values![LEASED, token, name, expires, job.as_str(), task.number];
    tx.run("lease a task", sql, lease).await?;
    let sql = format!(
        "SELECT {SPEC_COLUMNS}, jobs.trace FROM tasks JOIN jobs ON jobs.id = tasks.job \
         WHERE tasks.job = $1 AND tasks.number = $2"
    );
    let row = tx
        .row("read a task", sql, values![job.as_str(), task.number])
        .await?;
    let row = row.ok_or(FleetError::UnknownTask { id: task })?;
    let mut claim = Claim {
        task,
        token,
        machine,
        trace: text(&row, 13)?,
        spec: spec(&row)?,
        children: Vec::new(),
    };
    let sql = "SELECT edges.child, tasks.proof, tasks.proof_bytes FROM edges \
        JOIN tasks ON tasks.job = edges.job AND tasks.number = edges.child \
        WHERE edges.job = $1 AND edges.parent = $2 ORDER BY edges.position";
    let rows = tx
        .rows("read a task's children", sql, values![job, task.number])
        .await?;
    for row in &rows {
        claim.spec.children.push(int(row, 0)? as u32);
        let proof: Option<Blob> = blob(row, 1)?;
        claim
            .children
            .push(proof.ok_or_else(|| FleetError::Damaged {
                why: format!("task {task} is ready, and a child of it has no proof"),
            })?);
    }
    Ok(claim)
}

pub(super) async fn heartbeat(
    tx: &mut Tx<'_>,
    prover: &str,
    held: &[(TaskId, i64)],
    lease: i64,
) -> Result<Vec<bool>, FleetError> {
    let now = tx.now().await?;
    // In one order, as everybody locks tasks.
    let mut order: Vec<usize> = (0..held.len()).collect();
    order.sort_by_key(|&at| held[at]);
    let mut holds = vec![false; held.len()];
    for at in order {
        let (task, token) = held[at];
        let sql = "UPDATE tasks SET expires = $1 \
            WHERE job = $2 AND number = $3 AND state = $4 AND token = $5 AND prover = $6";
        let beat = values![
            now.saturating_add(lease),
            task.job.to_string(),
            task.number,
            LEASED,
            token,
            prover
        ];
        holds[at] = tx.run("prolong a lease", sql, beat).await? == 1;
    }
    seen(tx, prover, now).await?;
    Ok(holds)
}

pub(super) async fn release(tx: &mut Tx<'_>, task: TaskId, token: i64) -> Result<bool, FleetError> {
    let sql = "UPDATE tasks SET state = $1, prover = '' \
        WHERE job = $2 AND number = $3 AND state = $4 AND token = $5";
    let back = values![READY, task.job.to_string(), task.number, LEASED, token];
    if tx.run("give a task back", sql, back).await? == 1 {
        return Ok(true);
    }
    exists(tx, task).await?;
    Ok(false)
}

/// Whether there is such a task.
pub(super) async fn exists(tx: &mut Tx<'_>, task: TaskId) -> Result<(), FleetError> {
    let sql = "SELECT number FROM tasks WHERE job = $1 AND number = $2";
    let row = tx
        .row(
            "look up a task",
            sql,
            values![task.job.to_string(), task.number],
        )
        .await?;
    match row {
        Some(row) => unsigned(&row, 0).map(drop),
        None => Err(FleetError::UnknownTask { id: task }),
    }
}

pub(super) async fn release_prover(tx: &mut Tx<'_>, name: &str) -> Result<(), FleetError> {
    let sql = "UPDATE provers SET refused = 0, quarantined = '' WHERE name = $1";
    if tx.run("release a prover", sql, values![name]).await? == 0 {
        return Err(FleetError::UnknownProver {
            name: name.to_owned(),
        });
    }
    Ok(())
}

pub(super) async fn forget(tx: &mut Tx<'_>, age: i64) -> Result<u64, FleetError> {
    let before = tx.now().await?.saturating_sub(age);
    let sql = "DELETE FROM provers WHERE seen <= $1 AND quarantined = '' \
        AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.prover = provers.name AND tasks.state = $2)";
    tx.run("forget provers", sql, values![before, LEASED]).await
}

/// Gives back what a prover holds: it is not the one to ask first for it again.
pub(super) async fn take_all_back(tx: &mut Tx<'_>, name: &str) -> Result<(), FleetError> {
    let sql = "UPDATE tasks SET state = $1, failed_by = prover, prover = '' WHERE prover = $2 AND state = $3";
    tx.run("take leases back", sql, values![READY, name, LEASED])
        .await?;
    Ok(())
}

/// Gives one task back, where the lease is this one and this prover's: it is not the one to ask first for it again. Says
/// whether it was.
pub(super) async fn take_back(
    tx: &mut Tx<'_>,
    task: TaskId,
    token: i64,
    prover: &str,
) -> Result<bool, FleetError> {
    let sql = "UPDATE tasks SET state = $1, failed_by = $2, prover = '' \
        WHERE job = $3 AND number = $4 AND state = $5 AND token = $6 AND prover = $2";
    let back = values![
        READY,
        prover,
        task.job.to_string(),
        task.number,
        LEASED,
        token
    ];
    Ok(tx.run("take a lease back", sql, back).await? == 1)
}

/// A job's row, locked: its state, its tasks, and those done.
pub(super) async fn lock_job(tx: &mut Tx<'_>, id: JobId) -> Result<Option<(i64, u64)>, FleetError> {
    let lock = tx.dialect.for_update();
    let sql = format!("SELECT state, total FROM jobs WHERE id = $1{lock}");
    let row = tx
        .row("look up a job", sql, values![id.to_string()])
        .await?;
    row.map(|row| Ok((int(&row, 0)?, unsigned(&row, 1)?)))
        .transpose()
}
