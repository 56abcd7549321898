//! Back ends that are wrong on purpose, to see that the tests notice.
//!
//! [`Faulty`] passes every call on to a back end and spoils one kind of result, as little as can be: one element, one
//! word of a digest, one butterfly. A suite that passes on it would not notice a device that errs like that.

use std::marker::PhantomData;
use std::ops::Range;

use p3_matrix::dense::RowMajorMatrix;
use starkwright_hal::{
    Backend, Buffers, Caps, Commitment, Device, DeviceMatrix, Evaluation, Extension, FriOps,
    HalError, HalField, LdeOps, MerkleOps, MerkleScheme, MultiProof, Operation, Puzzle, Reduction,
    Rows, Statistics,
};

use crate::planted::RawWords;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An upload loses the last element of a matrix.
    Upload,
    /// A reshaped matrix has its first row twice.
    Reshape,
    /// Rows that are looked at are those after.
    Rows,
    /// One butterfly of the last stage of a forward transform multiplies by a wrong root.
    DftTwiddle,
    /// The same in an inverse transform.
    IdftTwiddle,
    /// The same in an extension.
    LdeTwiddle,
    /// One element of an extension is greater by one.
    LdeElement,
    /// A commitment's last digest differs in a word.
    Cap,
    /// A committed matrix is not the one that was given.
    Kept,
    /// One element of one opened row is greater by one.
    OpenedRow,
    /// The last digest of a path differs in a word.
    Path,
    /// One coefficient of one evaluation is greater by one.
    Evaluation,
    /// One element of a reduced opening is greater by one.
    Reduction,
    /// One element of a folded codeword is greater by one.
    Fold,
    /// The witness is greater by one.
    Witness,
    /// One word of an extension is greater by the prime: the element is right, the word is not.
    Unreduced,
    /// A tile of an extension is as the allocation was, which held the right words before.
    Unwritten,
}

impl Fault {
    /// Every fault, with the suites that must notice it.
    pub const ALL: [(Self, &'static [&'static str]); 17] = [
        (Self::Upload, &["transfer"]),
        (Self::Reshape, &["transfer"]),
        (Self::Rows, &["transfer"]),
        (Self::DftTwiddle, &["ntt"]),
        (Self::IdftTwiddle, &["ntt"]),
        (Self::LdeTwiddle, &["lde"]),
        (Self::LdeElement, &["lde"]),
        (
            Self::Cap,
            &[
                "merkle-poseidon2",
                "merkle-poseidon2-wide",
                "merkle-keccak",
                "open",
            ],
        ),
        (
            Self::Kept,
            &[
                "merkle-poseidon2",
                "merkle-poseidon2-wide",
                "merkle-keccak",
                "open",
            ],
        ),
        (Self::OpenedRow, &["open"]),
        (Self::Path, &["open"]),
        (Self::Evaluation, &["evaluate"]),
        (Self::Reduction, &["reduce"]),
        (Self::Fold, &["fold"]),
        (Self::Witness, &["grind"]),
        (Self::Unreduced, &["lde"]),
        (Self::Unwritten, &["lde"]),
    ];
}

/// A back end with a fault. `B` is right.
#[derive(Clone, Debug)]
pub struct Faulty<F, B> {
    inner: B,
    fault: Fault,
    field: PhantomData<F>,
}

impl<F: HalField, B: Backend<F> + RawWords<F>> Faulty<F, B> {
    /// A back end that is right but for one fault.
    pub const fn new(inner: B, fault: Fault) -> Self {
        Self {
            inner,
            fault,
            field: PhantomData,
        }
    }

    /// The elements of a matrix, changed by `spoil`, if this is the fault.
    fn spoiled(
        &self,
        fault: Fault,
        matrix: B::Matrix,
        spoil: impl FnOnce(&mut RowMajorMatrix<F>),
    ) -> Result<B::Matrix, HalError> {
        if self.fault != fault {
            return Ok(matrix);
        }
        let mut host = self.inner.download(&matrix)?;
        spoil(&mut host);
        self.inner.upload(host)
    }

    /// A matrix with one word greater by the prime, if this is the fault.
    fn unreduced(&self, matrix: B::Matrix) -> Result<B::Matrix, HalError> {
        if self.fault != Fault::Unreduced {
            return Ok(matrix);
        }
        let host = self.inner.download(&matrix)?;
        let mut words: Vec<u32> = host.values.iter().map(|x| x.to_unique_u32()).collect();
        let middle = words.len() / 2;
        words[middle] += F::ORDER_U32;
        self.inner.upload_words(words, host.width)
    }
}

