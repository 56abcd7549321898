//! The FRI commitment scheme with everything from LDE to queries on a device.
//!
//! ```text
//!  traces ── upload ──► coset LDE ──► Merkle tree ── cap ──► transcript
//!                          │               │
//!  quotient ◄── rows ──────┤               │          (in place where the device shares the host's memory)
//!                          ▼               ▼
//!            evaluate ► reduce ► fold ► … ► fold ── final polynomial, openings ──► p3's FriProof
//! ```
//!
//! [`DevicePcs`] implements p3's `Pcs` and `UnivariateStarkPcs` and yields p3's own proof types. Its proofs are
//! byte for byte those of p3's `TwoAdicFriPcs` over a challenger that grinds for the smallest witness
//! ([`Grinding`](crate::challenger::Grinding)), and p3's verifier is the only verifier: [`DevicePcs::verify`] calls it.

mod fri;
mod open;

use p3_challenger::{CanObserve, FieldChallenger, GrindingChallenger};
use p3_commit::{
    CommitmentOpening, OpenedValues, OpeningRequest, Pcs, PeriodicLdeTable, UnivariateStarkPcs,
};
use p3_dft::Radix2DitParallel;
use p3_field::coset::TwoAdicMultiplicativeCoset;
use p3_fri::verifier::FriError;
use p3_fri::{BatchMultiOpening, FriParameters, FriProof, build_periodic_lde_table_two_adic};
use p3_matrix::Matrix;
use p3_matrix::bitrev::{BitReversedMatrixView, BitReversibleMatrix};
use p3_matrix::dense::{DenseMatrix, RowMajorMatrix};
use p3_util::log2_strict_usize;
use starkwright_hal::{
    Backend, Commitment, Cpu, DeviceMatrix, Extension, HalError, HalField, MerkleOps, MerkleScheme,
    Placement, Rows,
};

use crate::ProverError;
use crate::challenger::{Failure, Protocol};
use crate::config::{FriMmcs, Mmcs, StockPcs, stock_pcs};
use crate::phases::{Phase, Phases};
use crate::profile::LeafParameters;

/// p3's FRI commitment scheme on a device.
#[derive(Clone, Debug)]
pub struct DevicePcs<F, E, S, B>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
{
    device: B,
    fri: FriParameters<()>,
    cap_height: usize,
    stock: StockPcs<F, E, S>,
    failure: Failure,
    phases: Phases,
}

impl<F, E, S, B> DevicePcs<F, E, S, B>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    B: Backend<F>,
{
    /// The scheme on a device. What fails where p3 allows no error goes to `failure`, and comes out of the next
    /// call that can fail.
    ///
    /// # Errors
    /// [`HalError::Mismatch`] where the device's hash is not p3's, found by a tree of four leaves: its proofs would be
    /// of no use. Device failures.
    pub fn new(
        device: B,
        parameters: &LeafParameters,
        failure: Failure,
        phases: Phases,
    ) -> Result<Self, ProverError> {
        same_hash::<F, S, B>(&device)?;
        Ok(Self {
            device,
            fri: parameters.fri(()),
            cap_height: parameters.cap_height,
            stock: stock_pcs::<F, E, S>(parameters),
            failure,
            phases,
        })
    }

    /// What failed where p3 allows no error, until the next call that can fail.
    pub(crate) const fn failure(&self) -> &Failure {
        &self.failure
    }

    /// The device everything runs on.
    pub const fn device(&self) -> &B {
        &self.device
    }

    /// Puts evaluations over a coset on the device and extends them to `GENERATOR · K`, bit-reversed.
    fn extend(
        &self,
        domain: TwoAdicMultiplicativeCoset<F>,
        evaluations: RowMajorMatrix<F>,
        placement: Placement,
    ) -> Result<B::Matrix, HalError> {
        if domain.size() != Matrix::height(&evaluations) {
            return Err(HalError::invalid(
                "commit",
                format!(
                    "{} rows over a domain of {}",
                    Matrix::height(&evaluations),
                    domain.size()
                ),
            ));
        }
        // Values over xH become values over (shift · x)K: with shift = g / x that is gK.
        let shift = F::GENERATOR / domain.shift();
        self.device
            .extend(evaluations, placement, self.fri.log_blowup, shift)
    }

