//! What a back end is: device-resident matrices and the families of operations on them.
//!
//! Operations take and return matrices that live on the device. They only enqueue work; the calls that hand data to
//! the host ([`Buffers::download`], [`Buffers::rows`], [`MerkleOps::commit`] for its cap, [`MerkleOps::open`],
//! [`FriOps::evaluate`], [`FriOps::grind`]) wait for it, and are where a device's failure surfaces at the latest.
//!
//! How a matrix lies in memory belongs to the back end: it may be spread over several allocations or memory banks.
//! Rows are numbered from 0; *natural* order means row `i` belongs to the domain's point `shift · g^i`,
//! *bit-reversed* means row `i` belongs to the point with index `rev(i)`.

use std::borrow::Borrow;
use std::ops::Range;

use p3_matrix::dense::{DenseStorage, RowMajorMatrix};

use crate::merkle::{Commitment, HashKind, MerkleScheme, MultiProof};
use crate::request::{Evaluation, Puzzle, Reduction};
use crate::{Caps, Extension, HalError, HalField, Placement, Statistics};

/// A device: what it can do and what it has done.
pub trait Device: Clone + Send + Sync + 'static {
    /// What this device offers.
    fn caps(&self) -> Caps;

    /// Waits until everything enqueued is done.
    ///
    /// # Errors
    /// Whatever failed since the last wait.
    fn finish(&self) -> Result<(), HalError>;

    /// Counters and timings since the device was opened or last reset.
    fn statistics(&self) -> Statistics;

    /// Sets the counters to zero. The peak stays: it is the largest since the device was opened.
    fn reset_statistics(&self);

    /// Frees memory of the host that is kept for later operations: the host is about to need more of its own. Does
    /// nothing where none is kept.
    fn trim(&self) {}

    /// Whether every allocation from now on is filled with words that are no field elements, so that output which a
    /// kernel leaves unwritten is found out. Does nothing where no allocation is ever handed out unwritten.
    fn set_poison(&self, _on: bool) {}
}

/// An operation that consumes its input, with its shape: what [`Buffers::supports`] is asked about beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// [`LdeOps::coset_lde`].
    CosetLde {
        /// Rows before the extension.
        height: usize,
        /// Columns.
        width: usize,
        /// Log2 of the blow-up.
        added_bits: usize,
    },
    /// [`LdeOps::dft`].
    Dft {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// [`LdeOps::idft`].
    Idft {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// [`MerkleOps::commit`].
    Commit {
        /// The scheme's functions.
        hash: HashKind,
        /// Rows of the tallest matrix.
        height: usize,
        /// Elements of all matrices together.
        elements: usize,
    },
}

impl Operation {
    /// The operation's name, as errors carry it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CosetLde { .. } => "coset_lde",
            Self::Dft { .. } => "dft",
            Self::Idft { .. } => "idft",
            Self::Commit { .. } => "commit",
        }
    }

    /// Elements the operation works on: those of its larger side.
    #[must_use]
    pub const fn elements(self) -> usize {
        match self {
            Self::CosetLde {
                height,
                width,
                added_bits,
            } => {
                let input = height.saturating_mul(width);
                match 1usize.checked_shl(added_bits as u32) {
                    Some(blowup) => input.saturating_mul(blowup),
                    None => usize::MAX,
                }
            }
            Self::Dft { height, width } | Self::Idft { height, width } => {
                height.saturating_mul(width)
            }
            Self::Commit { elements, .. } => elements,
        }
    }
}

/// A matrix that lives on a device.
pub trait DeviceMatrix: Send + Sync {
    /// Number of rows.
    fn height(&self) -> usize;
    /// Number of columns.
    fn width(&self) -> usize;
}

/// Rows of a matrix, readable by the host: in place where the device shares its memory, a copy elsewhere.
pub enum Rows<'a, F> {
    /// In the host's own memory.
    InPlace(&'a [F]),
    /// Device memory that stays mapped for as long as this lives.
    Mapped(Box<dyn AsRef<[F]> + Send + Sync + 'a>),
    /// A copy, row-major.
    Copied(Vec<F>),
}

impl<F> Rows<'_, F> {
    /// The elements, row-major.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[F] {
        match self {
            Self::InPlace(values) => values,
            Self::Mapped(values) => (**values).as_ref(),
            Self::Copied(values) => values,
        }
    }
}

impl<F> Borrow<[F]> for Rows<'_, F> {
    #[inline]
    fn borrow(&self) -> &[F] {
        self.as_slice()
    }
}

impl<F: Clone + Send + Sync> DenseStorage<F> for Rows<'_, F> {
    fn to_vec(self) -> Vec<F> {
        match self {
            Self::Copied(values) => values,
            other => other.as_slice().to_vec(),
        }
    }
}

