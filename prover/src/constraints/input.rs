//! What constraints read.

/// A value that constraints read: an opened column, a public value, a challenge or a selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// A column of the main trace, on the current row or the next.
    Main {
        /// The column.
        column: usize,
        /// Whether it is read on the next row.
        next: bool,
    },
    /// A column of the preprocessed trace, on the current row or the next.
    Preprocessed {
        /// The column.
        column: usize,
        /// Whether it is read on the next row.
        next: bool,
    },
    /// A column of the permutation trace, an extension element: column 0 is the accumulator, column
    /// `i + 1` the fraction of lookup `i`.
    Permutation {
        /// The column, counted in extension elements.
        column: usize,
        /// Whether it is read on the next row.
        next: bool,
    },
    /// A periodic column on the current row.
    Periodic(usize),
    /// A public value of this table.
    Public(usize),
    /// A challenge of the lookups, in p3's numbering within a table: lookup `i` has its bus prefix
    /// at `2 i` and beta at `2 i + 1`. Lookups on one bus have equal prefixes, and all of a proof
    /// have equal betas.
    Challenge(usize),
    /// The sum that the table's accumulator ends with, from the proof: number 0, where there are
    /// lookups.
    Terminal(usize),
    /// The selector of the first row.
    IsFirstRow,
    /// The selector of the last row.
    IsLastRow,
    /// The selector of every row but the last.
    IsTransition,
}

/// How many inputs of each kind a table has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Columns of the main trace.
    pub main: usize,
    /// Columns of the preprocessed trace.
    pub preprocessed: usize,
    /// Columns of the permutation trace, counted in extension elements.
    pub permutation: usize,
    /// Periodic columns.
    pub periodic: usize,
    /// Public values.
    pub public: usize,
    /// Challenges of the lookups.
    pub challenges: usize,
    /// Sums that accumulators end with: 1 where there are lookups, else 0.
    pub terminals: usize,
}

impl Layout {
    /// Whether a table with this layout has such an input.
    #[must_use]
    pub const fn has(&self, input: Input) -> bool {
        match input {
            Input::Main { column, .. } => column < self.main,
            Input::Preprocessed { column, .. } => column < self.preprocessed,
            Input::Permutation { column, .. } => column < self.permutation,
            Input::Periodic(column) => column < self.periodic,
            Input::Public(index) => index < self.public,
            Input::Challenge(index) => index < self.challenges,
            Input::Terminal(index) => index < self.terminals,
            Input::IsFirstRow | Input::IsLastRow | Input::IsTransition => true,
        }
    }
}
