//! The kernels measured, at which shapes.

use p3_matrix::dense::RowMajorMatrix;
use rayon::prelude::*;
use starkwright_hal::{
    Backend, Cpu, HalError, HalField, Keccak256Merkle, LdeOps, MerkleOps, MerkleScheme,
    Poseidon2Merkle,
};

use super::row::{Row, Work};
use super::timing::compare;

/// What is measured on a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// Low-degree extension by 2^`added_bits`.
    Lde { added_bits: usize },
    /// Merkle tree with Poseidon2.
    MerklePoseidon2,
    /// Merkle tree with Keccak-256.
    MerkleKeccak,
    /// Upload, low-degree extension and Poseidon2 tree.
    Commit { added_bits: usize },
}

/// A kernel at a shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    kernel: Kernel,
    log_height: usize,
    width: usize,
}

const fn shape(kernel: Kernel, log_height: usize, width: usize) -> Shape {
    Shape {
        kernel,
        log_height,
        width,
    }
}

/// The kernels and shapes of the README's table; a few small ones for `--quick`.
pub(crate) fn kernels(quick: bool) -> Vec<Shape> {
    use Kernel::{Commit, Lde, MerkleKeccak, MerklePoseidon2};
    if quick {
        return vec![
            shape(Lde { added_bits: 1 }, 14, 64),
            shape(MerklePoseidon2, 14, 64),
            shape(MerkleKeccak, 14, 64),
            shape(Commit { added_bits: 1 }, 14, 64),
        ];
    }
    vec![
        shape(Lde { added_bits: 1 }, 18, 16),
        shape(Lde { added_bits: 1 }, 18, 64),
        shape(Lde { added_bits: 1 }, 17, 128),
        shape(Lde { added_bits: 2 }, 15, 2633),
        shape(MerklePoseidon2, 18, 8),
        shape(MerklePoseidon2, 18, 64),
        shape(MerklePoseidon2, 18, 256),
        shape(MerklePoseidon2, 17, 2633),
        shape(MerkleKeccak, 18, 64),
        shape(Commit { added_bits: 1 }, 18, 64),
        shape(Commit { added_bits: 2 }, 15, 2633),
    ]
}

/// Blocks of the Keccak segments proven whole.
pub(crate) fn proofs(quick: bool) -> Vec<usize> {
    if quick { vec![85] } else { vec![341, 1365] }
}

/// What is measured over BabyBear too: the same kernels, so a few rows show that it makes no difference.
pub(crate) fn of_other_field(quick: bool) -> Vec<Shape> {
    let log_height = if quick { 14 } else { 18 };
    vec![
        shape(Kernel::Lde { added_bits: 1 }, log_height, 64),
        shape(Kernel::MerklePoseidon2, log_height, 64),
    ]
}

/// Measures one kernel on one device.
pub(crate) fn measure<F: HalField, B: Backend<F>>(
    device: &B,
    shape: &Shape,
    quick: bool,
) -> Result<Row, HalError> {
    let cpu = Cpu::<F>::new();
    let cells = shape.width << shape.log_height;
    let repetitions = if quick || cells > 1 << 26 { 5 } else { 9 };
    let values = elements::<F>(cells);
    let prepare = || RowMajorMatrix::new(values.clone(), shape.width);
    let measured = match shape.kernel {
        Kernel::Lde { added_bits } => compare(
            device,
            repetitions,
            prepare,
            |matrix| cpu.coset_lde(matrix, added_bits, F::GENERATOR),
            |matrix| {
                let lde = device.coset_lde(device.upload(matrix)?, added_bits, F::GENERATOR)?;
                device.finish()?;
                Ok(lde)
            },
        )?,
        Kernel::MerklePoseidon2 => {
            tree::<F, B, Poseidon2Merkle>(device, &cpu, repetitions, prepare)?
        }
        Kernel::MerkleKeccak => tree::<F, B, Keccak256Merkle>(device, &cpu, repetitions, prepare)?,
        Kernel::Commit { added_bits } => compare(
            device,
            repetitions,
            prepare,
            |matrix| {
                let lde = cpu.coset_lde(matrix, added_bits, F::GENERATOR)?;
                cpu.commit::<Poseidon2Merkle>(vec![lde], 0)
                    .map(|(_, committed)| committed)
            },
            |matrix| {
                let lde = device.coset_lde(device.upload(matrix)?, added_bits, F::GENERATOR)?;
                device
                    .commit::<Poseidon2Merkle>(vec![lde], 0)
                    .map(|(_, committed)| committed)
            },
        )?,
    };
    let caps = device.caps();
    let roof_share = caps
        .host_memory
        .then(|| least_bytes(shape))
        .flatten()
        .map(|bytes| bytes / measured.wall_seconds / copy_bandwidth());
    let (amount, unit) = work(shape);
    let work = Work {
        kernel: name(shape.kernel),
        field: F::NAME,
        shape: format!("2^{}x{}", shape.log_height, shape.width),
        amount,
        unit,
        bytes: least_bytes(shape),
        roof_share,
        shares: None,
    };
    Ok(Row::new(&caps, work, &measured))
}

