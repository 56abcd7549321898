//! Evaluation of columns at points outside their domain.

use proptest::collection::vec;
use proptest::prelude::*;
use starkwright_hal::{Backend, Cpu, Evaluation, Extension, FriOps, HalError, HalField};

use super::Effort;
use super::compare::same_extension;
use super::draw::{self, Fill, Scalar};
use super::runner::{Check, Outcome, run};

/// Matrices, each with a blow-up and points from a common list.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) requests: Vec<Request>,
    pub(super) points: Vec<u64>,
    pub(super) shift: Scalar,
    pub(super) fill: Fill,
}

/// One matrix of `2^(log_height)` rows; the points by their place in the list, so that matrices share some.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) log_height: usize,
    pub(super) width: usize,
    pub(super) log_blowup: usize,
    pub(super) points: Vec<prop::sample::Index>,
}

fn cases(effort: Effort) -> BoxedStrategy<Case> {
    let points = vec(any::<prop::sample::Index>(), 0..=3);
    let request = (draw::shape(effort, 1), 0..=3usize, points).prop_map(
        |((log_height, width), log_blowup, points)| Request {
            log_height,
            width,
            log_blowup: log_blowup.min(log_height),
            points,
        },
    );
    (
        vec(request, 1..=3),
        vec(any::<u64>(), 1..=3),
        Scalar::any(),
        Fill::any(),
    )
        .prop_map(|(requests, points, shift, fill)| Case {
            requests,
            points,
            shift,
            fill,
        })
        .boxed()
}

fn drive(effort: Effort, check: Check<'_, Case>) -> Result<u64, String> {
    run("evaluate", effort.cases(), &cases(effort), check)
}

pub(super) fn check<F: HalField, E: Extension<F>, B: Backend<F>>(
    device: &B,
    case: &Case,
) -> Result<Outcome, String> {
    let failed = |error: HalError| format!("evaluate: {error}");
    let shift: F = case.shift.unit();
    let known: Vec<E> = case
        .points
        .iter()
        .map(|&seed| draw::outside::<F, E>(seed))
        .collect();
    let points = case.requests.iter().map(|request| {
        let places = request
            .points
            .iter()
            .map(|place| known[place.index(known.len())]);
        places.collect::<Vec<E>>()
    });
    let points: Vec<_> = points.collect();
    let matrices: Vec<_> = case
        .requests
        .iter()
        .map(|request| {
            case.fill
                .matrix::<F>(1 << request.log_height, request.width)
        })
        .collect();
    let there = matrices.iter().map(|matrix| device.upload(matrix.clone()));
    let there = there.collect::<Result<Vec<_>, _>>().map_err(failed)?;

    let on_device: Vec<_> = (case.requests.iter().zip(&points).zip(&there))
        .map(|((request, points), matrix)| Evaluation {
            matrix,
            log_blowup: request.log_blowup,
            points: points.as_slice(),
        })
        .collect();
    let on_reference: Vec<_> = on_device
        .iter()
        .zip(&matrices)
        .map(|(request, matrix)| request.on(matrix))
        .collect();
    let got = device.evaluate(shift, &on_device).map_err(failed)?;
    let wanted = Cpu::<F>::new()
        .evaluate(shift, &on_reference)
        .map_err(failed)?;
    if got.iter().map(Vec::len).ne(wanted.iter().map(Vec::len)) {
        return Err("evaluate: another number of matrices or points".to_owned());
    }
    for (matrix, (got, wanted)) in got.iter().zip(&wanted).enumerate() {
        for (point, (got, wanted)) in got.iter().zip(wanted).enumerate() {
            same_extension::<F, E>(got, wanted, |column| {
                format!("evaluate: matrix {matrix}, point {point}, column {column}")
            })?;
        }
    }
    Ok(Outcome::Checked)
}

/// Points in the domain, zero, and a matrix shorter than its blow-up are refused.
fn refusals<F: HalField, E: Extension<F>, B: Backend<F>>(device: &B) -> Result<(), String> {
    let matrix = device
        .upload(Fill::Random(3).matrix(8, 3))
        .map_err(|error| error.to_string())?;
    let shift = F::GENERATOR;
    let inside = E::from(shift * F::two_adic_generator(2).square());
    let outside = draw::outside::<F, E>(1);
    for (point, log_blowup, what) in [
        (E::ZERO, 1, "the point zero"),
        (inside, 1, "a point of the domain"),
        (outside, 4, "a blow-up beyond the height"),
    ] {
        let points = [outside, point];
        let request = Evaluation {
            matrix: &matrix,
            log_blowup,
            points: &points,
        };
        if device.evaluate(shift, &[request]).is_ok() {
            return Err(format!("evaluate: {what} is accepted"));
        }
    }
    Ok(())
}

/// [`evaluate`](FriOps::evaluate) in both extensions against the reference's, several matrices with shared points.
///
/// # Errors
/// The smallest case that fails.
pub fn evaluate<F: HalField, B: Backend<F>>(device: &B, effort: Effort) -> Result<u64, String> {
    refusals::<F, F::Quartic, B>(device)?;
    refusals::<F, F::Quintic, B>(device)?;
    let degree4 = drive(effort, &|case| check::<F, F::Quartic, B>(device, case))?;
    let degree5 = drive(effort, &|case| check::<F, F::Quintic, B>(device, case))?;
    Ok(degree4 + degree5)
}
