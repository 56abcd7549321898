//! Evaluates a machine's constraints and lookups row by row, in the base field, without a proof.
//!
//! A proof that verifies shows that every constraint vanishes on every row and that every bus
//! balances, up to the soundness error. This module decides the same question exactly:
//!
//! - [`evaluate_row`] evaluates one table on one row window and reports the first violated
//!   constraint and the messages that the row sends;
//! - [`check_tables`] does so for all rows of all tables and sums the messages of each bus.
//!
//! The row window is the one of `p3-uni-stark`: on the last row `next` is the first row, and
//! `is_transition` is 0 there. A bus balances when, for each tuple, the counts sum to zero in the
//! field: what LogUp proves (`p3-lookup`, `logup.rs`). A count declared as bounded must also respect
//! its bound on each row, because the sum is an identity of integers only then.
//!
//! Nothing here panics on a wrong witness: p3's own debug checks do, which is why tests that mutate
//! thousands of cells need another evaluator.

use std::collections::HashMap;

use p3_air::{Air, AirBuilder, RowWindow};
use p3_field::PrimeField32;
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_maybe_rayon::prelude::*;

use super::ConstraintNames;

/// One table with its trace and public values.
#[derive(Debug)]
pub struct TableWitness<'a, F, A> {
    /// The AIR.
    pub air: &'a A,
    /// The preprocessed columns, where the table has any: as high as the trace.
    pub preprocessed: Option<&'a RowMajorMatrix<F>>,
    /// The trace: natural row order, one row per step.
    pub trace: &'a RowMajorMatrix<F>,
    /// The public values of this table.
    pub public_values: &'a [F],
}

/// What a witness violates. Rows, constraints and tables count from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A trace or its public values do not have the table's shape.
    #[error("table {table}: {reason}")]
    Shape {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A constraint does not vanish.
    #[error("table {table}, row {row}: constraint {constraint} ({name}) does not vanish")]
    Constraint {
        /// The table.
        table: &'static str,
        /// The row on which it was evaluated.
        row: usize,
        /// Index of the constraint, in the order in which the AIR asserts them.
        constraint: usize,
        /// Name of the group of constraints that holds it.
        name: &'static str,
    },
    /// A message's count exceeds the bound that the AIR declares for it.
    #[error("table {table}, row {row}: a count on bus {bus} exceeds its declared bound")]
    CountBound {
        /// The table.
        table: &'static str,
        /// The row that sends the message.
        row: usize,
        /// The bus.
        bus: String,
    },
    /// Messages on a bus do not cancel.
    #[error("bus {bus}: the tuple of table {table}, row {row} has the net count {net}")]
    Unbalanced {
        /// The bus.
        bus: String,
        /// Table of the first row that sends the tuple.
        table: &'static str,
        /// First row that sends the tuple.
        row: usize,
        /// Sum of the tuple's counts, canonical.
        net: u32,
    },
}

/// A message that a row sends on a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<F> {
    /// Name of the bus.
    pub bus: String,
    /// The tuple.
    pub fields: Vec<F>,
    /// Its signed count, never zero.
    pub count: F,
    /// The declared bound on the count's magnitude; 0 for a provided tuple, which has none.
    pub weight: u32,
}

/// What evaluating one row of one table yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowReport<F> {
    /// Indices of the constraints that do not vanish, ascending.
    pub violated: Vec<usize>,
    /// Number of constraints evaluated.
    pub constraints: usize,
    /// The messages with a count other than zero.
    pub messages: Vec<Message<F>>,
}

