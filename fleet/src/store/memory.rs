//! The queue in memory: the model of every other store, and what the simulator runs on. Its clock is set by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{
    Backlog, Claim, Completed, Expired, Failed, JobState, JobStore, JobView, Limits, Proof,
    ProverInfo, ProverView, RATE_WEIGHT, Rate, Refusal, Submitted, TaskCounts, TaskState, TaskView,
};
use crate::FleetError;
use crate::task::{Blob, BlobHash, JobId, MachineId, NewJob, TaskId, TaskSpec};

/// What orders ready tasks: priority, urgency (both larger first, so negated), range, age, number.
type Order = (i64, i16, u64, u64, u32);

struct Task {
    spec: TaskSpec,
    parents: Vec<u32>,
    missing: u32,
    state: TaskState,
    attempts: u32,
    token: i64,
    prover: String,
    expires: i64,
    /// Who failed it last.
    failed_by: String,
    proof: Option<Proof>,
}

struct Job {
    new: NewJob,
    sequence: u64,
    state: JobState,
    submitted: i64,
    ended: Option<i64>,
    error: String,
    result: Option<Blob>,
    tasks: Vec<Task>,
    counts: TaskCounts,
    archived: bool,
}

impl Job {
    fn order(&self, number: u32) -> Order {
        let urgency = self.tasks[number as usize].spec.urgency;
        (
            -i64::from(self.new.priority),
            -i16::from(urgency),
            self.new.first,
            self.sequence,
            number,
        )
    }

    fn set(&mut self, number: u32, state: TaskState) {
        let task = &mut self.tasks[number as usize];
        *self.counts.of(task.state) -= 1;
        task.state = state;
        *self.counts.of(state) += 1;
    }

