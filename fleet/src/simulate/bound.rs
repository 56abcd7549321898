//! What no schedule can beat, and what ours never exceeds.

use serde::Serialize;

use super::micros;
use crate::task::TaskSpec;

/// Total work and longest chain of tasks on one kind of prover, in seconds.
///
/// With n equal provers, no faults and everything submitted at once, `max(W/n, L) <= delay <= W/n + L`: the left side is
/// obvious; the right one holds for every schedule in which no prover idles while a task is ready (R. L. Graham, "Bounds for
/// Certain Multiprocessing Anomalies", Bell System Technical Journal 45 (1966), and "Bounds on Multiprocessing Timing
/// Anomalies", SIAM J. Appl. Math. 17 (1969): `delay <= W/n + (1 - 1/n) L`). The queue is such a schedule: an idle prover is
/// handed any task that is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bound {
    /// W: all tasks together.
    pub work_s: f64,
    /// L: the longest chain of tasks of which each needs the one before.
    pub chain_s: f64,
}

impl Bound {
    /// Of one job, where a task takes `seconds`: rounded to microseconds, as the simulator rounds them.
    pub fn of(tasks: &[TaskSpec], seconds: impl Fn(&TaskSpec) -> f64) -> Self {
        let mut ends: Vec<u64> = Vec::with_capacity(tasks.len());
        let mut work = 0_u64;
        for task in tasks {
            let takes = micros(seconds(task));
            let children = task.children.iter().map(|&child| ends[child as usize]);
            let end = children.max().unwrap_or(0).saturating_add(takes);
            work = takes.saturating_add(work);
            ends.push(end);
        }
        Self {
            work_s: work as f64 / 1e6,
            chain_s: ends.into_iter().max().unwrap_or(0) as f64 / 1e6,
        }
    }

    /// Of this job and another one, submitted together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            work_s: self.work_s + other.work_s,
            chain_s: self.chain_s.max(other.chain_s),
        }
    }

    /// Seconds that n provers need at least.
    #[must_use]
    pub fn at_least(self, provers: u32) -> f64 {
        (self.work_s / f64::from(provers.max(1))).max(self.chain_s)
    }

    /// Seconds that n provers need at most.
    #[must_use]
    pub fn at_most(self, provers: u32) -> f64 {
        self.work_s / f64::from(provers.max(1)) + self.chain_s
    }
}
