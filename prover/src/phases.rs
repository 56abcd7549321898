//! Where a proof's time goes: a stopwatch that the commitment scheme and the challenger share.
//!
//! p3's prove loops call the scheme in a fixed order, so the time between two calls belongs to what the loop does
//! between them: lookup columns between two commitments, the quotient before the commitment to its chunks. Each
//! [`Phases::lap`] charges the time since the last one to a phase.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

/// A part of proving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Filling the tables.
    Trace,
    /// Low-degree extension and Merkle tree, of traces, lookup columns and quotient chunks.
    Commit,
    /// The extension alone, where phases are [split](Phases::split).
    Lde,
    /// The tree alone, where phases are [split](Phases::split).
    Tree,
    /// Columns of the lookup argument.
    Lookup,
    /// Constraints over the quotient domain, and the extension of the quotient's chunks.
    Quotient,
    /// Claimed values at the points outside the domain.
    Evaluate,
    /// Reduced openings.
    Reduce,
    /// FRI's rounds: commitments and folds.
    Fold,
    /// Rows and paths at the queried places.
    Query,
    /// Proof-of-work searches.
    Grind,
    /// The verifier run on every proof before it is handed on.
    Verify,
    /// The transcript and everything else.
    Other,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trace => "trace generation",
            Self::Commit => "LDE and tree",
            Self::Lde => "LDE",
            Self::Tree => "tree",
            Self::Lookup => "lookup columns",
            Self::Quotient => "quotient",
            Self::Evaluate => "opening: claimed values",
            Self::Reduce => "opening: reduction",
            Self::Fold => "opening: FRI rounds",
            Self::Query => "opening: queries",
            Self::Grind => "grinding",
            Self::Verify => "verification",
            Self::Other => "other",
        })
    }
}

/// Seconds by phase.
pub type PhaseSeconds = BTreeMap<Phase, f64>;

/// A stopwatch; clones share it.
#[derive(Clone, Debug)]
pub struct Phases(Arc<Mutex<Laps>>);

#[derive(Debug)]
struct Laps {
    last: Instant,
    committed: bool,
    split: bool,
    seconds: PhaseSeconds,
}

impl Default for Phases {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Laps {
            last: Instant::now(),
            committed: false,
            split: false,
            seconds: PhaseSeconds::new(),
        })))
    }
}

impl Phases {
    fn with<R>(&self, act: impl FnOnce(&mut Laps) -> R) -> R {
        // A poisoned lock still holds plain numbers.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts a proof: what has passed belongs to nothing.
    pub fn start(&self) {
        self.with(|laps| {
            laps.last = Instant::now();
            laps.committed = false;
        });
    }

    /// From now on extensions and trees are timed apart. That waits for the device between them, and so costs time.
    pub fn split(&self) {
        self.with(|laps| laps.split = true);
    }

    /// Whether extensions and trees are timed apart.
    #[must_use]
    pub fn is_split(&self) -> bool {
        self.with(|laps| laps.split)
    }

    /// Charges the time since the last lap to a phase.
    pub fn lap(&self, phase: Phase) {
        self.with(|laps| {
            let now = Instant::now();
            *laps.seconds.entry(phase).or_default() += now.duration_since(laps.last).as_secs_f64();
            laps.last = now;
        });
    }

    /// A commitment to traces or lookup columns begins: before the second one, lookup columns were made.
    pub fn commit_begins(&self) {
        let before = self.with(|laps| {
            if std::mem::replace(&mut laps.committed, true) {
                Phase::Lookup
            } else {
                Phase::Other
            }
        });
        self.lap(before);
    }

    /// The seconds so far; the stopwatch starts again from zero.
    #[must_use]
    pub fn take(&self) -> PhaseSeconds {
        self.with(|laps| std::mem::take(&mut laps.seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_to_the_phase_that_ends() {
        let phases = Phases::default();
        phases.start();
        phases.commit_begins();
        phases.lap(Phase::Commit);
        phases.commit_begins();
        let seconds = phases.take();
        let seen: Vec<Phase> = seconds.keys().copied().collect();
        assert_eq!(seen, [Phase::Commit, Phase::Lookup, Phase::Other]);
        assert!(phases.take().is_empty());
    }
}