    fn view(&self) -> JobView {
        JobView {
            id: self.new.id,
            machine: self.new.machine.clone(),
            payload: self.new.payload.clone(),
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

struct Prover {
    info: ProverInfo,
    leased: BTreeSet<TaskId>,
    done: u64,
    refused: u32,
    quarantined: String,
    seen: i64,
}

#[derive(Default)]
struct Queue {
    now: i64,
    sequence: u64,
    jobs: BTreeMap<JobId, Job>,
    by_sequence: BTreeMap<u64, JobId>,
    ready: BTreeMap<Order, TaskId>,
    leases: BTreeSet<(i64, TaskId)>,
    open: u64,
    provers: BTreeMap<String, Prover>,
    rates: BTreeMap<(String, String, String), (u64, f64)>,
    refusals: Vec<Refusal>,
}

/// See the module.
pub struct MemoryStore {
    limits: Limits,
    queue: Mutex<Queue>,
}

impl MemoryStore {
    /// An empty queue, at the time 0.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            queue: Mutex::default(),
        }
    }

    /// Sets the clock: milliseconds since 1970.
    pub fn set_now(&self, now: i64) {
        self.queue().now = now;
    }

    /// When the first lease runs out.
    #[must_use]
    pub fn next_expiry(&self) -> Option<i64> {
        self.queue().leases.first().map(|&(expires, _)| expires)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // No operation panics half-way: see the tests.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

impl Queue {
    fn job(&mut self, id: JobId) -> Result<&mut Job, FleetError> {
        self.jobs.get_mut(&id).ok_or(FleetError::UnknownJob { id })
    }

    fn job_of(&mut self, id: TaskId) -> Result<&mut Job, FleetError> {
        let job = self.jobs.get_mut(&id.job);
        job.filter(|job| (id.number as usize) < job.tasks.len())
            .ok_or(FleetError::UnknownTask { id })
    }

    fn prover(&mut self, name: &str) -> Result<&mut Prover, FleetError> {
        self.provers
            .get_mut(name)
            .ok_or_else(|| FleetError::UnknownProver {
                name: name.to_owned(),
            })
    }

    fn room(&self, more: u64, cap: u64) -> Result<(), FleetError> {
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
    fn unlease(&mut self, id: TaskId) {
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
    fn make_ready(&mut self, id: TaskId) {
        if let Some(job) = self.jobs.get_mut(&id.job) {
            job.tasks[id.number as usize].prover.clear();
            job.set(id.number, TaskState::Ready);
            self.ready.insert(job.order(id.number), id);
        }
    }

    /// Nobody works on the job any more.
    fn close(&mut self, id: JobId, state: JobState, why: &str) {
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

    fn attempt_failed(&mut self, id: TaskId, why: &str, max_attempts: u32) -> Failed {
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
    fn holds(&mut self, id: TaskId, token: i64) -> Result<bool, FleetError> {
        let job = self.job_of(id)?;
        let task = &job.tasks[id.number as usize];
        Ok(task.state == TaskState::Leased && task.token == token)
    }
}

#[async_trait]
impl JobStore for MemoryStore {
    async fn submit(&self, new: &NewJob) -> Result<Submitted, FleetError> {
        new.check()?;
        let mut queue = self.queue();
        let queue = &mut *queue;
        if let Some(known) = queue.jobs.get(&new.id) {
            return Ok(Submitted::Known(known.state));
        }
        queue.room(new.tasks.len() as u64, self.limits.max_open)?;
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
        let sequence = queue.sequence;
        queue.sequence += 1;
        let counts = TaskCounts {
            waiting: tasks.len() as u64,
            ..TaskCounts::default()
        };
        queue.open += tasks.len() as u64;
        let without: Vec<u32> = (0..tasks.len() as u32)
            .filter(|&number| tasks[number as usize].missing == 0)
            .collect();
        let mut head = new.clone();
        head.tasks = Vec::new();
        queue.by_sequence.insert(sequence, new.id);
        queue.jobs.insert(
            new.id,
            Job {
                new: head,
                sequence,
                state: JobState::Open,
                submitted: queue.now,
                ended: None,
                error: String::new(),
                result: None,
                tasks,
                counts,
                archived: false,
            },
        );
        for number in without {
            queue.make_ready(TaskId {
                job: new.id,
                number,
            });
        }
        Ok(Submitted::New)
    }

    async fn register(&self, info: &ProverInfo) -> Result<(), FleetError> {
        let mut queue = self.queue();
        let now = queue.now;
        let prover = queue
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

    async fn claim(&self, name: &str, lease: Duration) -> Result<Option<Claim>, FleetError> {
        let mut queue = self.queue();
        let queue = &mut *queue;
        let now = queue.now;
        let prover = queue.prover(name)?;
        prover.seen = now;
        if !prover.quarantined.is_empty() {
            return Err(FleetError::Quarantined {
                name: name.to_owned(),
                why: prover.quarantined.clone(),
            });
        }
        let info = prover.info.clone();
        let mut second = None;
        let mut chosen = None;
        for (&order, &id) in &queue.ready {
            let Some(job) = queue.jobs.get(&id.job) else {
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
        queue.ready.remove(&order);
        let expires = now.saturating_add(millis(lease));
        queue.leases.insert((expires, id));
        queue.prover(name)?.leased.insert(id);
        let job = queue.job_of(id)?;
        job.set(id.number, TaskState::Leased);
        let children = job.tasks[id.number as usize].spec.children.iter();
        let children = children.filter_map(|&child| {
            let proof = job.tasks[child as usize].proof.as_ref();
            proof.map(|proof| proof.blob)
        });
        let children: Vec<Blob> = children.collect();
        let (machine, trace) = (job.new.machine.clone(), job.new.trace.clone());
        let task = &mut job.tasks[id.number as usize];
        task.token += 1;
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

    async fn heartbeat(
        &self,
        name: &str,
        held: &[(TaskId, i64)],
        lease: Duration,
    ) -> Result<Vec<bool>, FleetError> {
        let mut queue = self.queue();
        let queue = &mut *queue;
        let now = queue.now;
        queue.prover(name)?.seen = now;
        let expires = now.saturating_add(millis(lease));
        let mut holds = Vec::with_capacity(held.len());
        for &(id, token) in held {
            let mine = queue.holds(id, token).unwrap_or(false);
            holds.push(mine);
            if mine {
                let task = &mut queue.job_of(id)?.tasks[id.number as usize];
                let old = std::mem::replace(&mut task.expires, expires);
                queue.leases.remove(&(old, id));
                queue.leases.insert((expires, id));
            }
        }
        Ok(holds)
    }

    async fn complete(&self, id: TaskId, proof: &Proof) -> Result<Completed, FleetError> {
        let mut queue = self.queue();
        let queue = &mut *queue;
        let job = queue.job_of(id)?;
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
        queue.unlease(id);
        queue.ready.remove(&order);
        queue.open -= 1;
        let now = queue.now;
        let job = queue.job_of(id)?;
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
            queue.make_ready(TaskId {
                job: id.job,
                number,
            });
        }
        if let Some(prover) = queue.provers.get_mut(&proof.prover) {
            prover.done += 1;
            prover.seen = now;
        }
        let pace = proof.seconds / work;
        let rate = queue
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

    async fn fail(&self, id: TaskId, token: i64, why: &str) -> Result<Failed, FleetError> {
        let mut queue = self.queue();
        if !queue.holds(id, token)? {
            return Ok(Failed::NotYours);
        }
        Ok(queue.attempt_failed(id, why, self.limits.max_attempts))
    }

    async fn release(&self, id: TaskId, token: i64) -> Result<bool, FleetError> {
        let mut queue = self.queue();
        let holds = queue.holds(id, token)?;
        if holds {
            queue.unlease(id);
            queue.make_ready(id);
        }
        Ok(holds)
    }

    async fn refuse(&self, refusal: &Refusal, token: i64) -> Result<bool, FleetError> {
        let mut queue = self.queue();
        let now = queue.now;
        let id = refusal.task;
        let holds = queue.holds(id, token)?;
        let prover = queue.prover(&refusal.prover)?;
        prover.refused += 1;
        if prover.refused >= self.limits.max_refused && prover.quarantined.is_empty() {
            prover.quarantined = format!(
                "{} of its proofs were refused, the last one of task {id}: {}",
                prover.refused, refusal.why
            );
        }
        let quarantined = !prover.quarantined.is_empty();
        let mut lost: Vec<TaskId> = Vec::new();
        if quarantined {
            lost.extend(&prover.leased);
        }
        if holds && !lost.contains(&id) {
            lost.push(id);
        }
        for id in lost {
            queue.unlease(id);
            if let Ok(job) = queue.job_of(id) {
                job.tasks[id.number as usize].failed_by = refusal.prover.clone();
            }
            queue.make_ready(id);
        }
        queue.refusals.push(Refusal {
            at: now,
            ..refusal.clone()
        });
        Ok(quarantined)
    }

    async fn expire(&self) -> Result<Vec<Expired>, FleetError> {
        let mut queue = self.queue();
        let mut expired = Vec::new();
        while let Some(&(expires, id)) = queue.leases.first() {
            if expires > queue.now {
                break;
            }
            let prover = queue.job_of(id)?.tasks[id.number as usize].prover.clone();
            let why = format!("prover {prover:?} was not heard of in time");
            let outcome = queue.attempt_failed(id, &why, self.limits.max_attempts);
            expired.push(Expired {
                task: id,
                prover,
                outcome,
            });
        }
        Ok(expired)
    }

    async fn task(&self, id: TaskId) -> Result<(MachineId, JobState, TaskSpec), FleetError> {
        let mut queue = self.queue();
        let job = queue.job_of(id)?;
        let spec = job.tasks[id.number as usize].spec.clone();
        Ok((job.new.machine.clone(), job.state, spec))
    }

    async fn job(&self, id: JobId) -> Result<JobView, FleetError> {
        Ok(self.queue().job(id)?.view())
    }

    async fn jobs(&self, state: Option<JobState>, limit: u32) -> Result<Vec<JobView>, FleetError> {
        let queue = self.queue();
        let newest = queue.by_sequence.values().rev();
        let jobs = newest.filter_map(|id| queue.jobs.get(id));
        let wanted = jobs.filter(|job| state.is_none_or(|state| job.state == state));
        Ok(wanted.take(limit as usize).map(Job::view).collect())
    }

    async fn tasks(&self, id: JobId, from: u32, limit: u32) -> Result<Vec<TaskView>, FleetError> {
        let mut queue = self.queue();
        let tasks = queue.job(id)?.tasks.iter().enumerate();
        let tasks = tasks.skip(from as usize).take(limit as usize);
        let view = |(number, task): (usize, &Task)| TaskView {
            number: number as u32,
            kind: task.spec.kind.clone(),
            place: task.spec.place,
            children: task.spec.children.clone(),
            state: task.state,
            attempts: task.attempts,
            prover: task.prover.clone(),
            proof: task.proof.as_ref().map(|proof| proof.blob),
            seconds: task.proof.as_ref().map(|proof| proof.seconds),
            work: task.spec.work,
        };
        Ok(tasks.map(view).collect())
    }

    async fn cancel(&self, id: JobId) -> Result<(), FleetError> {
        let mut queue = self.queue();
        match queue.job(id)?.state {
            JobState::Open => queue.close(id, JobState::Cancelled, ""),
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

    async fn cancel_suffix(&self, stream: &str, from: u64) -> Result<Vec<JobId>, FleetError> {
        let mut queue = self.queue();
        let jobs = queue
            .by_sequence
            .values()
            .filter_map(|id| queue.jobs.get(id));
        let reaches = |job: &&Job| {
            job.state == JobState::Open
                && job.new.stream == stream
                && job.new.first.saturating_add(job.new.count) > from
        };
        let ids: Vec<JobId> = jobs.filter(reaches).map(|job| job.new.id).collect();
        for &id in &ids {
            queue.close(id, JobState::Cancelled, "");
        }
        Ok(ids)
    }

    async fn retry(&self, id: JobId) -> Result<(), FleetError> {
        let mut queue = self.queue();
        let job = queue.job(id)?;
        let (state, unproven) = (job.state, job.counts.unproven());
        if !matches!(state, JobState::Failed | JobState::Cancelled) || job.archived {
            return Err(FleetError::State {
                id,
                state: if job.archived {
                    "archived"
                } else {
                    state.name()
                },
            });
        }
        queue.room(unproven, self.limits.max_open)?;
        queue.open += unproven;
        let job = queue.job(id)?;
        job.state = JobState::Open;
        job.ended = None;
        job.error.clear();
        let mut ready = Vec::new();
        for number in 0..job.tasks.len() as u32 {
            let task = &mut job.tasks[number as usize];
            task.attempts = 0;
            if matches!(task.state, TaskState::Ready | TaskState::Failed) {
                ready.push(number);
            }
        }
        for number in ready {
            queue.make_ready(TaskId { job: id, number });
        }
        Ok(())
    }

    async fn provers(&self) -> Result<Vec<ProverView>, FleetError> {
        let queue = self.queue();
        let view = |prover: &Prover| ProverView {
            info: prover.info.clone(),
            leased: prover.leased.len() as u64,
            done: prover.done,
            refused: prover.refused,
            quarantined: prover.quarantined.clone(),
            seen: prover.seen,
        };
        Ok(queue.provers.values().map(view).collect())
    }

    async fn release_prover(&self, name: &str) -> Result<(), FleetError> {
        let mut queue = self.queue();
        let prover = queue.prover(name)?;
        prover.refused = 0;
        prover.quarantined.clear();
        Ok(())
    }

    async fn refusals(&self, limit: u32) -> Result<Vec<Refusal>, FleetError> {
        let queue = self.queue();
        let newest = queue.refusals.iter().rev().take(limit as usize);
        Ok(newest.cloned().collect())
    }

    async fn rates(&self) -> Result<Vec<Rate>, FleetError> {
        let queue = self.queue();
        let rate = |((device, machine, kind), (samples, pace)): (
            &(String, String, String),
            &(u64, f64),
        )| Rate {
            device: device.clone(),
            machine: machine.clone(),
            kind: kind.clone(),
            samples: *samples,
            seconds_per_work: *pace,
        };
        Ok(queue.rates.iter().map(rate).collect())
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, FleetError> {
        let queue = self.queue();
        let mut found: BTreeMap<(String, String), (TaskCounts, u64)> = BTreeMap::new();
        let open = queue
            .jobs
            .values()
            .filter(|job| job.state == JobState::Open);
        for job in open {
            for task in &job.tasks {
                let key = (job.new.machine.name.clone(), task.spec.kind.clone());
                let (counts, work) = found.entry(key).or_default();
                *counts.of(task.state) += 1;
                if task.state != TaskState::Done {
                    *work += task.spec.work;
                }
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

    async fn referenced(&self, blobs: &[BlobHash]) -> Result<Vec<bool>, FleetError> {
        let queue = self.queue();
        let mut known: BTreeSet<BlobHash> = BTreeSet::new();
        for job in queue.jobs.values() {
            known.extend(job.result.map(|blob| blob.hash));
            if !job.archived {
                known.extend(job.new.inputs.iter().map(|blob| blob.hash));
            }
            let proofs = job.tasks.iter().filter_map(|task| task.proof.as_ref());
            known.extend(proofs.map(|proof| proof.blob.hash));
        }
        known.extend(queue.refusals.iter().map(|refusal| refusal.blob.hash));
        Ok(blobs.iter().map(|blob| known.contains(blob)).collect())
    }

    async fn archive(&self, age: Duration) -> Result<u64, FleetError> {
        let mut queue = self.queue();
        let before = queue.now.saturating_sub(millis(age));
        let mut archived = 0;
        for job in queue.jobs.values_mut() {
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
        queue.refusals.retain(|refusal| refusal.at > before);
        Ok(archived)
    }

    async fn now(&self) -> Result<i64, FleetError> {
        Ok(self.queue().now)
    }
}
