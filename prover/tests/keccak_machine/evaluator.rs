//! The row-by-row evaluator against p3's own constraint check, and on AIRs made to fail it.

use p3_air::{Air, BaseAir, DebugConstraintBuilder, WindowAccess, check_all_constraints};
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::KoalaBear;
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use proptest::collection::vec;
use proptest::prelude::*;
use starkwright_prover::machine::ConstraintNames;
use starkwright_prover::machine::check::{
    RowBuilder, TableWitness, Violation, check_tables, evaluate_row,
};

use crate::{closing_block, full_block, segment_at, some_state, trace};

type F = KoalaBear;

/// First violation by p3's debug builder and by ours: row and constraint.
fn first_violations<A>(table: &TableWitness<'_, F, A>) -> [Option<(usize, usize)>; 2]
where
    A: for<'a> Air<DebugConstraintBuilder<'a, F>>
        + for<'a> Air<RowBuilder<'a, F>>
        + ConstraintNames,
{
    let report = check_all_constraints(table.air, table.trace, table.public_values, Some(1));
    let p3 = report
        .failures
        .first()
        .map(|failure| (failure.row, failure.constraint));
    let ours = (0..table.trace.height()).find_map(|row| {
        evaluate_row(table, row)
            .violated
            .first()
            .map(|&constraint| (row, constraint))
    });
    [p3, ours]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn agrees_with_p3(
        changes in vec((0_usize..72, any::<prop::sample::Index>(), 0_u32..3), 0..3),
        table in 0_usize..2,
    ) {
        let blocks = vec![full_block(1), closing_block(2, 31)];
        let mut trace = trace::<F>(&segment_at(some_state(), 7, blocks));
        let matrix = if table == 0 { &mut trace.permutation } else { &mut trace.sponge };
        for (row, column, value) in changes {
            let cell = row * matrix.width + column.index(matrix.width);
            matrix.values[cell] = F::from_u32(value);
        }
        let [p3, ours] = first_violations(&trace.tables()[table]);
        prop_assert_eq!(p3, ours);
    }
}

/// A table of one column that sends its values, with a count bounded by 2.
#[derive(Clone, Copy)]
enum Toy {
    Global,
    Local,
}

impl<T> BaseAir<T> for Toy {
    fn width(&self) -> usize {
        2
    }
}

impl<AB: InteractionBuilder> Air<AB> for Toy {
    /// Column 0 is a count, column 1 a value.
    fn eval(&self, builder: &mut AB) {
        let main = builder.main();
        let (count, value) = (main.current_slice()[0], main.current_slice()[1]);
        let count = Count::bounded(count.into(), 2);
        match self {
            Self::Global => builder.push_interaction("toys", [value], count),
            Self::Local => builder.push_local_interaction([(vec![value.into()], count)]),
        }
    }
}

impl ConstraintNames for Toy {
    fn table_name(&self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Local => "local",
        }
    }

    fn constraint_name(&self, _: usize) -> &'static str {
        "none"
    }
}

/// Rows of (count, value).
fn check_toys(tables: &[(Toy, &[(i32, u32)])]) -> Result<(), Violation> {
    let rows = |rows: &[(i32, u32)]| {
        let cells = rows
            .iter()
            .flat_map(|&(count, value)| [F::from_i32(count), F::from_u32(value)]);
        RowMajorMatrix::new(cells.collect(), 2)
    };
    let matrices: Vec<_> = tables.iter().map(|(_, values)| rows(values)).collect();
    let witnesses: Vec<_> = tables
        .iter()
        .zip(&matrices)
        .map(|((air, _), trace)| TableWitness {
            air,
            preprocessed: None,
            trace,
            public_values: &[],
        })
        .collect();
    check_tables(&witnesses)
}

#[test]
fn buses_balance_per_tuple() {
    check_toys(&[
        (Toy::Global, &[(1, 5), (1, 6)]),
        (Toy::Global, &[(-1, 6), (-1, 5)]),
    ])
    .unwrap();
    check_toys(&[(Toy::Local, &[(2, 5), (-2, 5), (0, 9), (0, 1)])]).unwrap();
    let unbalanced = |bus: &str, table, row, net| {
        Err(Violation::Unbalanced {
            bus: bus.to_owned(),
            table,
            row,
            net,
        })
    };
    assert_eq!(
        check_toys(&[
            (Toy::Global, &[(1, 5), (2, 6)]),
            (Toy::Global, &[(-1, 6), (-1, 5)])
        ]),
        unbalanced("toys", "global", 1, 1)
    );
    // The counts cancel, the tuples differ.
    assert_eq!(
        check_toys(&[(Toy::Global, &[(1, 5), (-1, 6)])]),
        unbalanced("toys", "global", 0, 1)
    );
    // A local lookup does not balance another bus, nor another table's.
    assert_eq!(
        check_toys(&[(Toy::Local, &[(-1, 5)]), (Toy::Global, &[(1, 5)])]),
        unbalanced("local, local lookup 0", "local", 0, F::ORDER_U32 - 1)
    );
}

#[test]
fn counts_respect_their_bounds() {
    for count in [3, -3, 1 << 20] {
        let bound = Violation::CountBound {
            table: "global",
            row: 1,
            bus: "toys".to_owned(),
        };
        assert_eq!(
            check_toys(&[(Toy::Global, &[(-2, 5), (count, 5)])]),
            Err(bound)
        );
    }
}

#[test]
fn shapes_are_checked() {
    let reason = |width: usize, cells: usize, public_values: &[F]| {
        let mut trace = RowMajorMatrix::new(Vec::new(), width);
        trace.values = F::zero_vec(cells);
        let table = TableWitness {
            air: &Toy::Global,
            preprocessed: None,
            trace: &trace,
            public_values,
        };
        match check_tables(&[table]) {
            Ok(()) => "none",
            Err(Violation::Shape { reason, .. }) => reason,
            Err(_) => "another",
        }
    };
    assert_eq!(reason(2, 8, &[]), "none");
    assert_eq!(
        reason(3, 9, &[]),
        "the trace does not have the table's width"
    );
    assert_eq!(
        reason(2, 7, &[]),
        "the trace does not have the table's width"
    );
    assert_eq!(
        reason(2, 6, &[]),
        "the trace's height is not a power of two"
    );
    assert_eq!(
        reason(2, 0, &[]),
        "the trace's height is not a power of two"
    );
    assert_eq!(
        reason(2, 8, &[F::ONE]),
        "the number of public values is not the table's"
    );
}
