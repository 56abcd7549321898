//! The OpenCL back end of the hardware abstraction layer.
//!
//! [`OpenCl`] is a [`Runtime`] that speaks hal's traits: every operation is one of [`ops`](crate::ops), which enqueue,
//! and only what hands data to the host waits.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use p3_matrix::dense::RowMajorMatrix;
use starkwright_hal::{
    Buffers, Caps, Commitment, Device, DeviceKind, DeviceMatrix, Evaluation, Extension, FriOps,
    HalError, HalField, KernelTime, LdeOps, MerkleOps, MerkleScheme, MultiProof, Operation,
    Placement, Puzzle, Reduction, Rows, Statistics, check_commit,
};

use crate::ops::merkle::Tree;
use crate::ops::{evaluate, fold, grind, lde, merkle, reduce};
use crate::runtime::{DeviceInfo, DeviceKind as ClKind, Options, Runtime, WAIT};
use crate::{Matrix, Word};

/// An opened OpenCL device. Clones are the same device.
#[derive(Clone, Debug)]
pub struct OpenCl {
    runtime: Runtime,
    /// Counters at the last reset, which later ones are counted from.
    since: Arc<Mutex<crate::Statistics>>,
}

impl OpenCl {
    /// The devices of every driver on this machine.
    ///
    /// # Errors
    /// [`HalError::LibraryMissing`] where there is no OpenCL library.
    pub fn list() -> Result<Vec<DeviceInfo>, HalError> {
        Runtime::list()
    }

    /// Opens a device.
    ///
    /// # Errors
    /// Driver failures.
    pub fn open(info: &DeviceInfo, options: Options) -> Result<Self, HalError> {
        Ok(Self::over(Runtime::open(info, options)?))
    }

    /// The back end over a runtime that is open.
    #[must_use]
    pub fn over(runtime: Runtime) -> Self {
        Self {
            runtime,
            since: Arc::default(),
        }
    }

    /// The runtime underneath.
    #[must_use]
    pub const fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

impl Device for OpenCl {
    fn caps(&self) -> Caps {
        let info = self.runtime.info();
        Caps {
            selector: format!("opencl:{}", info.index),
            name: info.name.clone(),
            driver: format!("{} {}", info.platform, info.driver),
            kind: match info.kind {
                ClKind::Cpu => DeviceKind::Cpu,
                ClKind::Gpu => DeviceKind::Gpu,
                ClKind::Accelerator => DeviceKind::Accelerator,
                ClKind::Custom => DeviceKind::Custom,
            },
            compute_units: info.compute_units,
            memory: info.global_memory,
            max_alloc: 4 * self.runtime.max_alloc_words() as u64,
            // OpenCL has no word for banks, and no card was at hand to try a vendor's on.
            banks: 1,
            host_memory: info.host_unified,
            compiles: info.compiler_available,
            variant: self.runtime.variant().name().to_owned(),
            max_log_height: MAX_LOG_HEIGHT,
        }
    }

    fn finish(&self) -> Result<(), HalError> {
        self.runtime.finish()
    }

    fn statistics(&self) -> Statistics {
        self.runtime.settle();
        let now = self.runtime.statistics();
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = |name: &str| {
            since
                .command(name)
                .map_or((0, 0.0), |command| (command.count, command.seconds))
        };
        let mut statistics = Statistics {
            bytes_up: now.bytes_up - since.bytes_up,
            bytes_down: now.bytes_down - since.bytes_down,
            live_bytes: now.live_bytes,
            peak_bytes: now.peak_bytes,
            build_seconds: now.build_seconds - since.build_seconds,
            ..Statistics::default()
        };
        for command in &now.commands {
            let (count, seconds) = earlier(command.name);
            let time = KernelTime {
                launches: command.count - count,
                seconds: command.seconds - seconds,
            };
            if TRANSFERS.contains(&command.name) {
                statistics.transfer_seconds += time.seconds;
            } else if time.launches > 0 {
                statistics.kernels.insert(command.name.to_owned(), time);
            }
        }
        statistics
    }

