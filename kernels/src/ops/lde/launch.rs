//! Launching the passes of a schedule on a device.

use starkwright_hal::{HalError, HalField};

use super::plan::{Digit, Limits};
use super::schedule::{Pass, Schedule};
use super::table::network_words;
use crate::{Arg, Buffer, Kernel, Program, ProgramSource, Runtime, Variant};

/// Columns of a lane: the elements of a `uint16`.
pub(super) const LANE: usize = 16;

/// Lines of a vector work-group's tiles (128 KiB): they stay in a core's second cache.
const GROUP_LINES: usize = 2048;
/// Most lanes of neighbouring rows: four lines are 256 bytes, from which on memory is read at full speed.
const GROUP_LANES: usize = 4;

/// Work-items of a scalar work-group.
const GROUP: usize = 256;
/// Words of a scalar work-group's tiles (16 KiB; with the tables less than 32).
const TILE_WORDS: usize = 4096;

/// Most bits of a digit: tiles of 2^11 lines (128 KiB) stay in a core's second cache.
const VECTOR_DIGIT: u32 = 11;
/// Most bits of a digit: tiles of 2^9 rows and 8 columns, 4 where two of them are needed.
const SCALAR_DIGIT: u32 = 9;

/// What both variants' sources start with.
macro_rules! source {
    ($variant:literal) => {
        concat!(
            include_str!("../../../cl/field.cl"),
            include_str!("../../../cl/ntt.cl"),
            include_str!("../../../cl/ntt_direct.cl"),
            include_str!($variant),
        )
    };
}

/// The program of a field in this runtime's variant.
fn program<F: HalField>(rt: &Runtime) -> Result<Program, HalError> {
    let (lanes, source) = match rt.variant() {
        Variant::Vector => (LANE, source!("../../../cl/ntt_vector.cl")),
        Variant::Scalar => (1, source!("../../../cl/ntt_scalar.cl")),
    };
    let prime = F::ORDER_U32;
    let options = format!(
        "-DPRIME={prime}u -DMU={}u -DVEC={lanes}",
        inverse_mod_2_32(prime)
    );
    rt.program(&ProgramSource::source("ntt", [source], options))
}

/// The inverse of an odd number modulo 2^32 (p3's `MONTY_MU`).
const fn inverse_mod_2_32(p: u32) -> u32 {
    // p · p = 1 modulo 8, and each of Newton's steps doubles the number of right bits.
    let mut inverse = p;
    let mut bits = 3;
    while bits < 32 {
        inverse = inverse.wrapping_mul(2u32.wrapping_sub(p.wrapping_mul(inverse)));
        bits *= 2;
    }
    inverse
}

/// The digits that fit the local memory of this runtime's device.
pub(super) fn limits(rt: &Runtime) -> Limits {
    let local = rt.info().local_memory;
    let most = |most: u32, tile: &dyn Fn(u32) -> usize, tiles: usize| {
        let bytes = |k: u32| (tiles * (tile(k) + 4 * network_words(k))) as u64;
        (2..=most).rev().find(|&k| bytes(k) <= local).unwrap_or(0)
    };
    match rt.variant() {
        Variant::Vector => {
            let tile = |k: u32| (4 * LANE) << k;
            Limits {
                turn: most(VECTOR_DIGIT - 1, &tile, 2),
                digit: most(VECTOR_DIGIT, &tile, 1),
            }
        }
        Variant::Scalar => {
            let (one, two) = (
                |k: u32| 4usize << (k + tile_columns(k, 1)),
                |k: u32| 4usize << (k + tile_columns(k, 2)),
            );
            Limits {
                turn: most(SCALAR_DIGIT, &two, 2),
                digit: most(SCALAR_DIGIT, &one, 1),
            }
        }
    }
}

