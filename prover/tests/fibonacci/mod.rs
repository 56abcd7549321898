//! A small table with everything in it, and parameters for speed.
#![allow(dead_code, unreachable_pub, reason = "shared by several tests")]

use p3_air::{Air, AirBuilder, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::dense::RowMajorMatrix;
use starkwright_hal::HalField;
use starkwright_prover::profile::LeafParameters;

/// Parameters of no security that use every step: caps, grinding at every place, folds.
pub const SMALL: LeafParameters = LeafParameters {
    extension_degree: 5,
    log_blowup: 2,
    num_queries: 7,
    log_final_poly_len: 1,
    max_log_arity: 3,
    cap_height: 1,
    lookup_pow_bits: 3,
    ood_pow_bits: 2,
    batch_pow_bits: 4,
    commit_pow_bits: 2,
    query_pow_bits: 5,
};

/// Two columns of Fibonacci numbers with a preprocessed counter that is looked up in itself.
#[derive(Clone)]
pub struct Fibonacci {
    /// Rows.
    pub height: usize,
}

impl<F: HalField> BaseAir<F> for Fibonacci {
    fn width(&self) -> usize {
        2
    }
    fn num_public_values(&self) -> usize {
        1
    }
    fn preprocessed_width(&self) -> usize {
        1
    }
    fn preprocessed_trace(&self) -> Option<RowMajorMatrix<F>> {
        Some(RowMajorMatrix::new(
            (0..self.height).map(F::from_usize).collect(),
            1,
        ))
    }
}

impl<AB: AirBuilder + InteractionBuilder> Air<AB> for Fibonacci
where
    AB::F: HalField,
{
    fn eval(&self, builder: &mut AB) {
        let main = builder.main();
        let (local, next) = (main.current_slice(), main.next_slice());
        let (a, b, c, d) = (local[0], local[1], next[0], next[1]);
        let first: AB::Expr = builder.public_values()[0].into();
        builder.when_first_row().assert_eq(a, first);
        builder.when_transition().assert_eq(c, b);
        builder.when_transition().assert_eq(d, a.into() + b.into());
        let counter = builder.preprocessed().current_slice()[0];
        builder.push_interaction(
            "count",
            [counter.into(), a.into()],
            Count::bounded(AB::Expr::ONE, 1),
        );
        builder.push_interaction(
            "count",
            [counter.into(), a.into()],
            Count::provided(AB::Expr::NEG_ONE),
        );
    }
}

/// Its trace, from a public first number and 1.
pub fn fibonacci<F: HalField>(height: usize, start: F) -> RowMajorMatrix<F> {
    let (mut a, mut b) = (start, F::ONE);
    let mut values = Vec::with_capacity(2 * height);
    for _ in 0..height {
        values.extend([a, b]);
        (a, b) = (b, a + b);
    }
    RowMajorMatrix::new(values, 2)
}
