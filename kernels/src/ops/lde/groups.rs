//! What a work-group takes: how large tiles may be on a device, and how many of them go together.

use super::plan::{Digit, Limits};
use super::table::network_words;
use crate::{DeviceInfo, Runtime, Variant};

/// Columns of a lane: the elements of a `uint16`.
pub(super) const LANE: usize = 16;
/// Bytes of a line of a lane.
const LINE: usize = 4 * LANE;

/// Most bits of a digit: tiles of `2^11` lines (128 KiB) stay in a core's second cache.
const VECTOR_DIGIT: u32 = 11;
/// Lines of a vector work-group's tiles (128 KiB).
const GROUP_LINES: usize = 2048;
/// Most lanes of neighbouring rows: four lines are 256 bytes, from which on memory is read at full speed.
pub(super) const GROUP_LANES: usize = 4;

/// Most bits of a digit: tiles of `2^9` rows and 8 columns, which are 32 bytes, the least that a GPU reads at once.
const SCALAR_DIGIT: u32 = 9;
/// Most bits of the digit of two tiles: of `2^8` rows they have 8 columns as well.
const SCALAR_TURN: u32 = 8;
/// Words of a scalar work-group's tiles (16 KiB; with the tables less than 32).
const TILE_WORDS: usize = 4096;
/// Work-items of a scalar work-group.
const GROUP: usize = 256;

/// The digits that fit the local memory of this runtime's device.
pub(super) fn limits(rt: &Runtime) -> Limits {
    let local = rt.info().local_memory;
    let most = |most: u32, bytes: &dyn Fn(u32) -> usize| {
        (2..=most)
            .rev()
            .find(|&k| bytes(k) as u64 <= local)
            .unwrap_or(0)
    };
    let table = |k: u32| 4 * network_words(k);
    match rt.variant() {
        Variant::Vector => {
            let lane = |k: u32| lane_bytes(k) + LINE;
            Limits {
                turn: most(VECTOR_DIGIT - 1, &|k| lane(k) + lane_bytes(k)),
                digit: most(VECTOR_DIGIT, &lane),
            }
        }
        Variant::Scalar => {
            let tiles = |k: u32, tiles: usize| (4 * tiles) << (k + tile_columns(k, tiles));
            Limits {
                turn: most(SCALAR_TURN, &|k| tiles(k, 2) + table(k)),
                digit: most(SCALAR_DIGIT, &|k| tiles(k, 1) + table(k)),
            }
        }
    }
}

/// Local memory of one lane in a vector work-group: its tile, its table, four lines of a row.
const fn lane_bytes(k: u32) -> usize {
    (LINE << k) + 4 * network_words(k) + 4 * LINE
}

/// The tiles of a pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiles {
    pub(super) digit: Digit,
    /// How many.
    pub(super) count: usize,
    /// Logarithm of the neighbouring tiles whose rows are neighbours.
    pub(super) log_neighbours: u32,
    /// Tiles in local memory for every one that is read; two in one lane at a time in vector work-groups.
    pub(super) buffers: usize,
}

/// The lanes of a vector work-group: the kernels' arguments of these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lanes {
    pub(super) lanes: usize,
    pub(super) group: usize,
    pub(super) log_rows: u32,
    pub(super) log_blocks: u32,
}

impl Lanes {
    /// As many of the `lanes` of a row as stay in a core's second cache and leave work for all cores. Where a row has
    /// one or two, and its lanes are all of it (`contiguous`), the lanes of neighbouring rows are taken together.
    pub(super) fn new(device: &DeviceInfo, tiles: Tiles, lanes: usize, contiguous: bool) -> Self {
        let bits = tiles.digit.bits;
        let one = lane_bytes(bits);
        let local = usize::try_from(device.local_memory).unwrap_or(usize::MAX);
        let left = local.saturating_sub(LINE + (tiles.buffers - 1) * one);
        let room = (left / one).min(GROUP_LINES >> bits).max(1);
        let enough = 4 * device.compute_units as usize;
        let mut group = lanes.min(room);
        while group > 1 && tiles.count * lanes.div_ceil(group) < enough {
            group = group.div_ceil(2);
        }
        let mut log_rows = 0;
        while contiguous
            && lanes.is_power_of_two()
            && log_rows < tiles.log_neighbours
            && lanes << (log_rows + 1) <= room.min(GROUP_LANES)
            && tiles.count >> (log_rows + 1) >= enough
        {
            log_rows += 1;
        }
        if log_rows == 0 {
            return Self {
                lanes,
                group,
                log_rows,
                log_blocks: 31,
            };
        }
        let log_blocks = lanes.ilog2();
        let lanes = lanes << log_rows;
        Self {
            lanes,
            group: lanes,
            log_rows,
            log_blocks,
        }
    }

    /// Bytes of the tiles of a work-group's lanes.
    pub(super) fn tile_bytes(self, bits: u32) -> usize {
        (self.group * LINE) << bits
    }

    /// Bytes of four rows of a work-group's lanes, and a line more.
    pub(super) fn row_bytes(self) -> usize {
        (4 * self.group + 1) * LINE
    }
}

/// Logarithm of the columns of a scalar work-group with so many tiles of `2^k` rows: 16, or as many as there is room for.
pub(super) fn tile_columns(k: u32, tiles: usize) -> u32 {
    (TILE_WORDS / (tiles << k)).clamp(1, 16).ilog2()
}

/// Work-items of a scalar work-group with so many butterflies in a pass. Few different sizes: some drivers compile a
/// kernel for each.
pub(super) fn work_items(device: &DeviceInfo, butterflies: usize) -> usize {
    let wanted = if butterflies < GROUP {
        GROUP / 4
    } else {
        GROUP
    };
    let most = device.max_work_group.min(device.max_work_items[0]);
    wanted.min(1 << most.max(1).ilog2())
}
