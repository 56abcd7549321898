//! Transforms of columns: plain, inverse, and extended to a larger coset.

use proptest::prelude::*;
use starkwright_hal::{Backend, Cpu, HalError, HalField, LdeOps, Operation, Placement};

use super::draw::{self, Fill, Scalar};
use super::runner::{Check, Outcome, run};
use super::{Effort, same_matrix};

/// A matrix to transform both ways.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    pub(super) log_height: usize,
    pub(super) width: usize,
    pub(super) fill: Fill,
}

pub(super) fn check_plain<F: HalField, B: Backend<F>>(
    device: &B,
    case: &Plain,
) -> Result<Outcome, String> {
    let (height, width) = (1 << case.log_height, case.width);
    let matrix = case.fill.matrix::<F>(height, width);
    let reference = Cpu::<F>::new();
    let mut outcome = Outcome::NotOffered;
    for operation in [
        Operation::Dft { height, width },
        Operation::Idft { height, width },
    ] {
        if device.supports(operation).is_err() {
            continue;
        }
        outcome = Outcome::Checked;
        let name = operation.name();
        let failed = |error: HalError| format!("{name}: {error}");
        let there = device.upload(matrix.clone()).map_err(failed)?;
        let forward = matches!(operation, Operation::Dft { .. });
        let (got, wanted) = if forward {
            (device.dft(there), reference.dft(matrix.clone()))
        } else {
            (device.idft(there), reference.idft(matrix.clone()))
        };
        let got = device.download(&got.map_err(failed)?).map_err(failed)?;
        same_matrix(&got, &wanted.map_err(failed)?).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(outcome)
}

fn drive_plain(effort: Effort, check: Check<'_, Plain>) -> Result<u64, String> {
    let cases =
        (draw::shape(effort, 0), Fill::any()).prop_map(|((log_height, width), fill)| Plain {
            log_height,
            width,
            fill,
        });
    run("ntt", effort.cases(), &cases.boxed(), check)
}

/// [`dft`](LdeOps::dft) and [`idft`](LdeOps::idft) against the reference's; heights that are no power of two are refused.
///
/// # Errors
/// The smallest case that fails.
pub fn ntt<F: HalField, B: Backend<F>>(device: &B, effort: Effort) -> Result<u64, String> {
    let checked = drive_plain(effort, &|case| check_plain::<F, B>(device, case))?;
    for height in [3, 12] {
        let upload = || device.upload(Fill::Random(1).matrix(height, 2));
        let refused = [
            upload().and_then(|m| device.dft(m)),
            upload().and_then(|m| device.idft(m)),
        ];
        if refused.iter().any(Result::is_ok) {
            return Err(format!("ntt: {height} rows are transformed"));
        }
    }
    Ok(checked)
}

/// A matrix to extend.
#[derive(Clone, Debug)]
pub(super) struct Extended {
    pub(super) log_height: usize,
    pub(super) width: usize,
    pub(super) added_bits: usize,
    pub(super) shift: Scalar,
    pub(super) fill: Fill,
}

pub(super) fn check_extended<F: HalField, B: Backend<F>>(
    device: &B,
    case: &Extended,
) -> Result<Outcome, String> {
    let (height, width, added_bits) = (1 << case.log_height, case.width, case.added_bits);
    if device
        .supports(Operation::CosetLde {
            height,
            width,
            added_bits,
        })
        .is_err()
    {
        return Ok(Outcome::NotOffered);
    }
    let failed = |error: HalError| format!("coset_lde: {error}");
    let matrix = case.fill.matrix::<F>(height, width);
    let shift = case.shift.unit();
    let there = device.upload(matrix.clone()).map_err(failed)?;
    let ways = [
        device.coset_lde(there, added_bits, shift),
        device.extend(matrix.clone(), Placement::Any, added_bits, shift),
    ];
    let wanted = Cpu::<F>::new()
        .coset_lde(matrix, added_bits, shift)
        .map_err(failed)?;
    for (name, got) in ["coset_lde", "extend"].into_iter().zip(ways) {
        let got = device.download(&got.map_err(failed)?).map_err(failed)?;
        same_matrix(&got, &wanted).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(Outcome::Checked)
}

fn drive_extended(effort: Effort, check: Check<'_, Extended>) -> Result<u64, String> {
    let most = effort.log_height().min(8);
    let added = prop_oneof![1 => Just(0), 5 => 1..=3.min(most), 2 => 1..=most];
    let cases = added.prop_flat_map(move |added_bits| {
        (draw::shape(effort, added_bits), Scalar::any(), Fill::any()).prop_map(
            move |((log_height, width), shift, fill)| Extended {
                log_height,
                width,
                added_bits,
                shift,
                fill,
            },
        )
    });
    run("lde", effort.cases(), &cases.boxed(), check)
}

/// The tallest shapes, one column each: log2 of the rows, and of the blow-up.
const TALL: [(usize, usize); 2] = [(22, 1), (14, 8)];

/// Extensions of one column to 2^23 and 2^22 rows.
fn tall<F: HalField, B: Backend<F>>(device: &B) -> Result<u64, String> {
    let mut checked = 0;
    for (log_height, added_bits) in TALL {
        let case = Extended {
            log_height,
            width: 1,
            added_bits,
            shift: Scalar::Random(11),
            fill: Fill::Random(12),
        };
        let outcome = check_extended::<F, B>(device, &case);
        let outcome = outcome.map_err(|why| format!("lde: {why}\n  case: {case:?}"))?;
        checked += u64::from(outcome == Outcome::Checked);
    }
    Ok(checked)
}

/// [`coset_lde`](LdeOps::coset_lde) and [`extend`](LdeOps::extend) against the reference's, blow-ups of 2^1 to 2^8 (and
/// none), heights to 2^22 where the effort allows; a shift of zero, heights that are no power of two and heights beyond the
/// field's subgroups are refused.
///
/// # Errors
/// The smallest case that fails.
pub fn lde<F: HalField, B: Backend<F>>(device: &B, effort: Effort) -> Result<u64, String> {
    let mut checked = drive_extended(effort, &|case| check_extended::<F, B>(device, case))?;
    if effort >= Effort::Normal {
        checked += tall::<F, B>(device)?;
    }
    let extend = |height: usize, added_bits, shift| {
        device
            .upload(Fill::Random(1).matrix(height, 2))
            .and_then(|matrix| device.coset_lde(matrix, added_bits, shift))
    };
    let host = |height: usize, added_bits, shift| {
        let matrix = Fill::Random(1).matrix(height, 2);
        device.extend(matrix, Placement::Any, added_bits, shift)
    };
    let refused = [
        (extend(8, 1, F::ZERO), "a shift of zero"),
        (host(16, 1, F::ZERO), "a shift of zero from the host"),
        (host(24, 1, F::GENERATOR), "24 rows from the host"),
        (
            host(16, usize::MAX, F::GENERATOR),
            "a blow-up beyond any number from the host",
        ),
        (extend(6, 1, F::GENERATOR), "6 rows"),
        (
            extend(2, F::TWO_ADICITY, F::GENERATOR),
            "a blow-up beyond the field's subgroups",
        ),
        (
            extend(2, usize::MAX, F::GENERATOR),
            "a blow-up beyond any number",
        ),
    ];
    match refused.iter().find(|(result, _)| result.is_ok()) {
        Some((_, what)) => Err(format!("lde: {what} is accepted")),
        None => Ok(checked),
    }
}
