//! The CPU reference: p3's own functions, untouched, behind the device traits.
//!
//! Matrices are p3's row-major matrices in host memory, trees are p3's trees. Whatever a device computes is compared
//! with what this back end computes.

mod fri;
mod grind;

use std::ops::Range;
use std::sync::Arc;

use p3_commit::Mmcs;
use p3_dft::{Radix2DitParallel, TwoAdicSubgroupDft};
use p3_field::PackedValue;
use p3_matrix::Matrix;
use p3_matrix::bitrev::BitReversibleMatrix;
use p3_matrix::dense::RowMajorMatrix;

use crate::merkle::{Commitment, MerkleScheme, MultiProof, check_commit};
use crate::{
    Buffers, Caps, Device, DeviceKind, DeviceMatrix, HalError, HalField, LdeOps, MerkleOps, Rows,
    Statistics,
};

/// The reference back end. Clones share the table of roots of unity.
#[derive(Clone, Debug, Default)]
pub struct Cpu<F> {
    dft: Arc<Radix2DitParallel<F>>,
}

impl<F: HalField> Cpu<F> {
    /// The reference back end of this machine.
    #[must_use]
    pub fn new() -> Self {
        Self {
            dft: Arc::new(Radix2DitParallel::default()),
        }
    }
}

impl<F: HalField> Device for Cpu<F> {
    fn caps(&self) -> Caps {
        Caps {
            selector: "cpu".to_owned(),
            name: "p3 on the host's CPU".to_owned(),
            driver: format!("p3 0.8, {} lanes", F::Packing::WIDTH),
            kind: DeviceKind::Reference,
            compute_units: std::thread::available_parallelism()
                .map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
            memory: u64::MAX,
            max_alloc: u64::MAX,
            banks: 1,
            host_memory: true,
            compiles: false,
            variant: String::new(),
            max_log_height: F::TWO_ADICITY as u32,
        }
    }

    fn finish(&self) -> Result<(), HalError> {
        Ok(())
    }

    fn statistics(&self) -> Statistics {
        Statistics::default()
    }

    fn reset_statistics(&self) {}
}

impl<F: HalField> DeviceMatrix for RowMajorMatrix<F> {
    fn height(&self) -> usize {
        Matrix::height(self)
    }

    fn width(&self) -> usize {
        Matrix::width(self)
    }
}

impl<F: HalField> Buffers<F> for Cpu<F> {
    type Matrix = RowMajorMatrix<F>;

    fn upload(&self, matrix: RowMajorMatrix<F>) -> Result<Self::Matrix, HalError> {
        Ok(matrix)
    }

    fn download(&self, matrix: &Self::Matrix) -> Result<RowMajorMatrix<F>, HalError> {
        Ok(matrix.clone())
    }

    fn rows<'a>(
        &self,
        matrix: &'a Self::Matrix,
        rows: Range<usize>,
    ) -> Result<Rows<'a, F>, HalError> {
        let width = matrix.width;
        matrix
            .values
            .get(rows.start.saturating_mul(width)..rows.end.saturating_mul(width))
            .map(Rows::InPlace)
            .ok_or_else(|| HalError::invalid("rows", format!("no rows {rows:?}")))
    }

    fn reshape(&self, matrix: Self::Matrix, width: usize) -> Result<Self::Matrix, HalError> {
        if width == 0 || !matrix.values.len().is_multiple_of(width) {
            return Err(HalError::invalid(
                "reshape",
                format!(
                    "width {width} does not divide {} elements",
                    matrix.values.len()
                ),
            ));
        }
        Ok(RowMajorMatrix::new(matrix.values, width))
    }
}

/// The log2 of a height, which every transform needs.
fn log_height(op: &'static str, height: usize, limit: usize) -> Result<usize, HalError> {
    if !height.is_power_of_two() {
        return Err(HalError::invalid(
            op,
            format!("height {height} is not a power of two"),
        ));
    }
    let log = height.ilog2() as usize;
    if log > limit {
        return Err(HalError::unsupported(
            op,
            format!("no subgroup of size 2^{log}"),
        ));
    }
    Ok(log)
}

impl<F: HalField> LdeOps<F> for Cpu<F> {
    fn coset_lde(
        &self,
        evaluations: Self::Matrix,
        added_bits: usize,
        shift: F,
    ) -> Result<Self::Matrix, HalError> {
        let limit = F::TWO_ADICITY.checked_sub(added_bits).ok_or_else(|| {
            HalError::unsupported("coset_lde", format!("no subgroup of size 2^{added_bits}"))
        })?;
        log_height("coset_lde", Matrix::height(&evaluations), limit)?;
        if shift.is_zero() {
            return Err(HalError::invalid("coset_lde", "a shift of zero"));
        }
        Ok(self
            .dft
            .coset_lde_batch(evaluations, added_bits, shift)
            .bit_reverse_rows()
            .to_row_major_matrix())
    }

    fn dft(&self, coefficients: Self::Matrix) -> Result<Self::Matrix, HalError> {
        log_height("dft", Matrix::height(&coefficients), F::TWO_ADICITY)?;
        Ok(self.dft.dft_batch(coefficients).to_row_major_matrix())
    }

    fn idft(&self, evaluations: Self::Matrix) -> Result<Self::Matrix, HalError> {
        log_height("idft", Matrix::height(&evaluations), F::TWO_ADICITY)?;
        Ok(self.dft.idft_batch(evaluations))
    }
}

/// A p3 tree, with the scheme that opens it.
pub struct CpuCommitted<F: HalField, S: MerkleScheme<F>> {
    tree: S::Tree,
    mmcs: S::Mmcs,
}

impl<F: HalField> MerkleOps<F> for Cpu<F> {
    type Committed<S: MerkleScheme<F>> = CpuCommitted<F, S>;

    fn commit<S: MerkleScheme<F>>(
        &self,
        matrices: Vec<Self::Matrix>,
        cap_height: usize,
    ) -> Result<(Commitment<F, S>, Self::Committed<S>), HalError> {
        check_commit(matrices.iter().map(Matrix::height), cap_height)?;
        let mmcs = S::mmcs(cap_height);
        let (commitment, tree) = mmcs.commit(matrices);
        Ok((commitment, CpuCommitted { tree, mmcs }))
    }

    fn matrices<'a, S: MerkleScheme<F>>(
        &self,
        committed: &'a Self::Committed<S>,
    ) -> Vec<&'a Self::Matrix> {
        committed.mmcs.get_matrices(&committed.tree)
    }

    fn open<S: MerkleScheme<F>>(
        &self,
        committed: &Self::Committed<S>,
        indices: &[usize],
    ) -> Result<(Vec<Vec<Vec<F>>>, MultiProof<F, S>), HalError> {
        let height = committed
            .mmcs
            .get_max_height::<RowMajorMatrix<F>>(&committed.tree);
        if let Some(index) = indices.iter().find(|&&index| index >= height) {
            return Err(HalError::invalid(
                "open",
                format!("index {index} in a tree of {height}"),
            ));
        }
        Ok(committed
            .mmcs
            .open_multi_batch::<RowMajorMatrix<F>>(indices, &committed.tree))
    }
}
