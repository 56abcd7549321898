//! What the operations of FRI are asked for: evaluations, reduced openings, witnesses.

/// One matrix to evaluate at points outside its domain.
pub struct Evaluation<'a, M, E> {
    /// Values over `shift · K` in bit-reversed order: an LDE by `2^log_blowup`.
    pub matrix: &'a M,
    /// Log2 of the blow-up: only the first `height >> log_blowup` rows are needed, and read.
    pub log_blowup: usize,
    /// The points.
    pub points: &'a [E],
}

impl<'a, M, E> Evaluation<'a, M, E> {
    /// The same request about another matrix: the same values elsewhere.
    #[must_use]
    pub fn on<'b, N>(&self, matrix: &'b N) -> Evaluation<'b, N, E>
    where
        'a: 'b,
    {
        Evaluation {
            matrix,
            log_blowup: self.log_blowup,
            points: self.points,
        }
    }
}

/// One matrix's part in a reduced opening.
pub struct Reduction<'a, M, E> {
    /// Values over `shift · K` in bit-reversed order.
    pub matrix: &'a M,
    /// One entry for each point the matrix is opened at.
    pub openings: Vec<PointOpening<E>>,
}

impl<M, E: Clone> Reduction<'_, M, E> {
    /// The same term over another matrix: the same values elsewhere.
    #[must_use]
    pub fn on<'b, N>(&self, matrix: &'b N) -> Reduction<'b, N, E> {
        Reduction {
            matrix,
            openings: self.openings.clone(),
        }
    }
}

/// One opening point's part in a reduced opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointOpening<E> {
    /// The point `z`.
    pub point: E,
    /// The power of alpha that this opening's sum starts with.
    pub weight: E,
    /// `weight · Σ_j alpha^j y_j` over the opened values `y_j = f_j(z)`.
    pub value: E,
}

/// A search for a proof-of-work witness: the challenger's state, with a place for the candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Puzzle<F> {
    /// p3's duplex challenger over Poseidon2 of width 16, about to absorb the candidate and permute.
    Poseidon2 {
        /// The state before the permutation, length tag included.
        state: [F; 16],
        /// Where the candidate goes.
        slot: usize,
        /// Which word of the permuted state is sampled.
        output: usize,
    },
    /// p3's byte challenger over Keccak-256: the digest's last four bytes, read last byte first, of the prefix and
    /// the candidate's Montgomery word in little-endian bytes.
    Keccak256 {
        /// What has been absorbed before the candidate.
        prefix: Vec<u8>,
    },
}
