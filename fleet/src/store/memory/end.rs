//! How jobs begin and end.

use std::collections::BTreeSet;
use std::time::Duration;

use super::queue::{Job, Queue, Task};
use crate::FleetError;
use crate::store::{
    Completed, Failed, JobState, Limits, Proof, RATE_WEIGHT, Submitted, TaskCounts, TaskState,
    millis,
};
use crate::task::{Blob, JobId, NewJob, TaskId};

impl Queue {
    pub(super) fn submit(&mut self, new: &NewJob, limits: Limits) -> Result<Submitted, FleetError> {
        new.check()?;
        if let Some(known) = self.jobs.get(&new.id)
            && !(known.archived && known.state.may_be_retried())
        {
            return Ok(Submitted::Known(known.state));
        }
        self.room(new.tasks.len() as u64, limits.max_open)?;
        // Of an archived job there is nothing left to go on with.
        if let Some(known) = self.jobs.remove(&new.id) {
            self.by_sequence.remove(&known.sequence);
        }
        let mut tasks: Vec<Task> = Vec::with_capacity(new.tasks.len());
        for (number, spec) in new.tasks.iter().enumerate() {
            // A child taken twice is missing once.
            let children: BTreeSet<u32> = spec.children.iter().copied().collect();
            for &child in &children {
                tasks[child as usize].parents.push(number as u32);
            }
            tasks.push(Task {
                spec: spec.clone(),
                parents: Vec::new(),
                missing: children.len() as u32,
                state: TaskState::Waiting,
                attempts: 0,
                token: 0,
                prover: String::new(),
                expires: 0,
                failed_by: String::new(),
                proof: None,
            });
        }
        let sequence = self.sequence;
        self.sequence += 1;
        let counts = TaskCounts {
            waiting: tasks.len() as u64,
            ..TaskCounts::default()
        };
        self.open += tasks.len() as u64;
        let without: Vec<u32> = (0..tasks.len() as u32)
            .filter(|&number| tasks[number as usize].missing == 0)
            .collect();
        let mut head = new.clone();
        head.tasks = Vec::new();
        self.by_sequence.insert(sequence, new.id);
        self.jobs.insert(
            new.id,
            Job {
                new: head,
                sequence,
                state: JobState::Open,
                submitted: self.now,
                ended: None,
                error: String::new(),
                result: None,
                tasks,
                counts,
                archived: false,
            },
        );
        for number in without {
            self.make_ready(TaskId {
                job: new.id,
                number,
            });
        }
        Ok(Submitted::New)
    }

    pub(super) fn complete(&mut self, id: TaskId, proof: &Proof) -> Result<Completed, FleetError> {
        let job = self.job_of(id)?;
        let task = &job.tasks[id.number as usize];
        if task.state == TaskState::Done {
            return Ok(Completed::Duplicate);
        }
        if job.state != JobState::Open {
            return Ok(Completed::Closed(job.state));
        }
        if task.state == TaskState::Waiting {
            return Err(FleetError::Refused {
                why: format!("task {id} waits for other proofs: nobody was asked for its own"),
            });
        }
        let order = job.order(id.number);
        self.unlease(id);
        self.ready.remove(&order);
        self.open -= 1;
        let now = self.now;
        let job = self.job_of(id)?;
        job.set(id.number, TaskState::Done);
        let machine = job.new.machine.name.clone();
        let task = &mut job.tasks[id.number as usize];
        task.proof = Some(proof.clone());
        task.prover.clone_from(&proof.prover);
        let (kind, work) = (task.spec.kind.clone(), task.spec.work.max(1) as f64);
        let parents = task.parents.clone();
        let mut ready = Vec::new();
        for number in parents {
            let parent = &mut job.tasks[number as usize];
            parent.missing -= 1;
            if parent.missing == 0 && parent.state == TaskState::Waiting {
                ready.push(number);
            }
        }
        let job_done = id.number as usize + 1 == job.tasks.len();
        if job_done {
            job.state = JobState::Done;
            job.ended = Some(now);
            job.result = Some(proof.blob);
        }
        for &number in &ready {
            self.make_ready(TaskId {
                job: id.job,
                number,
            });
        }
        if let Some(prover) = self.provers.get_mut(&proof.prover) {
            prover.done += 1;
            prover.seen = now;
        }
        let pace = proof.seconds / work;
        let rate = self
            .rates
            .entry((proof.device.clone(), machine, kind))
            .or_insert((0, pace));
        rate.0 += 1;
        rate.1 += RATE_WEIGHT * (pace - rate.1);
        Ok(Completed::Accepted {
            ready: ready.len() as u32,
            job_done,
        })
    }

