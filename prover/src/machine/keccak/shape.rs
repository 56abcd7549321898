//! The few heights that segments may have.

use super::sponge_columns::ROWS_PER_BLOCK;

/// Base-2 logarithms of the listed heights, ascending.
///
/// All are odd and 2^odd leaves 8 of 24, so 8 rows stay behind the last whole block: the constraints
/// need at least one such row, which every power of two from 8 up leaves.
pub const LOG_HEIGHTS: [usize; 4] = [11, 13, 15, 17];

/// Height of both tables of a segment: one of [`LOG_HEIGHTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentShape {
    log_height: usize,
}

impl SegmentShape {
    /// The listed shapes, ascending.
    pub fn all() -> impl Iterator<Item = Self> {
        LOG_HEIGHTS
            .into_iter()
            .map(|log_height| Self { log_height })
    }

    /// The shape with this height, where it is listed.
    #[must_use]
    pub fn from_log_height(log_height: usize) -> Option<Self> {
        LOG_HEIGHTS
            .contains(&log_height)
            .then_some(Self { log_height })
    }

    /// The shape that holds exactly this many blocks, where one is listed: 85, 341, 1365, 5461.
    #[must_use]
    pub fn from_capacity(blocks: usize) -> Option<Self> {
        Self::all().find(|shape| shape.capacity() == blocks)
    }

    /// The smallest listed shape that holds this many blocks.
    #[must_use]
    pub fn smallest_for(blocks: usize) -> Option<Self> {
        Self::all().find(|shape| shape.capacity() >= blocks)
    }

    /// Base-2 logarithm of the height.
    #[must_use]
    pub const fn log_height(self) -> usize {
        self.log_height
    }

    /// Rows of each table.
    #[must_use]
    pub const fn height(self) -> usize {
        1 << self.log_height
    }

    /// Blocks that fit: `⌊height / 24⌋`.
    #[must_use]
    pub const fn capacity(self) -> usize {
        self.height() / ROWS_PER_BLOCK
    }
}
