//! Matrices to the device and back: whole, by rows, and cut anew.

use proptest::prelude::*;
use starkwright_hal::{Backend, DeviceMatrix, HalError, HalField};

use super::draw::{self, Fill};
use super::runner::{Check, Outcome, run};
use super::{Effort, same_elements, same_matrix};

/// A matrix, some of its rows, and another width for it.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) first: prop::sample::Index,
    pub(super) count: prop::sample::Index,
    pub(super) divisor: prop::sample::Index,
    pub(super) fill: Fill,
}

fn cases(effort: Effort) -> BoxedStrategy<Case> {
    let shape = draw::shape(effort, 0);
    let index = any::<prop::sample::Index>;
    // Buffers hold any number of rows; only transforms and trees need a power of two.
    (shape, -1..=1isize, index(), index(), index(), Fill::any())
        .prop_map(|((log, width), off, first, count, divisor, fill)| Case {
            height: (1usize << log).saturating_add_signed(off).max(1),
            width,
            first,
            count,
            divisor,
            fill,
        })
        .boxed()
}

fn drive(effort: Effort, check: Check<'_, Case>) -> Result<u64, String> {
    run("transfer", effort.cases(), &cases(effort), check)
}

pub(super) fn check<F: HalField, B: Backend<F>>(
    device: &B,
    case: &Case,
) -> Result<Outcome, String> {
    let matrix = case.fill.matrix::<F>(case.height, case.width);
    let failed = |op: &'static str| move |error: HalError| format!("{op}: {error}");
    let there = device.upload(matrix.clone()).map_err(failed("upload"))?;
    if (there.height(), there.width()) != (case.height, case.width) {
        return Err(format!(
            "upload: {} rows of {}",
            there.height(),
            there.width()
        ));
    }
    let back = device.download(&there).map_err(failed("download"))?;
    same_matrix(&back, &matrix).map_err(|why| format!("download: {why}"))?;

    let first = case.first.index(case.height);
    let count = case.count.index(case.height - first + 1);
    let rows = device
        .rows(&there, first..first + count)
        .map_err(failed("rows"))?;
    let wanted = &matrix.values[first * case.width..(first + count) * case.width];
    same_elements(rows.as_slice(), wanted, |i| {
        format!("row {}", first + i / case.width)
    })
    .map_err(|why| format!("rows {first}..{}: {why}", first + count))?;
    drop(rows);
    for wrong in [0..case.height + 1, case.height + 1..case.height + 2] {
        if device.rows(&there, wrong.clone()).is_ok() {
            return Err(format!("rows {wrong:?} of {} are given", case.height));
        }
    }

    let elements = case.height * case.width;
    let divisors: Vec<usize> = (1..=elements.min(1 << 12))
        .filter(|d| elements.is_multiple_of(*d))
        .collect();
    let width = divisors[case.divisor.index(divisors.len())];
    let cut = device.reshape(there, width).map_err(failed("reshape"))?;
    if (cut.height(), cut.width()) != (elements / width, width) {
        return Err(format!(
            "reshape to {width}: {} rows of {}",
            cut.height(),
            cut.width()
        ));
    }
    let back = device.download(&cut).map_err(failed("download"))?;
    same_elements(&back.values, &matrix.values, |i| format!("element {i}"))
        .map_err(|why| format!("reshape to {width}: {why}"))?;
    for wrong in [0, elements + 1] {
        let there = device.upload(matrix.clone()).map_err(failed("upload"))?;
        if device.reshape(there, wrong).is_ok() {
            return Err(format!("{elements} elements are cut into rows of {wrong}"));
        }
    }
    device.finish().map_err(failed("finish"))?;
    Ok(Outcome::Checked)
}

/// Uploads, downloads, rows and reshaping; and no byte stays alive once the matrices are gone.
///
/// # Errors
/// The smallest case that fails.
pub fn transfer<F: HalField, B: Backend<F>>(device: &B, effort: Effort) -> Result<u64, String> {
    let before = device.statistics().live_bytes;
    let checked = drive(effort, &|case| check::<F, B>(device, case))?;
    let after = device.statistics().live_bytes;
    if after != before {
        return Err(format!(
            "transfer: {after} bytes alive afterwards, {before} before"
        ));
    }
    Ok(checked)
}
