//! Matrices that no single allocation holds.
//!
//! A device opened with a small largest allocation behaves as one whose matrices exceed it (PoCL's is 2 GiB): every
//! operation must give the same words when its input or its output is spread over several.

use proptest::collection::vec;
use proptest::prelude::*;
use starkwright_hal::{Backend, HalField, Keccak256Merkle, Poseidon2Merkle, Poseidon2WideMerkle};

use super::draw::{self, Fill, Scalar};
use super::runner::{Check, Outcome, run};
use super::{Effort, evaluate, fold, merkle, reduce, transfer, transform};

/// The largest allocation that [`small_alloc`] accepts a device with.
pub const SMALL_ALLOC_BYTES: u64 = 64 << 10;

/// Most elements of a matrix: many times the largest allocation.
const ELEMENTS: usize = 1 << 16;

#[derive(Clone, Debug)]
enum Case {
    Transfer(transfer::Case),
    Plain(transform::Plain),
    Extended(transform::Extended),
    Tree(usize, merkle::Case),
    Evaluate(evaluate::Case),
    Reduce(reduce::Case),
    Fold(fold::Case),
}

/// Shapes of more than one allocation of `words` words, and up to about `ELEMENTS`.
fn spread(words: usize) -> impl Strategy<Value = (usize, usize)> {
    (draw::width((words / 64).clamp(1, 80)), 0..=3usize).prop_map(move |(width, more)| {
        let rows = (words / width + 1).next_power_of_two();
        let log = rows.ilog2() as usize + more;
        let most = (ELEMENTS / width).max(rows).ilog2() as usize;
        (log.min(most), width)
    })
}

fn cases(words: usize) -> BoxedStrategy<Case> {
    let index = any::<prop::sample::Index>;
    let places = move |most| vec(index(), 1..=most);
    let seeds = || vec(any::<u64>(), 1..=2);
    let transfer = (spread(words), index(), index(), index(), Fill::any()).prop_map(
        |((log, width), first, count, divisor, fill)| {
            let height = 1 << log;
            Case::Transfer(transfer::Case {
                height,
                width,
                first,
                count,
                divisor,
                fill,
            })
        },
    );
    let plain = (spread(words), Fill::any()).prop_map(|((log_height, width), fill)| {
        Case::Plain(transform::Plain {
            log_height,
            width,
            fill,
        })
    });
    // A small matrix may become one that is spread.
    let extended = (
        spread(words),
        1..=3usize,
        any::<bool>(),
        Scalar::any(),
        Fill::any(),
    )
        .prop_map(|((log, width), added_bits, grows, shift, fill)| {
            let log_height = if grows {
                log.saturating_sub(added_bits)
            } else {
                log
            };
            Case::Extended(transform::Extended {
                log_height,
                width,
                added_bits,
                shift,
                fill,
            })
        });
    let shorter = (0..=6usize, draw::width(40));
    let tree = (
        0..3usize,
        spread(words),
        vec(shorter, 0..=2),
        0..=3usize,
        Fill::any(),
        places(9),
    )
        .prop_map(|(scheme, first, mut shapes, cap_height, fill, indices)| {
            shapes.push(first);
            let case = merkle::Case {
                shapes,
                cap_height,
                fill,
                indices,
            };
            Case::Tree(scheme, case.with_cap_that_binds())
        });
    let evaluate = (
        spread(words),
        0..=2usize,
        places(3),
        seeds(),
        Scalar::any(),
        Fill::any(),
    )
        .prop_map(
            |((log_height, width), log_blowup, points, seeds, shift, fill)| {
                let request = evaluate::Request {
                    log_height,
                    width,
                    log_blowup,
                    points,
                };
                Case::Evaluate(evaluate::Case {
                    requests: vec![request],
                    points: seeds,
                    shift,
                    fill,
                })
            },
        );
    let reduce = (
        spread(words),
        reduce::openings(),
        seeds(),
        Scalar::any(),
        Fill::any(),
    )
        .prop_map(|((log_height, width), openings, points, alpha, fill)| {
            let terms = vec![(width, openings), (3, vec![])];
            let shift = Scalar::Edge(1);
            Case::Reduce(reduce::Case {
                log_height,
                terms,
                points,
                shift,
                alpha,
                fill,
            })
        });
    let log_leaves = (words.ilog2() as usize).saturating_sub(2);
    let fold = (
        1..=4usize,
        0..=2usize,
        Scalar::any(),
        prop::option::of(Fill::any()),
        Fill::any(),
    )
        .prop_map(move |(log_arity, more, beta, roll_in, fill)| {
            let log_rows = (log_leaves + more).saturating_sub(log_arity);
            Case::Fold(fold::Case {
                log_rows,
                log_arity,
                beta,
                roll_in,
                fill,
            })
        });
    prop_oneof![
        1 => transfer,
        1 => plain,
        2 => extended,
        3 => tree,
        1 => evaluate,
        1 => reduce,
        1 => fold,
    ]
    .boxed()
}

fn drive(words: usize, effort: Effort, check: Check<'_, Case>) -> Result<u64, String> {
    run("small-alloc", 2 * effort.cases(), &cases(words), check)
}

/// Every family of operations on matrices that are spread over several allocations.
///
/// # Errors
/// A device whose largest allocation exceeds [`SMALL_ALLOC_BYTES`], or the smallest case that fails.
pub fn small_alloc<F: HalField, B: Backend<F>>(device: &B, effort: Effort) -> Result<u64, String> {
    let most = device.caps().max_alloc;
    if most > SMALL_ALLOC_BYTES {
        return Err(format!(
            "small-alloc: open the device with a largest allocation of {SMALL_ALLOC_BYTES} bytes, not {most}"
        ));
    }
    drive((most / 4) as usize, effort, &|case| match case {
        Case::Transfer(case) => transfer::check::<F, B>(device, case),
        Case::Plain(case) => transform::check_plain::<F, B>(device, case),
        Case::Extended(case) => transform::check_extended::<F, B>(device, case),
        Case::Tree(0, case) => merkle::check::<F, Poseidon2Merkle, B>(device, case, true),
        Case::Tree(1, case) => merkle::check::<F, Poseidon2WideMerkle, B>(device, case, true),
        Case::Tree(_, case) => merkle::check::<F, Keccak256Merkle, B>(device, case, true),
        Case::Evaluate(case) => both(evaluate::check::<F, F::Quartic, B>(device, case), || {
            evaluate::check::<F, F::Quintic, B>(device, case)
        }),
        Case::Reduce(case) => both(reduce::check::<F, F::Quartic, B>(device, case), || {
            reduce::check::<F, F::Quintic, B>(device, case)
        }),
        Case::Fold(case) => both(fold::check::<F, F::Quartic, B>(device, case), || {
            fold::check::<F, F::Quintic, B>(device, case)
        }),
    })
}

/// The quartic's outcome, then the quintic's.
fn both(
    first: Result<Outcome, String>,
    second: impl FnOnce() -> Result<Outcome, String>,
) -> Result<Outcome, String> {
    first.map_err(|why| format!("degree 4: {why}"))?;
    second().map_err(|why| format!("degree 5: {why}"))
}
