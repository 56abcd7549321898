//! A small proof's worth of work: every operation of a back end once at least, everything it hands out collected.

use p3_field::{BasedVectorSpace, Field, PrimeCharacteristicRing};
use p3_koala_bear::KoalaBear;
use p3_matrix::dense::RowMajorMatrix;
use starkwright_hal::{
    Backend, DeviceMatrix, DigestWords, Evaluation, HalError, Keccak256Merkle, KoalaBear5,
    MerkleScheme, PointOpening, Poseidon2Merkle, Puzzle, Reduction,
};

pub(crate) type F = KoalaBear;
pub(crate) type E = KoalaBear5;

/// The operations in the order in which [`job`] first uses them.
pub(crate) const OPERATIONS: [&str; 12] = [
    "upload",
    "idft",
    "dft",
    "coset_lde",
    "rows",
    "commit",
    "open",
    "evaluate",
    "reduce",
    "reshape",
    "fold",
    "grind",
];

/// Those that consume a matrix.
pub(crate) const CONSUMING: [&str; 4] = ["idft", "dft", "coset_lde", "commit"];

/// Those that only read matrices.
pub(crate) const READING: [&str; 4] = ["evaluate", "reduce", "fold", "grind"];

/// Everything that came back to the host.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    matrices: Vec<RowMajorMatrix<F>>,
    digests: Vec<Vec<DigestWords>>,
    openings: Vec<Vec<Vec<Vec<F>>>>,
    values: Vec<Vec<Vec<Vec<E>>>>,
    witnesses: Vec<F>,
}

pub(crate) fn sample(height: usize, width: usize) -> RowMajorMatrix<F> {
    let elements = (0..height * width).map(|i| F::from_usize(i).cube() - F::TWO);
    RowMajorMatrix::new(elements.collect(), width)
}

pub(crate) fn point(seed: usize) -> E {
    E::from_basis_coefficients_fn(|i| F::from_usize(seed + 3 * i + 1))
}

pub(crate) fn job<B: Backend<F>>(device: &B) -> Result<Outcome, HalError> {
    let mut outcome = Outcome::default();
    let narrow = device.upload(sample(8, 3))?;
    let narrow = device.dft(device.idft(narrow)?)?;
    let narrow = device.coset_lde(narrow, 1, F::GENERATOR)?;
    let wide = device.upload(sample(8, 18))?;
    let wide = device.coset_lde(wide, 1, F::GENERATOR)?;
    assert_eq!((wide.height(), wide.width()), (16, 18));
    outcome.matrices.push(RowMajorMatrix::new(
        device.rows(&wide, 3..7)?.as_slice().to_vec(),
        18,
    ));

    let (first, tree) = device.commit::<Poseidon2Merkle>(vec![narrow, wide], 1)?;
    let (rows, proof) = device.open::<Poseidon2Merkle>(&tree, &[7, 0, 15])?;
    outcome
        .digests
        .push(<Poseidon2Merkle as MerkleScheme<F>>::cap_words(&first));
    outcome
        .digests
        .push(<Poseidon2Merkle as MerkleScheme<F>>::sibling_words(&proof));
    outcome.openings.push(rows);

    let lent = device.matrices::<Poseidon2Merkle>(&tree);
    assert_eq!(lent.iter().map(|m| m.width()).collect::<Vec<_>>(), [3, 18]);
    let points = [point(1), point(9)];
    let requests = [(lent[0], 1), (lent[1], 2)].map(|(matrix, count)| Evaluation {
        matrix,
        log_blowup: 1,
        points: &points[..count],
    });
    let values = device.evaluate(F::GENERATOR, &requests)?;
    let terms = [lent[0], lent[1]].map(|matrix| Reduction {
        matrix,
        openings: vec![PointOpening {
            point: points[0],
            weight: point(2),
            value: point(4),
        }],
    });
    outcome.values.push(values);
    let reduced = device.reduce(4, F::GENERATOR, point(5), &terms)?;
    outcome.matrices.push(device.download(&reduced)?);

    let degree = <E as BasedVectorSpace<F>>::DIMENSION;
    let leaves = device.reshape(reduced, 4 * degree)?;
    let added = device.upload(sample(4, degree))?;
    let folded = device.fold(&leaves, point(6), 2, Some(&added))?;
    outcome.matrices.push(device.download(&folded)?);
    let (second, tree) = device.commit::<Keccak256Merkle>(vec![leaves], 0)?;
    let (rows, _) = device.open::<Keccak256Merkle>(&tree, &[2])?;
    outcome
        .digests
        .push(<Keccak256Merkle as MerkleScheme<F>>::cap_words(&second));
    outcome.openings.push(rows);

    let state = std::array::from_fn(F::from_usize);
    let puzzle = Puzzle::Poseidon2 {
        state,
        slot: 2,
        output: 7,
    };
    outcome.witnesses.push(device.grind(&puzzle, 5)?);
    device.finish()?;
    Ok(outcome)
}
