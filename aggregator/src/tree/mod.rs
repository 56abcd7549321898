//! The canonical tree over a range of leaves.
//!
//! Its shape is a function of (first index, count) alone. For arity k:
//!
//! - an interval is *aligned* if it is d·k^j … (d + 1)·k^j for some j; its children are its k
//!   aligned parts;
//! - a range is cut into its *maximal* aligned intervals, D₁ … Dᵣ from the left. If r = 1 that is
//!   the root. Otherwise the first k are joined, then k − 1 more at a time to what is there; the
//!   last join may have fewer. These joins are the *spine*.
//!
//! ```text
//!  3..14, arity 2:                 ┌──────────────┴─┐
//!                        ┌─────────┴────┐           │          spine
//!               ┌────────┴───┐          │           │
//!               3           4..8      8..12       12..14       maximal aligned intervals
//! ```
//!
//! **A shorter range with the same first leaf has every node of the longer one that fits into it.**
//! For a piece that fits into both is maximal in both: an aligned interval around it that sticks
//! out of the longer range sticks out of the shorter. So nodes can be finished while the end is
//! unknown, by taking it as far away as can be: see [`CanonicalTree::open_ended`]. The converse holds
//! for aligned nodes only: a short range's last spine nodes are no nodes of a longer one.
//!
//! Nothing is materialised: a query takes O(k log² n) steps and O(k) memory.

mod interval;

pub use interval::Interval;

use crate::AggregatorError;

/// Children of a join, as the circuits have it.
pub const ARITY: u8 = 2;

/// The canonical tree over a range. See the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanonicalTree {
    range: Interval,
    /// Two at least.
    arity: u8,
}

impl CanonicalTree {
    /// The tree of arity [`ARITY`] over `count` leaves from `first`.
    ///
    /// # Errors
    /// [`AggregatorError::Range`] for no leaf, or for one beyond index 2^64 − 1.
    pub fn new(first: u64, count: u64) -> Result<Self, AggregatorError> {
        match Interval::new(first, count) {
            Ok(range) => Ok(Self {
                range,
                arity: ARITY,
            }),
            Err(error) => Err(error),
        }
    }

    /// The tree over all leaves from `first` that a range can have: up to index 2^64 − 2 (or the one
    /// leaf 2^64 − 1). What of its nodes fits into a shorter range from `first` is a node there.
    #[must_use]
    pub const fn open_ended(first: u64) -> Self {
        let leaf = Interval::leaf(first);
        let longest = Interval::between(first as u128, u64::MAX as u128);
        Self {
            range: if first == u64::MAX { leaf } else { longest },
            arity: ARITY,
        }
    }

    /// The same range with another arity.
    ///
    /// # Errors
    /// [`AggregatorError::Arity`] below 2.
    pub const fn with_arity(self, arity: u8) -> Result<Self, AggregatorError> {
        if arity < 2 {
            return Err(AggregatorError::Arity { arity });
        }
        Ok(Self { arity, ..self })
    }

    /// The whole range: the root. For a single leaf, which a join without a right child passes on,
    /// the root and the leaf have the same interval.
    #[must_use]
    pub const fn root(self) -> Interval {
        self.range
    }

    /// Children of a full join.
    #[must_use]
    pub const fn arity(self) -> u8 {
        self.arity
    }

    /// Whether the interval is a node: a leaf, an aligned interval, or a spine node.
    #[must_use]
    pub fn is_node(self, interval: Interval) -> bool {
        self.range.contains(interval)
            && (self.is_aligned(interval) || self.spine().any(|node| node == interval))
    }

    /// The node whose child this one is. `None` for the root, and for what is no node.
    #[must_use]
    pub fn parent(self, node: Interval) -> Option<Interval> {
        if node == self.range || !self.range.contains(node) {
            return None;
        }
        if !self.is_aligned(node) {
            let mut above = self.spine().skip_while(|spine| *spine != node);
            return above.nth(1);
        }
        let size = u128::from(node.count()) * u128::from(self.arity);
        let start = node.start() / size * size;
        if start >= self.range.start() && start + size <= self.range.end() {
            return Some(Interval::between(start, start + size));
        }
        // A maximal interval: it belongs to the first spine node that reaches its end.
        self.spine().find(|spine| spine.end() >= node.end())
    }

