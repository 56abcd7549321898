//! The last proof in a fixed encoding, for a contract.
//!
//! Everything but the number of siblings in pruned openings follows from the verifier's own shape, so nothing else is in
//! the bytes: no lengths, no heights, no names. Field elements stand as they are hashed, four bytes in Montgomery form,
//! little-endian, so that a leaf's hash is that of the bytes as they stand. `docs/wrap.md` describes version 0 byte by byte;
//! `aggregator/tests/wrap_verifier.py` reads and verifies it independently.

mod read;
mod write;

use starkwright_hal::{Extension, Keccak256Merkle};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::keccak_file::Val;
use starkwright_prover::prove::StockBatchProof;

use crate::AggregatorError;
use crate::verify::ProofShape;

type Proof<E> = StockBatchProof<Val, E, Keccak256Merkle>;

/// The first word.
pub const VERSION: u32 = 0;

/// The shape of a proof of one table with preprocessed columns and lookups: what decides its encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrapShape {
    /// Degree of the challenge field.
    pub degree: usize,
    /// Base-2 logarithm of the table's height.
    pub log_height: usize,
    /// Columns of the main trace, opened at two points.
    pub main: usize,
    /// Preprocessed columns, opened at one.
    pub preprocessed: usize,
    /// Columns of the lookups, in elements of the base field, opened at two.
    pub lookups: usize,
    /// Quotient chunks of `degree` columns each, opened at one.
    pub chunks: usize,
    /// Digests of a commitment.
    pub cap: usize,
    /// Queries.
    pub queries: usize,
    /// Coefficients of the final polynomial.
    pub final_poly: usize,
    /// Base-2 logarithms of the rounds' arities.
    pub log_arities: Vec<usize>,
    /// Base-2 logarithm of the extensions' height.
    pub log_max_height: usize,
}

impl WrapShape {
    /// The shape.
    ///
    /// # Errors
    /// [`AggregatorError::ProofShape`] where there is another number of tables than one, or it has no preprocessed columns or
    /// lookups.
    pub(crate) fn new(shape: &ProofShape) -> Result<Self, AggregatorError> {
        let other = AggregatorError::ProofShape {
            what: "the encoding is of one table with preprocessed columns and lookups",
        };
        let [table] = shape.tables.as_slice() else {
            return Err(other);
        };
        let layout = table.graph.layout();
        let rows_fit = table.next && !table.preprocessed_next && layout.preprocessed > 0;
        if !(rows_fit && shape.has_lookups) {
            return Err(other);
        }
        let parameters = &shape.parameters;
        Ok(Self {
            degree: shape.degree,
            log_height: table.log_height,
            main: layout.main,
            preprocessed: layout.preprocessed,
            lookups: layout.permutation * shape.degree,
            chunks: 1 << table.log_chunks,
            cap: 1 << parameters.cap_height,
            queries: parameters.num_queries,
            final_poly: 1 << parameters.log_final_poly_len,
            log_arities: shape.log_arities.clone(),
            log_max_height: shape.log_max_height,
        })
    }

    /// Words that a query opens in each commitment, in the order of the opening argument: trace, quotient, preprocessed
    /// columns, lookups.
    const fn opened(&self) -> [usize; 4] {
        let quotient = self.chunks * self.degree;
        [self.main, quotient, self.preprocessed, self.lookups]
    }

    /// Bytes apart from siblings and their counts: they are the same in every proof.
    #[must_use]
    pub fn fixed_bytes(&self) -> usize {
        let caps = 32 * self.cap * (3 + self.log_arities.len());
        let claims =
            2 * self.main + self.chunks * self.degree + self.preprocessed + 2 * self.lookups;
        let opened: usize = self.opened().iter().sum();
        let siblings: usize = self.log_arities.iter().map(|log| (1 << log) - 1).sum();
        // Version; witnesses of the lookups, the point, the batching, the rounds and the queries.
        let words = 1 + 4 + self.log_arities.len();
        // The challenge of the public values and the terminal; the claims; the final polynomial.
        let elements = 2 + claims + self.final_poly + self.queries * siblings;
        caps + 4 * (words + self.degree * elements + self.queries * opened)
    }

    /// The most bytes a proof takes: every query with a path of its own.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        let cap_height = self.cap.ilog2() as usize;
        let mut height = self.log_max_height;
        let mut siblings = 4 * (height - cap_height);
        for log_arity in &self.log_arities {
            height -= log_arity;
            siblings += height.saturating_sub(cap_height);
        }
        let counts = 4 + self.log_arities.len();
        self.fixed_bytes() + 4 * counts + 32 * self.queries * siblings
    }
}

/// The bytes of a proof with the inverse batching challenge among its public values.
///
/// # Errors
/// [`AggregatorError::ProofShape`] for a proof of another shape.
pub(crate) fn encode<E>(
    shape: &WrapShape,
    challenge: E,
    proof: &Proof<E>,
) -> Result<Vec<u8>, AggregatorError>
where
    E: Extension<Val>,
    Keccak256Merkle: Protocol<Val, E>,
{
    write::proof(shape, challenge, proof)
}

/// The proof, and the challenge, that these bytes encode. Total: any bytes are read or refused, and a proof has one encoding.
///
/// # Errors
/// [`AggregatorError::NodeFile`] naming what is wrong.
pub(crate) fn decode<E>(shape: &WrapShape, bytes: &[u8]) -> Result<(E, Proof<E>), AggregatorError>
where
    E: Extension<Val>,
    Keccak256Merkle: Protocol<Val, E>,
{
    read::proof(shape, bytes)
}
