//! The kernels measured, at which shapes.

use p3_field::{Field, PrimeCharacteristicRing};
use p3_matrix::dense::RowMajorMatrix;
use rayon::prelude::*;
use starkwright_hal::{
    Backend, Cpu, HalError, Keccak256Merkle, LdeOps, MerkleOps, MerkleScheme, Poseidon2Merkle,
};
use starkwright_prover::keccak_file::Val;

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

/// Measures one kernel on one device.
pub(crate) fn measure<B: Backend<Val>>(
    device: &B,
    shape: &Shape,
    quick: bool,
) -> Result<Row, HalError> {
    let cpu = Cpu::<Val>::new();
    let cells = shape.width << shape.log_height;
    let repetitions = if quick || cells > 1 << 26 { 5 } else { 9 };
    let values = elements(cells);
    let prepare = || RowMajorMatrix::new(values.clone(), shape.width);
    let measured = match shape.kernel {
        Kernel::Lde { added_bits } => compare(
            device,
            repetitions,
            prepare,
            |matrix| cpu.coset_lde(matrix, added_bits, Val::GENERATOR),
            |matrix| {
                let lde = device.coset_lde(device.upload(matrix)?, added_bits, Val::GENERATOR)?;
                device.finish()?;
                Ok(lde)
            },
        )?,
        Kernel::MerklePoseidon2 => tree::<B, Poseidon2Merkle>(device, &cpu, repetitions, prepare)?,
        Kernel::MerkleKeccak => tree::<B, Keccak256Merkle>(device, &cpu, repetitions, prepare)?,
        Kernel::Commit { added_bits } => compare(
            device,
            repetitions,
            prepare,
            |matrix| {
                let lde = cpu.coset_lde(matrix, added_bits, Val::GENERATOR)?;
                cpu.commit::<Poseidon2Merkle>(vec![lde], 0)
                    .map(|(_, committed)| committed)
            },
            |matrix| {
                let lde = device.coset_lde(device.upload(matrix)?, added_bits, Val::GENERATOR)?;
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
        shape: format!("2^{}x{}", shape.log_height, shape.width),
        amount,
        unit,
        roof_share,
        shares: None,
    };
    Ok(Row::new(&caps, work, &measured))
}

fn tree<B: Backend<Val>, S: MerkleScheme<Val>>(
    device: &B,
    cpu: &Cpu<Val>,
    repetitions: usize,
    prepare: impl FnMut() -> RowMajorMatrix<Val>,
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
        // Permutations: eight elements a permutation in a leaf, one for each inner node.
        Kernel::MerklePoseidon2 => (rows * (width / 8.0).ceil() + rows - 1.0, "permutations/s"),
        // 136 bytes a permutation in a leaf, padding included, one for each inner node.
        Kernel::MerkleKeccak => (
            rows * ((4.0 * width + 1.0) / 136.0).ceil() + rows - 1.0,
            "permutations/s",
        ),
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
fn elements(count: usize) -> Vec<Val> {
    (0..count as u64)
        .map(|i| Val::from_u64(i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33))
        .collect()
}