/// Evaluates all constraints of `table` on `row` and its cyclic successor.
///
/// The caller guarantees the table's shape, which [`check_tables`] verifies.
///
/// # Panics
/// When `row` is out of range or the trace is narrower than the AIR.
pub fn evaluate_row<F, A>(table: &TableWitness<'_, F, A>, row: usize) -> RowReport<F>
where
    F: PrimeField32,
    A: for<'b> Air<RowBuilder<'b, F>> + ConstraintNames,
{
    let width = table.trace.width;
    let height = table.trace.height();
    let next = (row + 1) % height;
    let slice = |r: usize| &table.trace.values[r * width..(r + 1) * width];
    let fixed = |r: usize| {
        table.preprocessed.map_or(&[][..], |matrix| {
            &matrix.values[r * matrix.width..(r + 1) * matrix.width]
        })
    };
    let mut builder = RowBuilder {
        main: RowWindow::from_two_rows(slice(row), slice(next)),
        preprocessed: RowWindow::from_two_rows(fixed(row), fixed(next)),
        public_values: table.public_values,
        is_first: F::from_bool(row == 0),
        is_last: F::from_bool(row + 1 == height),
        table: table.air.table_name(),
        local_lookups: 0,
        report: RowReport {
            violated: Vec::new(),
            constraints: 0,
            messages: Vec::new(),
        },
    };
    table.air.eval(&mut builder);
    builder.report
}

/// Checks every constraint on every row of every table, and the balance of every bus.
///
/// # Errors
/// The first violation: shapes, then constraints in table and row order, then buses.
pub fn check_tables<F, A>(tables: &[TableWitness<'_, F, A>]) -> Result<(), Violation>
where
    F: PrimeField32,
    A: for<'b> Air<RowBuilder<'b, F>> + ConstraintNames,
{
    tables.iter().try_for_each(check_shape)?;
    let mut sent: HashMap<(String, Vec<F>), (F, &'static str, usize)> = HashMap::new();
    let mut order = Vec::new();
    for table in tables {
        let name = table.air.table_name();
        let reports: Vec<RowReport<F>> = (0..table.trace.height())
            .into_par_iter()
            .map(|row| evaluate_row(table, row))
            .collect();
        for (row, report) in reports.into_iter().enumerate() {
            if let Some(&constraint) = report.violated.first() {
                let name_of = table.air.constraint_name(constraint);
                return Err(Violation::Constraint {
                    table: name,
                    row,
                    constraint,
                    name: name_of,
                });
            }
            for message in report.messages {
                if exceeds_bound(&message) {
                    return Err(Violation::CountBound {
                        table: name,
                        row,
                        bus: message.bus,
                    });
                }
                let key = (message.bus, message.fields);
                sent.entry(key.clone())
                    .and_modify(|(net, ..)| *net += message.count)
                    .or_insert_with(|| {
                        order.push(key);
                        (message.count, name, row)
                    });
            }
        }
    }
    for key in order {
        if let Some(&(net, table, row)) = sent.get(&key)
            && net != F::ZERO
        {
            return Err(Violation::Unbalanced {
                bus: key.0,
                table,
                row,
                net: net.as_canonical_u32(),
            });
        }
    }
    Ok(())
}

/// Whether a bounded count is neither in `0..=weight` nor in `-weight..=0`.
fn exceeds_bound<F: PrimeField32>(message: &Message<F>) -> bool {
    let magnitude = message
        .count
        .as_canonical_u32()
        .min((-message.count).as_canonical_u32());
    message.weight != 0 && magnitude > message.weight
}

fn check_shape<F, A>(table: &TableWitness<'_, F, A>) -> Result<(), Violation>
where
    F: PrimeField32,
    A: for<'b> Air<RowBuilder<'b, F>> + ConstraintNames,
{
    let fail = |reason| {
        Err(Violation::Shape {
            table: table.air.table_name(),
            reason,
        })
    };
    let width = table.air.width();
    if table.air.num_periodic_columns() != 0 {
        return fail("periodic columns are not supported by this evaluator");
    }
    let (fixed_width, fixed_height) = table
        .preprocessed
        .map_or((0, table.trace.height()), |matrix| {
            (matrix.width, matrix.height())
        });
    if fixed_width != table.air.preprocessed_width() || fixed_height != table.trace.height() {
        return fail("the preprocessed columns are not the table's");
    }
    if table.trace.width != width || width == 0 || !table.trace.values.len().is_multiple_of(width) {
        return fail("the trace does not have the table's width");
    }
    if !table.trace.height().is_power_of_two() {
        return fail("the trace's height is not a power of two");
    }
    if table.public_values.len() != table.air.num_public_values() {
        return fail("the number of public values is not the table's");
    }
    Ok(())
}

/// The builder behind [`evaluate_row`]: expressions are field elements.
#[derive(Debug)]
pub struct RowBuilder<'a, F> {
    main: RowWindow<'a, F>,
    preprocessed: RowWindow<'a, F>,
    public_values: &'a [F],
    is_first: F,
    is_last: F,
    table: &'static str,
    local_lookups: usize,
    report: RowReport<F>,
}

impl<F: PrimeField32> RowBuilder<'_, F> {
    fn send(&mut self, bus: &str, fields: Vec<F>, count: F, weight: u32) {
        if count != F::ZERO {
            self.report.messages.push(Message {
                bus: bus.to_owned(),
                fields,
                count,
                weight,
            });
        }
    }
}

impl<'a, F: PrimeField32> AirBuilder for RowBuilder<'a, F> {
    type F = F;
    type Expr = F;
    type Var = F;
    type PreprocessedWindow = RowWindow<'a, F>;
    type MainWindow = RowWindow<'a, F>;
    type PublicVar = F;
    type PeriodicVar = F;

    fn main(&self) -> Self::MainWindow {
        self.main
    }

    fn preprocessed(&self) -> &Self::PreprocessedWindow {
        &self.preprocessed
    }

    fn is_first_row(&self) -> F {
        self.is_first
    }

    fn is_last_row(&self) -> F {
        self.is_last
    }

    fn is_transition(&self) -> F {
        F::ONE - self.is_last
    }

    fn assert_zero<I: Into<F>>(&mut self, x: I) {
        if x.into() != F::ZERO {
            self.report.violated.push(self.report.constraints);
        }
        self.report.constraints += 1;
    }

    fn public_values(&self) -> &[F] {
        self.public_values
    }
}

impl<F: PrimeField32> InteractionBuilder for RowBuilder<'_, F> {
    fn push_interaction<E: Into<F>>(
        &mut self,
        bus_name: &str,
        fields: impl IntoIterator<Item = E>,
        count: impl Into<Count<F>>,
    ) {
        let (count, weight) = count.into().into_parts();
        self.send(
            bus_name,
            fields.into_iter().map(Into::into).collect(),
            count,
            weight,
        );
    }

    /// A local lookup balances on its own, so it is a bus of its own.
    fn push_local_interaction(&mut self, tuples: impl IntoIterator<Item = (Vec<F>, Count<F>)>) {
        let bus = format!("{}, local lookup {}", self.table, self.local_lookups);
        self.local_lookups += 1;
        for (fields, count) in tuples {
            let (count, weight) = count.into_parts();
            self.send(&bus, fields, count, weight);
        }
    }

    fn push_exclusive_interaction(
        &mut self,
        bus_name: &str,
        branches: impl IntoIterator<Item = (F, Count<F>, Vec<F>)>,
    ) {
        for (flag, count, fields) in branches {
            let (count, weight) = count.into_parts();
            self.send(bus_name, fields, flag * count, weight);
        }
    }
}
