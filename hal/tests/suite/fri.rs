//! Evaluation, reduction and folding against polynomials that are known.

use std::marker::PhantomData;

use p3_field::{BasedVectorSpace, Field};
use p3_fri::{FriFoldingStrategy, TwoAdicFriFolding};
use p3_koala_bear::KoalaBear;
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_util::reverse_bits_len;
use proptest::collection::vec;
use proptest::prelude::*;
use starkwright_hal::{
    BabyBear4, BabyBear5, Cpu, Evaluation, Extension, FriOps, HalField, KoalaBear4, KoalaBear5,
    PointOpening, Reduction,
};

use crate::draw::{element, extension_element, matrix, some_matrix};

/// `Σ_j c_j x^j`, in whatever field `x` is.
fn horner<E: Field>(coefficients: impl DoubleEndedIterator<Item = E>, x: E) -> E {
    coefficients.rfold(E::ZERO, |sum, c| sum * x + c)
}

/// The point of row `i`: `shift · g^rev(i)`.
fn domain_point<F: HalField>(shift: F, log_size: usize, i: usize) -> F {
    shift * F::two_adic_generator(log_size).exp_u64(reverse_bits_len(i, log_size) as u64)
}

fn column<F: HalField, E: Extension<F>>(matrix: &RowMajorMatrix<F>, j: usize) -> Vec<E> {
    matrix
        .values
        .iter()
        .skip(j)
        .step_by(matrix.width)
        .map(|&x| E::from(x))
        .collect()
}

/// One column of coefficients for each polynomial; the values are those over `shift · K`, bit-reversed.
fn check_evaluate<F: HalField, E: Extension<F>>(
    coefficients: &RowMajorMatrix<F>,
    log_blowup: usize,
    shift: F,
    points: &[E],
) {
    let log_size = coefficients.height().ilog2() as usize + log_blowup;
    let columns: Vec<Vec<E>> = (0..coefficients.width)
        .map(|j| column(coefficients, j))
        .collect();
    let values = (0..1 << log_size).flat_map(|i| {
        let x = E::from(domain_point(shift, log_size, i));
        let at = move |c: &Vec<E>| horner(c.iter().copied(), x).as_base().unwrap();
        columns.iter().map(at).collect::<Vec<_>>()
    });
    let matrix = RowMajorMatrix::new(values.collect(), coefficients.width);
    let request = Evaluation {
        matrix: &matrix,
        log_blowup,
        points,
    };
    // A second, shorter matrix at one of the same points: tables for a point are shared.
    let constant = RowMajorMatrix::new(vec![F::TWO; 1 << log_blowup], 1);
    let other = Evaluation {
        matrix: &constant,
        log_blowup,
        points: &points[..1],
    };
    let found = Cpu::<F>::new().evaluate(shift, &[other, request]).unwrap();
    assert_eq!(found[0], vec![vec![E::TWO]]);
    for (point, values) in points.iter().zip(&found[1]) {
        let expected: Vec<E> = columns
            .iter()
            .map(|c| horner(c.iter().copied(), *point))
            .collect();
        assert_eq!(*values, expected);
    }
}

type Opened<F, E> = (RowMajorMatrix<F>, Vec<PointOpening<E>>);

fn check_reduce<F: HalField, E: Extension<F>>(
    log_height: usize,
    shift: F,
    alpha: E,
    terms: &[Opened<F, E>],
) {
    let asked: Vec<_> = terms
        .iter()
        .map(|(matrix, openings)| Reduction {
            matrix,
            openings: openings.clone(),
        })
        .collect();
    let reduced = Cpu::<F>::new()
        .reduce(log_height, shift, alpha, &asked)
        .unwrap();
    assert_eq!(reduced.width, <E as BasedVectorSpace<F>>::DIMENSION);
    assert_eq!(reduced.height(), 1 << log_height);
    for (i, row) in reduced.rows().enumerate() {
        let x = E::from(domain_point(shift, log_height, i));
        let mut expected = E::ZERO;
        for (matrix, openings) in terms {
            let row = matrix.row_slice(i).unwrap();
            let combined = horner(row.iter().map(|&f| E::from(f)), alpha);
            for opening in openings {
                expected += (opening.value - opening.weight * combined) / (opening.point - x);
            }
        }
        let coefficients: Vec<F> = row.into_iter().collect();
        assert_eq!(
            coefficients,
            expected.as_basis_coefficients_slice(),
            "row {i}"
        );
    }
}

