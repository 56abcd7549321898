//! Opening: claimed values, their batching, and the reduced openings that FRI folds.
//!
//! With `f_j` the columns of all matrices of one height, `z` the points they are opened at and `y_j = f_j(z)` the
//! claimed values, FRI is run on `Σ_j alpha^j (y_j − f_j(x)) / (z − x)`: it is a polynomial of low degree exactly when
//! all claims hold, up to the batching error (p3-fri, `two_adic_pcs.rs`).

use p3_challenger::{CanObserve, FieldChallenger, GrindingChallenger};
use p3_commit::{OpenedValues, OpeningRequest};
use p3_field::dot_product;
use p3_fri::{FriProverError, PcsProverTranscript, PcsShape};
use p3_util::log2_strict_usize;
use starkwright_hal::{
    Backend, Commitment, DeviceMatrix, Evaluation, Extension, HalError, HalField, PointOpening,
    Reduction,
};

use super::DevicePcs;
use super::fri::DeviceFriProof;
use crate::ProverError;
use crate::challenger::Protocol;
use crate::phases::Phase;

/// One matrix with the points it is opened at.
struct Opening<'a, M, E> {
    matrix: &'a M,
    log_height: usize,
    points: &'a [E],
}

/// For each commitment, its matrices with the points they are opened at.
type Rounds<'a, M, E> = Vec<Vec<Opening<'a, M, E>>>;

impl<F, E, S, B> DevicePcs<F, E, S, B>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    B: Backend<F>,
{
    /// The whole opening argument: p3's `TwoAdicFriPcs::open`, on the device.
    #[allow(clippy::type_complexity, reason = "the return type of p3's Pcs::open")]
    pub(super) fn open_requests<C>(
        &self,
        requests: &[OpeningRequest<'_, B::Committed<S>, E>],
        challenger: &mut C,
    ) -> Result<(OpenedValues<E>, DeviceFriProof<F, E, S>), ProverError>
    where
        C: FieldChallenger<F> + CanObserve<Commitment<F, S>> + GrindingChallenger<Witness = F>,
    {
        let rounds = self.openings(requests)?;
        let values = self.claimed_values(&rounds)?;
        self.phases.lap(Phase::Evaluate);

        let mut transcript = PcsProverTranscript::<C, F, E>::new(
            challenger,
            PcsShape::from_opened_values(&self.fri, &values),
        );
        transcript.claimed_openings(&values);
        let (alpha, batch_witness) = transcript.batch_phase();

        let committed: Vec<&B::Committed<S>> =
            requests.iter().map(|request| request.prover_data).collect();
        let proof = transcript.delegate(|challenger| {
            let inputs = self.reduced_openings(alpha, &rounds, &values)?;
            self.phases.lap(Phase::Reduce);
            self.prove_fri(
                inputs,
                &committed,
                batch_witness.unwrap_or(F::ZERO),
                challenger,
            )
        });
        match proof {
            Ok(proof) => {
                transcript.finish();
                Ok((values, proof))
            }
            Err(error) => {
                transcript.abort();
                Err(error)
            }
        }
    }

    /// The matrices of every request with their points, checked before the transcript moves.
    fn openings<'a>(
        &self,
        requests: &'a [OpeningRequest<'_, B::Committed<S>, E>],
    ) -> Result<Rounds<'a, B::Matrix, E>, ProverError> {
        requests
            .iter()
            .map(|request| {
                let matrices = self.device.matrices::<S>(request.prover_data);
                if matrices.len() != request.points.len() {
                    return Err(
                        HalError::invalid("open", "one list of points for each matrix").into(),
                    );
                }
                matrices
                    .into_iter()
                    .zip(&request.points)
                    .map(|(matrix, points)| {
                        let log_height = log2_strict_usize(matrix.height());
                        self.check_height(log_height)?;
                        Ok(Opening {
                            matrix,
                            log_height,
                            points,
                        })
                    })
                    .collect()
            })
            .collect()
    }

    /// FRI cannot fold a codeword that is no longer than its final polynomial's (p3: `validate_input_height`).
    fn check_height(&self, log_input_height: usize) -> Result<(), FriProverError> {
        if self.fri.log_final_poly_len == 0 {
            return Ok(());
        }
        let log_final_height = self
            .fri
            .log_final_poly_len
            .checked_add(self.fri.log_blowup)
            .ok_or(FriProverError::FinalHeightOverflow)?;
        if log_input_height <= log_final_height {
            return Err(FriProverError::InputHeightTooSmall {
                log_input_height,
                log_final_height,
            });
        }
        Ok(())
    }

    /// Every column at every point, from the smallest coset that determines it.
    fn claimed_values(
        &self,
        rounds: &[Vec<Opening<'_, B::Matrix, E>>],
    ) -> Result<OpenedValues<E>, HalError> {
        let flat: Vec<Evaluation<'_, B::Matrix, E>> = rounds
            .iter()
            .flatten()
            .map(|opening| Evaluation {
                matrix: opening.matrix,
                log_blowup: self.fri.log_blowup,
                points: opening.points,
            })
            .collect();
        let mut values = self.device.evaluate(F::GENERATOR, &flat)?.into_iter();
        Ok(rounds
            .iter()
            .map(|round| values.by_ref().take(round.len()).collect())
            .collect())
    }

    /// One codeword for each height, tallest first.
    ///
    /// Powers of alpha run on over all matrices of a height, in request order, a column and point at a time.
    fn reduced_openings(
        &self,
        alpha: E,
        rounds: &[Vec<Opening<'_, B::Matrix, E>>],
        values: &OpenedValues<E>,
    ) -> Result<Vec<B::Matrix>, HalError> {
        let mut heights: Vec<usize> = rounds
            .iter()
            .flatten()
            .map(|opening| opening.log_height)
            .collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        heights.dedup();
        heights
            .into_iter()
            .map(|log_height| {
                let mut weight = E::ONE;
                let terms: Vec<Reduction<'_, B::Matrix, E>> = rounds
                    .iter()
                    .zip(values)
                    .flat_map(|(round, values)| round.iter().zip(values))
                    .filter(|(opening, _)| opening.log_height == log_height)
                    .map(|(opening, values)| {
                        let step = alpha.exp_u64(opening.matrix.width() as u64);
                        let openings = opening
                            .points
                            .iter()
                            .zip(values)
                            .map(|(&point, values)| {
                                let sum: E = dot_product(alpha.powers(), values.iter().copied());
                                let opening = PointOpening {
                                    point,
                                    weight,
                                    value: weight * sum,
                                };
                                weight *= step;
                                opening
                            })
                            .collect();
                        Reduction {
                            matrix: opening.matrix,
                            openings,
                        }
                    })
                    .collect();
                self.device.reduce(log_height, F::GENERATOR, alpha, &terms)
            })
            .collect()
    }
}
