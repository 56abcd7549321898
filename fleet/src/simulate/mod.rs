//! A fleet in virtual time: the queue itself, with provers that only wait.
//!
//! ```text
//!   arrivals ──► MemoryStore ◄── claim, heartbeat, complete, fail ── provers (a task takes work × rate)
//!                    ▲ clock                                            │
//!                    └───────────── next event ◄── heap of events ◄─────┘
//! ```
//!
//! Scheduling, leases, attempts and quarantine are those of [`crate::store::MemoryStore`], the model that the database's
//! store is tested against: what is simulated is what runs. Time is counted in microseconds, and nothing waits for a clock.
//! An idle prover is handed a task at the moment that one is ready, as with a claim that waits at the aggregator.
//!
//! [`simulate`] runs a [`Scenario`]; [`curve`] runs it with other numbers of provers; [`Bound`] is what theory says.

mod arrivals;
mod bound;
mod engine;
mod events;
mod fleet;
mod report;
mod scenario;
mod settings;
mod template;

pub use arrivals::{Arrival, MAX_ARRIVALS, MAX_FILE, parse_arrivals, poisson, read_arrivals};
pub use bound::Bound;
pub(crate) use engine::{Running, run};
pub use report::{Counts, CurvePoint, Delays, JobOutcome, Record, SimulationReport, What};
pub use scenario::{Faults, MAX_PROVERS, MAX_SECONDS, ProverGroup, Rules, Scenario, of_mix};
pub use settings::{Arrivals, ScenarioSettings};
pub use template::{MAX_LEAVES, Step, Template, TreeJob};

use crate::FleetError;

/// Seconds as microseconds.
pub(crate) fn micros(seconds: f64) -> u64 {
    (seconds * 1e6).round() as u64
}

/// Runs a scenario to its end. Blocks: a million tasks take seconds.
///
/// # Errors
/// [`FleetError::Settings`] for a scenario that makes no sense, or that has a kind of task without a rate.
pub fn simulate(scenario: &Scenario) -> Result<SimulationReport, FleetError> {
    simulate_observed(scenario, |_| ())
}

/// The same; `observe` is told of everything that happens, in order.
///
/// # Errors
/// As [`simulate`].
pub fn simulate_observed(
    scenario: &Scenario,
    observe: impl FnMut(&Record),
) -> Result<SimulationReport, FleetError> {
    run(scenario, &[], observe)
}

/// The curve of delay against provers: the scenario with its mix of provers, so many of them ([`of_mix`]).
///
/// # Errors
/// As [`simulate`].
pub fn curve(scenario: &Scenario, provers: &[u32]) -> Result<Vec<CurvePoint>, FleetError> {
    let mut varied = scenario.clone();
    let mut point = |&count: &u32| {
        varied.provers = of_mix(&scenario.provers, count);
        let report = simulate(&varied)?;
        Ok(CurvePoint {
            provers: count,
            delay: report.delay.filter(|_| report.all_done()),
            end_s: report.end_s,
            utilisation: report.utilisation,
        })
    };
    provers.iter().map(&mut point).collect()
}

/// 1, 2, 4, … and the limit itself.
#[must_use]
pub fn doubling(limit: u32) -> Vec<u32> {
    let powers = (0..u32::BITS).map(|bit| 1 << bit);
    let below = powers.take_while(|&power| power < limit);
    below.chain([limit]).collect()
}
