//! The moments at which a crash could lose or double something.
//!
//! Tests stop a process at each of them and look at what comes of it; outside tests nobody listens.

use std::sync::Arc;

/// A moment between two steps that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// A job is planned, and not in the queue.
    Planned,
    /// A job is in the queue, and its submitter does not know.
    Queued,
    /// A task is leased, and its prover does not know.
    Leased,
    /// A prover has its task, and nothing that it needs.
    Claimed,
    /// A prover has what its task needs.
    Fetched,
    /// A task is proven, and nobody else knows.
    Proven,
    /// A proof has arrived, unverified.
    Arrived,
    /// A proof is verified, and not stored.
    Verified,
    /// A proof is stored, and no row names it.
    Stored,
    /// A row names the proof, and its prover does not know.
    Booked,
    /// A prover knows that its proof is accepted.
    Acknowledged,
}

impl Point {
    /// Every one, in the order in which a job meets them.
    pub const ALL: [Self; 11] = [
        Self::Planned,
        Self::Queued,
        Self::Leased,
        Self::Claimed,
        Self::Fetched,
        Self::Proven,
        Self::Arrived,
        Self::Verified,
        Self::Stored,
        Self::Booked,
        Self::Acknowledged,
    ];

    /// Whether it is met by a prover, not by an aggregator.
    #[must_use]
    pub const fn is_provers(self) -> bool {
        matches!(
            self,
            Self::Claimed | Self::Fetched | Self::Proven | Self::Acknowledged
        )
    }
}

/// Listens to points, if anybody does.
#[derive(Clone, Default)]
pub struct Points(Option<Arc<dyn Fn(Point) + Send + Sync>>);

impl Points {
    /// Somebody listens.
    #[must_use]
    pub fn new(listener: impl Fn(Point) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// A point is met.
    pub(crate) fn meet(&self, point: Point) {
        if let Some(listener) = &self.0 {
            listener(point);
        }
    }
}

impl std::fmt::Debug for Points {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "Points(listening)"
        } else {
            "Points(none)"
        })
    }
}
