//! How things stand.

use std::collections::{BTreeMap, BTreeSet};

use super::queue::{Job, Prover, Queue, Task};
use crate::FleetError;
use crate::store::{
    Backlog, JobState, JobView, ProverView, Rate, Refusal, Standing, TaskCounts, TaskState,
    TaskView,
};
use crate::task::{BlobHash, JobId, TaskId};

impl Queue {
    pub(super) fn task(&mut self, id: TaskId) -> Result<Standing, FleetError> {
        let job = self.job_of(id)?;
        let task = &job.tasks[id.number as usize];
        Ok(Standing {
            machine: job.new.machine.clone(),
            job: job.state,
            state: task.state,
            spec: task.spec.clone(),
        })
    }

    pub(super) fn jobs(
        &self,
        state: Option<JobState>,
        limit: u32,
    ) -> Result<Vec<JobView>, FleetError> {
        let newest = self.by_sequence.values().rev();
        let jobs = newest.filter_map(|id| self.jobs.get(id));
        let wanted = jobs.filter(|job| state.is_none_or(|state| job.state == state));
        Ok(wanted.take(limit as usize).map(Job::view).collect())
    }

    pub(super) fn tasks(
        &mut self,
        id: JobId,
        from: u32,
        limit: u32,
    ) -> Result<Vec<TaskView>, FleetError> {
        let tasks = self.job(id)?.tasks.iter().enumerate();
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

    pub(super) fn provers(&self) -> Result<Vec<ProverView>, FleetError> {
        let view = |prover: &Prover| ProverView {
            info: prover.info.clone(),
            leased: prover.leased.len() as u64,
            done: prover.done,
            refused: prover.refused,
            quarantined: prover.quarantined.clone(),
            seen: prover.seen,
        };
        Ok(self.provers.values().map(view).collect())
    }

    pub(super) fn refusals(&self, limit: u32) -> Result<Vec<Refusal>, FleetError> {
        let newest = self.refusals.iter().rev().take(limit as usize);
        Ok(newest.cloned().collect())
    }

    pub(super) fn rates(&self) -> Result<Vec<Rate>, FleetError> {
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
        Ok(self.rates.iter().map(rate).collect())
    }

    pub(super) fn backlog(&self) -> Result<Vec<Backlog>, FleetError> {
        let mut found: BTreeMap<(String, String), (TaskCounts, u64)> = BTreeMap::new();
        let open = self.jobs.values().filter(|job| job.state == JobState::Open);
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

    pub(super) fn referenced(&self, blobs: &[BlobHash]) -> Result<Vec<bool>, FleetError> {
        let mut known: BTreeSet<BlobHash> = BTreeSet::new();
        for job in self.jobs.values() {
            known.extend(job.result.map(|blob| blob.hash));
            if !job.archived {
                known.extend(job.new.inputs.iter().map(|blob| blob.hash));
            }
            let proofs = job.tasks.iter().filter_map(|task| task.proof.as_ref());
            known.extend(proofs.map(|proof| proof.blob.hash));
        }
        known.extend(self.refusals.iter().map(|refusal| refusal.blob.hash));
        Ok(blobs.iter().map(|blob| known.contains(blob)).collect())
    }
}