/// Device memory.
pub trait Buffers<F: HalField>: Device {
    /// A matrix on this device.
    type Matrix: DeviceMatrix;

    /// Puts a matrix on the device. Takes it by value, so that a device in the host's memory adopts it without a copy.
    ///
    /// # Errors
    /// [`HalError::OutOfMemory`] and driver failures.
    fn upload(&self, matrix: RowMajorMatrix<F>) -> Result<Self::Matrix, HalError>;

    /// As [`Self::upload`], with a hint where the matrix is wanted. As provided: anywhere.
    ///
    /// # Errors
    /// As [`Self::upload`].
    fn upload_to(
        &self,
        matrix: RowMajorMatrix<F>,
        placement: Placement,
    ) -> Result<Self::Matrix, HalError> {
        let _ = placement;
        self.upload(matrix)
    }

    /// Copies a matrix to the host.
    ///
    /// # Errors
    /// Driver failures, and whatever failed among the operations that produced the matrix.
    fn download(&self, matrix: &Self::Matrix) -> Result<RowMajorMatrix<F>, HalError>;

    /// The given rows, in place where possible.
    ///
    /// # Errors
    /// As [`Self::download`], and [`HalError::InvalidArgument`] for rows that do not exist.
    fn rows<'a>(
        &self,
        matrix: &'a Self::Matrix,
        rows: Range<usize>,
    ) -> Result<Rows<'a, F>, HalError>;

    /// The same elements in row-major order, cut into rows of another width. Moves nothing.
    ///
    /// # Errors
    /// [`HalError::InvalidArgument`] unless the width divides the number of elements.
    fn reshape(&self, matrix: Self::Matrix, width: usize) -> Result<Self::Matrix, HalError>;

    /// Whether this device offers an operation, asked before the operation consumes its input.
    ///
    /// A device that answers `Ok` must not refuse the operation with [`HalError::Unsupported`] afterwards: the input
    /// would be lost. As provided: transforms up to [`Caps::max_log_height`], and every commitment.
    ///
    /// # Errors
    /// [`HalError::Unsupported`] with the limit that is exceeded.
    fn supports(&self, operation: Operation) -> Result<(), HalError> {
        let (height, added_bits) = match operation {
            Operation::CosetLde {
                height, added_bits, ..
            } => (height, added_bits),
            Operation::Dft { height, .. } | Operation::Idft { height, .. } => (height, 0),
            Operation::Commit { .. } => return Ok(()),
        };
        let limit = self.caps().max_log_height;
        let log_height = (height.max(1).ilog2() as usize).saturating_add(added_bits);
        if log_height <= limit as usize {
            return Ok(());
        }
        Err(HalError::unsupported(
            operation.name(),
            format!("2^{log_height} rows, beyond this device's 2^{limit}"),
        ))
    }
}

/// Low-degree extensions and plain transforms.
pub trait LdeOps<F: HalField>: Buffers<F> {
    /// The low-degree extension of every column.
    ///
    /// `evaluations`: `2^n` rows in natural order, values over the coset `xH`. Result: `2^(n + added_bits)` rows in
    /// bit-reversed order, values over `shift · x · K`, `K` the subgroup of that size. Equal to p3's
    /// `coset_lde_batch(evaluations, added_bits, shift).bit_reverse_rows()`. The input is consumed, so that its
    /// memory can be used again.
    ///
    /// # Errors
    /// [`HalError::InvalidArgument`] for a height that is no power of two or a shift of zero,
    /// [`HalError::Unsupported`] beyond [`Caps::max_log_height`], [`HalError::OutOfMemory`], driver failures.
    fn coset_lde(
        &self,
        evaluations: Self::Matrix,
        added_bits: usize,
        shift: F,
    ) -> Result<Self::Matrix, HalError>;

    /// [`Buffers::upload_to`], then [`Self::coset_lde`], which is what is provided: a device may put the evaluations into
    /// the memory of the result, and give the host's memory back before the extension needs more.
    ///
    /// # Errors
    /// As both.
    fn extend(
        &self,
        evaluations: RowMajorMatrix<F>,
        placement: Placement,
        added_bits: usize,
        shift: F,
    ) -> Result<Self::Matrix, HalError> {
        let evaluations = self.upload_to(evaluations, placement)?;
        self.coset_lde(evaluations, added_bits, shift)
    }

    /// Values over the subgroup `H` from coefficients; natural order on both sides.
    ///
    /// # Errors
    /// As [`Self::coset_lde`].
    fn dft(&self, coefficients: Self::Matrix) -> Result<Self::Matrix, HalError>;

    /// Coefficients from values over the subgroup `H`; natural order on both sides.
    ///
    /// # Errors
    /// As [`Self::coset_lde`].
    fn idft(&self, evaluations: Self::Matrix) -> Result<Self::Matrix, HalError>;
}