    #[allow(
        clippy::type_complexity,
        reason = "the return type of p3's Pcs::commit"
    )]
    fn commit_matrices(
        &self,
        matrices: Vec<B::Matrix>,
    ) -> Result<(Commitment<F, S>, B::Committed<S>), ProverError> {
        self.failure.check()?;
        let split = self.phases.is_split();
        if split {
            self.device.finish()?;
            self.phases.lap(Phase::Lde);
        }
        let committed = self.device.commit::<S>(matrices, self.cap_height)?;
        self.phases
            .lap(if split { Phase::Tree } else { Phase::Commit });
        Ok(committed)
    }

    /// A committed matrix's rows over the given domain, in bit-reversed order.
    fn evaluations<'a>(
        &self,
        committed: &'a B::Committed<S>,
        index: usize,
        domain: TwoAdicMultiplicativeCoset<F>,
    ) -> Result<DenseMatrix<F, Rows<'a, F>>, HalError> {
        const OP: &str = "get_evaluations_on_domain";
        let matrices = self.device.matrices::<S>(committed);
        let lde = *matrices
            .get(index)
            .ok_or_else(|| HalError::invalid(OP, format!("no matrix {index}")))?;
        let width = lde.width();
        // Over the same coset a smaller subgroup's values are a prefix, since rows are bit-reversed.
        if domain.shift() == F::GENERATOR && lde.height() >= domain.size() {
            return Ok(DenseMatrix::new(
                self.device.rows(lde, 0..domain.size())?,
                width,
            ));
        }
        // Otherwise the polynomial is taken from its values over the smallest coset that determines it, and extended
        // to the domain asked for.
        let height = lde.height() >> self.fri.log_blowup;
        let added_bits = domain
            .log_size()
            .checked_sub(log2_strict_usize(height.max(1)))
            .ok_or_else(|| HalError::unsupported(OP, "a domain smaller than the polynomial"))?;
        let rows = self.device.rows(lde, 0..height)?;
        let natural = DenseMatrix::<F, _>::new(rows, width)
            .bit_reverse_rows()
            .to_row_major_matrix();
        let natural = self.device.upload(natural)?;
        let shift = domain.shift() / F::GENERATOR;
        let extended = self.device.coset_lde(natural, added_bits, shift)?;
        let values = self.device.download(&extended)?.values;
        Ok(DenseMatrix::new(Rows::Copied(values), width))
    }
}

/// A tree of four leaves, of a permutation each, has the reference's root.
fn same_hash<F: HalField, S: MerkleScheme<F>, B: Backend<F>>(device: &B) -> Result<(), HalError> {
    let leaves = RowMajorMatrix::new((1..=32).map(F::from_usize).collect(), 8);
    let (expected, _) = Cpu::<F>::new().commit::<S>(vec![leaves.clone()], 0)?;
    let (found, _) = device.commit::<S>(vec![device.upload(leaves)?], 0)?;
    let (expected, found) = (S::cap_words(&expected), S::cap_words(&found));
    if found == expected {
        return Ok(());
    }
    Err(HalError::Mismatch {
        device: device.caps().selector,
        op: "commit",
        detail: format!("a tree of four leaves has the root {found:08x?}, not {expected:08x?}"),
    })
}