/// Number of rows.
fn rows_of<F: HalField>(matrix: &RowMajorMatrix<F>) -> usize {
    matrix.values.len() / matrix.width.max(1)
}

/// Adds one to the element in the middle.
fn off_by_one<F: HalField>(matrix: &mut RowMajorMatrix<F>) {
    let middle = matrix.values.len() / 2;
    matrix.values[middle] += F::ONE;
}

/// Recomputes the butterfly of two rows as if its root were another: from `a + w b` and `a − w b` to `a ± 3 w b`.
fn wrong_butterfly<F: HalField>(matrix: &mut RowMajorMatrix<F>, first: usize, second: usize) {
    for column in 0..matrix.width {
        let (i, j) = (
            first * matrix.width + column,
            second * matrix.width + column,
        );
        let (x, y) = (matrix.values[i], matrix.values[j]);
        let (a, b) = ((x + y).halve(), (x - y).halve());
        (matrix.values[i], matrix.values[j]) = (a + b + b.double(), a - b - b.double());
    }
}

/// Changes a word of the last digest; it stays below the prime.
fn wrong_digest<F: HalField>(mut digests: Vec<[u32; 8]>) -> Vec<[u32; 8]> {
    if let Some(digest) = digests.last_mut() {
        digest[5] = (digest[5] + 1) % F::ORDER_U32;
    }
    digests
}

impl<F: HalField, B: Backend<F>> Device for Faulty<F, B> {
    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    fn finish(&self) -> Result<(), HalError> {
        self.inner.finish()
    }

    fn statistics(&self) -> Statistics {
        self.inner.statistics()
    }

    fn reset_statistics(&self) {
        self.inner.reset_statistics();
    }

    fn set_poison(&self, on: bool) {
        self.inner.set_poison(on);
    }
}

impl<F: HalField, B: Backend<F> + RawWords<F>> Buffers<F> for Faulty<F, B> {
    type Matrix = B::Matrix;

    fn upload(&self, mut matrix: RowMajorMatrix<F>) -> Result<Self::Matrix, HalError> {
        if let (Fault::Upload, Some(last)) = (self.fault, matrix.values.last_mut()) {
            // Most elements are not zero; where this one is, nothing is lost.
            *last = F::ZERO;
        }
        self.inner.upload(matrix)
    }

    fn download(&self, matrix: &Self::Matrix) -> Result<RowMajorMatrix<F>, HalError> {
        self.inner.download(matrix)
    }

    fn rows<'a>(
        &self,
        matrix: &'a Self::Matrix,
        rows: Range<usize>,
    ) -> Result<Rows<'a, F>, HalError> {
        if self.fault == Fault::Rows && rows.end < matrix.height() {
            return self.inner.rows(matrix, rows.start + 1..rows.end + 1);
        }
        self.inner.rows(matrix, rows)
    }

    fn reshape(&self, matrix: Self::Matrix, width: usize) -> Result<Self::Matrix, HalError> {
        let matrix = self.inner.reshape(matrix, width)?;
        self.spoiled(Fault::Reshape, matrix, |host| {
            if rows_of(host) > 1 {
                host.values.copy_within(..width, width);
            }
        })
    }

    fn supports(&self, operation: Operation) -> Result<(), HalError> {
        self.inner.supports(operation)
    }
}

impl<F: HalField, B: Backend<F> + RawWords<F>> LdeOps<F> for Faulty<F, B> {
    fn coset_lde(
        &self,
        evaluations: Self::Matrix,
        added_bits: usize,
        shift: F,
    ) -> Result<Self::Matrix, HalError> {
        let extended = self.inner.coset_lde(evaluations, added_bits, shift)?;
        let extended = self.spoiled(Fault::LdeElement, extended, off_by_one)?;
        let extended = self.spoiled(Fault::LdeTwiddle, extended, |host| {
            // In bit-reversed order the last butterflies are between neighbours.
            let pair = (rows_of(host) / 2) & !1;
            if rows_of(host) > 1 {
                wrong_butterfly(host, pair, pair + 1);
            }
        })?;
        if self.fault == Fault::Unwritten {
            return self.inner.unwritten(&extended);
        }
        self.unreduced(extended)
    }