/// Logarithm of the columns of a scalar work-group with so many tiles of `2^k` rows: 16, or as many as there is room for.
fn tile_columns(k: u32, tiles: usize) -> u32 {
    let room = TILE_WORDS / (tiles << k);
    room.clamp(1, 16).ilog2()
}

/// Lanes of a matrix in a buffer: row `r`, column `c` of lane `l` at `at + pitch · r + lane · l + c`.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) buffer: &'a Buffer,
    pub(super) at: usize,
    pub(super) pitch: usize,
    pub(super) lane: usize,
    pub(super) columns: Columns,
}

/// The columns of a lane: the vector kernels' `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    /// [`LANE`] columns on 64-byte boundaries, to be stored past the caches.
    Stream,
    /// So many.
    Some(usize),
}

impl<'a> View<'a> {
    fn args(&self, variant: Variant) -> Vec<Arg<'a>> {
        let words = [self.at, self.pitch].map(|word| Arg::U64(word as u64));
        let mut args = vec![Arg::Buffer(self.buffer)];
        args.extend(words);
        if variant == Variant::Vector {
            let n = match self.columns {
                Columns::Stream => LANE + 1,
                Columns::Some(n) => n,
            };
            args.extend([Arg::U64(self.lane as u64), Arg::U32(n as u32)]);
        }
        args
    }
}

/// The kernels of a field on a device, with a schedule's tables.
pub(super) struct Launcher<'a> {
    rt: &'a Runtime,
    program: Program,
    schedule: &'a Schedule,
    tables: Buffer,
}

impl<'a> Launcher<'a> {
    pub(super) fn new<F: HalField>(
        rt: &'a Runtime,
        schedule: &'a Schedule,
    ) -> Result<Self, HalError> {
        let program = program::<F>(rt)?;
        let tables = rt.upload(schedule.words.as_slice())?;
        Ok(Self {
            rt,
            program,
            schedule,
            tables,
        })
    }

    /// Logarithm of the result's height.
    pub(super) fn log_out(&self) -> u32 {
        self.schedule.log_out
    }

    /// Whether the transform is a product with a matrix.
    pub(super) fn is_direct(&self) -> bool {
        matches!(self.schedule.passes.as_slice(), [Pass::Direct])
    }

    /// Whether the last pass moves what it computes from the matrix between the passes to the result.
    pub(super) fn ends_elsewhere(&self) -> bool {
        matches!(self.schedule.passes.last(), Some(Pass::Forward { .. }))
    }

    /// Enqueues all passes: from `input` to `out`, by way of `between` (which may be `out`). The views have `width`
    /// lanes for the vector kernels, and columns for the scalar ones.
    pub(super) fn run(
        &self,
        input: View<'_>,
        between: View<'_>,
        out: View<'_>,
        width: usize,
    ) -> Result<(), HalError> {
        let last = self.schedule.passes.len() - 1;
        for (place, pass) in self.schedule.passes.iter().enumerate() {
            let to = if place == last { out } else { between };
            self.pass(pass, input, between, to, width)?;
        }
        Ok(())
    }