    pub(super) fn fail(
        &mut self,
        id: TaskId,
        token: i64,
        why: &str,
        limits: Limits,
    ) -> Result<Failed, FleetError> {
        if !self.holds(id, token)? {
            return Ok(Failed::NotYours);
        }
        Ok(self.attempt_failed(id, why, limits.max_attempts))
    }

    pub(super) fn cancel(&mut self, id: JobId) -> Result<(), FleetError> {
        match self.job(id)?.state {
            JobState::Open => self.close(id, JobState::Cancelled, ""),
            JobState::Cancelled => {}
            state => {
                return Err(FleetError::State {
                    id,
                    state: state.name(),
                });
            }
        }
        Ok(())
    }

    pub(super) fn cancel_suffix(
        &mut self,
        stream: &str,
        from: u64,
    ) -> Result<Vec<JobId>, FleetError> {
        let jobs = self.by_sequence.values().filter_map(|id| self.jobs.get(id));
        let reaches = |job: &&Job| {
            job.state == JobState::Open
                && job.new.stream == stream
                && job.new.first.saturating_add(job.new.count) > from
        };
        let ids: Vec<JobId> = jobs.filter(reaches).map(|job| job.new.id).collect();
        for &id in &ids {
            self.close(id, JobState::Cancelled, "");
        }
        Ok(ids)
    }

    pub(super) fn retry(&mut self, id: JobId, limits: Limits) -> Result<(), FleetError> {
        let job = self.job(id)?;
        let (state, unproven) = (job.state, job.counts.unproven());
        if !state.may_be_retried() || job.archived {
            return Err(FleetError::State {
                id,
                state: if job.archived {
                    "archived"
                } else {
                    state.name()
                },
            });
        }
        self.room(unproven, limits.max_open)?;
        self.open += unproven;
        let job = self.job(id)?;
        job.state = JobState::Open;
        job.ended = None;
        job.error.clear();
        let mut ready = Vec::new();
        for number in 0..job.tasks.len() as u32 {
            let task = &mut job.tasks[number as usize];
            if task.state != TaskState::Done {
                task.attempts = 0;
            }
            if matches!(task.state, TaskState::Ready | TaskState::Failed) {
                ready.push(number);
            }
        }
        for number in ready {
            self.make_ready(TaskId { job: id, number });
        }
        Ok(())
    }

    pub(super) fn unprove(&mut self, id: TaskId, proof: &Blob) -> Result<bool, FleetError> {
        let job = self.job_of(id)?;
        let task = &mut job.tasks[id.number as usize];
        let has = task.proof.as_ref().map(|proof| proof.blob.hash);
        if !job.state.may_be_retried() || has != Some(proof.hash) {
            return Ok(false);
        }
        task.proof = None;
        task.attempts = 0;
        task.prover.clear();
        let (parents, missing) = (task.parents.clone(), task.missing);
        job.set(
            id.number,
            match missing {
                0 => TaskState::Ready,
                _ => TaskState::Waiting,
            },
        );
        for number in parents {
            let parent = &mut job.tasks[number as usize];
            parent.missing += 1;
            if parent.state != TaskState::Done {
                job.set(number, TaskState::Waiting);
            }
        }
        Ok(true)
    }

    pub(super) fn archive(&mut self, age: Duration) -> Result<u64, FleetError> {
        let before = self.now.saturating_sub(millis(age));
        let mut archived = 0;
        for job in self.jobs.values_mut() {
            if !job.archived && job.ended.is_some_and(|ended| ended <= before) {
                job.archived = true;
                job.counts = TaskCounts {
                    done: job.counts.done,
                    ..TaskCounts::default()
                };
                job.tasks = Vec::new();
                archived += 1;
            }
        }
        self.refusals.retain(|refusal| refusal.at > before);
        Ok(archived)
    }
}
