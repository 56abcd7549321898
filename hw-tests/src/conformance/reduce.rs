//! Reduced openings of the matrices of one height.

use proptest::collection::vec;
use proptest::prelude::*;
use starkwright_hal::{
    Backend, Cpu, Extension, FriOps, HalError, HalField, PointOpening, Reduction,
};

use super::draw::{self, Fill, Scalar};
use super::runner::{Check, Outcome, run};
use super::{Effort, same_matrix};

/// Matrices of one height, each with openings: a point's place in the list, a weight and a value.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) log_height: usize,
    pub(super) terms: Vec<(usize, Vec<Opening>)>,
    pub(super) points: Vec<u64>,
    pub(super) shift: Scalar,
    pub(super) alpha: Scalar,
    pub(super) fill: Fill,
}

pub(super) type Opening = (prop::sample::Index, Scalar, Scalar);

pub(super) fn openings() -> impl Strategy<Value = Vec<Opening>> {
    vec(
        (any::<prop::sample::Index>(), Scalar::any(), Scalar::any()),
        0..=3,
    )
}

fn cases(effort: Effort) -> BoxedStrategy<Case> {
    let shape = draw::shape(effort, 1);
    let more = vec((draw::width(effort.width() / 2), openings()), 0..=2);
    (
        shape,
        openings(),
        more,
        vec(any::<u64>(), 1..=3),
        Scalar::any(),
        Scalar::any(),
        Fill::any(),
    )
        .prop_map(
            move |((log_height, width), first, more, points, shift, alpha, fill)| {
                let most = (effort.elements() / 2) >> log_height;
                let more = more
                    .into_iter()
                    .map(|(width, openings)| (width.min(most).max(1), openings));
                let terms = std::iter::once((width, first)).chain(more).collect();
                Case {
                    log_height,
                    terms,
                    points,
                    shift,
                    alpha,
                    fill,
                }
            },
        )
        .boxed()
}

fn drive(effort: Effort, check: Check<'_, Case>) -> Result<u64, String> {
    run("reduce", effort.cases(), &cases(effort), check)
}

pub(super) fn check<F: HalField, E: Extension<F>, B: Backend<F>>(
    device: &B,
    case: &Case,
) -> Result<Outcome, String> {
    let failed = |error: HalError| format!("reduce: {error}");
    let shift: F = case.shift.unit();
    let alpha: E = case.alpha.extension();
    let known: Vec<E> = case
        .points
        .iter()
        .map(|&seed| draw::outside::<F, E>(seed))
        .collect();
    let matrices: Vec<_> = case
        .terms
        .iter()
        .map(|&(width, _)| case.fill.matrix::<F>(1 << case.log_height, width))
        .collect();
    let there = matrices.iter().map(|matrix| device.upload(matrix.clone()));
    let there = there.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let on_device: Vec<_> = (case.terms.iter().zip(&there))
        .map(|((_, openings), matrix)| {
            let openings = openings.iter().map(|(place, weight, value)| PointOpening {
                point: known[place.index(known.len())],
                weight: weight.extension(),
                value: value.extension(),
            });
            Reduction {
                matrix,
                openings: openings.collect(),
            }
        })
        .collect();
    let on_reference: Vec<_> = on_device
        .iter()
        .zip(&matrices)
        .map(|(term, matrix)| term.on(matrix))
        .collect();
    let got = device
        .reduce(case.log_height, shift, alpha, &on_device)
        .map_err(failed)?;
    let got = device.download(&got).map_err(failed)?;
    let wanted = Cpu::<F>::new()
        .reduce(case.log_height, shift, alpha, &on_reference)
        .map_err(failed)?;
    same_matrix(&got, &wanted).map_err(|why| format!("reduce: {why}"))?;
    Ok(Outcome::Checked)
}

/// Another height than was said, and a point in the domain, are refused.
fn refusals<F: HalField, E: Extension<F>, B: Backend<F>>(device: &B) -> Result<(), String> {
    let matrix = device
        .upload(Fill::Random(4).matrix(8, 3))
        .map_err(|error| error.to_string())?;
    let shift = F::GENERATOR;
    let reduce = |log_height: usize, point: E| {
        let openings = vec![PointOpening {
            point,
            weight: E::ONE,
            value: E::TWO,
        }];
        device.reduce(
            log_height,
            shift,
            E::TWO,
            &[Reduction {
                matrix: &matrix,
                openings,
            }],
        )
    };
    if reduce(4, draw::outside::<F, E>(1)).is_ok() {
        return Err("reduce: a matrix of another height is accepted".to_owned());
    }
    if reduce(3, E::from(shift * F::two_adic_generator(3))).is_ok() {
        return Err("reduce: a point of the domain is accepted".to_owned());
    }
    Ok(())
}

/// [`reduce`](FriOps::reduce) in both extensions against the reference's, weights of zero included.
///
/// # Errors
/// The smallest case that fails.
pub fn reduce<F: HalField, B: Backend<F>>(device: &B, effort: Effort) -> Result<u64, String> {
    refusals::<F, F::Quartic, B>(device)?;
    refusals::<F, F::Quintic, B>(device)?;
    let degree4 = drive(effort, &|case| check::<F, F::Quartic, B>(device, case))?;
    let degree5 = drive(effort, &|case| check::<F, F::Quintic, B>(device, case))?;
    Ok(degree4 + degree5)
}