    fn reset_statistics(&self) {
        self.runtime.settle();
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = self.runtime.statistics();
    }

    fn trim(&self) {
        if self.runtime.info().host_unified {
            // Commands that have not ended hold their buffers.
            self.runtime.settle();
            self.runtime.trim();
        }
    }

    fn set_poison(&self, on: bool) {
        self.runtime.set_poison(on);
    }
}

/// Log2 of the tallest matrix: KoalaBear's two-adicity, which no LDE exceeds.
const MAX_LOG_HEIGHT: u32 = 24;

/// Commands that move bytes between host and device.
const TRANSFERS: [&str; 5] = ["read", "write", "map", "unmap", WAIT];

impl DeviceMatrix for Matrix {
    fn height(&self) -> usize {
        self.height
    }

    fn width(&self) -> usize {
        self.width
    }
}

impl<F: HalField + Word> Buffers<F> for OpenCl {
    type Matrix = Matrix;

    fn upload(&self, matrix: RowMajorMatrix<F>) -> Result<Matrix, HalError> {
        Matrix::adopt(&self.runtime, matrix.values, matrix.width)
    }

    fn download(&self, matrix: &Matrix) -> Result<RowMajorMatrix<F>, HalError> {
        Ok(RowMajorMatrix::new(
            matrix.read_vec(&self.runtime)?,
            matrix.width,
        ))
    }

    fn rows<'a>(&self, matrix: &'a Matrix, rows: Range<usize>) -> Result<Rows<'a, F>, HalError> {
        if rows.start > rows.end || rows.end > matrix.height {
            return Err(HalError::invalid("rows", format!("no rows {rows:?}")));
        }
        let words = (rows.end - rows.start) * matrix.width;
        // In place where one buffer holds them all.
        let within = |row: usize| row / matrix.rows_per_chunk;
        if words > 0
            && within(rows.start) == within(rows.end - 1)
            && let Some((buffer, at)) = matrix.locate(rows.start)
        {
            let mapped = self.runtime.map::<F>(buffer, at, words)?;
            return Ok(Rows::Mapped(Box::new(mapped)));
        }
        let mut copied = Vec::with_capacity(words);
        let mut row = rows.start;
        while row < rows.end {
            let end = rows.end.min((within(row) + 1) * matrix.rows_per_chunk);
            let Some((buffer, at)) = matrix.locate(row) else {
                break;
            };
            copied.extend(
                self.runtime
                    .read_vec::<F>(buffer, at, (end - row) * matrix.width)?,
            );
            row = end;
        }
        Ok(Rows::Copied(copied))
    }

    fn reshape(&self, matrix: Matrix, width: usize) -> Result<Matrix, HalError> {
        matrix.reshape(&self.runtime, width)
    }

    fn supports(&self, operation: Operation) -> Result<(), HalError> {
        let (height, width, added_bits) = match operation {
            Operation::CosetLde {
                height,
                width,
                added_bits,
            } => (height, width, added_bits),
            Operation::Dft { height, width } | Operation::Idft { height, width } => {
                (height, width, 0)
            }
            Operation::Commit { .. } => return Ok(()),
        };
        let log_height = (height.max(1).ilog2() as usize).saturating_add(added_bits);
        if log_height > MAX_LOG_HEIGHT as usize {
            let why = format!("2^{log_height} rows exceed 2^{MAX_LOG_HEIGHT}");
            return Err(HalError::unsupported(operation.name(), why));
        }
        // A matrix in several buffers is transformed a panel of whole columns at a time.
        let (rows, most) = (1usize << log_height, self.runtime.max_alloc_words());
        if rows > most && rows.saturating_mul(width) > most {
            let why = format!("a column of {rows} words exceeds the largest allocation");
            return Err(HalError::unsupported(operation.name(), why));
        }
        Ok(())
    }
}