/// Merkle trees over matrices of mixed heights, and their openings.
pub trait MerkleOps<F: HalField>: Buffers<F> {
    /// Matrices with their tree.
    type Committed<S: MerkleScheme<F>>: Send + Sync;

    /// Commits to matrices, whose heights are powers of two, as p3's `MerkleTreeMmcs::commit` does.
    ///
    /// # Errors
    /// [`HalError::InvalidArgument`] for what [`check_commit`](crate::check_commit) refuses: no matrix, a height that is
    /// no power of two, a matrix shorter than the cap. [`HalError::OutOfMemory`], driver failures.
    #[allow(
        clippy::type_complexity,
        reason = "the pair that p3's Mmcs::commit returns"
    )]
    fn commit<S: MerkleScheme<F>>(
        &self,
        matrices: Vec<Self::Matrix>,
        cap_height: usize,
    ) -> Result<(Commitment<F, S>, Self::Committed<S>), HalError>;

    /// The committed matrices, in the order given.
    fn matrices<'a, S: MerkleScheme<F>>(
        &self,
        committed: &'a Self::Committed<S>,
    ) -> Vec<&'a Self::Matrix>;

    /// Opens rows: `values[q][m]` is the row of matrix `m` at `indices[q] >> (log max height − log height of m)`, and
    /// one pruned proof covers them all (p3's `Mmcs::open_multi_batch`). One gather, one transfer.
    ///
    /// # Errors
    /// [`HalError::InvalidArgument`] for an index beyond the tallest matrix, driver failures.
    #[allow(
        clippy::type_complexity,
        reason = "p3's own return type of open_multi_batch"
    )]
    fn open<S: MerkleScheme<F>>(
        &self,
        committed: &Self::Committed<S>,
        indices: &[usize],
    ) -> Result<(Vec<Vec<Vec<F>>>, MultiProof<F, S>), HalError>;
}

/// What FRI needs beyond transforms and trees. `shift · K` is the domain of every matrix, rows bit-reversed.
///
/// A vector of extension elements is a matrix with one row for each element and one column for each coefficient.
pub trait FriOps<F: HalField>: Buffers<F> {
    /// Evaluates every column at every point, by barycentric interpolation: `result[matrix][point][column]`.
    ///
    /// # Errors
    /// [`HalError::InvalidArgument`] where a point is zero or lies in the domain, or a matrix has fewer rows than its
    /// blow-up; driver failures.
    fn evaluate<E: Extension<F>>(
        &self,
        shift: F,
        requests: &[Evaluation<'_, Self::Matrix, E>],
    ) -> Result<Vec<Vec<Vec<E>>>, HalError>;

    /// The reduced opening of all matrices of one height, `2^log_height` extension elements in bit-reversed order:
    /// `Σ_matrices Σ_openings (value − weight · Σ_j alpha^j f_j(x)) / (point − x)`, as in p3's `TwoAdicFriPcs::open`.
    ///
    /// # Errors
    /// [`HalError::InvalidArgument`] where a matrix has another height or a point lies in the domain, driver failures.
    fn reduce<E: Extension<F>>(
        &self,
        log_height: usize,
        shift: F,
        alpha: E,
        terms: &[Reduction<'_, Self::Matrix, E>],
    ) -> Result<Self::Matrix, HalError>;

    /// One round of folding by `2^log_arity` with the challenge `beta`: a matrix of `arity` extension elements a row
    /// (bit-reversed, over the subgroup) gives one element a row, as p3's `TwoAdicFriFolding::fold_matrix`; where
    /// `roll_in` is given, `beta^arity` times that vector is added.
    ///
    /// # Errors
    /// [`HalError::InvalidArgument`] for shapes that do not fit, driver failures.
    fn fold<E: Extension<F>>(
        &self,
        leaves: &Self::Matrix,
        beta: E,
        log_arity: usize,
        roll_in: Option<&Self::Matrix>,
    ) -> Result<Self::Matrix, HalError>;

    /// The smallest canonical element that, put into the puzzle, gives a sample whose low `bits` bits are zero.
    ///
    /// Stock p3 takes any such element; the smallest is the one rule under which all devices agree.
    ///
    /// # Errors
    /// [`HalError::Unsupported`] for a puzzle this device has no kernel for, [`HalError::InvalidArgument`] for 31 bits
    /// or more, driver failures.
    fn grind(&self, puzzle: &Puzzle<F>, bits: usize) -> Result<F, HalError>;
}

/// Everything a prover asks of a device.
pub trait Backend<F: HalField>: LdeOps<F> + MerkleOps<F> + FriOps<F> {}

impl<F: HalField, B: LdeOps<F> + MerkleOps<F> + FriOps<F>> Backend<F> for B {}
