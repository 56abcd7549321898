//! Merkle trees over matrices of mixed heights, their caps and their openings.

use p3_commit::Mmcs;
use p3_matrix::Dimensions;
use proptest::collection::vec;
use proptest::prelude::*;
use starkwright_hal::{
    Backend, Commitment, Cpu, HalError, HalField, Keccak256Merkle, MerkleOps, MerkleScheme,
    Operation, Poseidon2Merkle, Poseidon2WideMerkle,
};

use super::compare::same_digests;
use super::draw::{self, Fill};
use super::runner::{Check, Outcome, run};
use super::{Effort, same_elements, same_matrix};

/// Matrices to commit to, and the rows to open.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// Log2 of the height, and the width, of each matrix.
    pub(super) shapes: Vec<(usize, usize)>,
    pub(super) cap_height: usize,
    pub(super) fill: Fill,
    pub(super) indices: Vec<prop::sample::Index>,
}

fn cases(effort: Effort) -> BoxedStrategy<Case> {
    // Hashing a row of any width costs more than an element of a transform: half as many rows, a quarter of the columns.
    let shape = draw::shape(effort, 1).prop_map(|(log, width)| (log, width.div_ceil(4)));
    let index = any::<prop::sample::Index>();
    (
        vec(shape, 1..=4),
        0..=4usize,
        Fill::any(),
        vec(index, 1..=9),
    )
        .prop_map(|(mut shapes, cap_height, fill, indices)| {
            // Equal heights as often as not: p3 hashes such rows as one.
            if let [(first, _), (second, _), ..] = shapes.as_mut_slice()
                && cap_height % 2 == 0
            {
                *second = *first;
            }
            Case {
                shapes,
                cap_height,
                fill,
                indices,
            }
            .with_cap_that_binds()
        })
        .boxed()
}

fn drive(
    suite: &str,
    cases_wanted: u32,
    effort: Effort,
    check: Check<'_, Case>,
) -> Result<u64, String> {
    run(suite, cases_wanted, &cases(effort), check)
}

impl Case {
    /// Lowers the cap to the shortest matrix, where there is a taller one: a cap above it is refused
    /// ([`check_commit`](starkwright_hal::check_commit)).
    pub(super) fn with_cap_that_binds(mut self) -> Self {
        let logs = || self.shapes.iter().map(|&(log, _)| log);
        let (shortest, tallest) = (logs().min().unwrap_or(0), logs().max().unwrap_or(0));
        if shortest < tallest {
            self.cap_height = self.cap_height.min(shortest);
        }
        self
    }
}

/// Commits on the device and on the reference and compares the caps; with `openings`, opens rows as well.
pub(super) fn check<F: HalField, S: MerkleScheme<F>, B: Backend<F>>(
    device: &B,
    case: &Case,
    openings: bool,
) -> Result<Outcome, String> {
    let height = case
        .shapes
        .iter()
        .map(|(log, _)| 1 << log)
        .max()
        .unwrap_or(1);
    let elements = case.shapes.iter().map(|(log, width)| width << log).sum();
    if device
        .supports(Operation::Commit {
            hash: S::HASH,
            height,
            elements,
        })
        .is_err()
    {
        return Ok(Outcome::NotOffered);
    }
    let failed = |op: &'static str| move |error: HalError| format!("{op}: {error}");
    let matrices: Vec<_> = case
        .shapes
        .iter()
        .map(|&(log, width)| case.fill.matrix::<F>(1 << log, width))
        .collect();
    let there = matrices.iter().map(|matrix| device.upload(matrix.clone()));
    let there = there
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed("upload"))?;
    let (got, committed) = device
        .commit::<S>(there, case.cap_height)
        .map_err(failed("commit"))?;
    let reference = Cpu::<F>::new();
    let (wanted, reference_committed) = reference
        .commit::<S>(matrices.clone(), case.cap_height)
        .map_err(failed("commit"))?;
    same_digests::<F>(S::HASH, &S::cap_words(&got), &S::cap_words(&wanted))
        .map_err(|why| format!("cap: {why}"))?;

    let kept = device.matrices::<S>(&committed);
    if kept.len() != matrices.len() {
        return Err(format!(
            "{} matrices kept of {}",
            kept.len(),
            matrices.len()
        ));
    }
    for (index, (kept, matrix)) in kept.iter().zip(&matrices).enumerate() {
        let back = device.download(kept).map_err(failed("download"))?;
        same_matrix(&back, matrix).map_err(|why| format!("kept matrix {index}: {why}"))?;
    }
    if !openings {
        return Ok(Outcome::Checked);
    }

    let indices: Vec<usize> = case
        .indices
        .iter()
        .map(|index| index.index(height))
        .collect();
    let (values, proof) = device
        .open::<S>(&committed, &indices)
        .map_err(failed("open"))?;
    let (wanted_values, wanted_proof) = reference
        .open::<S>(&reference_committed, &indices)
        .map_err(failed("open"))?;
    same_rows(&values, &wanted_values)?;
    same_digests::<F>(
        S::HASH,
        &S::sibling_words(&proof),
        &S::sibling_words(&wanted_proof),
    )
    .map_err(|why| format!("path: {why}"))?;
    verify::<F, S>(case, &got, &indices, &values, &proof)?;
    if device.open::<S>(&committed, &[0, height]).is_ok() {
        return Err(format!("row {height} of {height} is opened"));
    }
    // A failed opening spoils nothing.
    let (again, _) = device
        .open::<S>(&committed, &indices)
        .map_err(failed("open"))?;
    same_rows(&again, &wanted_values)?;
    Ok(Outcome::Checked)
}