impl<F, E, S, B, C> Pcs<E, C> for DevicePcs<F, E, S, B>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    B: Backend<F>,
    C: FieldChallenger<F> + CanObserve<Commitment<F, S>> + GrindingChallenger<Witness = F>,
{
    type Domain = TwoAdicMultiplicativeCoset<F>;
    type Commitment = Commitment<F, S>;
    type ProverData = B::Committed<S>;
    type Proof = FriProof<E, FriMmcs<F, E, S>, F, Vec<BatchMultiOpening<F, Mmcs<F, S>>>>;
    type Error = FriError<
        <Mmcs<F, S> as p3_commit::Mmcs<F>>::Error,
        <Mmcs<F, S> as p3_commit::Mmcs<F>>::Error,
    >;
    type ProverError = ProverError;

    fn natural_domain_for_degree(&self, degree: usize) -> Self::Domain {
        <StockPcs<F, E, S> as Pcs<E, C>>::natural_domain_for_degree(&self.stock, degree)
    }

    fn commit(
        &self,
        evaluations: impl IntoIterator<Item = (Self::Domain, RowMajorMatrix<F>)>,
    ) -> Result<(Self::Commitment, Self::ProverData), ProverError> {
        self.phases.commit_begins();
        let banks = self.device.caps().banks;
        let ldes = evaluations
            .into_iter()
            .enumerate()
            .map(|(index, (domain, evaluations))| {
                // Hashing reads them side by side.
                let placement = Placement::spread(index, banks);
                self.extend(domain, evaluations, placement)
            })
            .collect::<Result<Vec<_>, _>>()?;
        self.commit_matrices(ldes)
    }

    fn open(
        &self,
        requests: Vec<OpeningRequest<'_, Self::ProverData, E>>,
        challenger: &mut C,
    ) -> Result<(OpenedValues<E>, Self::Proof), ProverError> {
        self.failure.check()?;
        self.phases.lap(Phase::Other);
        let opened = self.open_requests(&requests, challenger)?;
        // A grind that failed has left no witness that counts.
        self.failure.check()?;
        Ok(opened)
    }

    fn verify(
        &self,
        claims: Vec<CommitmentOpening<E, Self::Commitment, Self::Domain>>,
        proof: &Self::Proof,
        challenger: &mut C,
    ) -> Result<(), Self::Error> {
        self.stock.verify(claims, proof, challenger)
    }
}

impl<F, E, S, B, C> UnivariateStarkPcs<E, C> for DevicePcs<F, E, S, B>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    B: Backend<F>,
    C: FieldChallenger<F> + CanObserve<Commitment<F, S>> + GrindingChallenger<Witness = F>,
{
    type EvaluationsOnDomain<'a> = BitReversedMatrixView<DenseMatrix<F, Rows<'a, F>>>;

    const ZK: bool = false;

    fn log_max_trace_height(&self) -> usize {
        F::TWO_ADICITY
    }

    fn log_min_trace_height(&self) -> usize {
        0
    }

    fn get_quotient_ldes(
        &self,
        evaluations: impl IntoIterator<Item = (Self::Domain, RowMajorMatrix<F>)>,
        _num_chunks: usize,
    ) -> Result<Vec<RowMajorMatrix<F>>, ProverError> {
        self.failure.check()?;
        // p3 wants these on the host: a few columns for each chunk, against thousands in a trace.
        evaluations
            .into_iter()
            .map(|(domain, evaluations)| {
                let lde = self.extend(domain, evaluations, Placement::Any)?;
                Ok(self.device.download(&lde)?)
            })
            .collect()
    }

    fn commit_ldes(
        &self,
        ldes: Vec<RowMajorMatrix<F>>,
    ) -> Result<(Self::Commitment, Self::ProverData), ProverError> {
        self.phases.lap(Phase::Quotient);
        let least = 1 << self.fri.log_blowup;
        let matrices = ldes
            .into_iter()
            .map(|lde| {
                if Matrix::height(&lde) < least {
                    return Err(HalError::invalid(
                        "commit_ldes",
                        format!(
                            "{} rows are fewer than the blow-up {least}",
                            Matrix::height(&lde)
                        ),
                    ));
                }
                self.device.upload(lde)
            })
            .collect::<Result<Vec<_>, _>>()?;
        self.commit_matrices(matrices)
    }

    fn get_evaluations_on_domain<'a>(
        &self,
        prover_data: &'a Self::ProverData,
        index: usize,
        domain: Self::Domain,
    ) -> Self::EvaluationsOnDomain<'a> {
        self.evaluations(prover_data, index, domain)
            .unwrap_or_else(|error| {
                // p3 allows no error here: zeros keep the loop going, and the next call that can fail reports it.
                let width = self
                    .device
                    .matrices::<S>(prover_data)
                    .get(index)
                    .map_or(1, |matrix| matrix.width());
                self.failure.record(error);
                DenseMatrix::new(Rows::Copied(F::zero_vec(domain.size() * width)), width)
            })
            .bit_reverse_rows()
    }

    fn build_periodic_lde_table(
        &self,
        periodic_cols: &[Vec<F>],
        trace_domain: Self::Domain,
        quotient_domain: Self::Domain,
    ) -> PeriodicLdeTable<F> {
        build_periodic_lde_table_two_adic(
            &Radix2DitParallel::default(),
            periodic_cols,
            &trace_domain,
            &quotient_domain,
        )
    }
}
