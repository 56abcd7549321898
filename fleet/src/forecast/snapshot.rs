//! What a forecast needs to know of a queue, read from it at one time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::FleetError;
use crate::simulate::{ProverGroup, Template, of_mix};
use crate::store::{
    Backlog, JobState, JobStore, JobView, ProverView, Rate, TaskState, TaskView, all_tasks,
};
use crate::task::{MachineId, Place, TaskId, TaskSpec};

/// Most unproven tasks that are simulated one by one; of the jobs beyond, the amount is counted.
pub const MAX_SIMULATED: u64 = 20_000;

/// Most jobs that are looked at.
const MAX_JOBS: u32 = 10_000;

/// A prover that was not heard of for so many milliseconds is taken to be gone: longer than a lease, a heartbeat or a claim
/// that waits.
pub const ALIVE_MS: i64 = 90_000;

/// An open job.
#[derive(Clone, Debug)]
pub struct OpenJob {
    /// The job.
    pub view: JobView,
    /// What remains of it, as a job of its own; none: too much.
    pub(super) rest: Option<Rest>,
}

/// What remains of a job.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    pub(super) template: Arc<Template>,
    /// Tasks in work, by their numbers in the template: who works on them, and since when at least.
    pub(super) running: Vec<(u32, String, i64)>,
}

/// A queue's state.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The store's clock: milliseconds since 1970.
    pub now: i64,
    /// The open jobs, as the queue hands them out within a priority: the lowest range first, then the oldest.
    pub jobs: Vec<OpenJob>,
    /// The provers that work now.
    pub provers: Vec<ProverView>,
    /// How fast they are.
    pub rates: Vec<Rate>,
    /// Unproven work.
    pub backlog: Vec<Backlog>,
    /// Who was seen at which task first when.
    leases: HashMap<TaskId, (String, i64)>,
    /// The machines of open jobs and of the newest one that is done.
    pub(super) machines: BTreeSet<MachineId>,
    /// Urgency and memory of a kind of task.
    kinds: BTreeMap<(MachineId, String), (u8, u64)>,
}

impl Snapshot {
    /// Reads a queue. With the snapshot `before`, it is known how long tasks have been in work: take one every few seconds.
    ///
    /// # Errors
    /// The store's.
    pub async fn take(store: &dyn JobStore, before: Option<&Self>) -> Result<Self, FleetError> {
        let now = store.now().await?;
        let mut provers = store.provers().await?;
        provers.retain(|prover| prover.quarantined.is_empty() && now - prover.seen <= ALIVE_MS);
        let mut snapshot = Self {
            now,
            jobs: Vec::new(),
            provers,
            rates: store.rates().await?,
            backlog: store.backlog().await?,
            leases: HashMap::new(),
            machines: BTreeSet::new(),
            kinds: before
                .map(|before| before.kinds.clone())
                .unwrap_or_default(),
        };
        let mut views = store.jobs(Some(JobState::Open), MAX_JOBS).await?;
        // As the queue hands them out: the lowest range, then the oldest.
        views.reverse();
        views.sort_by_key(|view| view.first);
        let mut tasks = 0;
        for view in views {
            tasks += view.tasks.all();
            snapshot.machines.insert(view.machine.clone());
            let rest = if tasks <= MAX_SIMULATED {
                let rest = snapshot.rest(store, &view, before).await?;
                // None: it ended since it was listed.
                let Some(rest) = rest else { continue };
                Some(rest)
            } else {
                None
            };
            snapshot.jobs.push(OpenJob { view, rest });
        }
        Ok(snapshot)
    }

    /// What there is of provers: those that work now; without any, one of the device that was measured most, which can do
    /// everything. Empty where nothing was measured either.
    #[must_use]
    pub fn mix(&self) -> Vec<ProverGroup> {
        let now = self.provers.iter().map(|prover| ProverGroup {
            count: 1,
            device: prover.info.device.clone(),
            memory: prover.info.memory,
            machines: prover.info.machines.clone(),
            slowdown: 1.0,
        });
        let now: Vec<ProverGroup> = now.collect();
        let most = self.rates.iter().max_by_key(|rate| rate.samples);
        match most {
            Some(rate) if now.is_empty() => {
                let machines: BTreeSet<MachineId> = self.machines.clone();
                vec![ProverGroup {
                    count: 1,
                    device: rate.device.clone(),
                    memory: u64::MAX,
                    machines: machines.into_iter().collect(),
                    slowdown: 1.0,
                }]
            }
            _ => now,
        }
    }

    /// The first `count` provers: those of now in their order, and the same again.
    pub(super) fn groups(&self, count: u32) -> Vec<ProverGroup> {
        let mix = self.mix();
        let now = &mix[..mix.len().min(count as usize)];
        let more = of_mix(now, count - now.len() as u32);
        [now, &more].concat()
    }

