//! A back end that runs what its first device does not offer on a second one.
//!
//! An operation goes to the second back end only where the first says [`HalError::Unsupported`], or where the
//! operation is smaller than the break-even size. Every other failure propagates: a device that runs out of memory or
//! is lost must be heard, and is not papered over here.
//!
//! Matrices stay where they were made. An operation that needs one from the other side moves it, for that operation
//! alone where it only reads. What ran on the second side and what was moved stands in
//! [`Statistics::fallbacks`] and [`Statistics::fallback_bytes`]; in *deny* mode an operation that would fall back is
//! an error instead, so that a benchmark measures the device it names.

mod ops;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use p3_matrix::dense::RowMajorMatrix;

pub use self::ops::FallbackCommitted;
use crate::held::Held;
use crate::{
    Buffers, Caps, Device, DeviceMatrix, HalError, HalField, Operation, Placement, Rows, Statistics,
};

/// A first back end `P`, and a second one `C` for what it lacks.
#[derive(Clone, Debug)]
pub struct Fallback<P, C> {
    primary: P,
    secondary: C,
    break_even: usize,
    deny: bool,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    operations: AtomicU64,
    bytes: AtomicU64,
}

impl<P, C> Fallback<P, C> {
    /// Runs on `primary` whatever it supports, of any size, and the rest on `secondary`.
    pub fn new(primary: P, secondary: C) -> Self {
        Self {
            primary,
            secondary,
            break_even: 0,
            deny: false,
            counters: Arc::default(),
        }
    }

    /// Runs operations on fewer field elements than this on the second back end; 0 for none.
    #[must_use]
    pub fn with_break_even(mut self, elements: usize) -> Self {
        self.break_even = elements;
        self
    }

    /// Refuses every operation that would fall back, with the error that says why it would.
    #[must_use]
    pub fn denying(mut self) -> Self {
        self.deny = true;
        self
    }

    fn is_small(&self, elements: usize) -> bool {
        elements < self.break_even
    }

    /// Counts an operation that falls back, or refuses it.
    fn permit(&self, reason: HalError) -> Result<(), HalError> {
        if self.deny {
            return Err(reason);
        }
        self.counters.operations.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn too_small(&self, op: &'static str, elements: usize) -> HalError {
        HalError::unsupported(
            op,
            format!(
                "{elements} elements, below the break-even of {}",
                self.break_even
            ),
        )
    }

    /// Tries the first back end, and the second one where the first does not support the operation.
    fn either<T>(
        &self,
        op: &'static str,
        elements: usize,
        primary: impl FnOnce() -> Result<T, HalError>,
        secondary: impl FnOnce() -> Result<T, HalError>,
    ) -> Result<T, HalError> {
        let reason = if self.is_small(elements) {
            self.too_small(op, elements)
        } else {
            match primary() {
                Err(reason @ HalError::Unsupported { .. }) => reason,
                done => return done,
            }
        };
        self.permit(reason)?;
        secondary()
    }

    /// Decides where an operation runs that consumes its input: it cannot be tried, so the device is asked.
    fn runs_on_primary<F: HalField>(&self, operation: Operation) -> Result<bool, HalError>
    where
        P: Buffers<F>,
    {
        let elements = operation.elements();
        let reason = if self.is_small(elements) {
            self.too_small(operation.name(), elements)
        } else {
            match self.primary.supports(operation) {
                Err(reason @ HalError::Unsupported { .. }) => reason,
                answer => return answer.map(|()| true),
            }
        };
        self.permit(reason)?;
        Ok(false)
    }

    /// Copies a matrix from one back end to another, and counts its bytes.
    fn moved<F, X, Y>(&self, from: &X, matrix: &X::Matrix, to: &Y) -> Result<Y::Matrix, HalError>
    where
        F: HalField,
        X: Buffers<F>,
        Y: Buffers<F>,
    {
        let host = from.download(matrix)?;
        let bytes = size_of_val(host.values.as_slice()) as u64;
        self.counters.bytes.fetch_add(bytes, Ordering::Relaxed);
        to.upload(host)
    }
}

/// A matrix on one of the two sides of a [`Fallback`].
pub struct FallbackMatrix<P, C>(Side<Held<P>, Held<C>>);

/// Which of the two back ends holds something.
enum Side<P, C> {
    Primary(P),
    Secondary(C),
}

impl<P: DeviceMatrix, C: DeviceMatrix> FallbackMatrix<P, C> {
    fn primary(matrix: P) -> Self {
        Self(Side::Primary(Held::owned(matrix)))
    }

    fn secondary(matrix: C) -> Self {
        Self(Side::Secondary(Held::owned(matrix)))
    }

    /// Whether the first back end holds this matrix.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        matches!(self.0, Side::Primary(_))
    }
}

impl<P: DeviceMatrix, C: DeviceMatrix> DeviceMatrix for FallbackMatrix<P, C> {
    fn height(&self) -> usize {
        match &self.0 {
            Side::Primary(matrix) => matrix.height(),
            Side::Secondary(matrix) => matrix.height(),
        }
    }

    fn width(&self) -> usize {
        match &self.0 {
            Side::Primary(matrix) => matrix.width(),
            Side::Secondary(matrix) => matrix.width(),
        }
    }
}

/// A matrix where an operation wants it: in its place, or a copy for that operation alone.
enum Placed<'a, M> {
    There(&'a M),
    Moved(M),
}

impl<M> Placed<'_, M> {
    fn get(&self) -> &M {
        match self {
            Self::There(matrix) => matrix,
            Self::Moved(matrix) => matrix,
        }
    }
}

