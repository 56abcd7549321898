//! What is simulated.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Arrival;
use crate::FleetError;
use crate::forecast::Paces;
use crate::store::Rate;
use crate::task::MachineId;

/// Longest time of a task, a lease or an arrival, in seconds: some thirty years.
pub const MAX_SECONDS: f64 = 1e9;

/// Most provers.
pub const MAX_PROVERS: u32 = 10_000;

/// Provers that are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProverGroup {
    /// How many.
    pub count: u32,
    /// Their device's name: rates are kept by it.
    pub device: String,
    /// Device memory in bytes.
    #[serde(default = "unlimited")]
    pub memory: u64,
    /// What they can prove.
    pub machines: Vec<MachineId>,
    /// They take so many times longer than the device's rates say.
    #[serde(default = "once")]
    pub slowdown: f64,
}

const fn unlimited() -> u64 {
    u64::MAX
}

const fn once() -> f64 {
    1.0
}

impl ProverGroup {
    /// So many provers of a device, which hold every task of a machine.
    #[must_use]
    pub fn equal(count: u32, device: &str, machine: &MachineId) -> Self {
        Self {
            count,
            device: device.to_owned(),
            memory: unlimited(),
            machines: vec![machine.clone()],
            slowdown: once(),
        }
    }
}

/// The first `count` provers of a mix that is repeated without end.
#[must_use]
pub fn of_mix(mix: &[ProverGroup], count: u32) -> Vec<ProverGroup> {
    let cycle: u32 = mix.iter().map(|group| group.count).sum();
    if cycle == 0 {
        return Vec::new();
    }
    let (cycles, mut rest) = (count / cycle, count % cycle);
    let take = |group: &ProverGroup| {
        let more = group.count.min(rest);
        rest -= more;
        ProverGroup {
            count: group.count * cycles + more,
            ..group.clone()
        }
    };
    let groups = mix.iter().map(take);
    groups.filter(|group| group.count > 0).collect()
}

/// What goes wrong. Probabilities are those of one attempt at a task; together they are at most 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// The prover is killed in the middle: nobody hears of it until its lease runs out.
    pub crash: f64,
    /// How long a killed prover is away, in seconds.
    pub restart_s: f64,
    /// The device fails in the middle, and the prover says so.
    pub fail: f64,
    /// The prover is cut off: its heartbeats are lost, and its proof comes late.
    pub cut_off: f64,
    /// How late, in seconds.
    pub cut_off_s: f64,
    /// So many provers, the first ones, send proofs that are refused.
    pub liars: u32,
    /// Tasks take up to this share more or less than their work says, from 0 to 1.
    pub spread: f64,
}

/// The queue's rules.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// A lease, in seconds.
    pub lease_s: f64,
    /// Between heartbeats, in seconds: less than a lease.
    pub heartbeat_s: f64,
    /// How often a task is tried before its job fails.
    pub max_attempts: u32,
    /// Refused proofs of a prover before it is quarantined.
    pub max_refused: u32,
}

/// An aggregator's own where it is told nothing else.
impl Default for Rules {
    fn default() -> Self {
        Self {
            lease_s: 30.0,
            heartbeat_s: 5.0,
            max_attempts: 5,
            max_refused: 3,
        }
    }
}

/// What is simulated.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// Everything that is drawn follows from it.
    pub seed: u64,
    /// How fast devices are.
    pub rates: Vec<Rate>,
    /// The provers. Those of an earlier group are handed tasks first.
    pub provers: Vec<ProverGroup>,
    /// The jobs.
    pub arrivals: Vec<Arrival>,
    /// What goes wrong.
    pub faults: Faults,
    /// The queue's rules.
    pub rules: Rules,
    /// What a task costs its prover beside proving, in seconds: fetching, delivering, the verification of its proof.
    pub overhead_s: f64,
}

impl Scenario {
    /// How many provers there are.
    #[must_use]
    pub fn provers(&self) -> u32 {
        let counts = self.provers.iter().map(|group| group.count);
        counts.fold(0, u32::saturating_add)
    }

    /// Checks it, and looks up the rates.
    pub(crate) fn check(&self) -> Result<Paces, FleetError> {
        let wrong = |why: String| Err(FleetError::Settings { why });
        let (faults, rules) = (&self.faults, &self.rules);
        let shares = [faults.crash, faults.fail, faults.cut_off, faults.spread];
        let total = faults.crash + faults.fail + faults.cut_off;
        if !shares.iter().all(|share| (0.0..=1.0).contains(share)) || total > 1.0 {
            return wrong(
                "the probabilities of faults are from 0 to 1, and at most 1 together".into(),
            );
        }
        let times = [faults.restart_s, faults.cut_off_s, self.overhead_s];
        let arrivals = self.arrivals.iter().map(|arrival| arrival.at_s);
        let mut times = times.into_iter().chain(arrivals);
        if let Some(time) = times.find(|time| !(0.0..=MAX_SECONDS).contains(time)) {
            return wrong(format!("{time} s is no time from 0 to {MAX_SECONDS} s"));
        }
        // The queue's clock has milliseconds.
        let lease = 0.001..=MAX_SECONDS;
        if !lease.contains(&rules.heartbeat_s)
            || !lease.contains(&rules.lease_s)
            || rules.heartbeat_s >= rules.lease_s
        {
            return wrong(format!(
                "a lease of {} s with heartbeats every {} s: the heartbeats have to come more often",
                rules.lease_s, rules.heartbeat_s
            ));
        }
        if self.provers() > MAX_PROVERS {
            return wrong(format!("{} provers: at most {MAX_PROVERS}", self.provers()));
        }
        if let Some(group) = self
            .provers
            .iter()
            .find(|group| !(group.slowdown.is_finite() && group.slowdown > 0.0))
        {
            return wrong(format!("{} is no slowdown", group.slowdown));
        }
        let paces = Paces::new(&self.rates);
        let templates: BTreeMap<_, _> = self
            .arrivals
            .iter()
            .map(|arrival| (Arc::as_ptr(&arrival.job), &arrival.job))
            .collect();
        for template in templates.into_values() {
            let machine = &template.machine().name;
            for task in template.tasks() {
                // A device without a rate is like the others: it is enough that there is one.
                let seconds = paces.seconds("", machine, &task.kind, task.work);
                match seconds {
                    Some(seconds) if seconds <= MAX_SECONDS => {}
                    Some(seconds) => return wrong(format!("a task of {seconds} s")),
                    None => {
                        let kind = &task.kind;
                        return wrong(format!(
                            "there is no rate of {machine}'s tasks of kind {kind:?}"
                        ));
                    }
                }
            }
        }
        Ok(paces)
    }
}
