//! Launching the passes of a schedule on a device.

use starkwright_hal::{HalError, HalField};

use super::groups::{LANE, Lanes, Tiles, tile_columns, work_items};
use super::schedule::{Pass, Schedule, Step};
use super::table::network_words;
use crate::{Arg, Buffer, Program, ProgramSource, Runtime, Variant};

/// The source of a variant's program.
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
    fn start(&self) -> [Arg<'a>; 3] {
        let [at, pitch] = [self.at, self.pitch].map(|word| Arg::U64(word as u64));
        [Arg::Buffer(self.buffer), at, pitch]
    }

    fn args(&self, variant: Variant) -> Vec<Arg<'a>> {
        let mut args = self.start().to_vec();
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
        let tables = rt.upload_table(schedule.words.as_slice())?;
        Ok(Self {
            rt,
            program,
            schedule,
            tables,
        })
    }

    /// What is launched.
    pub(super) fn schedule(&self) -> &Schedule {
        self.schedule
    }

    /// Enqueues all passes: from `input` to `out`, by way of `between` (which may be `out`). The views have `width`
    /// lanes for the vector kernels, and columns for the scalar ones and for [`Step::Direct`].
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
            match (pass.step, self.rt.variant()) {
                (Step::Direct, _) => self.direct(input, out, width),
                (Step::Gather, _) => self.tiles(pass, &[input, between], width),
                (Step::Forward, Variant::Vector) => self.tiles(pass, &[between, to], width),
                _ => self.tiles(pass, &[between], width),
            }?;
        }
        Ok(())
    }

    /// Launches the kernel of a pass over all its tiles.
    fn tiles(&self, pass: &Pass, views: &[View<'_>], width: usize) -> Result<(), HalError> {
        let (device, variant) = (self.rt.info(), self.rt.variant());
        let bits = pass.digit.bits;
        let rows = match pass.step {
            Step::Forward => self.schedule.log_out,
            _ => self.schedule.log_height,
        };
        let tiles = Tiles {
            digit: pass.digit,
            count: 1 << (rows - bits),
            log_neighbours: match pass.step {
                Step::Gather => rows - bits,
                _ => pass.digit.stride,
            },
            buffers: if pass.step == Step::Turn { 2 } else { 1 },
        };
        let mut args: Vec<Arg<'_>> = views.iter().flat_map(|view| view.args(variant)).collect();
        if variant == Variant::Scalar {
            args.push(Arg::U32(width as u32));
        }
        args.push(Arg::Buffer(&self.tables));
        args.extend(pass.numbers.iter().copied().map(Arg::U32));
        let table = 4 * network_words(bits);
        let (global, local) = match variant {
            Variant::Vector => {
                let contiguous = views.iter().all(|view| width * view.lane == view.pitch);
                let lanes = Lanes::new(device, tiles, width, contiguous);
                let Lanes {
                    lanes: all,
                    group,
                    log_rows,
                    log_blocks,
                } = lanes;
                args.extend([all as u32, group as u32, log_rows, log_blocks].map(Arg::U32));
                args.extend([lanes.tile_bytes(bits), table << log_rows].map(Arg::Local));
                match pass.step {
                    Step::Turn => args.extend([(4 * LANE) << bits, table].map(Arg::Local)),
                    Step::Forward => args.push(Arg::Local(lanes.row_bytes())),
                    _ => {}
                }
                ([tiles.count >> log_rows, all.div_ceil(group), 1], 1)
            }
            Variant::Scalar => {
                let log_width = width.next_power_of_two().ilog2();
                let log_columns = tile_columns(bits, tiles.buffers).min(log_width);
                let tile = 4usize << (bits + log_columns);
                args.push(Arg::U32(log_columns));
                args.extend([tile, table].map(Arg::Local));
                if tiles.buffers == 2 {
                    args.push(Arg::Local(tile));
                }
                let items = work_items(device, tile / 16);
                (
                    [tiles.count * items, width.div_ceil(1 << log_columns), 1],
                    items,
                )
            }
        };
        let kernel = self.rt.kernel(&self.program, pass.step.kernel())?;
        self.rt.launch(&kernel, global, Some([local, 1, 1]), &args)
    }

    /// Launches the product with a matrix.
    fn direct(&self, input: View<'_>, out: View<'_>, width: usize) -> Result<(), HalError> {
        let Schedule {
            log_height,
            log_out,
            ..
        } = *self.schedule;
        let mut args = [input.start(), out.start()].concat();
        args.push(Arg::Buffer(&self.tables));
        args.extend([1 << log_height, width as u32].map(Arg::U32));
        let (lanes, group) = match self.rt.variant() {
            Variant::Vector => (LANE, 1),
            Variant::Scalar => (1, work_items(self.rt.info(), width)),
        };
        let items = width.div_ceil(lanes).next_multiple_of(group);
        let kernel = self.rt.kernel(&self.program, Step::Direct.kernel())?;
        self.rt.launch(
            &kernel,
            [items, 1 << log_out, 1],
            Some([group, 1, 1]),
            &args,
        )
    }
}
