//! What proptest draws: elements with the edges of the range among them, and matrices of them.

use p3_field::BasedVectorSpace;
use p3_matrix::dense::RowMajorMatrix;
use proptest::collection::vec;
use proptest::prelude::*;
use starkwright_hal::{Extension, HalField};

/// An element: often 0, 1 or p − 1, otherwise any.
pub(crate) fn element<F: HalField>() -> impl Strategy<Value = F> {
    let edges = prop_oneof![Just(0), Just(1), Just(F::ORDER_U32 - 1)];
    prop_oneof![1 => edges, 4 => 0..F::ORDER_U32].prop_map(F::from_u32)
}

/// An element of an extension that lies in no smaller field.
pub(crate) fn extension_element<F: HalField, E: Extension<F>>() -> impl Strategy<Value = E> {
    let degree = <E as BasedVectorSpace<F>>::DIMENSION;
    vec(element::<F>(), degree)
        .prop_filter("in the base field", |c| c[1..].iter().any(|x| !x.is_zero()))
        .prop_map(|c| E::from_basis_coefficients_slice(&c).unwrap())
}

/// A matrix of this shape.
pub(crate) fn matrix<F: HalField>(
    height: usize,
    width: usize,
) -> impl Strategy<Value = RowMajorMatrix<F>> {
    vec(element(), height * width).prop_map(move |values| RowMajorMatrix::new(values, width))
}

/// A matrix of at most `2^max_log_height` rows and `max_width` columns.
pub(crate) fn some_matrix<F: HalField>(
    max_log_height: usize,
    max_width: usize,
) -> impl Strategy<Value = RowMajorMatrix<F>> {
    (0..=max_log_height, 1..=max_width)
        .prop_flat_map(|(log_height, width)| matrix(1 << log_height, width))
}
