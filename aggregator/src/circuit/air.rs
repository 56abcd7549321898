//! The table as an AIR: three machines side by side, joined by one write-once memory.
//!
//! The memory is a bus of tuples (number of a cell, its eight words). Every port of a row sends its tuple with a
//! preprocessed count: `n` where it creates a cell that is read `n` times, −1 where it reads one. The compiler gives every
//! cell exactly one creating port ([`Builder`](super::Builder)), so the bus balances only if every reader has the
//! creator's words: with another tuple, its count would have no counterpart, and there are fewer ports than the field has
//! elements. Counts that depend on the proof (which digest of a cap a query meets) are added by a column at creating ports
//! alone; a creator may count wrongly only at the price of an unbalanced bus.

use std::sync::Arc;

use p3_air::{Air, BaseAir, WindowAccess};
use p3_koala_bear::KoalaBear;
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::dense::RowMajorMatrix;
use starkwright_hal::ExtensionRule;

use super::layout::{CELL_WORDS, Layout, OPERANDS, fixed};
use super::{bits, gates, permutation};

/// The bus that is the memory.
pub const MEMORY: &str = "memory";

/// Cells that a row can read at most: the ports of the permutation machine, the operands, packing, the bit machine.
pub const READS_A_ROW: usize = 3 + OPERANDS + 3 + 2;

/// The table of a circuit.
#[derive(Clone, Debug)]
pub struct CircuitAir {
    layout: Layout,
    rule: ExtensionRule,
    preprocessed: Arc<RowMajorMatrix<KoalaBear>>,
}

impl CircuitAir {
    /// The table with these preprocessed columns.
    #[must_use]
    pub const fn new(
        layout: Layout,
        rule: ExtensionRule,
        preprocessed: Arc<RowMajorMatrix<KoalaBear>>,
    ) -> Self {
        Self {
            layout,
            rule,
            preprocessed,
        }
    }

    /// Where the columns stand.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }
}

impl BaseAir<KoalaBear> for CircuitAir {
    fn width(&self) -> usize {
        self.layout.width()
    }

    fn preprocessed_trace(&self) -> Option<RowMajorMatrix<KoalaBear>> {
        Some((*self.preprocessed).clone())
    }

    fn preprocessed_width(&self) -> usize {
        self.layout.preprocessed_width()
    }

    fn preprocessed_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }

    fn num_public_values(&self) -> usize {
        self.layout.public_values()
    }

    fn max_constraint_degree(&self) -> Option<usize> {
        Some(3)
    }
}

impl<AB: InteractionBuilder<F = KoalaBear>> Air<AB> for CircuitAir {
    fn eval(&self, builder: &mut AB) {
        let row = Row::new(&self.layout, self.rule, builder);
        permutation::eval(&row, builder);
        gates::eval(&row, builder);
        bits::eval(&row, builder);
    }
}

/// A row and the next one, as expressions.
pub(super) struct Row<'a, AB: InteractionBuilder<F = KoalaBear>> {
    pub(super) layout: &'a Layout,
    pub(super) rule: ExtensionRule,
    main: Vec<AB::Var>,
    next: Vec<AB::Var>,
    fixed: Vec<AB::Var>,
}

impl<'a, AB: InteractionBuilder<F = KoalaBear>> Row<'a, AB> {
    fn new(layout: &'a Layout, rule: ExtensionRule, builder: &AB) -> Self {
        let main = builder.main();
        Self {
            layout,
            rule,
            main: main.current_slice().to_vec(),
            next: main.next_slice().to_vec(),
            fixed: builder.preprocessed().current_slice().to_vec(),
        }
    }

    /// A column in this row.
    pub(super) fn at(&self, column: usize) -> AB::Expr {
        self.main[column].into()
    }

    /// A column in the next row.
    pub(super) fn next(&self, column: usize) -> AB::Expr {
        self.next[column].into()
    }

    /// A preprocessed column.
    pub(super) fn fixed(&self, column: usize) -> AB::Expr {
        self.fixed[column].into()
    }

