//! Two small tables with lookups, preprocessed columns and public values, over any field.

use p3_air::{Air, AirBuilder, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::dense::RowMajorMatrix;
use starkwright_hal::HalField;

/// Log2 of the number of values in the table that is looked up in.
const LOG_VALUES: usize = 4;

/// One of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupAir {
    /// A counter from a public start, cut into its low bits and the rest; the low bits are looked up with their square.
    Counter {
        /// Log2 of the number of rows.
        log_height: usize,
    },
    /// Preprocessed pairs `(v, v²)` for `v` below 16, and how often each is asked for.
    Squares,
}

/// The tables with their traces and public values.
pub struct LookupTables<F> {
    /// The tables.
    pub airs: Vec<LookupAir>,
    /// A trace for each.
    pub traces: Vec<RowMajorMatrix<F>>,
    /// Public values of each.
    pub public_values: Vec<Vec<F>>,
}

const BUS: &str = "squares";

impl<F: HalField> BaseAir<F> for LookupAir {
    fn width(&self) -> usize {
        match self {
            // counter, low, rest, low²
            Self::Counter { .. } => 4,
            Self::Squares => 1,
        }
    }

    fn num_public_values(&self) -> usize {
        usize::from(*self != Self::Squares)
    }

    fn preprocessed_width(&self) -> usize {
        match self {
            Self::Counter { .. } => 1,
            Self::Squares => 2,
        }
    }

    fn preprocessed_trace(&self) -> Option<RowMajorMatrix<F>> {
        let value = |i: usize| F::from_usize(i);
        Some(match *self {
            // The step to the next row: 1, 2, 3, 1, 2, 3, …
            Self::Counter { log_height } => {
                RowMajorMatrix::new((0..1 << log_height).map(|i| value(i % 3 + 1)).collect(), 1)
            }
            Self::Squares => RowMajorMatrix::new(
                (0..1 << LOG_VALUES)
                    .flat_map(|i| [value(i), value(i * i)])
                    .collect(),
                2,
            ),
        })
    }
}

impl<AB: InteractionBuilder> Air<AB> for LookupAir
where
    AB::F: HalField,
{
    fn eval(&self, builder: &mut AB) {
        let main = builder.main();
        let (local, next) = (main.current_slice(), main.next_slice());
        match self {
            Self::Counter { .. } => {
                let (counter, low, rest, square) = (local[0], local[1], local[2], local[3]);
                let next = next[0];
                let step: AB::Expr = builder.preprocessed().current_slice()[0].into();
                let start: AB::Expr = builder.public_values()[0].into();
                builder.when_first_row().assert_eq(counter, start);
                builder
                    .when_transition()
                    .assert_eq(next, counter.into() + step);
                let sixteen = AB::Expr::from_u32(1 << LOG_VALUES);
                builder.assert_eq(counter, low.into() + rest.into() * sixteen);
                let query = [low.into(), square.into()];
                builder.push_interaction(BUS, query, Count::bounded(AB::Expr::ONE, 1));
            }
            Self::Squares => {
                let entry = {
                    let preprocessed = builder.preprocessed().current_slice();
                    [preprocessed[0].into(), preprocessed[1].into()]
                };
                let asked: AB::Expr = local[0].into();
                builder.push_interaction(BUS, entry, Count::provided(-asked));
            }
        }
    }
}

/// The tables with `2^log_height` rows of the counter.
#[must_use]
pub fn lookup_tables<F: HalField>(log_height: usize, start: u32) -> LookupTables<F> {
    let values = 1u32 << LOG_VALUES;
    let (mut counter, mut asked) = (start, vec![F::ZERO; 1 << LOG_VALUES]);
    let mut rows = Vec::with_capacity(4 << log_height);
    for i in 0..1u32 << log_height {
        let low = counter % values;
        rows.extend([counter, low, counter / values, low * low].map(F::from_u32));
        asked[low as usize] += F::ONE;
        counter = counter.wrapping_add(i % 3 + 1);
    }
    LookupTables {
        airs: vec![LookupAir::Counter { log_height }, LookupAir::Squares],
        traces: vec![RowMajorMatrix::new(rows, 4), RowMajorMatrix::new(asked, 1)],
        public_values: vec![vec![F::from_u32(start)], vec![]],
    }
}
