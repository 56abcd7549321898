//! A non-empty range of leaf indices.

use core::fmt;

use crate::AggregatorError;

/// The leaves `first, first + 1, …, first + count − 1`: at least one, none beyond index 2^64 − 1.
///
/// Ordered by first index, then by count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    first: u64,
    count: u64,
}

impl Interval {
    /// The interval of `count` leaves from `first`.
    ///
    /// # Errors
    /// [`AggregatorError::Range`] when `count` is 0 or the last index would exceed 2^64 − 1.
    pub const fn new(first: u64, count: u64) -> Result<Self, AggregatorError> {
        if count == 0 || first.checked_add(count - 1).is_none() {
            return Err(AggregatorError::Range { first, count });
        }
        Ok(Self { first, count })
    }

    /// The one leaf `index`.
    #[must_use]
    pub const fn leaf(index: u64) -> Self {
        Self {
            first: index,
            count: 1,
        }
    }

    /// `start..end` where the caller has `start < end <= 2^64` and not the whole of `0..2^64`.
    pub(crate) const fn between(start: u128, end: u128) -> Self {
        Self {
            first: start as u64,
            count: (end - start) as u64,
        }
    }

    /// First index and count of what was an interval before; also bounds for searches.
    pub(crate) const fn known(first: u64, count: u64) -> Self {
        Self { first, count }
    }

    /// Index of the first leaf.
    #[must_use]
    pub const fn first(self) -> u64 {
        self.first
    }

    /// Number of leaves, at least 1.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.count
    }

    /// Index of the last leaf.
    #[must_use]
    pub const fn last(self) -> u64 {
        self.first + (self.count - 1)
    }

    /// Index of the first leaf, as wide as [`Interval::end`].
    pub(crate) const fn start(self) -> u128 {
        self.first as u128
    }

    /// Index after the last leaf, at most 2^64.
    pub(crate) const fn end(self) -> u128 {
        self.first as u128 + self.count as u128
    }

    /// Whether every leaf of `other` is in `self`.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.first <= other.first && other.last() <= self.last()
    }

    /// Whether `self` and `right` are the two children of a node of a canonical tree of arity 2.
    ///
    /// Node and children depend on nothing else: [`CanonicalTree::children`] of the union's own tree
    /// gives the same answer. With `b` the first index of `right`, they are if and only if
    ///
    /// 1. `right` begins where `self` ends;
    /// 2. `right` has 2^j leaves for some j, and 2^j divides b: it is aligned;
    /// 3. b / 2^j is even, or `self` has at most 2^j leaves;
    /// 4. the union has fewer than 2^64 leaves.
    ///
    /// Of (3): if b / 2^j is odd, the interval twice as large around `right` begins at b − 2^j.
    /// A longer `self` would put it inside the union, so `right` were not maximal; an equal `self`
    /// is `right`'s sibling; a shorter one leaves `right` maximal. If it is even, the larger
    /// interval ends beyond the union.
    ///
    /// [`CanonicalTree::children`]: super::CanonicalTree::children
    #[must_use]
    pub const fn joins(self, right: Self) -> bool {
        let (b, size) = (right.first, right.count);
        self.end() == b as u128
            && size.is_power_of_two()
            && b & (size - 1) == 0
            && (b & size == 0 || self.count <= size)
            && self.count.checked_add(size).is_some()
    }
}

/// `first..end`, as Rust writes half-open ranges.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.first, self.end())
    }
}
