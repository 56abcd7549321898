//! The operations of a back end with a fallback: each on the side that is chosen for it.

use std::sync::Arc;

use p3_matrix::dense::RowMajorMatrix;

use super::{Fallback, FallbackMatrix, Matrix, Placed, Side};
use crate::held::Tree;
use crate::merkle::{Commitment, MerkleScheme, MultiProof};
use crate::{
    DeviceMatrix, Evaluation, Extension, FriOps, HalError, HalField, LdeOps, MerkleOps, Operation,
    Placement, Puzzle, Reduction,
};

impl<F: HalField, P: LdeOps<F>, C: LdeOps<F>> LdeOps<F> for Fallback<P, C> {
    fn coset_lde(
        &self,
        evaluations: Self::Matrix,
        added_bits: usize,
        shift: F,
    ) -> Result<Self::Matrix, HalError> {
        let operation = Operation::CosetLde {
            height: evaluations.height(),
            width: evaluations.width(),
            added_bits,
        };
        if self.runs_on_primary(operation)? {
            let input = self.take_primary(operation.name(), evaluations)?;
            let output = self.primary.coset_lde(input, added_bits, shift)?;
            Ok(FallbackMatrix::primary(output))
        } else {
            let input = self.take_secondary(operation.name(), evaluations)?;
            let output = self.secondary.coset_lde(input, added_bits, shift)?;
            Ok(FallbackMatrix::secondary(output))
        }
    }

    fn extend(
        &self,
        evaluations: RowMajorMatrix<F>,
        placement: Placement,
        added_bits: usize,
        shift: F,
    ) -> Result<Self::Matrix, HalError> {
        let operation = Operation::CosetLde {
            height: p3_matrix::Matrix::height(&evaluations),
            width: evaluations.width,
            added_bits,
        };
        if self.runs_on_primary(operation)? {
            let output = self
                .primary
                .extend(evaluations, placement, added_bits, shift)?;
            Ok(FallbackMatrix::primary(output))
        } else {
            let output = self
                .secondary
                .extend(evaluations, Placement::Any, added_bits, shift)?;
            Ok(FallbackMatrix::secondary(output))
        }
    }

    fn dft(&self, coefficients: Self::Matrix) -> Result<Self::Matrix, HalError> {
        let operation = Operation::Dft {
            height: coefficients.height(),
            width: coefficients.width(),
        };
        if self.runs_on_primary(operation)? {
            let input = self.take_primary(operation.name(), coefficients)?;
            Ok(FallbackMatrix::primary(self.primary.dft(input)?))
        } else {
            let input = self.take_secondary(operation.name(), coefficients)?;
            Ok(FallbackMatrix::secondary(self.secondary.dft(input)?))
        }
    }

    fn idft(&self, evaluations: Self::Matrix) -> Result<Self::Matrix, HalError> {
        let operation = Operation::Idft {
            height: evaluations.height(),
            width: evaluations.width(),
        };
        if self.runs_on_primary(operation)? {
            let input = self.take_primary(operation.name(), evaluations)?;
            Ok(FallbackMatrix::primary(self.primary.idft(input)?))
        } else {
            let input = self.take_secondary(operation.name(), evaluations)?;
            Ok(FallbackMatrix::secondary(self.secondary.idft(input)?))
        }
    }
}

/// A tree that its matrices refer to.
type SharedTree<F, B, S> = Arc<Tree<F, B, S>>;

/// Matrices with their tree, on one of the two sides of a [`Fallback`].
pub struct FallbackCommitted<F: HalField, P: MerkleOps<F>, C: MerkleOps<F>, S: MerkleScheme<F>> {
    tree: Side<SharedTree<F, P, S>, SharedTree<F, C, S>>,
    matrices: Vec<Matrix<F, P, C>>,
}

impl<F: HalField, P: MerkleOps<F>, C: MerkleOps<F>> MerkleOps<F> for Fallback<P, C> {
    type Committed<S: MerkleScheme<F>> = FallbackCommitted<F, P, C, S>;

    fn commit<S: MerkleScheme<F>>(
        &self,
        matrices: Vec<Self::Matrix>,
        cap_height: usize,
    ) -> Result<(Commitment<F, S>, Self::Committed<S>), HalError> {
        let operation = Operation::Commit {
            hash: S::HASH,
            height: matrices.iter().map(DeviceMatrix::height).max().unwrap_or(0),
            elements: elements(&matrices),
        };
        let op = operation.name();
        if self.runs_on_primary(operation)? {
            let inputs = matrices.into_iter().map(|m| self.take_primary(op, m));
            let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
            let (commitment, tree) = self.primary.commit::<S>(inputs, cap_height)?;
            let tree = Tree::new(self.primary.clone(), tree);
            let lent = tree.lend().into_iter();
            let committed = FallbackCommitted {
                matrices: lent.map(|m| FallbackMatrix(Side::Primary(m))).collect(),
                tree: Side::Primary(tree),
            };
            Ok((commitment, committed))
        } else {
            let inputs = matrices.into_iter().map(|m| self.take_secondary(op, m));
            let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
            let (commitment, tree) = self.secondary.commit::<S>(inputs, cap_height)?;
            let tree = Tree::new(self.secondary.clone(), tree);
            let lent = tree.lend().into_iter();
            let committed = FallbackCommitted {
                matrices: lent.map(|m| FallbackMatrix(Side::Secondary(m))).collect(),
                tree: Side::Secondary(tree),
            };
            Ok((commitment, committed))
        }
    }