impl<F: HalField + Word> LdeOps<F> for OpenCl {
    fn coset_lde(
        &self,
        evaluations: Matrix,
        added_bits: usize,
        shift: F,
    ) -> Result<Matrix, HalError> {
        if shift.is_zero() {
            return Err(HalError::invalid("coset_lde", "the shift is zero"));
        }
        lde::coset_lde(&self.runtime, &evaluations, added_bits, shift)
    }

    fn extend(
        &self,
        evaluations: RowMajorMatrix<F>,
        _placement: Placement,
        added_bits: usize,
        shift: F,
    ) -> Result<Matrix, HalError> {
        if shift.is_zero() {
            return Err(HalError::invalid("coset_lde", "the shift is zero"));
        }
        let RowMajorMatrix { values, width, .. } = evaluations;
        lde::extend(&self.runtime, values, width, added_bits, shift)
    }

    fn dft(&self, coefficients: Matrix) -> Result<Matrix, HalError> {
        lde::dft::<F>(&self.runtime, &coefficients)
    }

    fn idft(&self, evaluations: Matrix) -> Result<Matrix, HalError> {
        lde::idft::<F>(&self.runtime, &evaluations)
    }
}

/// Matrices with their tree on the device.
#[derive(Debug)]
pub struct Committed {
    matrices: Vec<Matrix>,
    tree: Tree,
    cap_height: usize,
}

impl<F: HalField + Word> MerkleOps<F> for OpenCl {
    type Committed<S: MerkleScheme<F>> = Committed;

    fn commit<S: MerkleScheme<F>>(
        &self,
        matrices: Vec<Matrix>,
        cap_height: usize,
    ) -> Result<(Commitment<F, S>, Committed), HalError> {
        let heights = matrices.iter().map(|matrix| matrix.height);
        check_commit(heights, cap_height)?;
        let tree = {
            let all: Vec<&Matrix> = matrices.iter().collect();
            merkle::build::<F>(&self.runtime, S::HASH, &all)?
        };
        let cap = tree.cap(&self.runtime, cap_height)?;
        Ok((
            S::commitment(&cap)?,
            Committed {
                matrices,
                tree,
                cap_height,
            },
        ))
    }

    fn matrices<'a, S: MerkleScheme<F>>(&self, committed: &'a Committed) -> Vec<&'a Matrix> {
        committed.matrices.iter().collect()
    }

    fn open<S: MerkleScheme<F>>(
        &self,
        committed: &Committed,
        indices: &[usize],
    ) -> Result<(Vec<Vec<Vec<F>>>, MultiProof<F, S>), HalError> {
        let all: Vec<&Matrix> = committed.matrices.iter().collect();
        let (rows, siblings) = merkle::open(
            &self.runtime,
            &committed.tree,
            &all,
            indices,
            committed.cap_height,
        )?;
        Ok((rows, S::multi_proof(&siblings)?))
    }
}

impl<F: HalField + Word> FriOps<F> for OpenCl {
    fn evaluate<E: Extension<F>>(
        &self,
        shift: F,
        requests: &[Evaluation<'_, Matrix, E>],
    ) -> Result<Vec<Vec<Vec<E>>>, HalError> {
        evaluate::evaluate(&self.runtime, shift, requests)
    }

    fn reduce<E: Extension<F>>(
        &self,
        log_height: usize,
        shift: F,
        alpha: E,
        terms: &[Reduction<'_, Matrix, E>],
    ) -> Result<Matrix, HalError> {
        reduce::reduce(&self.runtime, log_height, shift, alpha, terms)
    }

    fn fold<E: Extension<F>>(
        &self,
        leaves: &Matrix,
        beta: E,
        log_arity: usize,
        roll_in: Option<&Matrix>,
    ) -> Result<Matrix, HalError> {
        fold::fold(&self.runtime, leaves, beta, log_arity, roll_in)
    }

    fn grind(&self, puzzle: &Puzzle<F>, bits: usize) -> Result<F, HalError> {
        grind::grind(&self.runtime, puzzle, bits)
    }
}
