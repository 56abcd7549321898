//! Proofs accepted in the last minutes: a ring of counts.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What one count covers.
pub(super) const STEP: Duration = Duration::from_secs(5);

/// Counts that are kept: ten minutes.
const COUNTS: usize = 120;

/// See the module.
pub(super) struct Throughput {
    start: Instant,
    ring: Mutex<Ring>,
}

struct Ring {
    /// The step that `counts[step % COUNTS]` is about.
    step: u64,
    counts: [u64; COUNTS],
}

impl Ring {
    /// Forgets what is older than the ring is long.
    fn advance(&mut self, step: u64) {
        let passed = step.saturating_sub(self.step).min(COUNTS as u64);
        for back in 0..passed {
            self.counts[((step - back) % COUNTS as u64) as usize] = 0;
        }
        self.step = self.step.max(step);
    }

    /// Oldest first; the last one is not over yet.
    fn counts(&self) -> Vec<u64> {
        let from = self.step as usize + 1;
        let at = |back| self.counts[(from + back) % COUNTS];
        (0..COUNTS).map(at).collect()
    }
}

impl Throughput {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            ring: Mutex::new(Ring {
                step: 0,
                counts: [0; COUNTS],
            }),
        }
    }

    fn now<T>(&self, work: impl FnOnce(&mut Ring) -> T) -> T {
        let step = self.start.elapsed().as_secs() / STEP.as_secs();
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.advance(step);
        work(&mut ring)
    }

    /// One more.
    pub(super) fn count(&self) {
        self.now(|ring| ring.counts[(ring.step % COUNTS as u64) as usize] += 1);
    }

    /// The counts, oldest first; the last one is not over yet.
    pub(super) fn counts(&self) -> Vec<u64> {
        self.now(|ring| ring.counts())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_forgets_what_is_old_and_nothing_else() {
        let mut ring = Ring {
            step: 0,
            counts: [0; COUNTS],
        };
        ring.counts[0] = 7;
        ring.advance(1);
        ring.counts[1] = 2;
        assert_eq!(ring.counts()[COUNTS - 2..], [7, 2]);
        ring.advance(COUNTS as u64 - 1);
        assert_eq!(ring.counts()[..2], [7, 2]);
        ring.advance(COUNTS as u64);
        assert_eq!((ring.counts()[0], ring.counts().len()), (2, COUNTS));
        ring.advance(10_000_000);
        assert_eq!(ring.counts(), [0; COUNTS]);
    }
}