type Matrix<F, P, C> = FallbackMatrix<<P as Buffers<F>>::Matrix, <C as Buffers<F>>::Matrix>;

/// Reading and taking matrices on a chosen side.
impl<P, C> Fallback<P, C> {
    fn on_primary<'a, F: HalField>(
        &self,
        matrix: &'a Matrix<F, P, C>,
    ) -> Result<Placed<'a, P::Matrix>, HalError>
    where
        P: Buffers<F>,
        C: Buffers<F>,
    {
        Ok(match &matrix.0 {
            Side::Primary(m) => Placed::There(m.get()?),
            Side::Secondary(m) => {
                Placed::Moved(self.moved(&self.secondary, m.get()?, &self.primary)?)
            }
        })
    }

    fn on_secondary<'a, F: HalField>(
        &self,
        matrix: &'a Matrix<F, P, C>,
    ) -> Result<Placed<'a, C::Matrix>, HalError>
    where
        P: Buffers<F>,
        C: Buffers<F>,
    {
        Ok(match &matrix.0 {
            Side::Primary(m) => {
                Placed::Moved(self.moved(&self.primary, m.get()?, &self.secondary)?)
            }
            Side::Secondary(m) => Placed::There(m.get()?),
        })
    }

    fn take_primary<F: HalField>(
        &self,
        op: &'static str,
        matrix: Matrix<F, P, C>,
    ) -> Result<P::Matrix, HalError>
    where
        P: Buffers<F>,
        C: Buffers<F>,
    {
        match matrix.0 {
            Side::Primary(m) => m.into_owned(op),
            Side::Secondary(m) => self.moved(&self.secondary, &m.into_owned(op)?, &self.primary),
        }
    }

    fn take_secondary<F: HalField>(
        &self,
        op: &'static str,
        matrix: Matrix<F, P, C>,
    ) -> Result<C::Matrix, HalError>
    where
        P: Buffers<F>,
        C: Buffers<F>,
    {
        match matrix.0 {
            Side::Primary(m) => self.moved(&self.primary, &m.into_owned(op)?, &self.secondary),
            Side::Secondary(m) => m.into_owned(op),
        }
    }
}

impl<P: Device, C: Device> Device for Fallback<P, C> {
    /// Those of the first back end.
    fn caps(&self) -> Caps {
        let caps = self.primary.caps();
        Caps {
            selector: format!("fallback:{}", caps.selector),
            ..caps
        }
    }

    fn finish(&self) -> Result<(), HalError> {
        self.primary.finish()?;
        self.secondary.finish()
    }

    fn statistics(&self) -> Statistics {
        let mut sum = self.primary.statistics().plus(&self.secondary.statistics());
        sum.fallbacks += self.counters.operations.load(Ordering::Relaxed);
        sum.fallback_bytes += self.counters.bytes.load(Ordering::Relaxed);
        sum
    }

    fn reset_statistics(&self) {
        self.primary.reset_statistics();
        self.secondary.reset_statistics();
        self.counters.operations.store(0, Ordering::Relaxed);
        self.counters.bytes.store(0, Ordering::Relaxed);
    }

    fn trim(&self) {
        self.primary.trim();
        self.secondary.trim();
    }

    fn set_poison(&self, on: bool) {
        self.primary.set_poison(on);
        self.secondary.set_poison(on);
    }
}

impl<F: HalField, P: Buffers<F>, C: Buffers<F>> Buffers<F> for Fallback<P, C> {
    type Matrix = Matrix<F, P, C>;

    /// On the first back end, unless the matrix is below the break-even size. Not an operation that falls back.
    fn upload(&self, matrix: RowMajorMatrix<F>) -> Result<Self::Matrix, HalError> {
        self.upload_to(matrix, Placement::Any)
    }

    fn upload_to(
        &self,
        matrix: RowMajorMatrix<F>,
        placement: Placement,
    ) -> Result<Self::Matrix, HalError> {
        if self.is_small(matrix.values.len()) {
            Ok(FallbackMatrix::secondary(self.secondary.upload(matrix)?))
        } else {
            Ok(FallbackMatrix::primary(
                self.primary.upload_to(matrix, placement)?,
            ))
        }
    }

    fn download(&self, matrix: &Self::Matrix) -> Result<RowMajorMatrix<F>, HalError> {
        match &matrix.0 {
            Side::Primary(m) => self.primary.download(m.get()?),
            Side::Secondary(m) => self.secondary.download(m.get()?),
        }
    }

    fn rows<'a>(
        &self,
        matrix: &'a Self::Matrix,
        rows: Range<usize>,
    ) -> Result<Rows<'a, F>, HalError> {
        match &matrix.0 {
            Side::Primary(m) => self.primary.rows(m.get()?, rows),
            Side::Secondary(m) => self.secondary.rows(m.get()?, rows),
        }
    }

    fn reshape(&self, matrix: Self::Matrix, width: usize) -> Result<Self::Matrix, HalError> {
        const OP: &str = "reshape";
        Ok(match matrix.0 {
            Side::Primary(m) => {
                FallbackMatrix::primary(self.primary.reshape(m.into_owned(OP)?, width)?)
            }
            Side::Secondary(m) => {
                FallbackMatrix::secondary(self.secondary.reshape(m.into_owned(OP)?, width)?)
            }
        })
    }

    fn supports(&self, operation: Operation) -> Result<(), HalError> {
        match self.primary.supports(operation) {
            Err(HalError::Unsupported { .. }) if !self.deny => self.secondary.supports(operation),
            answer => answer,
        }
    }
}
