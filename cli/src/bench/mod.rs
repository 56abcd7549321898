//! `starkwright bench`: devices against Plonky3 on the CPU, in one run.
//!
//! Every measurement runs the reference and the device in turn, on the same input, and reports medians: of the
//! throughput, and of the ratio of p3's process CPU time (and wall time) over ours. p3 is given huge pages
//! (`GLIBC_TUNABLES=glibc.malloc.hugetlb=1`), for which the command starts itself anew; it runs with feature
//! `parallel` and whatever vector unit the binary was compiled for. Ratios are refused where the binary leaves a vector
//! unit of this machine unused.

mod permute;
mod proof;
mod row;
mod shapes;
mod timing;

use std::path::Path;
use std::process::Command;

use p3_baby_bear::BabyBear;
use starkwright_aggregator::node_file::write_whole;
use starkwright_hal::{Backend, HalError, Selector};
use starkwright_kernels::OpenCl;
use starkwright_prover::ProverError;
use starkwright_prover::keccak_file::Val;

use crate::args::BenchArgs;
use crate::config;
use crate::cpu_features;
use crate::device::{self, OPENCL, OnDevice, with_device};
use crate::exit::{DONE, Failure};
use row::Row;

/// Huge pages for the reference's allocations: without them the ratios would flatter us.
const TUNABLES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");

pub(crate) fn run(args: &BenchArgs) -> Result<u8, Failure> {
    if cfg!(target_env = "gnu") && std::env::var_os(TUNABLES.0).is_none() {
        return again();
    }
    let unused = cpu_features::unused();
    if !unused.is_empty() {
        return Err(Failure::usage(format!(
            "this machine has {}, which this binary was not compiled for: p3 would look slower than it is; \
             build with `cargo build --release` in the repository",
            unused.join(" and ")
        )));
    }
    if cfg!(debug_assertions) {
        return Err(Failure::usage(
            "a build with debug assertions measures nothing; build with --release",
        ));
    }
    let selectors = if args.backend.is_empty() {
        every_device()
    } else {
        args.backend.clone()
    };
    if selectors.is_empty() {
        return Err(Failure::usage(
            "no device to measure: no OpenCL runtime is installed (see docs/devices.md)",
        ));
    }
    say!(
        "features compiled in: {}",
        cpu_features::compiled().join(" ")
    );
    row::header();
    let mut rows = Vec::new();
    let mut first_failure = None;
    for selector in &selectors {
        let config = config::device(&args.config, Some(selector))?;
        let mut failed = with_device(
            &config,
            Measure {
                quick: args.quick,
                rows: &mut rows,
            },
        )
        .map_err(Failure::from)
        .and_then(|measured| measured.map_err(Failure::from));
        if let (Ok(()), Selector::Direct(_), Some(device)) =
            (&failed, &config.backend, device::open(&config)?)
        {
            failed = only_opencl(&device, args.quick, &mut rows);
        }
        if let Some(path) = &args.json {
            // After each device, so that an interrupted run keeps what it has.
            write(path, &rows)?;
        }
        // A device that fails costs its own rows, and the others are measured all the same.
        if let Err(failure) = failed {
            eprintln!("{selector}: {}", failure.message);
            first_failure.get_or_insert(failure);
        }
    }
    first_failure.map_or(Ok(DONE), Err)
}

/// What hal's traits do not offer: bare permutations, and the kernels over the other field.
fn only_opencl(device: &OpenCl, quick: bool, rows: &mut Vec<Row>) -> Result<(), Failure> {
    for row in permute::measure(device, quick)? {
        row.print();
        rows.push(row);
    }
    for shape in shapes::of_other_field(quick) {
        let row = shapes::measure::<BabyBear, _>(device, &shape, quick)?;
        row.print();
        rows.push(row);
    }
    Ok(())
}

/// The same command with huge pages for the allocator.
fn again() -> Result<u8, Failure> {
    let failed =
        |error: std::io::Error| Failure::usage(format!("cannot start the measurement: {error}"));
    let program = std::env::current_exe().map_err(failed)?;
    let status = Command::new(program)
        .args(std::env::args_os().skip(1))
        .env(TUNABLES.0, TUNABLES.1)
        .status()
        .map_err(failed)?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(crate::exit::DEVICE))
}

fn every_device() -> Vec<String> {
    OpenCl::list()
        .map(|found| {
            found
                .iter()
                .map(|info| format!("{OPENCL}:{}", info.index))
                .collect()
        })
        .unwrap_or_default()
}

fn write(path: &Path, rows: &[Row]) -> Result<(), Failure> {
    let failed = |why: String| Failure::usage(format!("cannot write {}: {why}", path.display()));
    let text = serde_json::to_string_pretty(rows).map_err(|error| failed(error.to_string()))?;
    Ok(write_whole(path, text.as_bytes())?)
}

struct Measure<'a> {
    quick: bool,
    rows: &'a mut Vec<Row>,
}

impl OnDevice for Measure<'_> {
    type Output = Result<(), ProverError>;

    fn run<B: Backend<Val>>(self, device: &B) -> Self::Output {
        let mut report = |row: Row| {
            row.print();
            self.rows.push(row);
        };
        let unsupported = |result: Result<Row, HalError>| match result {
            // A shape that the device does not hold is no measurement, and no failure.
            Err(HalError::Unsupported { .. } | HalError::OutOfMemory { .. }) => Ok(None),
            other => other.map(Some),
        };
        for shape in shapes::kernels(self.quick) {
            if let Some(row) = unsupported(shapes::measure::<Val, B>(device, &shape, self.quick))? {
                report(row);
            }
        }
        for blocks in shapes::proofs(self.quick) {
            match proof::measure(device, blocks, self.quick) {
                // A segment that the device does not hold is no measurement, and no failure.
                Err(ProverError::Hal(
                    HalError::Unsupported { .. } | HalError::OutOfMemory { .. },
                )) => {}
                measured => report(measured?),
            }
        }
        Ok(())
    }
}
