//! Arguments that contradict each other are errors of the reference, and never panics.

use p3_field::{BasedVectorSpace, Field, PrimeCharacteristicRing};
use p3_koala_bear::KoalaBear;
use p3_matrix::dense::RowMajorMatrix;
use starkwright_hal::{
    Buffers, Cpu, Evaluation, FriOps, HalError, KoalaBear4, LdeOps, MerkleOps, Operation,
    PointOpening, Poseidon2Merkle, Reduction,
};

type F = KoalaBear;
type E = KoalaBear4;

fn zeros(height: usize, width: usize) -> RowMajorMatrix<F> {
    RowMajorMatrix::new(F::zero_vec(height * width), width)
}

fn invalid<T>(result: Result<T, HalError>) -> bool {
    matches!(result, Err(HalError::InvalidArgument { .. }))
}

fn unsupported<T>(result: Result<T, HalError>) -> bool {
    matches!(result, Err(HalError::Unsupported { .. }))
}

#[test]
fn transforms() {
    let cpu = Cpu::<F>::new();
    for matrix in [zeros(3, 2), zeros(0, 2)] {
        assert!(invalid(cpu.coset_lde(matrix.clone(), 1, F::ONE)));
        assert!(invalid(cpu.dft(matrix.clone())));
        assert!(invalid(cpu.idft(matrix)));
    }
    assert!(invalid(cpu.coset_lde(zeros(4, 1), 1, F::ZERO)));
    for added_bits in [23, 24, 25, 64, usize::MAX] {
        assert!(unsupported(cpu.coset_lde(zeros(4, 1), added_bits, F::ONE)));
        let operation = Operation::CosetLde {
            height: 4,
            width: 1,
            added_bits,
        };
        assert!(unsupported(cpu.supports(operation)));
    }
    let operation = Operation::CosetLde {
        height: 4,
        width: 1,
        added_bits: 22,
    };
    assert_eq!(cpu.supports(operation), Ok(()));
}

#[test]
fn buffers() {
    let cpu = Cpu::<F>::new();
    let matrix = zeros(4, 6);
    assert!(invalid(cpu.reshape(matrix.clone(), 0)));
    assert!(invalid(cpu.reshape(matrix.clone(), 5)));
    assert_eq!(cpu.reshape(matrix.clone(), 12).unwrap(), zeros(2, 12));
    assert!(invalid(cpu.rows(&matrix, 3..5)));
    assert!(invalid(cpu.rows(&matrix, 0..usize::MAX)));
    #[allow(clippy::reversed_empty_ranges, reason = "the argument under test")]
    let reversed = 2..1;
    assert!(invalid(cpu.rows(&matrix, reversed)));
    assert!(cpu.rows(&matrix, 4..4).is_ok());
}

#[test]
fn trees() {
    let cpu = Cpu::<F>::new();
    assert!(invalid(cpu.commit::<Poseidon2Merkle>(vec![], 0)));
    assert!(invalid(
        cpu.commit::<Poseidon2Merkle>(vec![zeros(4, 1), zeros(3, 1)], 0)
    ));
    assert!(invalid(
        cpu.commit::<Poseidon2Merkle>(vec![zeros(8, 1), zeros(2, 1)], 2)
    ));
    assert!(
        cpu.commit::<Poseidon2Merkle>(vec![zeros(8, 1), zeros(4, 1)], 2)
            .is_ok()
    );
    let (_, tree) = cpu
        .commit::<Poseidon2Merkle>(vec![zeros(4, 1)], usize::MAX)
        .unwrap();
    assert!(invalid(cpu.open::<Poseidon2Merkle>(&tree, &[0, 4])));
    assert!(cpu.open::<Poseidon2Merkle>(&tree, &[]).is_ok());
}

#[test]
fn evaluation() {
    let cpu = Cpu::<F>::new();
    let outside = E::from_basis_coefficients_fn(F::from_usize);
    let at = |matrix: &RowMajorMatrix<F>, log_blowup, point| {
        let points = &[point];
        let request = Evaluation {
            matrix,
            log_blowup,
            points,
        };
        cpu.evaluate(F::GENERATOR, &[request]).map(drop)
    };
    assert!(at(&zeros(4, 1), 1, outside).is_ok());
    assert!(invalid(at(&zeros(4, 1), 1, E::ZERO)));
    assert!(invalid(at(&zeros(4, 1), 1, E::from(F::GENERATOR))));
    assert!(invalid(at(&zeros(4, 1), 3, outside)));
    assert!(invalid(at(&zeros(4, 1), usize::MAX, outside)));
    assert!(invalid(at(&zeros(5, 1), 0, outside)));
}

#[test]
fn reduction() {
    let cpu = Cpu::<F>::new();
    let matrix = zeros(4, 1);
    let outside = E::from_basis_coefficients_fn(F::from_usize);
    let at = |log_height, point| {
        let opening = PointOpening {
            point,
            weight: E::ZERO,
            value: E::ONE,
        };
        let term = Reduction {
            matrix: &matrix,
            openings: vec![opening],
        };
        cpu.reduce(log_height, F::GENERATOR, E::TWO, &[term])
            .map(drop)
    };
    assert!(at(2, outside).is_ok());
    assert!(invalid(at(3, outside)));
    assert!(invalid(at(2, E::from(F::GENERATOR))));
    assert!(unsupported(cpu.reduce(64, F::ONE, E::ONE, &[])));
    assert!(unsupported(at(usize::MAX, outside)));
}

#[test]
fn folding() {
    let cpu = Cpu::<F>::new();
    let fold = |leaves: &RowMajorMatrix<F>, log_arity, added: Option<&RowMajorMatrix<F>>| {
        cpu.fold(leaves, E::TWO, log_arity, added).map(drop)
    };
    assert!(fold(&zeros(4, 8), 1, Some(&zeros(4, 4))).is_ok());
    for log_arity in [0, 2, 25, 64, usize::MAX] {
        assert!(invalid(fold(&zeros(4, 8), log_arity, None)), "{log_arity}");
    }
    assert!(
        unsupported(fold(&zeros(4, 8), 24, None)),
        "no subgroup of size 2^26"
    );
    assert!(invalid(fold(&zeros(3, 8), 1, None)));
    assert!(invalid(fold(&zeros(4, 8), 1, Some(&zeros(2, 4)))));
    assert!(invalid(fold(&zeros(4, 8), 1, Some(&zeros(2, 8)))));
}