/// `values[query][matrix]` against the reference's.
fn same_rows<F: HalField>(got: &[Vec<Vec<F>>], wanted: &[Vec<Vec<F>>]) -> Result<(), String> {
    if got.iter().map(Vec::len).ne(wanted.iter().map(Vec::len)) {
        return Err("open: another number of queries or matrices".to_owned());
    }
    for (query, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        for (matrix, (got, wanted)) in got.iter().zip(wanted).enumerate() {
            same_elements(got, wanted, |column| {
                format!("open: query {query}, matrix {matrix}, column {column}")
            })?;
        }
    }
    Ok(())
}

/// What p3's verifier says of the device's opening.
fn verify<F: HalField, S: MerkleScheme<F>>(
    case: &Case,
    commitment: &Commitment<F, S>,
    indices: &[usize],
    values: &[Vec<Vec<F>>],
    proof: &starkwright_hal::MultiProof<F, S>,
) -> Result<(), String> {
    let dimensions: Vec<Dimensions> = case
        .shapes
        .iter()
        .map(|&(log, width)| Dimensions {
            width,
            height: 1 << log,
        })
        .collect();
    S::mmcs(case.cap_height)
        .verify_multi_batch(commitment, &dimensions, indices, values, proof)
        .map_err(|error| format!("p3 rejects the opening: {error:?}"))
}

/// What every scheme refuses.
fn refusals<F: HalField, S: MerkleScheme<F>, B: Backend<F>>(device: &B) -> Result<(), String> {
    if device.commit::<S>(vec![], 0).is_ok() {
        return Err("a commitment to nothing".to_owned());
    }
    let odd = device
        .upload(Fill::Random(2).matrix(6, 3))
        .map_err(|error| error.to_string())?;
    if device.commit::<S>(vec![odd], 0).is_ok() {
        return Err("a commitment to 6 rows".to_owned());
    }
    let mixed = [8, 2].map(|height| device.upload(Fill::Random(2).matrix(height, 3)));
    let mixed = mixed
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    if device.commit::<S>(mixed, 2).is_ok() {
        return Err("a commitment whose cap cuts off a matrix".to_owned());
    }
    Ok(())
}

fn scheme<F: HalField, S: MerkleScheme<F>, B: Backend<F>>(
    suite: &str,
    device: &B,
    effort: Effort,
) -> Result<u64, String> {
    refusals::<F, S, B>(device).map_err(|why| format!("{suite}: {why}"))?;
    drive(suite, effort.cases(), effort, &|case| {
        check::<F, S, B>(device, case, false)
    })
}

/// Commitments under [`Poseidon2Merkle`] against the reference's.
///
/// # Errors
/// The smallest case that fails.
pub fn merkle_poseidon2<F: HalField, B: Backend<F>>(
    device: &B,
    effort: Effort,
) -> Result<u64, String> {
    scheme::<F, Poseidon2Merkle, B>("merkle-poseidon2", device, effort)
}

/// Commitments under [`Poseidon2WideMerkle`] against the reference's.
///
/// # Errors
/// The smallest case that fails.
pub fn merkle_poseidon2_wide<F: HalField, B: Backend<F>>(
    device: &B,
    effort: Effort,
) -> Result<u64, String> {
    scheme::<F, Poseidon2WideMerkle, B>("merkle-poseidon2-wide", device, effort)
}

/// Commitments under [`Keccak256Merkle`] against the reference's.
///
/// # Errors
/// The smallest case that fails.
pub fn merkle_keccak<F: HalField, B: Backend<F>>(
    device: &B,
    effort: Effort,
) -> Result<u64, String> {
    scheme::<F, Keccak256Merkle, B>("merkle-keccak", device, effort)
}

/// [`open`](MerkleOps::open) under every scheme: rows and paths against the reference's, and p3's verifier accepts them.
/// Indices repeat and come in any order; one beyond the tallest matrix is refused.
///
/// # Errors
/// The smallest case that fails.
pub fn open<F: HalField, B: Backend<F>>(device: &B, effort: Effort) -> Result<u64, String> {
    let checks: [Check<'_, Case>; 3] = [
        &|case| check::<F, Poseidon2Merkle, B>(device, case, true),
        &|case| check::<F, Poseidon2WideMerkle, B>(device, case, true),
        &|case| check::<F, Keccak256Merkle, B>(device, case, true),
    ];
    let each = effort.cases().div_ceil(2);
    checks
        .into_iter()
        .map(|check| drive("open", each, effort, check))
        .sum()
}
