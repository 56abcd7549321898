//! A back end that is watched: every operation runs on the device and on a reference, and the results must be equal.
//!
//! Equal means bit for bit, and every word below the prime: a device whose words stand for the right elements but are
//! not reduced would give other proof bytes, and passes every comparison made after reduction. The first difference is
//! a [`HalError::Mismatch`] that names operation, row, column and both words, and the failing operation's input is
//! kept as a file that [`replay`] runs again.
//!
//! The device's fresh allocations are poisoned ([`Device::set_poison`]), so that output that is never written does not
//! pass because the right values happened to lie there.
//!
//! Every result is downloaded: time and byte counters say nothing about the device alone.

mod compare;
mod ops;
mod record;
mod replay;

use std::ops::Range;
use std::path::PathBuf;

use p3_matrix::dense::RowMajorMatrix;

pub use self::ops::ShadowCommitted;
use self::record::Record;
pub use self::replay::replay;
use crate::held::Held;
use crate::{
    Buffers, Caps, Device, DeviceMatrix, HalError, HalField, Operation, Placement, Rows, Statistics,
};

/// A device `A` under test, and the reference `B` it is compared with.
#[derive(Clone, Debug)]
pub struct Shadow<A, B> {
    device: A,
    reference: B,
    folder: Option<PathBuf>,
}

impl<A: Device, B: Device> Shadow<A, B> {
    /// Watches `device`. Failing inputs are kept in the folder `starkwright-shadow` beside other temporary files.
    pub fn new(device: A, reference: B) -> Self {
        device.set_poison(true);
        Self {
            device,
            reference,
            folder: Some(std::env::temp_dir().join("starkwright-shadow")),
        }
    }

    /// Watches `device` as it is: no poison, and no file.
    pub(crate) fn passive(device: A, reference: B) -> Self {
        Self {
            device,
            reference,
            folder: None,
        }
    }

    /// Keeps failing inputs in this folder, which is created where it is missing.
    #[must_use]
    pub fn keeping_inputs_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Keeps no failing input; that spares a copy of every input that is consumed.
    #[must_use]
    pub fn keeping_no_inputs(mut self) -> Self {
        self.folder = None;
        self
    }

    /// The error for a difference: keeps the input, and says where.
    fn mismatch<F: HalField>(
        &self,
        op: &'static str,
        difference: &str,
        input: impl FnOnce() -> Result<Record<F>, HalError>,
    ) -> HalError {
        let kept = match &self.folder {
            None => "input not kept".to_owned(),
            Some(folder) => match input().map(|record| record.save(folder)) {
                Ok(Ok(path)) => format!("input kept in {}", path.display()),
                Ok(Err(error)) => format!("input not kept: {error}"),
                Err(error) => format!("input not kept: {error}"),
            },
        };
        HalError::Mismatch {
            device: self.device.caps().name,
            op,
            detail: format!("{difference}; {kept}"),
        }
    }
}

/// A matrix on the device, and the same one on the reference.
pub struct ShadowMatrix<A, B> {
    device: Held<A>,
    reference: Held<B>,
}

impl<A: DeviceMatrix, B: DeviceMatrix> DeviceMatrix for ShadowMatrix<A, B> {
    fn height(&self) -> usize {
        self.reference.height()
    }

    fn width(&self) -> usize {
        self.reference.width()
    }
}

impl<A: DeviceMatrix, B: DeviceMatrix> ShadowMatrix<A, B> {
    /// Both matrices, to be consumed.
    fn both(self, op: &'static str) -> Result<(A, B), HalError> {
        Ok((self.device.into_owned(op)?, self.reference.into_owned(op)?))
    }
}

type Pair<F, A, B> = ShadowMatrix<<A as Buffers<F>>::Matrix, <B as Buffers<F>>::Matrix>;

impl<A, B> Shadow<A, B> {
    /// A pair of results, if they are equal.
    fn checked<F: HalField>(
        &self,
        op: &'static str,
        device: A::Matrix,
        reference: B::Matrix,
        input: impl FnOnce() -> Result<Record<F>, HalError>,
    ) -> Result<Pair<F, A, B>, HalError>
    where
        A: Buffers<F>,
        B: Buffers<F>,
    {
        let (got, wanted) = (
            self.device.download(&device)?,
            self.reference.download(&reference)?,
        );
        compare::matrices(&got, &wanted).map_err(|why| self.mismatch(op, &why, input))?;
        Ok(ShadowMatrix {
            device: Held::owned(device),
            reference: Held::owned(reference),
        })
    }

