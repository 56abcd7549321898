//! Transforms against their definition: interpolate by the sum, evaluate by Horner's rule, one point at a time.

use p3_baby_bear::BabyBear;
use p3_field::Field;
use p3_koala_bear::KoalaBear;
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_util::reverse_bits_len;
use proptest::prelude::*;
use starkwright_hal::{Cpu, HalField, LdeOps};

use crate::draw::{element, some_matrix};

/// The value at `x` of the polynomial with these coefficients, lowest degree first.
fn horner<F: HalField>(coefficients: &[F], x: F) -> F {
    coefficients.iter().rfold(F::ZERO, |sum, &c| sum * x + c)
}

/// Coefficients from values over the subgroup: `c_j = 1/n · Σ_i f(g^i) g^{-ij}`.
fn interpolate<F: HalField>(values: &[F]) -> Vec<F> {
    let n = values.len();
    let inverse_root = F::two_adic_generator(n.ilog2() as usize).inverse();
    let scale = F::from_usize(n).inverse();
    (0..n)
        .map(|j| scale * horner(values, inverse_root.exp_u64(j as u64)))
        .collect()
}

fn column<F: HalField>(matrix: &RowMajorMatrix<F>, j: usize) -> Vec<F> {
    matrix
        .rows()
        .map(|row| row.into_iter().nth(j).unwrap())
        .collect()
}

fn check_lde<F: HalField>(matrix: &RowMajorMatrix<F>, added_bits: usize, shift: F) {
    let cpu = Cpu::<F>::new();
    let extended = cpu.coset_lde(matrix.clone(), added_bits, shift).unwrap();
    let log_size = matrix.height().ilog2() as usize + added_bits;
    assert_eq!(extended.height(), 1 << log_size);
    assert_eq!(extended.width, matrix.width);
    let root = F::two_adic_generator(log_size);
    for j in 0..matrix.width {
        let coefficients = interpolate(&column(matrix, j));
        for (i, value) in column(&extended, j).into_iter().enumerate() {
            let x = shift * root.exp_u64(reverse_bits_len(i, log_size) as u64);
            assert_eq!(value, horner(&coefficients, x), "row {i}, column {j}");
        }
    }
}

fn check_plain<F: HalField>(matrix: &RowMajorMatrix<F>) {
    let cpu = Cpu::<F>::new();
    let coefficients = cpu.idft(matrix.clone()).unwrap();
    for j in 0..matrix.width {
        assert_eq!(column(&coefficients, j), interpolate(&column(matrix, j)));
    }
    let values = cpu.dft(matrix.clone()).unwrap();
    let root = F::two_adic_generator(matrix.height().ilog2() as usize);
    for j in 0..matrix.width {
        let coefficients = column(matrix, j);
        for (i, value) in column(&values, j).into_iter().enumerate() {
            assert_eq!(value, horner(&coefficients, root.exp_u64(i as u64)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn coset_lde_is_evaluation_over_the_coset(
        matrix in some_matrix(5, 19),
        added_bits in 0usize..4,
        shift in element::<KoalaBear>().prop_filter("zero", |x| !x.is_zero()),
    ) {
        check_lde(&matrix, added_bits, shift);
    }

    #[test]
    fn coset_lde_over_baby_bear(matrix in some_matrix(4, 5), added_bits in 0usize..3) {
        check_lde(&matrix, added_bits, BabyBear::GENERATOR);
    }

    #[test]
    fn plain_transforms_are_their_definition(
        koala in some_matrix::<KoalaBear>(5, 9),
        baby in some_matrix::<BabyBear>(5, 3),
    ) {
        check_plain(&koala);
        check_plain(&baby);
    }
}
