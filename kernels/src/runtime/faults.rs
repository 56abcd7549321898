//! Failures on demand, so that tests can see what the layers above do with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which calls fail, counted from 1 over the life of the plan. Clones share their counters, so a test keeps one to
/// read [`FaultPlan::counts`] and can carry one plan over several runtimes.
#[derive(Clone, Debug, Default)]
pub struct FaultPlan {
    fail_allocation: u64,
    lose_at_launch: u64,
    hang_at_launch: u64,
    exhaust_at_launch: u64,
    fail_build: u64,
    flip_read: u64,
    fail_map: u64,
    flip_table_word: u64,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    allocations: AtomicU64,
    launches: AtomicU64,
    builds: AtomicU64,
    reads: AtomicU64,
    maps: AtomicU64,
    tables: AtomicU64,
}

/// How many calls of each kind a plan has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// Allocations, uploads and adoptions.
    pub allocations: u64,
    /// Kernel launches.
    pub launches: u64,
    /// Program builds, from any source.
    pub builds: u64,
    /// Reads and maps.
    pub reads: u64,
    /// Maps, also those that are reads on a device with memory of its own.
    pub maps: u64,
    /// Tables of roots, one for each transform.
    pub tables: u64,
}

/// What a launch must suffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LaunchFault {
    Lose,
    Hang,
    Exhaust,
}

impl FaultPlan {
    /// A plan that only counts.
    #[must_use]
    pub fn counting() -> Self {
        Self::default()
    }

    /// The `n`-th allocation finds no memory.
    #[must_use]
    pub fn fail_allocation(mut self, n: u64) -> Self {
        self.fail_allocation = n;
        self
    }

    /// The device disappears at the `n`-th launch.
    #[must_use]
    pub fn lose_at_launch(mut self, n: u64) -> Self {
        self.lose_at_launch = n;
        self
    }

    /// The `n`-th launch never completes: the next wait runs into the deadline.
    #[must_use]
    pub fn hang_at_launch(mut self, n: u64) -> Self {
        self.hang_at_launch = n;
        self
    }

    /// The `n`-th launch is taken, and finds no memory when it runs.
    #[must_use]
    pub fn exhaust_at_launch(mut self, n: u64) -> Self {
        self.exhaust_at_launch = n;
        self
    }

    /// The `n`-th program does not build.
    #[must_use]
    pub fn fail_build(mut self, n: u64) -> Self {
        self.fail_build = n;
        self
    }

    /// The `n`-th read or map delivers one flipped bit, in the middle of its words.
    #[must_use]
    pub fn flip_read(mut self, n: u64) -> Self {
        self.flip_read = n;
        self
    }

    /// The driver refuses the `n`-th map.
    #[must_use]
    pub fn fail_map(mut self, n: u64) -> Self {
        self.fail_map = n;
        self
    }

    /// The `n`-th table of roots reaches the device with one flipped bit, in the middle of its words.
    #[must_use]
    pub fn flip_table_word(mut self, n: u64) -> Self {
        self.flip_table_word = n;
        self
    }

    /// The calls seen so far.
    #[must_use]
    pub fn counts(&self) -> FaultCounts {
        let c = &self.counters;
        FaultCounts {
            allocations: c.allocations.load(Ordering::Relaxed),
            launches: c.launches.load(Ordering::Relaxed),
            builds: c.builds.load(Ordering::Relaxed),
            reads: c.reads.load(Ordering::Relaxed),
            maps: c.maps.load(Ordering::Relaxed),
            tables: c.tables.load(Ordering::Relaxed),
        }
    }

    pub(super) fn allocation(&self) -> bool {
        count(&self.counters.allocations) == self.fail_allocation
    }

    pub(super) fn launch(&self) -> Option<LaunchFault> {
        let n = count(&self.counters.launches);
        if n == self.lose_at_launch {
            Some(LaunchFault::Lose)
        } else if n == self.hang_at_launch {
            Some(LaunchFault::Hang)
        } else if n == self.exhaust_at_launch {
            Some(LaunchFault::Exhaust)
        } else {
            None
        }
    }

    pub(super) fn build(&self) -> bool {
        count(&self.counters.builds) == self.fail_build
    }

    pub(super) fn read(&self) -> bool {
        count(&self.counters.reads) == self.flip_read
    }

    pub(super) fn map(&self) -> bool {
        count(&self.counters.maps) == self.fail_map
    }

    pub(super) fn table(&self) -> bool {
        count(&self.counters.tables) == self.flip_table_word
    }
}

/// Counts a call; the first is 1, so that a plan's 0 never fires.
fn count(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed) + 1
}