    fn pass(
        &self,
        pass: &Pass,
        input: View<'_>,
        x: View<'_>,
        out: View<'_>,
        width: usize,
    ) -> Result<(), HalError> {
        let variant = self.rt.variant();
        let (log_height, log_out) = (self.schedule.log_height, self.schedule.log_out);
        let mut args = Vec::new();
        match *pass {
            Pass::Gather {
                digit,
                table_at,
                reversed_at,
                scale,
                log_low,
            } => {
                let log_tiles = log_height - digit.bits;
                args.extend(input.args(variant));
                args.extend(x.args(variant));
                self.scalar_width(&mut args, width);
                args.extend([
                    Arg::Buffer(&self.tables),
                    Arg::U32(table_at),
                    Arg::U32(reversed_at),
                ]);
                args.extend([scale, digit.bits, log_tiles, log_low].map(Arg::U32));
                let tiles = Tiles {
                    digit,
                    log_rows: log_height,
                    lone: log_tiles,
                    buffers: 1,
                    shifted: false,
                };
                self.tiles("ntt_gather", tiles, width, &[input, x], args)
            }
            Pass::Inverse {
                digit,
                table_at,
                sigmas_at,
                reversed_at,
            } => {
                args.extend(x.args(variant));
                self.scalar_width(&mut args, width);
                args.push(Arg::Buffer(&self.tables));
                args.extend(
                    [table_at, sigmas_at, reversed_at, digit.bits, digit.stride].map(Arg::U32),
                );
                let tiles = Tiles {
                    digit,
                    log_rows: log_height,
                    lone: digit.stride,
                    buffers: 1,
                    shifted: false,
                };
                self.tiles("ntt_inverse", tiles, width, &[x], args)
            }
            Pass::Turn {
                digit,
                table_at,
                sigmas_at,
                reversed_at,
                cosets_at,
                cosets,
            } => {
                args.extend(x.args(variant));
                self.scalar_width(&mut args, width);
                args.push(Arg::Buffer(&self.tables));
                args.extend([table_at, sigmas_at, reversed_at, cosets_at, cosets].map(Arg::U32));
                args.extend([log_height, digit.bits, digit.stride].map(Arg::U32));
                let tiles = Tiles {
                    digit,
                    log_rows: log_height,
                    lone: digit.stride,
                    buffers: 2,
                    shifted: false,
                };
                self.tiles("ntt_turn", tiles, width, &[x], args)
            }
            Pass::Forward {
                digit,
                table_at,
                sigmas_at,
            } => {
                args.extend(x.args(variant));
                if variant == Variant::Vector {
                    args.extend(out.args(variant));
                }
                self.scalar_width(&mut args, width);
                args.push(Arg::Buffer(&self.tables));
                args.extend([table_at, sigmas_at, digit.bits, digit.stride].map(Arg::U32));
                let tiles = Tiles {
                    digit,
                    log_rows: log_out,
                    lone: digit.stride,
                    buffers: 1,
                    shifted: true,
                };
                self.tiles("ntt_forward", tiles, width, &[x, out], args)
            }
            Pass::Direct => {
                for view in [input, out] {
                    args.push(Arg::Buffer(view.buffer));
                    args.extend([view.at, view.pitch].map(|word| Arg::U64(word as u64)));
                }
                args.push(Arg::Buffer(&self.tables));
                args.extend([1 << log_height, width as u32].map(Arg::U32));
                let (lanes, group) = match variant {
                    Variant::Vector => (LANE, 1),
                    Variant::Scalar => (1, self.group(width)),
                };
                let items = width.div_ceil(lanes).next_multiple_of(group);
                let global = [items, 1 << log_out, 1];
                self.rt.launch(
                    &self.kernel("ntt_direct")?,
                    global,
                    Some([group, 1, 1]),
                    &args,
                )
            }
        }
    }

    fn kernel(&self, name: &'static str) -> Result<Kernel, HalError> {
        self.rt.kernel(&self.program, name)
    }

    /// The scalar kernels take the width once, after their matrices.
    fn scalar_width(&self, args: &mut Vec<Arg<'a>>, width: usize) {
        if self.rt.variant() == Variant::Scalar {
            args.push(Arg::U32(width as u32));
        }
    }

