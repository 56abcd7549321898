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
    /// A part of an assignment's input has another number of words than the circuit reads.
    #[error("part {part} of the input has {found} words, the circuit reads {expected}")]
    Input {
        /// The part.
        part: usize,
        /// Words the circuit reads.
        expected: usize,
        /// Words given.
        found: usize,
    },
    /// A proof has another shape than the circuit verifies.
    #[error("the proof has another shape than this circuit verifies: {what}")]
    ProofShape {
        /// What differs.
        what: &'static str,
    },
    /// The constraints of a table could not be lowered.
    #[error(transparent)]
    Lowering(#[from] starkwright_prover::constraints::LoweringError),
    /// Proving, or verifying natively, failed.
    #[error(transparent)]
    Prover(#[from] starkwright_prover::ProverError),
}
