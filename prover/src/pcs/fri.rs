//! The low-degree test: commit, fold, and answer queries.
//!
//! p3's `prove_fri` on device-resident codewords: in each round the codeword is cut into rows of `arity` elements and
//! committed, a challenge folds every row to one element, and the next input joins where its height is reached.

use p3_challenger::{CanObserve, FieldChallenger, GrindingChallenger};
use p3_dft::{Radix2DFTSmallBatch, TwoAdicSubgroupDft};
use p3_fri::{BatchMultiOpening, CommitPhaseMultiStep, FriProof, FriShape, ProverTranscript};
use p3_util::{log2_strict_usize, reverse_slice_index_bits};
use starkwright_hal::{Backend, Commitment, DeviceMatrix, Extension, HalError, HalField};

use super::DevicePcs;
use crate::ProverError;
use crate::challenger::Protocol;
use crate::config::{FriMmcs, Mmcs};
use crate::phases::Phase;

/// The proof p3's verifier reads.
pub(super) type DeviceFriProof<F, E, S> =
    FriProof<E, FriMmcs<F, E, S>, F, Vec<BatchMultiOpening<F, Mmcs<F, S>>>>;

/// The openings of one round's codeword.
type Step<F, E, S> = CommitPhaseMultiStep<E, FriMmcs<F, E, S>>;

/// What the rounds leave behind.
struct Rounds<F, E, C, D> {
    commitments: Vec<C>,
    codewords: Vec<D>,
    witnesses: Vec<F>,
    final_poly: Vec<E>,
}

impl<F, E, S, B> DevicePcs<F, E, S, B>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    B: Backend<F>,
{
    /// Proves that the inputs, tallest first, are close to polynomials of low degree, and opens everything committed
    /// at the queried places.
    pub(super) fn prove_fri<C>(
        &self,
        inputs: Vec<B::Matrix>,
        committed: &[&B::Committed<S>],
        batch_pow_witness: F,
        challenger: &mut C,
    ) -> Result<DeviceFriProof<F, E, S>, ProverError>
    where
        C: FieldChallenger<F> + CanObserve<Commitment<F, S>> + GrindingChallenger<Witness = F>,
    {
        let log_heights: Vec<usize> = inputs
            .iter()
            .map(|input| log2_strict_usize(input.height()))
            .collect();
        let Some(&log_max_height) = log_heights.first() else {
            return Err(HalError::invalid("open", "nothing to open").into());
        };
        let shape = FriShape::new(&self.fri, &log_heights, log_max_height);
        let log_arities = shape.log_arities.clone();
        let mut transcript = ProverTranscript::<C, F, E>::new(challenger, shape);

        let rounds = self.fold_rounds(inputs, &log_arities, &mut transcript);
        let rounds = match rounds {
            Ok(rounds) => rounds,
            Err((played, error)) => {
                // Once a failure is on record nothing is searched for: the rest of the transcript costs nothing.
                self.failure.record(error);
                abandon::<F, E, S, C>(
                    transcript,
                    &log_arities[played..],
                    self.fri.final_poly_len(),
                )?;
                self.failure.check()?;
                return Err(HalError::invalid("fri", "a failure went missing").into());
            }
        };
        let (indices, query_witness) = transcript.query_phase(&rounds.final_poly);
        transcript.finish();
        self.failure.check()?;

        let input_openings = committed
            .iter()
            .map(|committed| {
                let height = self
                    .device
                    .matrices::<S>(committed)
                    .iter()
                    .map(|matrix| matrix.height())
                    .max()
                    .ok_or_else(|| HalError::invalid("open", "an empty commitment"))?;
                let shift = log_max_height - log2_strict_usize(height);
                let indices: Vec<usize> = indices.iter().map(|index| index >> shift).collect();
                let (opened_values, opening_proof) = self.device.open::<S>(committed, &indices)?;
                Ok(BatchMultiOpening {
                    opened_values,
                    opening_proof,
                })
            })
            .collect::<Result<Vec<_>, HalError>>()?;
        let commit_phase_openings =
            self.answer_queries(&rounds.codewords, &log_arities, indices)?;

        self.phases.lap(Phase::Query);
        Ok(FriProof {
            batch_pow_witness,
            commit_phase_commits: rounds.commitments,
            commit_pow_witnesses: rounds.witnesses,
            input_openings,
            commit_phase_openings,
            final_poly: rounds.final_poly,
            query_pow_witness: query_witness.unwrap_or(F::ZERO),
        })
    }

