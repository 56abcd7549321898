//! How many digests a commitment has.
//!
//! p3's verifier looks a path's end up in the cap, at a place that follows from heights and parameters: a cap with more
//! digests than it has places is accepted by it, as is one with fewer, where no query meets what is missing. Circuits read
//! caps of one size, so verifiers here ask for it too: both accept the same proofs.

use p3_fri::fold_schedule;
use starkwright_hal::{Commitment, HalField, MerkleScheme};

use crate::ProverError;
use crate::profile::LeafParameters;

/// Digests of each commitment of a proof.
#[derive(Clone, Debug)]
pub(super) struct Caps {
    columns: usize,
    rounds: Vec<usize>,
}

impl Caps {
    /// Of proofs of tables of these heights.
    pub(super) fn new(parameters: &LeafParameters, log_heights: &[usize]) -> Self {
        let digests = |rows: usize| 1 << parameters.cap_height.min(rows);
        let mut heights: Vec<usize> = log_heights
            .iter()
            .map(|log| log + parameters.log_blowup)
            .collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        heights.dedup();
        let last = parameters.log_blowup + parameters.log_final_poly_len;
        let mut rows = heights.first().copied().unwrap_or(0);
        let rounds = fold_schedule(&heights, last, parameters.max_log_arity)
            .into_iter()
            .map(|log_arity| {
                rows -= log_arity;
                digests(rows)
            })
            .collect();
        Self {
            columns: digests(heights.last().copied().unwrap_or(0)),
            rounds,
        }
    }

    /// Whether a commitment to columns has the size.
    pub(super) fn fits<F: HalField, S: MerkleScheme<F>>(
        &self,
        commitment: &Commitment<F, S>,
    ) -> bool {
        S::cap_words(commitment).len() == self.columns
    }

    /// Refuses commitments of another size. Another number of rounds is p3's to refuse.
    pub(super) fn check<'a, F: HalField, S: MerkleScheme<F>>(
        &self,
        mut columns: impl Iterator<Item = &'a Commitment<F, S>>,
        rounds: &[Commitment<F, S>],
    ) -> Result<(), ProverError>
    where
        Commitment<F, S>: 'a,
    {
        let mut rounds = rounds.iter().zip(&self.rounds);
        if columns.all(|cap| self.fits::<F, S>(cap))
            && rounds.all(|(cap, &size)| S::cap_words(cap).len() == size)
        {
            return Ok(());
        }
        Err(ProverError::Rejected {
            why: "a commitment with another number of digests than the verifier's".to_owned(),
        })
    }
}
