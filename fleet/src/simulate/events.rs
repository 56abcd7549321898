//! What happens at an event.

use std::time::Duration;

use super::engine::{Engine, Event, at_once};
use super::fleet::Work;
use super::{Record, What, micros};
use crate::FleetError;
use crate::store::{Completed, Failed, JobState, JobStore as _, Proof, Refusal, Refused};
use crate::task::{Blob, BlobHash};

impl<O: FnMut(&Record)> Engine<'_, O> {
    pub(super) fn happen(&mut self, event: Event) -> Result<(), FleetError> {
        match event {
            Event::Arrive(job) => self.arrive(job),
            Event::Restart(prover) => {
                self.fleet.rest(prover);
                Ok(())
            }
            Event::Heartbeat { prover, run }
            | Event::Deliver { prover, run }
            | Event::Fail { prover, run }
            | Event::Crash { prover, run }
                if self.fleet.provers[prover].run != run =>
            {
                Ok(())
            }
            Event::Heartbeat { prover, run } => self.heartbeat(prover, run),
            Event::Deliver { prover, .. } => match self.stop(prover) {
                Some(work) if self.fleet.provers[prover].lies => self.lie(prover, &work),
                Some(work) => self.deliver(prover, &work),
                None => Ok(()),
            },
            Event::Fail { prover, .. } => match self.stop(prover) {
                Some(work) => self.fail(prover, &work),
                None => Ok(()),
            },
            Event::Crash { prover, .. } => {
                if let Some(work) = self.stop(prover) {
                    self.counts.crashes += 1;
                    let id = work.claim.task;
                    self.record(What::Crashed, prover, self.job_number(id), id.number);
                    let back = self
                        .now
                        .saturating_add(micros(self.scenario.faults.restart_s));
                    self.at(back, Event::Restart(prover));
                }
                Ok(())
            }
        }
    }

    fn arrive(&mut self, job: usize) -> Result<(), FleetError> {
        let arrival = &self.scenario.arrivals[job];
        let new = arrival.job.job(job as u64, arrival.priority);
        self.numbers.insert(new.id, job);
        at_once(self.store.submit(&new))?;
        self.record(What::Submitted, self.fleet.provers.len(), job, 0);
        self.fleet.wake_for_all(&arrival.job);
        Ok(())
    }

    /// The prover's work ends, whichever way.
    fn stop(&mut self, prover: usize) -> Option<Work> {
        let state = &mut self.fleet.provers[prover];
        state.run += 1;
        let work = state.work.take()?;
        state.busy += self.now - work.since;
        Some(work)
    }

    fn heartbeat(&mut self, prover: usize, run: u64) -> Result<(), FleetError> {
        let state = &self.fleet.provers[prover];
        if let Some(work) = &state.work {
            let held = [(work.claim.task, work.claim.token)];
            let lease = Duration::from_secs_f64(self.scenario.rules.lease_s);
            // A prover whose lease is gone goes on: a late proof is as good.
            at_once(self.store.heartbeat(&state.name, &held, lease))?;
            let next = self
                .now
                .saturating_add(micros(self.scenario.rules.heartbeat_s));
            self.at(next, Event::Heartbeat { prover, run });
        }
        Ok(())
    }

    fn deliver(&mut self, prover: usize, work: &Work) -> Result<(), FleetError> {
        let id = work.claim.task;
        let job = self.job_number(id);
        let state = &self.fleet.provers[prover];
        let proof = Proof {
            blob: Blob {
                hash: BlobHash([0; 32]),
                bytes: 0,
            },
            prover: state.name.clone(),
            device: state.device.clone(),
            seconds: work.seconds,
        };
        self.fleet.rest(prover);
        match at_once(self.store.complete(id, &proof)) {
            Ok(Completed::Accepted { ready, job_done }) => {
                self.counts.proofs += 1;
                self.record(What::Proven, prover, job, id.number);
                if ready > 0 {
                    let template = self.template(job);
                    for &parent in template.parents(id.number) {
                        self.fleet.wake(&template, parent);
                    }
                }
                if job_done {
                    self.ended(job, JobState::Done);
                }
            }
            // An archived job's tasks are not known any more.
            Ok(Completed::Duplicate | Completed::Closed(_))
            | Err(FleetError::UnknownTask { .. }) => {
                self.counts.duplicates += 1;
                self.record(What::Late, prover, job, id.number);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn lie(&mut self, prover: usize, work: &Work) -> Result<(), FleetError> {
        let id = work.claim.task;
        let job = self.job_number(id);
        let refusal = Refusal {
            task: id,
            prover: self.fleet.provers[prover].name.clone(),
            blob: Blob {
                hash: BlobHash([1; 32]),
                bytes: 0,
            },
            why: "simulated".to_owned(),
            at: 0,
        };
        self.counts.refused += 1;
        self.record(What::Refused, prover, job, id.number);
        match at_once(self.store.refuse(&refusal, work.claim.token)) {
            Ok(Refused::Counted { quarantined: true }) => self.counts.quarantined += 1,
            Ok(_) | Err(FleetError::UnknownTask { .. }) => self.fleet.rest(prover),
            Err(error) => return Err(error),
        }
        self.fleet.wake(&self.template(job), id.number);
        Ok(())
    }

    fn fail(&mut self, prover: usize, work: &Work) -> Result<(), FleetError> {
        let id = work.claim.task;
        let job = self.job_number(id);
        self.counts.failed += 1;
        self.record(What::Failed, prover, job, id.number);
        self.fleet.rest(prover);
        match at_once(self.store.fail(id, work.claim.token, "simulated")) {
            Ok(outcome) => self.failed(job, id.number, outcome),
            Err(FleetError::UnknownTask { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    pub(super) fn expire(&mut self) -> Result<(), FleetError> {
        for expired in at_once(self.store.expire(Duration::MAX))? {
            let job = self.job_number(expired.task);
            self.counts.expired += 1;
            let prover = self.fleet.number(&expired.prover);
            self.record(What::Expired, prover, job, expired.task.number);
            self.failed(job, expired.task.number, expired.outcome);
        }
        Ok(())
    }

    fn failed(&mut self, job: usize, task: u32, outcome: Failed) {
        match outcome {
            Failed::Again { .. } => self.fleet.wake(&self.template(job), task),
            Failed::JobFailed => self.ended(job, JobState::Failed),
            Failed::NotYours => {}
        }
    }

    fn ended(&mut self, job: usize, state: JobState) {
        self.jobs[job].state = state;
        self.jobs[job].ended_s = Some(self.now as f64 / 1e6);
        self.end = self.now;
        self.ended_tasks += self.scenario.arrivals[job].job.tasks().len();
    }
}