    async fn rest(
        &mut self,
        store: &dyn JobStore,
        job: &JobView,
        before: Option<&Self>,
    ) -> Result<Option<Rest>, FleetError> {
        let tasks = all_tasks(store, job.id).await?;
        let mut specs = Vec::new();
        let mut running = Vec::new();
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        for task in tasks.iter().filter(|task| task.state != TaskState::Done) {
            let id = TaskId {
                job: job.id,
                number: task.number,
            };
            let number = specs.len() as u32;
            if task.state == TaskState::Leased {
                let known = before.and_then(|before| before.leases.get(&id));
                let known = known.filter(|(prover, _)| *prover == task.prover);
                let since = known.map_or(self.now, |&(_, since)| since);
                running.push((number, task.prover.clone(), since));
                self.leases.insert(id, (task.prover.clone(), since));
            }
            let (urgency, memory) = self.kind(store, &job.machine, id, &task.kind).await?;
            let children = task.children.iter();
            specs.push(spec(
                task,
                number,
                children
                    .filter_map(|child| numbers.get(child).copied())
                    .collect(),
                urgency,
                memory,
            ));
            numbers.insert(task.number, number);
        }
        if specs.is_empty() {
            return Ok(None);
        }
        Ok(Some(Rest {
            template: Arc::new(Template::new(job.machine.clone(), specs)?),
            running,
        }))
    }

    /// Urgency and memory: the views of tasks have neither, and one task of a kind stands for all.
    async fn kind(
        &mut self,
        store: &dyn JobStore,
        machine: &MachineId,
        id: TaskId,
        kind: &str,
    ) -> Result<(u8, u64), FleetError> {
        let key = (machine.clone(), kind.to_owned());
        if let Some(&known) = self.kinds.get(&key) {
            return Ok(known);
        }
        let spec = store.task(id).await?.spec;
        let found = (spec.urgency, spec.memory);
        self.kinds.insert(key, found);
        Ok(found)
    }
}

fn spec(task: &TaskView, number: u32, children: Vec<u32>, urgency: u8, memory: u64) -> TaskSpec {
    TaskSpec {
        kind: task.kind.clone(),
        // Of a place, the simulator only needs that no other task has it.
        place: Place {
            index: u64::from(number),
            ..Place::default()
        },
        circuit: task.kind.clone(),
        urgency,
        children,
        input: None,
        payload: Vec::new(),
        memory,
        work: task.work,
    }
}

/// The newest job that is done, not archived, and not too large to be simulated again and again ([`MAX_SIMULATED`]), as a
/// template: what the jobs to come are taken to be like.
///
/// # Errors
/// The store's.
pub async fn newest_done(store: &dyn JobStore) -> Result<Option<Template>, FleetError> {
    for job in store.jobs(Some(JobState::Done), 100).await? {
        if job.archived || job.tasks.all() == 0 || job.tasks.all() > MAX_SIMULATED {
            continue;
        }
        let tasks = all_tasks(store, job.id).await?;
        let mut kinds: BTreeMap<&str, (u8, u64)> = BTreeMap::new();
        let mut specs = Vec::with_capacity(tasks.len());
        for task in &tasks {
            let (urgency, memory) = match kinds.get(task.kind.as_str()) {
                Some(&known) => known,
                None => {
                    let id = TaskId {
                        job: job.id,
                        number: task.number,
                    };
                    let spec = store.task(id).await?.spec;
                    kinds.insert(&task.kind, (spec.urgency, spec.memory));
                    (spec.urgency, spec.memory)
                }
            };
            let children = task.children.clone();
            specs.push(spec(task, task.number, children, urgency, memory));
        }
        return Template::new(job.machine, specs).map(Some);
    }
    Ok(None)
}

/// Jobs for a second, by those submitted within the last `window_s` seconds; none where there was no job.
#[must_use]
pub fn measured_arrivals(jobs: &[JobView], now: i64, window_s: f64) -> Option<f64> {
    let from = now.saturating_sub((window_s * 1e3) as i64);
    let count = jobs.iter().filter(|job| job.submitted > from).count();
    (count > 0 && window_s > 0.0).then(|| count as f64 / window_s)
}

/// Seconds for a task that its prover's clock did not count as proving: what [`crate::simulate::Scenario::overhead_s`] is.
/// Measured at a job that one prover did alone and without failures; none for any other.
#[must_use]
pub fn measured_overhead(job: &JobView, tasks: &[TaskView]) -> Option<f64> {
    let alone = |task: &TaskView| task.prover == tasks[0].prover && task.attempts == 0;
    let took = (job.ended? - job.submitted) as f64 / 1e3;
    if job.state != JobState::Done || tasks.is_empty() || !tasks.iter().all(alone) {
        return None;
    }
    let proving: Option<f64> = tasks.iter().map(|task| task.seconds).sum();
    Some(((took - proving?) / tasks.len() as f64).max(0.0))
}
