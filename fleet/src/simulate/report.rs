//! What came out of a simulation.

use serde::Serialize;

use crate::store::JobState;

/// How long jobs took, from their submission to their proof, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Delays {
    /// The mean.
    pub mean_s: f64,
    /// Half of the jobs took no longer.
    pub p50_s: f64,
    /// 95 % of the jobs took no longer.
    pub p95_s: f64,
    /// None took longer.
    pub max_s: f64,
}

impl Delays {
    /// Of these delays; none without any. Quantiles are by nearest rank: the smallest delay that enough jobs do not exceed.
    #[must_use]
    pub fn of(mut delays: Vec<f64>) -> Option<Self> {
        delays.sort_by(f64::total_cmp);
        let max_s = *delays.last()?;
        let rank = |share: f64| {
            let rank = (share * delays.len() as f64).ceil() as usize;
            delays[rank.clamp(1, delays.len()) - 1]
        };
        Some(Self {
            mean_s: delays.iter().sum::<f64>() / delays.len() as f64,
            p50_s: rank(0.5),
            p95_s: rank(0.95),
            max_s,
        })
    }
}

/// What became of a job.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct JobOutcome {
    /// When it came, in seconds from the beginning.
    pub submitted_s: f64,
    /// When it ended; none where nobody is left to do it.
    pub ended_s: Option<f64>,
    /// How.
    pub state: JobState,
}

impl JobOutcome {
    /// Seconds from its submission to its proof.
    #[must_use]
    pub fn delay_s(&self) -> Option<f64> {
        let ended = self.ended_s.filter(|_| self.state == JobState::Done);
        ended.map(|ended| ended - self.submitted_s)
    }
}

/// How often things happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Tasks handed out.
    pub claimed: u64,
    /// Proofs that were accepted.
    pub proofs: u64,
    /// Proofs of tasks that had one.
    pub duplicates: u64,
    /// Proofs that were refused.
    pub refused: u64,
    /// Failures that a prover told of.
    pub failed: u64,
    /// Provers that were killed.
    pub crashes: u64,
    /// Leases that ran out.
    pub expired: u64,
    /// Provers that were quarantined.
    pub quarantined: u64,
}

/// What came out of a simulation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulationReport {
    /// Provers.
    pub provers: u32,
    /// The jobs, in the order of the scenario.
    pub jobs: Vec<JobOutcome>,
    /// Delays of those that are done; none where none is.
    pub delay: Option<Delays>,
    /// When the last job ended, in seconds from the beginning.
    pub end_s: f64,
    /// Share of the provers' time until then in which they had a task.
    pub utilisation: f64,
    /// How often things happened.
    pub counts: Counts,
    /// SHA-256 of everything that happened: equal for equal scenarios.
    pub trace: String,
}

impl SimulationReport {
    /// Whether every job is done.
    #[must_use]
    pub fn all_done(&self) -> bool {
        self.jobs.iter().all(|job| job.state == JobState::Done)
    }
}

/// A point of the curve of delay against provers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Provers.
    pub provers: u32,
    /// Delays of the jobs; none where they are not all done.
    pub delay: Option<Delays>,
    /// When the last job ended, in seconds from the beginning.
    pub end_s: f64,
    /// Share of the provers' time until then in which they had a task.
    pub utilisation: f64,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A job was submitted.
    Submitted,
    /// A prover was handed a task.
    Claimed,
    /// A task has its proof.
    Proven,
    /// A task had one already, or its job had ended.
    Late,
    /// A proof was refused.
    Refused,
    /// A prover told of its failure.
    Failed,
    /// A prover was killed.
    Crashed,
    /// A lease ran out.
    Expired,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// When: microseconds from the beginning.
    pub at_us: u64,
    /// What.
    pub what: What,
    /// Whose: the prover's number, groups in order; the number of provers where none was involved.
    pub prover: u32,
    /// The job's number in the scenario.
    pub job: u32,
    /// The task's number in its job.
    pub task: u32,
}
