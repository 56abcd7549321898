//! The shape that shrinks and joins share.

use std::sync::Arc;

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use p3_koala_bear::KoalaBear;
use p3_matrix::dense::RowMajorMatrix;
use starkwright_hal::Extension;
use starkwright_prover::profile::LeafParameters;

use crate::AggregatorError;
use crate::circuit::{Builder, CircuitAir, Layout};
use crate::verify::ProofShape;

/// A shape of nodes' proofs: one table of a fixed layout and height, at fixed parameters.
#[derive(Clone, Debug)]
pub struct Uniform {
    tails: Vec<u8>,
    log_height: usize,
    parameters: LeafParameters,
    shape: ProofShape,
}

impl Uniform {
    /// The shape of nodes whose tables have `2^log_height` rows; `others` are the lengths of short last blocks that the
    /// lifts under its shrinks have ([`tails`](super::tails())).
    ///
    /// Its layout has a flag for every length of a short last block that verifying it meets. Flags are columns, so they
    /// are part of what is verified: they are added until none is missing.
    ///
    /// # Errors
    /// As [`ProofShape::new`].
    pub fn new<E>(
        log_height: usize,
        parameters: &LeafParameters,
        others: &[u8],
    ) -> Result<Self, AggregatorError>
    where
        E: Extension<KoalaBear>,
        SymbolicExpressionExt<KoalaBear, E>: Algebra<E>,
    {
        let mut tails = others.to_vec();
        loop {
            tails.sort_unstable();
            tails.dedup();
            let shape =
                ProofShape::new::<E, _>(&[blank_air::<E>(&tails)], &[log_height], parameters)?;
            let missing: Vec<u8> = shape
                .tails()
                .into_iter()
                .filter(|tail| !tails.contains(tail))
                .collect();
            if missing.is_empty() {
                return Ok(Self {
                    tails,
                    log_height,
                    parameters: *parameters,
                    shape,
                });
            }
            // At most eight lengths exist, so this ends.
            tails.extend(missing);
        }
    }

    /// The table, without the values of its preprocessed columns.
    #[must_use]
    pub fn air<E: Extension<KoalaBear>>(&self) -> CircuitAir {
        blank_air::<E>(&self.tails)
    }

    /// An empty circuit of this layout.
    pub(super) fn builder<E: Extension<KoalaBear>>(&self) -> Builder {
        Builder::new(E::RULE, &self.tails)
    }

    /// The base-2 logarithm of the table's height.
    #[must_use]
    pub const fn log_height(&self) -> usize {
        self.log_height
    }

    /// The parameters.
    #[must_use]
    pub const fn parameters(&self) -> &LeafParameters {
        &self.parameters
    }

    /// The shape of its proofs.
    #[must_use]
    pub const fn shape(&self) -> &ProofShape {
        &self.shape
    }
}

/// A table of this layout without preprocessed columns' values: enough to know its constraints.
pub(super) fn blank_air<E: Extension<KoalaBear>>(tails: &[u8]) -> CircuitAir {
    let layout = Layout {
        degree: E::RULE.degree(),
        tails: tails.to_vec(),
    };
    let width = layout.preprocessed_width();
    CircuitAir::new(
        layout,
        E::RULE,
        Arc::new(RowMajorMatrix::new(Vec::new(), width)),
    )
}