    /// The reference's copy of a matrix.
    fn copy<F: HalField>(&self, matrix: &Pair<F, A, B>) -> Result<RowMajorMatrix<F>, HalError>
    where
        A: Buffers<F>,
        B: Buffers<F>,
    {
        self.reference.download(matrix.reference.get()?)
    }

    /// The copy of a matrix that is about to be consumed, if failing inputs are kept.
    fn copy_to_keep<F: HalField>(
        &self,
        matrix: &Pair<F, A, B>,
    ) -> Result<Vec<RowMajorMatrix<F>>, HalError>
    where
        A: Buffers<F>,
        B: Buffers<F>,
    {
        match self.folder {
            Some(_) => Ok(vec![self.copy(matrix)?]),
            None => Ok(Vec::new()),
        }
    }
}

/// Refuses what both sides would compute the same nonsense from.
fn canonical<F: HalField>(op: &'static str, matrix: &RowMajorMatrix<F>) -> Result<(), HalError> {
    if matrix.values.iter().all(HalField::is_canonical) {
        return Ok(());
    }
    Err(HalError::invalid(op, "a word that is not below the prime"))
}

impl<A: Device, B: Device> Device for Shadow<A, B> {
    /// Those of the device under test.
    fn caps(&self) -> Caps {
        let caps = self.device.caps();
        Caps {
            selector: format!("shadow:{}", caps.selector),
            ..caps
        }
    }

    fn finish(&self) -> Result<(), HalError> {
        self.device.finish()?;
        self.reference.finish()
    }

    /// Those of the device under test, the comparisons' transfers included.
    fn statistics(&self) -> Statistics {
        self.device.statistics()
    }

    fn reset_statistics(&self) {
        self.device.reset_statistics();
        self.reference.reset_statistics();
    }

    fn trim(&self) {
        self.device.trim();
        self.reference.trim();
    }

    fn set_poison(&self, on: bool) {
        self.device.set_poison(on);
        self.reference.set_poison(on);
    }
}

impl<F: HalField, A: Buffers<F>, B: Buffers<F>> Buffers<F> for Shadow<A, B> {
    type Matrix = Pair<F, A, B>;

    fn upload(&self, matrix: RowMajorMatrix<F>) -> Result<Self::Matrix, HalError> {
        self.upload_to(matrix, Placement::Any)
    }

    fn upload_to(
        &self,
        matrix: RowMajorMatrix<F>,
        placement: Placement,
    ) -> Result<Self::Matrix, HalError> {
        const OP: &str = "upload";
        canonical(OP, &matrix)?;
        let device = self.device.upload_to(matrix.clone(), placement)?;
        let reference = self.reference.upload(matrix.clone())?;
        self.checked(OP, device, reference, || {
            Ok(Record::new(OP, vec![], vec![matrix]))
        })
    }

    fn download(&self, matrix: &Self::Matrix) -> Result<RowMajorMatrix<F>, HalError> {
        const OP: &str = "download";
        let got = self.device.download(matrix.device.get()?)?;
        let wanted = self.copy(matrix)?;
        match compare::matrices(&got, &wanted) {
            Ok(()) => Ok(got),
            Err(why) => Err(self.mismatch(OP, &why, || Ok(Record::new(OP, vec![], vec![wanted])))),
        }
    }

    fn rows<'a>(
        &self,
        matrix: &'a Self::Matrix,
        rows: Range<usize>,
    ) -> Result<Rows<'a, F>, HalError> {
        const OP: &str = "rows";
        let got = self.device.rows(matrix.device.get()?, rows.clone())?;
        let wanted = self.reference.rows(matrix.reference.get()?, rows.clone())?;
        let width = matrix.width();
        match compare::elements::<F>("rows asked for", width, got.as_slice(), wanted.as_slice()) {
            Ok(()) => Ok(got),
            Err(why) => Err(self.mismatch(OP, &why, || {
                let range = vec![rows.start as u64, rows.end as u64];
                Ok(Record::new(OP, range, vec![self.copy(matrix)?]))
            })),
        }
    }

    fn reshape(&self, matrix: Self::Matrix, width: usize) -> Result<Self::Matrix, HalError> {
        const OP: &str = "reshape";
        let kept = self.copy_to_keep(&matrix)?;
        let (device, reference) = matrix.both(OP)?;
        let device = self.device.reshape(device, width)?;
        let reference = self.reference.reshape(reference, width)?;
        self.checked(OP, device, reference, || {
            Ok(Record::new(OP, vec![width as u64], kept))
        })
    }

    fn supports(&self, operation: Operation) -> Result<(), HalError> {
        self.device.supports(operation)?;
        self.reference.supports(operation)
    }
}