    /// Commits and folds round by round. An error carries the number of rounds the transcript has played.
    #[allow(
        clippy::type_complexity,
        reason = "the error carries where the transcript stands"
    )]
    fn fold_rounds<C>(
        &self,
        inputs: Vec<B::Matrix>,
        log_arities: &[usize],
        transcript: &mut ProverTranscript<'_, C, F, E>,
    ) -> Result<Rounds<F, E, Commitment<F, S>, B::Committed<S>>, (usize, HalError)>
    where
        C: FieldChallenger<F> + CanObserve<Commitment<F, S>> + GrindingChallenger<Witness = F>,
    {
        let at = |round: usize| move |error: HalError| (round, error);
        let mut inputs = inputs.into_iter().peekable();
        let mut codeword = inputs
            .next()
            .ok_or_else(|| at(0)(HalError::invalid("fri", "nothing to fold")))?;
        let mut rounds = Rounds {
            commitments: Vec::new(),
            codewords: Vec::new(),
            witnesses: Vec::new(),
            final_poly: Vec::new(),
        };
        for (round, &log_arity) in log_arities.iter().enumerate() {
            // Conjugate points are adjacent in bit-reversed order: a row holds what folds into one element.
            let width = E::DIMENSION << log_arity;
            let leaves = self.device.reshape(codeword, width).map_err(at(round))?;
            let (commitment, committed) = self
                .device
                .commit::<S>(vec![leaves], self.cap_height)
                .map_err(at(round))?;
            self.phases.lap(Phase::Fold);
            let (beta, witness) = transcript.commit_round(commitment.clone());
            let played = round + 1;
            rounds.commitments.push(commitment);
            rounds.witnesses.push(witness.unwrap_or(F::ZERO));

            let matrices = self.device.matrices::<S>(&committed);
            let leaves = *matrices
                .first()
                .ok_or_else(|| at(played)(HalError::invalid("fri", "an empty commitment")))?;
            // The input that joins at this height is weighted by beta^arity, to stay independent of the fold.
            let next = inputs.next_if(|input| input.height() == leaves.height());
            codeword = self
                .device
                .fold(leaves, beta, log_arity, next.as_ref())
                .map_err(at(played))?;
            rounds.codewords.push(committed);
        }
        let played = log_arities.len();
        // The polynomial has fewer coefficients than the codeword has values: a prefix in bit-reversed order is its
        // values over a smaller subgroup.
        let rows = self
            .device
            .rows(
                &codeword,
                0..self.fri.final_poly_len().min(codeword.height()),
            )
            .map_err(at(played))?;
        let mut values: Vec<E> =
            E::reconstitute_from_base(std::borrow::Borrow::<[F]>::borrow(&rows).to_vec());
        reverse_slice_index_bits(&mut values);
        rounds.final_poly = Radix2DFTSmallBatch::default().idft_algebra(values);
        self.phases.lap(Phase::Fold);
        Ok(rounds)
    }

    /// For each round, the elements that fold together with each queried one, and one proof for all.
    fn answer_queries(
        &self,
        codewords: &[B::Committed<S>],
        log_arities: &[usize],
        mut indices: Vec<usize>,
    ) -> Result<Vec<Step<F, E, S>>, HalError> {
        codewords
            .iter()
            .zip(log_arities)
            .map(|(codeword, &log_arity)| {
                let rows: Vec<usize> = indices.iter().map(|index| index >> log_arity).collect();
                let (opened, opening_proof) = self.device.open::<S>(codeword, &rows)?;
                let sibling_values = indices
                    .iter()
                    .zip(opened)
                    .map(|(&index, row)| {
                        let mut row: Vec<E> =
                            E::reconstitute_from_base(row.into_iter().flatten().collect());
                        let own = index & ((1 << log_arity) - 1);
                        if row.len() != 1 << log_arity {
                            return Err(HalError::invalid("fri", "a row of the wrong width"));
                        }
                        row.remove(own);
                        Ok(row)
                    })
                    .collect::<Result<_, _>>()?;
                indices = rows;
                Ok(CommitPhaseMultiStep {
                    sibling_values,
                    opening_proof,
                })
            })
            .collect()
    }
}

/// Plays the steps a failed run still owes its transcript, which p3 does not let go unfinished. No proof comes of it.
fn abandon<F, E, S, C>(
    mut transcript: ProverTranscript<'_, C, F, E>,
    log_arities: &[usize],
    final_poly_len: usize,
) -> Result<(), HalError>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    C: FieldChallenger<F> + CanObserve<Commitment<F, S>> + GrindingChallenger<Witness = F>,
{
    for _ in log_arities {
        transcript.commit_round(S::commitment(&[[0; 8]])?);
    }
    transcript.query_phase(&E::zero_vec(final_poly_len));
    transcript.finish();
    Ok(())
}
