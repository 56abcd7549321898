//! A quick test of a device: every family of operations at tiny shapes, against the reference.
//!
//! It finds a device whose Poseidon2 constants, twiddles or carries are wrong before a proof is wasted on it. It is no
//! proof of a device: rare faults and large shapes are for [`Shadow`] and the conformance tests.

use p3_field::BasedVectorSpace;
use p3_matrix::dense::RowMajorMatrix;

use crate::{
    Backend, Buffers, Cpu, Device, Evaluation, Extension, FriOps, HalError, HalField,
    Keccak256Merkle, LdeOps, MerkleOps, MerkleScheme, PointOpening, Poseidon2Merkle,
    Poseidon2WideMerkle, Puzzle, Reduction, Shadow,
};

/// Runs every family of operations on a device and on [`Cpu`], both extensions and all schemes: a few milliseconds on
/// a CPU, besides the kernels' build.
///
/// An operation that the device does not support is passed over: that is said when it is used.
///
/// # Errors
/// [`HalError::Mismatch`] that names the operation whose result differs or is out of range, and whatever else the
/// device fails with.
pub fn check_device<F: HalField, B: Backend<F>>(device: &B) -> Result<(), HalError> {
    let pair = Shadow::passive(device.clone(), Cpu::<F>::new());
    // Tall enough for several work-items, odd enough for a last one that is not full; and the smallest there is.
    for (log_height, width) in [(6, 17), (3, 1), (0, 3)] {
        let input = || pair.upload(sample(1 << log_height, width, 1));
        for added_bits in [1, 2] {
            offered(pair.coset_lde(input()?, added_bits, F::GENERATOR))?;
        }
        offered(pair.dft(input()?))?;
        offered(pair.idft(input()?))?;
    }
    tree::<F, B, Poseidon2Merkle>(&pair)?;
    tree::<F, B, Poseidon2WideMerkle>(&pair)?;
    tree::<F, B, Keccak256Merkle>(&pair)?;
    fri::<F, B, F::Quartic>(&pair)?;
    fri::<F, B, F::Quintic>(&pair)?;
    let state = std::array::from_fn(|i| element(i as u64));
    for puzzle in [
        Puzzle::Poseidon2 {
            state,
            slot: 3,
            output: 7,
        },
        Puzzle::Keccak256 {
            prefix: (0..32).collect(),
        },
    ] {
        offered(pair.grind(&puzzle, 6))?;
    }
    pair.finish()
}

type Pair<F, B> = Shadow<B, Cpu<F>>;

/// What the device gave, or nothing where it does not offer the operation.
fn offered<T>(result: Result<T, HalError>) -> Result<Option<T>, HalError> {
    match result {
        Err(HalError::Unsupported { .. }) => Ok(None),
        other => other.map(Some),
    }
}

/// Some element: 0, 1 and −1 first, then whatever a 64-bit linear congruential generator (Knuth's constants) gives.
fn element<F: HalField>(index: u64) -> F {
    match index {
        0 => F::ZERO,
        1 => F::ONE,
        2 => F::NEG_ONE,
        _ => F::from_u64(
            index
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407),
        ),
    }
}

fn sample<F: HalField>(height: usize, width: usize, seed: u64) -> RowMajorMatrix<F> {
    let elements = (0..(height * width) as u64).map(|i| element(i * seed));
    RowMajorMatrix::new(elements.collect(), width)
}

fn extension_element<F: HalField, E: Extension<F>>(seed: u64) -> E {
    E::from_basis_coefficients_fn(|i| element(seed + i as u64))
}

/// A tree over matrices of mixed heights, two of them alike, and openings with one index twice.
fn tree<F: HalField, B: Backend<F>, S: MerkleScheme<F>>(pair: &Pair<F, B>) -> Result<(), HalError> {
    for cap_height in [0, 2] {
        let shapes = [(32, 9), (8, 1), (32, 16), (1 << cap_height, 40)];
        let matrices = shapes
            .iter()
            .zip(1..)
            .map(|(&(height, width), seed)| pair.upload(sample(height, width, seed)))
            .collect::<Result<_, _>>()?;
        if let Some((_, committed)) = offered(pair.commit::<S>(matrices, cap_height))? {
            offered(pair.open::<S>(&committed, &[5, 31, 0, 5]))?;
        }
    }
    Ok(())
}

fn fri<F: HalField, B: Backend<F>, E: Extension<F>>(pair: &Pair<F, B>) -> Result<(), HalError> {
    const LOG_HEIGHT: usize = 5;
    // Beyond the base field, and so outside every domain.
    let points: [E; 2] = [extension_element(3), extension_element(11)];
    let (wide, narrow) = (
        pair.upload(sample(1 << LOG_HEIGHT, 19, 5))?,
        pair.upload(sample(1 << LOG_HEIGHT, 2, 7))?,
    );
    let requests =
        [(&wide, &points[..]), (&narrow, &points[..1])].map(|(matrix, points)| Evaluation {
            matrix,
            log_blowup: 1,
            points,
        });
    offered(pair.evaluate(F::GENERATOR, &requests))?;

    let opening = |index: u64| PointOpening {
        point: points[index as usize],
        weight: extension_element(20 + index),
        value: extension_element(30 + index),
    };
    let terms = [
        Reduction {
            matrix: &wide,
            openings: vec![opening(0), opening(1)],
        },
        Reduction {
            matrix: &narrow,
            openings: vec![opening(0)],
        },
    ];
    let alpha = extension_element::<F, E>(40);
    offered(pair.reduce(LOG_HEIGHT, F::GENERATOR, alpha, &terms))?;

    let degree = <E as BasedVectorSpace<F>>::DIMENSION;
    for log_arity in 1..=4 {
        let leaves = pair.upload(sample(16, degree << log_arity, 9))?;
        let added = pair.upload(sample(16, degree, 13))?;
        let beta = extension_element::<F, E>(50);
        offered(pair.fold(&leaves, beta, log_arity, None))?;
        offered(pair.fold(&leaves, beta, log_arity, Some(&added)))?;
    }
    Ok(())
}