    /// Launches a kernel over all tiles of all columns.
    fn tiles<'b>(
        &'b self,
        name: &'static str,
        tiles: Tiles,
        width: usize,
        views: &[View<'_>],
        mut args: Vec<Arg<'b>>,
    ) -> Result<(), HalError> {
        let kernel = self.kernel(name)?;
        let bits = tiles.digit.bits;
        let table = 4 * network_words(bits);
        let count = tiles.digit.tiles(tiles.log_rows);
        match self.rt.variant() {
            Variant::Vector => {
                let Group {
                    lanes,
                    group,
                    log_rows,
                    log_lanes,
                } = self.lanes(tiles, width, views);
                let rows = 1 << log_rows;
                args.extend([lanes as u32, group as u32, log_rows, log_lanes].map(Arg::U32));
                args.extend([(group * 4 * LANE) << bits, rows * table].map(Arg::Local));
                if tiles.buffers == 2 {
                    args.extend([(4 * LANE) << bits, table].map(Arg::Local));
                }
                if tiles.shifted {
                    args.push(Arg::Local((4 * group + 1) * 4 * LANE));
                }
                let global = [count / rows, lanes.div_ceil(group), 1];
                self.rt.launch(&kernel, global, Some([1, 1, 1]), &args)
            }
            Variant::Scalar => {
                let most = usize::BITS - (width - 1).leading_zeros();
                let log_columns = tile_columns(bits, tiles.buffers).min(most);
                let tile = 1usize << (bits + log_columns);
                args.push(Arg::U32(log_columns));
                args.extend([4 * tile, table].map(Arg::Local));
                if tiles.buffers == 2 {
                    args.push(Arg::Local(4 * tile));
                }
                let group = self.group(tile / 4);
                let global = [count * group, width.div_ceil(1 << log_columns), 1];
                self.rt.launch(&kernel, global, Some([group, 1, 1]), &args)
            }
        }
    }

    /// How many neighbouring lanes a work-group takes: as many as stay in a core's second cache and leave work for all
    /// cores. Where a row has few lanes, neighbouring rows' lanes are taken together.
    fn lanes(&self, tiles: Tiles, width: usize, views: &[View<'_>]) -> Group {
        let bits = tiles.digit.bits;
        let local = self.rt.info().local_memory as usize;
        let (line, table) = ((4 * LANE) << bits, 4 * network_words(bits));
        let used = (tiles.buffers - 1) * (line + table);
        let room = (local.saturating_sub(used) / (line + table))
            .min(GROUP_LINES >> bits)
            .max(1);
        let count = tiles.digit.tiles(tiles.log_rows);
        let enough = 4 * self.rt.info().compute_units as usize;
        let mut group = width.min(room);
        while group > 1 && count * width.div_ceil(group) < enough {
            group = group.div_ceil(2);
        }
        let joined = views.iter().all(|view| width * view.lane == view.pitch);
        let mut log_rows = 0;
        while joined
            && width.is_power_of_two()
            && log_rows < tiles.lone
            && width << (log_rows + 1) <= room.min(GROUP_LANES)
            && count >> (log_rows + 1) >= enough
        {
            log_rows += 1;
        }
        match log_rows {
            0 => Group {
                lanes: width,
                group,
                log_rows,
                log_lanes: 31,
            },
            _ => Group {
                lanes: width << log_rows,
                group: width << log_rows,
                log_rows,
                log_lanes: width.ilog2(),
            },
        }
    }

    /// Work-items of a scalar work-group with so many butterflies in a pass. Few different sizes: some drivers compile
    /// a kernel for each.
    fn group(&self, butterflies: usize) -> usize {
        let wanted = if butterflies < GROUP {
            GROUP / 4
        } else {
            GROUP
        };
        wanted.min(1 << self.rt.info().max_work_group.max(1).ilog2())
    }
}

/// The tiles of a pass.
#[derive(Clone, Copy, Debug)]
struct Tiles {
    digit: Digit,
    /// Logarithm of the rows that the pass covers.
    log_rows: u32,
    /// Logarithm of the neighbouring tiles whose rows are neighbours.
    lone: u32,
    /// Tiles that a work-group holds for every one it reads.
    buffers: usize,
    /// Whether the kernel may have to store rows that are not on 64-byte boundaries, by way of local memory.
    shifted: bool,
}

/// The vector kernels' arguments of these names.
#[derive(Clone, Copy, Debug)]
struct Group {
    lanes: usize,
    group: usize,
    log_rows: u32,
    log_lanes: u32,
}
