//! Who works on what.

use std::collections::BTreeSet;
use std::time::Duration;

use super::queue::{Prover, Queue};
use crate::FleetError;
use crate::store::{
    Claim, Expired, Failed, Limits, MAX_HELD, ProverInfo, Refusal, Refused, TaskState, lease_token,
    millis,
};
use crate::task::{Blob, TaskId};

impl Queue {
    pub(super) fn register(&mut self, info: &ProverInfo) -> Result<(), FleetError> {
        let now = self.now;
        let prover = self
            .provers
            .entry(info.name.clone())
            .or_insert_with(|| Prover {
                info: info.clone(),
                leased: BTreeSet::new(),
                done: 0,
                refused: 0,
                quarantined: String::new(),
                seen: now,
            });
        prover.info = info.clone();
        prover.seen = now;
        Ok(())
    }

    pub(super) fn claim(
        &mut self,
        name: &str,
        lease: Duration,
    ) -> Result<Option<Claim>, FleetError> {
        let now = self.now;
        let prover = self.prover(name)?;
        if !prover.quarantined.is_empty() {
            return Err(FleetError::Quarantined {
                name: name.to_owned(),
                why: prover.quarantined.clone(),
            });
        }
        prover.seen = now;
        if prover.leased.len() >= MAX_HELD as usize {
            return Ok(None);
        }
        let info = prover.info.clone();
        let mut second = None;
        let mut chosen = None;
        for (&order, &id) in &self.ready {
            let Some(job) = self.jobs.get(&id.job) else {
                continue;
            };
            let task = &job.tasks[id.number as usize];
            if !info.machines.contains(&job.new.machine) || task.spec.memory > info.memory {
                continue;
            }
            if task.failed_by == name {
                second.get_or_insert((order, id));
                continue;
            }
            chosen = Some((order, id));
            break;
        }
        let Some((order, id)) = chosen.or(second) else {
            return Ok(None);
        };
        self.ready.remove(&order);
        let expires = now.saturating_add(millis(lease));
        self.leases.insert((expires, id));
        self.prover(name)?.leased.insert(id);
        let job = self.job_of(id)?;
        job.set(id.number, TaskState::Leased);
        let children = job.tasks[id.number as usize].spec.children.iter();
        let children = children.filter_map(|&child| {
            let proof = job.tasks[child as usize].proof.as_ref();
            proof.map(|proof| proof.blob)
        });
        let children: Vec<Blob> = children.collect();
        let (machine, trace) = (job.new.machine.clone(), job.new.trace.clone());
        let task = &mut job.tasks[id.number as usize];
        task.token = lease_token();
        name.clone_into(&mut task.prover);
        task.expires = expires;
        Ok(Some(Claim {
            task: id,
            token: task.token,
            machine,
            trace,
            spec: task.spec.clone(),
            children,
        }))
    }

    pub(super) fn heartbeat(
        &mut self,
        name: &str,
        held: &[(TaskId, i64)],
        lease: Duration,
    ) -> Result<Vec<bool>, FleetError> {
        let now = self.now;
        self.prover(name)?.seen = now;
        let expires = now.saturating_add(millis(lease));
        let mut holds = Vec::with_capacity(held.len());
        for &(id, token) in held {
            let mine =
                self.holds(id, token).unwrap_or(false) && self.prover(name)?.leased.contains(&id);
            holds.push(mine);
            if mine {
                let task = &mut self.job_of(id)?.tasks[id.number as usize];
                let old = std::mem::replace(&mut task.expires, expires);
                self.leases.remove(&(old, id));
                self.leases.insert((expires, id));
            }
        }
        Ok(holds)
    }

    pub(super) fn release(&mut self, id: TaskId, token: i64) -> Result<bool, FleetError> {
        let holds = self.holds(id, token)?;
        if holds {
            self.unlease(id);
            self.make_ready(id);
        }
        Ok(holds)
    }

    pub(super) fn release_prover(&mut self, name: &str) -> Result<(), FleetError> {
        let prover = self.prover(name)?;
        prover.refused = 0;
        prover.quarantined.clear();
        Ok(())
    }

    pub(super) fn forget(&mut self, age: Duration) -> Result<u64, FleetError> {
        let before = self.now.saturating_sub(millis(age));
        let known = self.provers.len();
        self.provers.retain(|_, prover| {
            prover.seen > before || !prover.leased.is_empty() || !prover.quarantined.is_empty()
        });
        Ok((known - self.provers.len()) as u64)
    }

    pub(super) fn refuse(
        &mut self,
        refusal: &Refusal,
        token: i64,
        limits: Limits,
    ) -> Result<Refused, FleetError> {
        let now = self.now;
        let id = refusal.task;
        let holds = self.holds(id, token)?;
        let prover = self.prover(&refusal.prover)?;
        if !holds || !prover.leased.contains(&id) {
            return Ok(Refused::NotYours);
        }
        prover.refused += 1;
        if prover.refused >= limits.max_refused && prover.quarantined.is_empty() {
            prover.quarantined = format!(
                "{} of its proofs were refused, the last one of task {id}: {}",
                prover.refused, refusal.why
            );
        }
        let quarantined = !prover.quarantined.is_empty();
        let lost = match quarantined {
            true => prover.leased.iter().copied().collect(),
            false => vec![id],
        };
        for id in lost {
            self.unlease(id);
            if let Ok(job) = self.job_of(id) {
                job.tasks[id.number as usize].failed_by = refusal.prover.clone();
            }
            self.make_ready(id);
        }
        self.refusals.push(Refusal {
            at: now,
            ..refusal.clone()
        });
        Ok(Refused::Counted { quarantined })
    }

    pub(super) fn expire(
        &mut self,
        longest: Duration,
        limits: Limits,
    ) -> Result<Vec<Expired>, FleetError> {
        let far = self.now.saturating_add(millis(longest));
        let overdue = self.leases.iter();
        let overdue = overdue.filter(|(expires, _)| *expires <= self.now || *expires > far);
        let overdue: Vec<TaskId> = overdue.map(|&(_, id)| id).collect();
        let mut expired = Vec::new();
        for id in overdue {
            // An earlier one may have ended their job.
            let task = &self.job_of(id)?.tasks[id.number as usize];
            if task.state != TaskState::Leased {
                continue;
            }
            let (prover, attempts) = (task.prover.clone(), task.attempts);
            let outcome = if task.expires > far {
                // Nobody's failure.
                self.unlease(id);
                self.make_ready(id);
                Failed::Again {
                    left: limits.max_attempts.saturating_sub(attempts),
                }
            } else {
                let why = format!("prover {prover:?} was not heard of in time");
                self.attempt_failed(id, &why, limits.max_attempts)
            };
            expired.push(Expired {
                task: id,
                prover,
                outcome,
            });
        }
        Ok(expired)
    }
}