    /// The node's children from the left: none of a leaf, and none of what is no node.
    ///
    /// An aligned node has as many as the arity says; a spine node has at least two.
    #[must_use]
    pub fn children(self, node: Interval) -> Vec<Interval> {
        if !self.range.contains(node) {
            return Vec::new();
        }
        if self.is_aligned(node) {
            let part = u128::from(node.count()) / u128::from(self.arity);
            let starts = (0..u128::from(self.arity)).map(|i| node.start() + i * part);
            return match part {
                0 => Vec::new(),
                _ => starts.map(|s| Interval::between(s, s + part)).collect(),
            };
        }
        let mut group = Vec::with_capacity(usize::from(self.arity));
        for (piece, spine) in self.pieces() {
            group.push(piece);
            match spine {
                Some(spine) if spine == node => return group,
                Some(spine) => group = vec![spine],
                None => {}
            }
        }
        Vec::new()
    }

    /// All nodes, children before parents: each as soon as its last leaf is there, reading leaves
    /// from the left. For a single leaf, that leaf.
    pub fn nodes(self) -> impl Iterator<Item = Interval> {
        let first = Interval::leaf(self.range.first());
        core::iter::successors(Some(first), move |&node| match self.parent(node) {
            Some(parent) if parent.end() == node.end() => Some(parent),
            _ if node.last() == self.range.last() => None,
            _ => Some(Interval::leaf(node.last() + 1)),
        })
    }

    /// Number of joins: for arity 2 one less than leaves, but 1 for a single leaf, which a join
    /// without a right child passes on.
    #[must_use]
    pub fn joins(self) -> u64 {
        if self.range.count() == 1 {
            return 1;
        }
        // An aligned interval of k^j leaves has (k^j - 1) / (k - 1) joins.
        let below = |piece: Interval| (piece.count() - 1) / u64::from(self.arity - 1);
        self.pieces()
            .map(|(piece, spine)| below(piece) + u64::from(spine.is_some()))
            .sum()
    }

    /// Joins on the longest way from a leaf to the root; 1 for a single leaf.
    #[must_use]
    pub fn depth(self) -> u32 {
        if self.range.count() == 1 {
            return 1;
        }
        self.pieces().fold(0, |depth, (piece, spine)| {
            // A piece of k^j leaves has depth j.
            let deepest = depth.max(piece.count().ilog(u64::from(self.arity)));
            deepest + u32::from(spine.is_some())
        })
    }

    /// Whether the interval is d·k^j … (d + 1)·k^j for some j.
    fn is_aligned(self, interval: Interval) -> bool {
        let arity = u64::from(self.arity);
        let size = arity.pow(interval.count().ilog(arity));
        size == interval.count() && interval.first().is_multiple_of(size)
    }

    /// The spine from the left: joins of maximal aligned intervals. Empty for an aligned range.
    fn spine(self) -> impl Iterator<Item = Interval> {
        self.pieces().filter_map(|(_, spine)| spine)
    }

    /// The maximal aligned intervals from the left, each with the spine node that ends with it.
    fn pieces(self) -> impl Iterator<Item = (Interval, Option<Interval>)> {
        let (begin, end) = (self.range.start(), self.range.end());
        let full = usize::from(self.arity - 1);
        let mut start = begin;
        // The first join takes k pieces, the others k - 1: those of 0-based position k-1, 2(k-1)...
        (0_usize..).map_while(move |position| {
            let piece = (start < end).then(|| self.maximal(start))?;
            start = piece.end();
            let joined = position > 0 && (position.is_multiple_of(full) || start == end);
            Some((piece, joined.then(|| Interval::between(begin, start))))
        })
    }

    /// The largest aligned interval that begins at `start` and does not leave the range. It is
    /// maximal if `start` is where another one ends, or the range begins.
    fn maximal(self, start: u128) -> Interval {
        let arity = u128::from(self.arity);
        let mut size = 1;
        while start.is_multiple_of(size * arity) && start + size * arity <= self.range.end() {
            size *= arity;
        }
        Interval::between(start, start + size)
    }
}