/// Folding `f = Σ_j x^j f_j(x^arity)` gives `Σ_j beta^j f_j`; and p3 folds each row alike.
fn check_fold<F: HalField, E: Extension<F>>(
    coefficients: &[E],
    log_arity: usize,
    beta: E,
    roll_in: Option<&RowMajorMatrix<F>>,
) {
    let arity = 1 << log_arity;
    let log_size = coefficients.len().ilog2() as usize;
    let values: Vec<E> = (0..1 << log_size)
        .map(|i| {
            let x = domain_point(F::ONE, log_size, i);
            horner(coefficients.iter().copied(), E::from(x))
        })
        .collect();
    let leaves = E::flatten_to_base(values.clone());
    let width = arity * <E as BasedVectorSpace<F>>::DIMENSION;
    let leaves = RowMajorMatrix::new(leaves, width);
    let folded = Cpu::<F>::new()
        .fold(&leaves, beta, log_arity, roll_in)
        .unwrap();
    let folded: Vec<E> = E::reconstitute_from_base(folded.values);

    let log_height = log_size - log_arity;
    let halves = TwoAdicFriFolding::<(), ()>(PhantomData);
    for (i, (&value, row)) in folded.iter().zip(values.chunks(arity)).enumerate() {
        let y = E::from(domain_point(F::ONE, log_height, i));
        let parts = (0..arity).map(|j| horner(coefficients[j..].iter().copied().step_by(arity), y));
        let mut expected = horner(parts, beta);
        let by_row = FriFoldingStrategy::<F, E>::fold_row(
            &halves,
            i,
            log_height,
            log_arity,
            beta,
            row.iter().copied(),
        );
        assert_eq!(expected, by_row);
        if let Some(added) = roll_in {
            let added = added.row_slice(i).unwrap();
            let added = E::from_basis_coefficients_slice(&added).unwrap();
            expected += beta.exp_power_of_2(log_arity) * added;
        }
        assert_eq!(value, expected, "row {i}");
    }
}

fn coset_shift<F: HalField>() -> impl Strategy<Value = F> {
    element().prop_filter("zero", |x: &F| !x.is_zero())
}

fn openings<F: HalField, E: Extension<F>>() -> impl Strategy<Value = Vec<PointOpening<E>>> {
    let any_element = || {
        let degree = <E as BasedVectorSpace<F>>::DIMENSION;
        vec(element::<F>(), degree).prop_map(|c| E::from_basis_coefficients_slice(&c).unwrap())
    };
    let opening = (extension_element(), any_element(), any_element());
    vec(
        opening.prop_map(|(point, weight, value)| PointOpening {
            point,
            weight,
            value,
        }),
        0..3,
    )
}

fn terms<F: HalField, E: Extension<F>>() -> impl Strategy<Value = (usize, Vec<Opened<F, E>>)> {
    (0usize..5).prop_flat_map(|log_height| {
        let term =
            (1usize..20).prop_flat_map(move |width| (matrix(1 << log_height, width), openings()));
        (Just(log_height), vec(term, 0..4))
    })
}

type Folding<F, E> = (usize, Vec<E>, Option<RowMajorMatrix<F>>);

fn folding<F: HalField, E: Extension<F>>() -> impl Strategy<Value = Folding<F, E>> {
    (1usize..5, 0usize..5).prop_flat_map(|(log_arity, log_height)| {
        let degree = <E as BasedVectorSpace<F>>::DIMENSION;
        let roll_in = proptest::option::of(matrix(1 << log_height, degree));
        let coefficients = vec(extension_element(), 1 << (log_arity + log_height));
        (Just(log_arity), coefficients, roll_in)
    })
}

macro_rules! over {
    ($name:ident, $extension:ty, $field:ty) => {
        mod $name {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(32))]

                #[test]
                fn evaluate_finds_the_polynomial(
                    coefficients in some_matrix::<$field>(4, 18),
                    log_blowup in 0usize..3,
                    shift in coset_shift(),
                    points in vec(extension_element::<$field, $extension>(), 1..4),
                ) {
                    check_evaluate(&coefficients, log_blowup, shift, &points);
                }

                #[test]
                fn reduce_is_its_defining_sum(
                    (log_height, terms) in terms::<$field, $extension>(),
                    shift in coset_shift(),
                    alpha in extension_element::<$field, $extension>(),
                ) {
                    check_reduce(log_height, shift, alpha, &terms);
                }

                #[test]
                fn fold_mixes_the_parts(
                    (log_arity, coefficients, roll_in) in folding::<$field, $extension>(),
                    beta in extension_element::<$field, $extension>(),
                ) {
                    check_fold(&coefficients, log_arity, beta, roll_in.as_ref());
                }
            }
        }
    };
}

over!(koala_bear_4, KoalaBear4, KoalaBear);
over!(koala_bear_5, KoalaBear5, KoalaBear);
over!(baby_bear_4, BabyBear4, p3_baby_bear::BabyBear);
over!(baby_bear_5, BabyBear5, p3_baby_bear::BabyBear);
