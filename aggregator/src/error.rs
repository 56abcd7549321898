//! The crate's error.

/// Every way in which aggregating can fail.
#[derive(Debug, thiserror::Error)]
pub enum AggregatorError {
    /// A circuit does not fit its table.
    #[error("the {machine} machine takes {rows} rows, more than the table's {height}")]
    TooManyRows {
        /// Which machine.
        machine: &'static str,
        /// Rows it takes.
        rows: usize,
        /// Rows there are.
        height: usize,
    },
    /// An assignment was given another number of words than the circuit reads.
    #[error("the circuit reads {expected} words, and was given {found}")]
    Input {
        /// Words it reads.
        expected: usize,
        /// Words given.
        found: usize,
    },
}