    fn dft(&self, coefficients: Self::Matrix) -> Result<Self::Matrix, HalError> {
        self.spoiled(
            Fault::DftTwiddle,
            self.inner.dft(coefficients)?,
            last_butterfly,
        )
    }

    fn idft(&self, evaluations: Self::Matrix) -> Result<Self::Matrix, HalError> {
        self.spoiled(
            Fault::IdftTwiddle,
            self.inner.idft(evaluations)?,
            last_butterfly,
        )
    }
}

/// In natural order the last butterflies are between the halves.
fn last_butterfly<F: HalField>(host: &mut RowMajorMatrix<F>) {
    let half = rows_of(host) / 2;
    if half > 0 {
        wrong_butterfly(host, half - 1, 2 * half - 1);
    }
}

impl<F: HalField, B: Backend<F> + RawWords<F>> MerkleOps<F> for Faulty<F, B> {
    type Committed<S: MerkleScheme<F>> = B::Committed<S>;

    fn commit<S: MerkleScheme<F>>(
        &self,
        mut matrices: Vec<Self::Matrix>,
        cap_height: usize,
    ) -> Result<(Commitment<F, S>, Self::Committed<S>), HalError> {
        if self.fault == Fault::Kept
            && let Some(last) = matrices.pop()
        {
            matrices.push(self.spoiled(Fault::Kept, last, off_by_one)?);
        }
        let (commitment, committed) = self.inner.commit::<S>(matrices, cap_height)?;
        if self.fault == Fault::Cap {
            let spoiled = S::commitment(&wrong_digest::<F>(S::cap_words(&commitment)))?;
            return Ok((spoiled, committed));
        }
        Ok((commitment, committed))
    }

    fn matrices<'a, S: MerkleScheme<F>>(
        &self,
        committed: &'a Self::Committed<S>,
    ) -> Vec<&'a Self::Matrix> {
        self.inner.matrices::<S>(committed)
    }

    fn open<S: MerkleScheme<F>>(
        &self,
        committed: &Self::Committed<S>,
        indices: &[usize],
    ) -> Result<(Vec<Vec<Vec<F>>>, MultiProof<F, S>), HalError> {
        let (mut values, proof) = self.inner.open::<S>(committed, indices)?;
        let last = values
            .last_mut()
            .and_then(|rows| rows.last_mut())
            .and_then(|row| row.last_mut());
        if let (Fault::OpenedRow, Some(element)) = (self.fault, last) {
            *element += F::ONE;
        }
        if self.fault == Fault::Path {
            let spoiled = S::multi_proof(&wrong_digest::<F>(S::sibling_words(&proof)))?;
            return Ok((values, spoiled));
        }
        Ok((values, proof))
    }
}

impl<F: HalField, B: Backend<F> + RawWords<F>> FriOps<F> for Faulty<F, B> {
    fn evaluate<E: Extension<F>>(
        &self,
        shift: F,
        requests: &[Evaluation<'_, Self::Matrix, E>],
    ) -> Result<Vec<Vec<Vec<E>>>, HalError> {
        let mut values = self.inner.evaluate(shift, requests)?;
        let last = values.iter_mut().flatten().flatten().last();
        if let (Fault::Evaluation, Some(value)) = (self.fault, last) {
            *value += E::from_basis_coefficients_fn(|k| F::from_bool(k + 1 == E::DIMENSION));
        }
        Ok(values)
    }

    fn reduce<E: Extension<F>>(
        &self,
        log_height: usize,
        shift: F,
        alpha: E,
        terms: &[Reduction<'_, Self::Matrix, E>],
    ) -> Result<Self::Matrix, HalError> {
        let reduced = self.inner.reduce(log_height, shift, alpha, terms)?;
        self.spoiled(Fault::Reduction, reduced, off_by_one)
    }

    fn fold<E: Extension<F>>(
        &self,
        leaves: &Self::Matrix,
        beta: E,
        log_arity: usize,
        roll_in: Option<&Self::Matrix>,
    ) -> Result<Self::Matrix, HalError> {
        let folded = self.inner.fold(leaves, beta, log_arity, roll_in)?;
        self.spoiled(Fault::Fold, folded, off_by_one)
    }

    fn grind(&self, puzzle: &Puzzle<F>, bits: usize) -> Result<F, HalError> {
        let witness = self.inner.grind(puzzle, bits)?;
        if self.fault != Fault::Witness {
            return Ok(witness);
        }
        Ok(witness + F::ONE)
    }
}