    /// The words of an operand.
    pub(super) fn operand(&self, operand: usize) -> Vec<AB::Expr> {
        (0..self.layout.degree)
            .map(|word| self.at(self.layout.operand(operand, word)))
            .collect()
    }

    /// The words of all operands, of this row and then of the next one.
    pub(super) fn operand_words(&self) -> Vec<AB::Expr> {
        let columns = |operand, word| self.layout.operand(operand, word);
        let all = (0..OPERANDS).flat_map(|k| (0..self.layout.degree).map(move |w| (k, w)));
        let all: Vec<usize> = all.map(|(k, w)| columns(k, w)).collect();
        let this = all.iter().map(|&column| self.at(column));
        this.chain(all.iter().map(|&column| self.next(column)))
            .collect()
    }

    /// A tuple of the memory: a cell's number and its words, zeros behind those given.
    pub(super) fn cell(
        number: AB::Expr,
        words: impl IntoIterator<Item = AB::Expr>,
    ) -> Vec<AB::Expr> {
        let mut tuple = vec![number];
        tuple.extend(words);
        tuple.resize_with(1 + CELL_WORDS, || AB::Expr::from(KoalaBear::default()));
        tuple
    }
}

/// Sends a port's tuple.
///
/// The count is declared as provided, without a bound: a port that creates has a count as large as the cell is read. What
/// p3's bound is for, fewer queries than the field has elements, holds by [`READS_A_ROW`]: see `compile`.
pub(super) fn port<AB: InteractionBuilder<F = KoalaBear>>(
    builder: &mut AB,
    tuple: Vec<AB::Expr>,
    count: AB::Expr,
) {
    builder.push_interaction(MEMORY, tuple, Count::provided(count));
}

/// The product of two elements of the challenge field, as words.
pub(super) fn product<E>(rule: ExtensionRule, a: &[E], b: &[E]) -> Vec<E>
where
    E: p3_field::Algebra<KoalaBear>,
{
    let degree = rule.degree();
    let mut sums: Vec<Option<E>> = vec![None; 2 * degree - 1];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            let term = x.clone() * y.clone();
            sums[i + j] = Some(match sums[i + j].take() {
                Some(sum) => sum + term,
                None => term,
            });
        }
    }
    let mut words: Vec<E> = sums.into_iter().map(|sum| sum.unwrap_or(E::ZERO)).collect();
    // From the top, so that what a reduction puts above the degree is reduced in turn.
    for i in (degree..2 * degree - 1).rev() {
        let high = words[i].clone();
        match rule {
            ExtensionRule::Binomial { w, .. } => {
                words[i - degree] += high * E::from_u32(w);
            }
            ExtensionRule::QuinticTrinomial => {
                // X^5 = 1 − X^2.
                words[i - degree] += high.clone();
                words[i - degree + 2] -= high;
            }
        }
    }
    words.truncate(degree);
    words
}

/// Names of the groups of constraints, in order of assertion, with how many each has.
pub(super) fn constraint_groups(layout: &Layout) -> Vec<(&'static str, usize)> {
    let mut groups = permutation::groups(layout);
    groups.extend(gates::groups(layout));
    groups.extend(bits::groups());
    groups
}

impl starkwright_prover::machine::ConstraintNames for CircuitAir {
    fn table_name(&self) -> &'static str {
        "circuit"
    }

    fn constraint_name(&self, index: usize) -> &'static str {
        let mut left = index;
        for (name, count) in constraint_groups(&self.layout) {
            if left < count {
                return name;
            }
            left -= count;
        }
        "unknown"
    }
}

/// A gate's coefficients as expressions.
pub(super) fn gate_coefficients<AB: InteractionBuilder<F = KoalaBear>>(
    row: &Row<'_, AB>,
) -> fixed::Gate<AB::Expr> {
    let at = fixed::GATE;
    fixed::Gate {
        qa: row.fixed(at.qa),
        qb: row.fixed(at.qb),
        la: row.fixed(at.la),
        lb: row.fixed(at.lb),
        ld: row.fixed(at.ld),
        lo: row.fixed(at.lo),
        k: row.fixed(at.k),
        k1: row.fixed(at.k1),
    }
}