fn tree<F: HalField, B: Backend<F>, S: MerkleScheme<F>>(
    device: &B,
    cpu: &Cpu<F>,
    repetitions: usize,
    prepare: impl FnMut() -> RowMajorMatrix<F>,
) -> Result<super::timing::Comparison, HalError> {
    compare(
        device,
        repetitions,
        prepare,
        |matrix| cpu.commit::<S>(vec![matrix], 0).map(|_| ()),
        |matrix| {
            device
                .commit::<S>(vec![device.upload(matrix)?], 0)
                .map(|_| ())
        },
    )
}

const fn name(kernel: Kernel) -> &'static str {
    match kernel {
        Kernel::Lde { .. } => "lde",
        Kernel::MerklePoseidon2 => "merkle-poseidon2",
        Kernel::MerkleKeccak => "merkle-keccak",
        Kernel::Commit { .. } => "commit",
    }
}

/// Units of work in one run.
fn work(shape: &Shape) -> (f64, &'static str) {
    let (rows, width) = ((1u64 << shape.log_height) as f64, shape.width as f64);
    match shape.kernel {
        Kernel::Lde { added_bits } => {
            // One inverse transform and 2^added_bits forward ones of n/2 log n butterflies a column.
            let transforms = 1.0 + (1u64 << added_bits) as f64;
            (
                transforms * rows / 2.0 * shape.log_height as f64 * width,
                "butterflies/s",
            )
        }
        // Rows and inner nodes.
        Kernel::MerklePoseidon2 | Kernel::MerkleKeccak => (2.0 * rows - 1.0, "hashes/s"),
        Kernel::Commit { .. } => (rows * width, "cells/s"),
    }
}

/// The least bytes that have to move: every input word read once, every output word written once.
fn least_bytes(shape: &Shape) -> Option<f64> {
    match shape.kernel {
        Kernel::Lde { added_bits } => {
            let cells = (shape.width << shape.log_height) as f64;
            Some(4.0 * cells * (1.0 + (1u64 << added_bits) as f64))
        }
        // Bound by arithmetic.
        _ => None,
    }
}

/// Bytes read and written each second by copying on all threads: the roof of what memory can carry.
fn copy_bandwidth() -> f64 {
    const WORDS: usize = 1 << 26;
    let source = vec![1u32; WORDS];
    let mut target = vec![0u32; WORDS];
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = std::time::Instant::now();
        target
            .par_chunks_mut(1 << 20)
            .zip(source.par_chunks(1 << 20))
            .for_each(|(target, source)| target.copy_from_slice(source));
        best = best.min(start.elapsed().as_secs_f64());
    }
    2.0 * 4.0 * WORDS as f64 / best
}

/// Elements spread over the field: a multiplicative sequence, the same in every run.
fn elements<F: HalField>(count: usize) -> Vec<F> {
    (0..count as u64)
        .map(|i| F::from_u64(i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33))
        .collect()
}
