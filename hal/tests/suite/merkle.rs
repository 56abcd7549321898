//! Commitments and openings, verified by stock p3, and a tree rebuilt with another Keccak.

use p3_baby_bear::BabyBear;
use p3_commit::Mmcs;
use p3_field::PrimeField32;
use p3_koala_bear::KoalaBear;
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use proptest::collection::vec;
use proptest::prelude::*;
use starkwright_hal::{
    Cpu, HalError, HalField, Keccak256Merkle, MerkleOps, MerkleScheme, Poseidon2Merkle,
    Poseidon2WideMerkle,
};
use tiny_keccak::{Hasher, Keccak};

use crate::draw::{matrix, some_matrix};

fn check<F: HalField, S: MerkleScheme<F>>(
    matrices: &[RowMajorMatrix<F>],
    cap_height: usize,
    seeds: &[usize],
) {
    let cpu = Cpu::<F>::new();
    let heights = || matrices.iter().map(Matrix::height);
    let bound = (1 << cap_height).min(heights().max().unwrap());
    if heights().any(|height| height < bound) {
        let refused = cpu.commit::<S>(matrices.to_vec(), cap_height).err();
        assert!(matches!(refused, Some(HalError::InvalidArgument { .. })));
        return;
    }
    let (commitment, tree) = cpu.commit::<S>(matrices.to_vec(), cap_height).unwrap();
    let kept: Vec<_> = MerkleOps::matrices::<S>(&cpu, &tree)
        .into_iter()
        .cloned()
        .collect();
    assert_eq!(kept, matrices);

    let height = matrices.iter().map(Matrix::height).max().unwrap();
    let indices: Vec<usize> = seeds.iter().map(|seed| seed % height).collect();
    let (rows, proof) = cpu.open::<S>(&tree, &indices).unwrap();
    for (&index, rows) in indices.iter().zip(&rows) {
        for (matrix, row) in matrices.iter().zip(rows) {
            let expected = matrix.row_slice(index * matrix.height() / height).unwrap();
            assert_eq!(&expected[..], &row[..]);
        }
    }

    let mmcs = S::mmcs(cap_height);
    let shapes: Vec<_> = matrices.iter().map(Matrix::dimensions).collect();
    let verify = |rows: &[Vec<Vec<F>>], proof| {
        mmcs.verify_multi_batch(&commitment, &shapes, &indices, rows, proof)
    };
    verify(&rows, &proof).unwrap();

    // What the words say is what was built; and a wrong element or digest is noticed.
    let again = S::multi_proof(&S::sibling_words(&proof)).unwrap();
    verify(&rows, &again).unwrap();
    let cap = S::commitment(&S::cap_words(&commitment)).unwrap();
    assert_eq!(cap, commitment);
    let mut wrong = rows.clone();
    wrong[0][0][0] += F::ONE;
    assert!(verify(&wrong, &proof).is_err());
    let mut siblings = S::sibling_words(&proof);
    if let Some(digest) = siblings.first_mut() {
        digest[7] ^= 1;
        // A flipped bit may leave the field: refused even earlier.
        if let Ok(proof) = S::multi_proof(&siblings) {
            assert!(verify(&rows, &proof).is_err());
        }
    }
}

fn mixed<F: HalField>() -> impl Strategy<Value = Vec<RowMajorMatrix<F>>> {
    vec(some_matrix(4, 20), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn p3_verifies_every_scheme(
        matrices in mixed::<KoalaBear>(),
        cap_height in 0usize..3,
        seeds in vec(any::<usize>(), 1..6),
    ) {
        check::<_, Poseidon2Merkle>(&matrices, cap_height, &seeds);
        check::<_, Poseidon2WideMerkle>(&matrices, cap_height, &seeds);
        check::<_, Keccak256Merkle>(&matrices, cap_height, &seeds);
    }

    #[test]
    fn p3_verifies_every_scheme_over_baby_bear(
        matrices in mixed::<BabyBear>(),
        cap_height in 0usize..2,
        seeds in vec(any::<usize>(), 1..4),
    ) {
        check::<_, Poseidon2Merkle>(&matrices, cap_height, &seeds);
        check::<_, Poseidon2WideMerkle>(&matrices, cap_height, &seeds);
        check::<_, Keccak256Merkle>(&matrices, cap_height, &seeds);
    }

    /// The tree of p3's documentation, by hand: rows are hashed as little-endian Montgomery words, and a shorter
    /// matrix's digests are compressed in where the tree has its height.
    #[test]
    fn keccak_tree_by_hand(tall in matrix::<KoalaBear>(4, 3), short in matrix::<KoalaBear>(2, 5)) {
        let row = |m: &RowMajorMatrix<KoalaBear>, i: usize| {
            let row = m.row_slice(i).unwrap();
            keccak(row.iter().map(|x| x.montgomery_word().to_le_bytes()).collect::<Vec<_>>().as_flattened())
        };
        let pair = |a: [u8; 32], b: [u8; 32]| keccak([a, b].as_flattened());
        let inner = |i: usize| {
            pair(pair(row(&tall, 2 * i), row(&tall, 2 * i + 1)), row(&short, i))
        };
        let root = pair(inner(0), inner(1));
        let cpu = Cpu::new();
        let (commitment, _) = cpu.commit::<Keccak256Merkle>(vec![short, tall], 0).unwrap();
        prop_assert_eq!(commitment.roots(), &[root]);
    }
}

fn keccak(bytes: &[u8]) -> [u8; 32] {
    let mut hasher = Keccak::v256();
    let mut digest = [0; 32];
    hasher.update(bytes);
    hasher.finalize(&mut digest);
    digest
}

/// Why a matrix shorter than the cap is refused: p3's verifier accepts whatever row is claimed for it.
#[test]
fn p3_does_not_bind_a_matrix_shorter_than_the_cap() {
    let (tall, short) = (zeros(4), zeros(1));
    let shapes = [tall.dimensions(), short.dimensions()];
    let mmcs = <Poseidon2Merkle as MerkleScheme<KoalaBear>>::mmcs(1);
    let (commitment, tree) = mmcs.commit(vec![tall, short]);
    let (mut rows, proof) = mmcs.open_multi_batch(&[2], &tree);
    rows[0][1][0] = KoalaBear::new(123);
    mmcs.verify_multi_batch(&commitment, &shapes, &[2], &rows, &proof)
        .unwrap();

    let matrices = vec![zeros(4), zeros(1)];
    let refused = Cpu::new().commit::<Poseidon2Merkle>(matrices, 1).err();
    assert!(matches!(refused, Some(HalError::InvalidArgument { .. })));
}

fn zeros(height: usize) -> RowMajorMatrix<KoalaBear> {
    RowMajorMatrix::new(vec![KoalaBear::new(0); height], 1)
}

#[test]
fn words_that_are_no_digest_are_refused() {
    let unreduced = [[KoalaBear::ORDER_U32; 8]];
    assert!(<Poseidon2Merkle as MerkleScheme<KoalaBear>>::commitment(&unreduced).is_err());
    assert!(<Poseidon2WideMerkle as MerkleScheme<KoalaBear>>::multi_proof(&unreduced).is_err());
    assert!(<Keccak256Merkle as MerkleScheme<KoalaBear>>::multi_proof(&unreduced).is_ok());
    let three = [[1; 8]; 3];
    assert!(<Keccak256Merkle as MerkleScheme<KoalaBear>>::commitment(&three).is_err());
}
