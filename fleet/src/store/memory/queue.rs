//! What the queue is made of, and the moves that every operation is made of.

use std::collections::{BTreeMap, BTreeSet};

use crate::FleetError;
use crate::store::{Failed, JobState, JobView, Proof, ProverInfo, Refusal, TaskCounts, TaskState};
use crate::task::{Blob, JobId, NewJob, TaskId, TaskSpec};

/// What orders ready tasks: priority, urgency (both larger first, so negated), range, age, number.
pub(super) type Order = (i64, i16, u64, u64, u32);

pub(super) struct Task {
    pub(super) spec: TaskSpec,
    pub(super) parents: Vec<u32>,
    pub(super) missing: u32,
    pub(super) state: TaskState,
    pub(super) attempts: u32,
    pub(super) token: i64,
    pub(super) prover: String,
    pub(super) expires: i64,
    /// Who failed it last.
    pub(super) failed_by: String,
    pub(super) proof: Option<Proof>,
}

pub(super) struct Job {
    pub(super) new: NewJob,
    pub(super) sequence: u64,
    pub(super) state: JobState,
    pub(super) submitted: i64,
    pub(super) ended: Option<i64>,
    pub(super) error: String,
    pub(super) result: Option<Blob>,
    pub(super) tasks: Vec<Task>,
    pub(super) counts: TaskCounts,
    pub(super) archived: bool,
}

impl Job {
    pub(super) fn order(&self, number: u32) -> Order {
        let urgency = self.tasks[number as usize].spec.urgency;
        (
            -i64::from(self.new.priority),
            -i16::from(urgency),
            self.new.first,
            self.sequence,
            number,
        )
    }

    pub(super) fn set(&mut self, number: u32, state: TaskState) {
        let task = &mut self.tasks[number as usize];
        *self.counts.of(task.state) -= 1;
        task.state = state;
        *self.counts.of(state) += 1;
    }

    pub(super) fn view(&self) -> JobView {
        JobView {
            id: self.new.id,
            machine: self.new.machine.clone(),
            stream: self.new.stream.clone(),
            first: self.new.first,
            count: self.new.count,
            priority: self.new.priority,
            state: self.state,
            tasks: self.counts,
            submitted: self.submitted,
            ended: self.ended,
            result: self.result,
            error: self.error.clone(),
            trace: self.new.trace.clone(),
            archived: self.archived,
        }
    }
}

pub(super) struct Prover {
    pub(super) info: ProverInfo,
    pub(super) leased: BTreeSet<TaskId>,
    pub(super) done: u64,
    pub(super) refused: u32,
    pub(super) quarantined: String,
    pub(super) seen: i64,
}

#[derive(Default)]
pub(super) struct Queue {
    pub(super) now: i64,
    pub(super) sequence: u64,
    pub(super) jobs: BTreeMap<JobId, Job>,
    pub(super) by_sequence: BTreeMap<u64, JobId>,
    pub(super) ready: BTreeMap<Order, TaskId>,
    pub(super) leases: BTreeSet<(i64, TaskId)>,
    pub(super) open: u64,
    pub(super) provers: BTreeMap<String, Prover>,
    pub(super) rates: BTreeMap<(String, String, String), (u64, f64)>,
    pub(super) refusals: Vec<Refusal>,
}

impl Queue {
    pub(super) fn job(&mut self, id: JobId) -> Result<&mut Job, FleetError> {
        self.jobs.get_mut(&id).ok_or(FleetError::UnknownJob { id })
    }

    pub(super) fn job_of(&mut self, id: TaskId) -> Result<&mut Job, FleetError> {
        let job = self.jobs.get_mut(&id.job);
        job.filter(|job| (id.number as usize) < job.tasks.len())
            .ok_or(FleetError::UnknownTask { id })
    }

    pub(super) fn prover(&mut self, name: &str) -> Result<&mut Prover, FleetError> {
        self.provers
            .get_mut(name)
            .ok_or_else(|| FleetError::UnknownProver {
                name: name.to_owned(),
            })
    }

    pub(super) fn room(&self, more: u64, cap: u64) -> Result<(), FleetError> {
        if self.open.saturating_add(more) > cap {
            return Err(FleetError::Full {
                open: self.open,
                more,
                cap,
            });
        }
        Ok(())
    }

    /// A task's lease ends: it is no longer anybody's.
    pub(super) fn unlease(&mut self, id: TaskId) {
        let Some(job) = self.jobs.get_mut(&id.job) else {
            return;
        };
        let task = &mut job.tasks[id.number as usize];
        if task.state != TaskState::Leased {
            return;
        }
        self.leases.remove(&(task.expires, id));
        if let Some(prover) = self.provers.get_mut(&task.prover) {
            prover.leased.remove(&id);
        }
    }

    /// The task may be claimed.
    pub(super) fn make_ready(&mut self, id: TaskId) {
        if let Some(job) = self.jobs.get_mut(&id.job) {
            job.tasks[id.number as usize].prover.clear();
            job.set(id.number, TaskState::Ready);
            self.ready.insert(job.order(id.number), id);
        }
    }

    /// Nobody works on the job any more.
    pub(super) fn close(&mut self, id: JobId, state: JobState, why: &str) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        for number in 0..job.tasks.len() as u32 {
            let id = TaskId { job: id, number };
            self.unlease(id);
            if let Some(job) = self.jobs.get_mut(&id.job) {
                self.ready.remove(&job.order(number));
                if job.tasks[number as usize].state == TaskState::Leased {
                    job.tasks[number as usize].prover.clear();
                    job.set(number, TaskState::Ready);
                }
            }
        }
        let now = self.now;
        if let Some(job) = self.jobs.get_mut(&id) {
            self.open -= job.counts.unproven();
            job.state = state;
            job.ended = Some(now);
            why.clone_into(&mut job.error);
        }
    }

    pub(super) fn attempt_failed(&mut self, id: TaskId, why: &str, max_attempts: u32) -> Failed {
        self.unlease(id);
        let Some(job) = self.jobs.get_mut(&id.job) else {
            return Failed::NotYours;
        };
        let task = &mut job.tasks[id.number as usize];
        task.attempts += 1;
        task.failed_by = std::mem::take(&mut task.prover);
        if task.attempts < max_attempts {
            let left = max_attempts - task.attempts;
            self.make_ready(id);
            return Failed::Again { left };
        }
        job.set(id.number, TaskState::Failed);
        let why = format!(
            "task {} failed {max_attempts} times, at last: {why}",
            id.number
        );
        self.close(id.job, JobState::Failed, &why);
        Failed::JobFailed
    }

    /// Whether this lease is the current one.
    pub(super) fn holds(&mut self, id: TaskId, token: i64) -> Result<bool, FleetError> {
        let job = self.job_of(id)?;
        let task = &job.tasks[id.number as usize];
        Ok(task.state == TaskState::Leased && task.token == token)
    }
}
