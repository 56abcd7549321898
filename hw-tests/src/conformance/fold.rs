//! One round of FRI folding.

use proptest::prelude::*;
use starkwright_hal::{Backend, Cpu, Extension, FriOps, HalError, HalField};

use super::draw::{self, Fill, Scalar};
use super::runner::{Check, Outcome, run};
use super::{Effort, same_matrix};

/// A codeword in rows of `2^log_arity` elements, a challenge, and perhaps a vector that joins.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) log_rows: usize,
    pub(super) log_arity: usize,
    pub(super) beta: Scalar,
    pub(super) roll_in: Option<Fill>,
    pub(super) fill: Fill,
}

fn cases(effort: Effort) -> BoxedStrategy<Case> {
    let rows = draw::log_height(effort.log_height());
    (
        rows,
        1..=4usize,
        Scalar::any(),
        prop::option::of(Fill::any()),
        Fill::any(),
    )
        .prop_map(|(log_rows, log_arity, beta, roll_in, fill)| Case {
            log_rows,
            log_arity,
            beta,
            roll_in,
            fill,
        })
        .boxed()
}

fn drive(effort: Effort, check: Check<'_, Case>) -> Result<u64, String> {
    run("fold", effort.cases(), &cases(effort), check)
}

pub(super) fn check<F: HalField, E: Extension<F>, B: Backend<F>>(
    device: &B,
    case: &Case,
) -> Result<Outcome, String> {
    let failed = |error: HalError| format!("fold: {error}");
    let degree = draw::degree::<F, E>();
    let rows = 1 << case.log_rows;
    let leaves = case.fill.matrix::<F>(rows, degree << case.log_arity);
    let roll_in = case.roll_in.map(|fill| fill.matrix::<F>(rows, degree));
    let beta: E = case.beta.extension();
    let there = device.upload(leaves.clone()).map_err(failed)?;
    let joins = roll_in
        .clone()
        .map(|matrix| device.upload(matrix))
        .transpose()
        .map_err(failed)?;
    let got = device
        .fold(&there, beta, case.log_arity, joins.as_ref())
        .map_err(failed)?;
    let got = device.download(&got).map_err(failed)?;
    let wanted = Cpu::<F>::new()
        .fold(&leaves, beta, case.log_arity, roll_in.as_ref())
        .map_err(failed)?;
    same_matrix(&got, &wanted).map_err(|why| format!("fold: {why}"))?;
    Ok(Outcome::Checked)
}

/// Rows of another width, an arity of 1, and a vector of another height or width are refused.
fn refusals<F: HalField, E: Extension<F>, B: Backend<F>>(device: &B) -> Result<(), String> {
    let degree = draw::degree::<F, E>();
    let upload = |height, width| {
        device
            .upload(Fill::Random(5).matrix(height, width))
            .map_err(|error| error.to_string())
    };
    let leaves = upload(8, 2 * degree)?;
    let (short, narrow) = (upload(4, degree)?, upload(8, degree - 1)?);
    for (log_arity, roll_in, what) in [
        (0, None, "an arity of 1"),
        (2, None, "rows of another width"),
        (1, Some(&short), "a vector of another height"),
        (1, Some(&narrow), "a vector of another width"),
    ] {
        if device.fold(&leaves, E::TWO, log_arity, roll_in).is_ok() {
            return Err(format!("fold: {what} is accepted"));
        }
    }
    Ok(())
}

/// [`fold`](FriOps::fold) by 2, 4, 8 and 16 in both extensions against the reference's, with and without a roll-in.
///
/// # Errors
/// The smallest case that fails.
pub fn fold<F: HalField, B: Backend<F>>(device: &B, effort: Effort) -> Result<u64, String> {
    refusals::<F, F::Quartic, B>(device)?;
    refusals::<F, F::Quintic, B>(device)?;
    let degree4 = drive(effort, &|case| check::<F, F::Quartic, B>(device, case))?;
    let degree5 = drive(effort, &|case| check::<F, F::Quintic, B>(device, case))?;
    Ok(degree4 + degree5)
}