    fn matrices<'a, S: MerkleScheme<F>>(
        &self,
        committed: &'a Self::Committed<S>,
    ) -> Vec<&'a Self::Matrix> {
        committed.matrices.iter().collect()
    }

    /// On the side that holds the tree.
    fn open<S: MerkleScheme<F>>(
        &self,
        committed: &Self::Committed<S>,
        indices: &[usize],
    ) -> Result<(Vec<Vec<Vec<F>>>, MultiProof<F, S>), HalError> {
        match &committed.tree {
            Side::Primary(tree) => self.primary.open::<S>(&tree.committed, indices),
            Side::Secondary(tree) => self.secondary.open::<S>(&tree.committed, indices),
        }
    }
}

/// Elements of several matrices together.
fn elements<'a, M: DeviceMatrix + 'a>(matrices: impl IntoIterator<Item = &'a M>) -> usize {
    matrices.into_iter().fold(0, |sum, m| {
        sum.saturating_add(m.height().saturating_mul(m.width()))
    })
}

impl<F: HalField, P: FriOps<F>, C: FriOps<F>> FriOps<F> for Fallback<P, C> {
    fn evaluate<E: Extension<F>>(
        &self,
        shift: F,
        requests: &[Evaluation<'_, Self::Matrix, E>],
    ) -> Result<Vec<Vec<Vec<E>>>, HalError> {
        self.either(
            "evaluate",
            elements(requests.iter().map(|request| request.matrix)),
            || {
                let placed = requests.iter().map(|r| self.on_primary(r.matrix));
                let placed = placed.collect::<Result<Vec<_>, _>>()?;
                let pairs = requests.iter().zip(&placed);
                let requests: Vec<_> = pairs.map(|(r, m)| r.on(m.get())).collect();
                self.primary.evaluate(shift, &requests)
            },
            || {
                let placed = requests.iter().map(|r| self.on_secondary(r.matrix));
                let placed = placed.collect::<Result<Vec<_>, _>>()?;
                let pairs = requests.iter().zip(&placed);
                let requests: Vec<_> = pairs.map(|(r, m)| r.on(m.get())).collect();
                self.secondary.evaluate(shift, &requests)
            },
        )
    }

    fn reduce<E: Extension<F>>(
        &self,
        log_height: usize,
        shift: F,
        alpha: E,
        terms: &[Reduction<'_, Self::Matrix, E>],
    ) -> Result<Self::Matrix, HalError> {
        self.either(
            "reduce",
            elements(terms.iter().map(|term| term.matrix)),
            || {
                let placed = terms.iter().map(|term| self.on_primary(term.matrix));
                let placed = placed.collect::<Result<Vec<_>, _>>()?;
                let pairs = terms.iter().zip(&placed);
                let terms: Vec<_> = pairs.map(|(t, m)| t.on(m.get())).collect();
                let reduced = self.primary.reduce(log_height, shift, alpha, &terms)?;
                Ok(FallbackMatrix::primary(reduced))
            },
            || {
                let placed = terms.iter().map(|term| self.on_secondary(term.matrix));
                let placed = placed.collect::<Result<Vec<_>, _>>()?;
                let pairs = terms.iter().zip(&placed);
                let terms: Vec<_> = pairs.map(|(t, m)| t.on(m.get())).collect();
                let reduced = self.secondary.reduce(log_height, shift, alpha, &terms)?;
                Ok(FallbackMatrix::secondary(reduced))
            },
        )
    }

    fn fold<E: Extension<F>>(
        &self,
        leaves: &Self::Matrix,
        beta: E,
        log_arity: usize,
        roll_in: Option<&Self::Matrix>,
    ) -> Result<Self::Matrix, HalError> {
        self.either(
            "fold",
            elements([leaves]),
            || {
                let input = self.on_primary(leaves)?;
                let added = roll_in.map(|m| self.on_primary(m)).transpose()?;
                let added = added.as_ref().map(Placed::get);
                let folded = self.primary.fold(input.get(), beta, log_arity, added)?;
                Ok(FallbackMatrix::primary(folded))
            },
            || {
                let input = self.on_secondary(leaves)?;
                let added = roll_in.map(|m| self.on_secondary(m)).transpose()?;
                let added = added.as_ref().map(Placed::get);
                let folded = self.secondary.fold(input.get(), beta, log_arity, added)?;
                Ok(FallbackMatrix::secondary(folded))
            },
        )
    }

    /// On the first back end where it has the kernel: a search has no size to compare with the break-even.
    fn grind(&self, puzzle: &Puzzle<F>, bits: usize) -> Result<F, HalError> {
        self.either(
            "grind",
            usize::MAX,
            || self.primary.grind(puzzle, bits),
            || self.secondary.grind(puzzle, bits),
        )
    }
}
