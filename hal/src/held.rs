//! Matrices that are owned, or that a commitment keeps.
//!
//! [`Fallback`](crate::Fallback) and [`Shadow`](crate::Shadow) wrap the matrices of two back ends into one. A back end
//! takes its own matrices into a commitment and lends them back by reference; the wrapper must then lend *wrapped*
//! ones. So a wrapped matrix is either the back end's own, or a place in a commitment that is shared with it.

use std::sync::Arc;

use crate::{DeviceMatrix, HalError, HalField, MerkleOps, MerkleScheme};

/// A commitment that lends matrices, whatever its scheme.
trait Lender<M>: Send + Sync {
    fn matrix(&self, index: usize) -> Option<&M>;
}

/// A commitment, with the back end that can read it.
pub(crate) struct Tree<F: HalField, B: MerkleOps<F>, S: MerkleScheme<F>> {
    backend: B,
    pub(crate) committed: B::Committed<S>,
}

impl<F: HalField, B: MerkleOps<F>, S: MerkleScheme<F>> Tree<F, B, S> {
    pub(crate) fn new(backend: B, committed: B::Committed<S>) -> Arc<Self> {
        Arc::new(Self { backend, committed })
    }

    /// The committed matrices, in the order given.
    pub(crate) fn lend(self: &Arc<Self>) -> Vec<Held<B::Matrix>> {
        let shapes = self.backend.matrices(&self.committed);
        let shapes = shapes.iter().map(|m| (m.height(), m.width()));
        shapes
            .enumerate()
            .map(|(index, (height, width))| Held {
                height,
                width,
                place: Place::Lent {
                    tree: Arc::clone(self) as Arc<dyn Lender<B::Matrix>>,
                    index,
                },
            })
            .collect()
    }
}

impl<F: HalField, B: MerkleOps<F>, S: MerkleScheme<F>> Lender<B::Matrix> for Tree<F, B, S> {
    fn matrix(&self, index: usize) -> Option<&B::Matrix> {
        self.backend
            .matrices(&self.committed)
            .into_iter()
            .nth(index)
    }
}

/// A back end's matrix, wherever it is kept.
pub(crate) struct Held<M> {
    height: usize,
    width: usize,
    place: Place<M>,
}

enum Place<M> {
    Owned(M),
    Lent {
        tree: Arc<dyn Lender<M>>,
        index: usize,
    },
}

impl<M: DeviceMatrix> Held<M> {
    pub(crate) fn owned(matrix: M) -> Self {
        Self {
            height: matrix.height(),
            width: matrix.width(),
            place: Place::Owned(matrix),
        }
    }

    /// The matrix. Fails only where a back end lends fewer matrices than it did before.
    pub(crate) fn get(&self) -> Result<&M, HalError> {
        match &self.place {
            Place::Owned(matrix) => Ok(matrix),
            Place::Lent { tree, index } => tree
                .matrix(*index)
                .ok_or_else(|| HalError::invalid("matrices", "a committed matrix is gone")),
        }
    }

    /// The matrix, to be consumed. Fails for a lent one, which is only ever handed out by reference.
    pub(crate) fn into_owned(self, op: &'static str) -> Result<M, HalError> {
        match self.place {
            Place::Owned(matrix) => Ok(matrix),
            Place::Lent { .. } => Err(HalError::invalid(op, "a committed matrix as input")),
        }
    }
}

impl<M: DeviceMatrix> DeviceMatrix for Held<M> {
    fn height(&self) -> usize {
        self.height
    }

    fn width(&self) -> usize {
        self.width
    }
}
