//! The operations of a watched back end: on both sides, then compared.

use std::sync::Arc;

use p3_matrix::dense::RowMajorMatrix;

use super::record::Record;
use super::{Pair, Shadow, ShadowMatrix, canonical, compare, replay};
use crate::held::Tree;
use crate::merkle::{Commitment, MerkleScheme, MultiProof};
use crate::{
    Evaluation, Extension, FriOps, HalError, HalField, LdeOps, MerkleOps, Placement, Puzzle,
    Reduction,
};

impl<F: HalField, A: LdeOps<F>, B: LdeOps<F>> LdeOps<F> for Shadow<A, B> {
    fn coset_lde(
        &self,
        evaluations: Self::Matrix,
        added_bits: usize,
        shift: F,
    ) -> Result<Self::Matrix, HalError> {
        const OP: &str = "coset_lde";
        let kept = self.copy_to_keep(&evaluations)?;
        let (device, reference) = evaluations.both(OP)?;
        let device = self.device.coset_lde(device, added_bits, shift)?;
        let reference = self.reference.coset_lde(reference, added_bits, shift)?;
        self.checked(OP, device, reference, || {
            let parameters = vec![added_bits as u64, word(shift)];
            Ok(Record::new(OP, parameters, kept))
        })
    }

    fn extend(
        &self,
        evaluations: RowMajorMatrix<F>,
        placement: Placement,
        added_bits: usize,
        shift: F,
    ) -> Result<Self::Matrix, HalError> {
        // Under the name of the operation that a replay knows.
        const OP: &str = "coset_lde";
        canonical(OP, &evaluations)?;
        let kept = self.folder.iter().map(|_| evaluations.clone()).collect();
        let device = self
            .device
            .extend(evaluations.clone(), placement, added_bits, shift)?;
        let reference = self
            .reference
            .extend(evaluations, Placement::Any, added_bits, shift)?;
        self.checked(OP, device, reference, || {
            let parameters = vec![added_bits as u64, word(shift)];
            Ok(Record::new(OP, parameters, kept))
        })
    }

    fn dft(&self, coefficients: Self::Matrix) -> Result<Self::Matrix, HalError> {
        const OP: &str = "dft";
        let kept = self.copy_to_keep(&coefficients)?;
        let (device, reference) = coefficients.both(OP)?;
        let (device, reference) = (self.device.dft(device)?, self.reference.dft(reference)?);
        self.checked(OP, device, reference, || Ok(Record::new(OP, vec![], kept)))
    }

    fn idft(&self, evaluations: Self::Matrix) -> Result<Self::Matrix, HalError> {
        const OP: &str = "idft";
        let kept = self.copy_to_keep(&evaluations)?;
        let (device, reference) = evaluations.both(OP)?;
        let (device, reference) = (self.device.idft(device)?, self.reference.idft(reference)?);
        self.checked(OP, device, reference, || Ok(Record::new(OP, vec![], kept)))
    }
}

/// A parameter that is a field element.
fn word<F: HalField>(element: F) -> u64 {
    element.to_unique_u32().into()
}

/// Parameters that are an extension element's coefficients.
fn words<F: HalField, E: Extension<F>>(element: E) -> impl Iterator<Item = u64> {
    let coefficients = element.as_basis_coefficients_slice().to_vec();
    coefficients.into_iter().map(word)
}

/// Matrices with their tree, on the device and on the reference.
pub struct ShadowCommitted<F: HalField, A: MerkleOps<F>, B: MerkleOps<F>, S: MerkleScheme<F>> {
    device: Arc<Tree<F, A, S>>,
    reference: Arc<Tree<F, B, S>>,
    matrices: Vec<Pair<F, A, B>>,
    cap_height: usize,
}

impl<A, B> Shadow<A, B> {
    /// The input of a commitment, or of an opening of it at `indices`.
    fn tree_input<F: HalField, S: MerkleScheme<F>>(
        &self,
        op: &str,
        committed: &ShadowCommitted<F, A, B, S>,
        indices: &[usize],
    ) -> Result<Record<F>, HalError>
    where
        A: MerkleOps<F>,
        B: MerkleOps<F>,
    {
        let matrices = committed.matrices.iter().map(|m| self.copy(m));
        let mut parameters = vec![replay::hash_code(S::HASH), committed.cap_height as u64];
        parameters.extend(indices.iter().map(|&index| index as u64));
        Ok(Record::new(
            op,
            parameters,
            matrices.collect::<Result<_, _>>()?,
        ))
    }
}

impl<F: HalField, A: MerkleOps<F>, B: MerkleOps<F>> MerkleOps<F> for Shadow<A, B> {
    type Committed<S: MerkleScheme<F>> = ShadowCommitted<F, A, B, S>;

    fn commit<S: MerkleScheme<F>>(
        &self,
        matrices: Vec<Self::Matrix>,
        cap_height: usize,
    ) -> Result<(Commitment<F, S>, Self::Committed<S>), HalError> {
        const OP: &str = "commit";
        let pairs = matrices.into_iter().map(|matrix| matrix.both(OP));
        let (device, reference): (Vec<_>, Vec<_>) =
            pairs.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let (got, device) = self.device.commit::<S>(device, cap_height)?;
        let (wanted, reference) = self.reference.commit::<S>(reference, cap_height)?;
        let device = Tree::new(self.device.clone(), device);
        let reference = Tree::new(self.reference.clone(), reference);
        let (lent, expected) = (device.lend(), reference.lend());
        let count = compare::same_count("commitment", "matrices", lent.len(), expected.len());
        let pairs = lent.into_iter().zip(expected);
        let committed = ShadowCommitted {
            matrices: pairs
                .map(|(device, reference)| ShadowMatrix { device, reference })
                .collect(),
            device,
            reference,
            cap_height,
        };
        let (cap, wanted) = (S::cap_words(&got), S::cap_words(&wanted));
        count
            .and_then(|()| compare::digests::<F>("cap", S::HASH, &cap, &wanted))
            .map_err(|why| self.mismatch(OP, &why, || self.tree_input(OP, &committed, &[])))?;
        Ok((got, committed))
    }

    fn matrices<'a, S: MerkleScheme<F>>(
        &self,
        committed: &'a Self::Committed<S>,
    ) -> Vec<&'a Self::Matrix> {
        committed.matrices.iter().collect()
    }

    fn open<S: MerkleScheme<F>>(
        &self,
        committed: &Self::Committed<S>,
        indices: &[usize],
    ) -> Result<(Vec<Vec<Vec<F>>>, MultiProof<F, S>), HalError> {
        const OP: &str = "open";
        let device = self
            .device
            .open::<S>(&committed.device.committed, indices)?;
        let reference = self
            .reference
            .open::<S>(&committed.reference.committed, indices)?;
        match compare::openings::<F, S>(&device, &reference) {
            Ok(()) => Ok(device),
            Err(why) => Err(self.mismatch(OP, &why, || self.tree_input(OP, committed, indices))),
        }
    }
}

impl<F: HalField, A: FriOps<F>, B: FriOps<F>> FriOps<F> for Shadow<A, B> {
    fn evaluate<E: Extension<F>>(
        &self,
        shift: F,
        requests: &[Evaluation<'_, Self::Matrix, E>],
    ) -> Result<Vec<Vec<Vec<E>>>, HalError> {
        const OP: &str = "evaluate";
        let device = requests
            .iter()
            .map(|request| Ok(request.on(request.matrix.device.get()?)))
            .collect::<Result<Vec<_>, _>>()?;
        let reference = requests
            .iter()
            .map(|request| Ok(request.on(request.matrix.reference.get()?)))
            .collect::<Result<Vec<_>, _>>()?;
        let got = self.device.evaluate(shift, &device)?;
        let wanted = self.reference.evaluate(shift, &reference)?;
        match compare::evaluations(&got, &wanted) {
            Ok(()) => Ok(got),
            Err(why) => Err(self.mismatch(OP, &why, || {
                let mut parameters = vec![word(shift)];
                for request in requests {
                    parameters.extend([request.log_blowup as u64, request.points.len() as u64]);
                    parameters.extend(request.points.iter().flat_map(|&point| words(point)));
                }
                let matrices = requests.iter().map(|request| self.copy(request.matrix));
                let matrices = matrices.collect::<Result<_, _>>()?;
                Ok(Record::new(OP, parameters, matrices).of_degree(E::DIMENSION))
            })),
        }
    }

    fn reduce<E: Extension<F>>(
        &self,
        log_height: usize,
        shift: F,
        alpha: E,
        terms: &[Reduction<'_, Self::Matrix, E>],
    ) -> Result<Self::Matrix, HalError> {
        const OP: &str = "reduce";
        let device = terms
            .iter()
            .map(|term| Ok(term.on(term.matrix.device.get()?)))
            .collect::<Result<Vec<_>, _>>()?;
        let reference = terms
            .iter()
            .map(|term| Ok(term.on(term.matrix.reference.get()?)))
            .collect::<Result<Vec<_>, _>>()?;
        self.checked(
            OP,
            self.device.reduce(log_height, shift, alpha, &device)?,
            self.reference
                .reduce(log_height, shift, alpha, &reference)?,
            || {
                let mut parameters = vec![log_height as u64, word(shift)];
                parameters.extend(words(alpha));
                for term in terms {
                    parameters.push(term.openings.len() as u64);
                    for opening in &term.openings {
                        let elements = [opening.point, opening.weight, opening.value];
                        parameters.extend(elements.into_iter().flat_map(words));
                    }
                }
                let matrices = terms.iter().map(|term| self.copy(term.matrix));
                let matrices = matrices.collect::<Result<_, _>>()?;
                Ok(Record::new(OP, parameters, matrices).of_degree(E::DIMENSION))
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
        const OP: &str = "fold";
        let added = roll_in.map(|m| m.device.get()).transpose()?;
        let device = self
            .device
            .fold(leaves.device.get()?, beta, log_arity, added)?;
        let added = roll_in.map(|m| m.reference.get()).transpose()?;
        let reference = self
            .reference
            .fold(leaves.reference.get()?, beta, log_arity, added)?;
        self.checked(OP, device, reference, || {
            let mut parameters = vec![log_arity as u64];
            parameters.extend(words(beta));
            let matrices = [Some(leaves), roll_in].into_iter().flatten();
            let matrices = matrices.map(|m| self.copy(m)).collect::<Result<_, _>>()?;
            Ok(Record::new(OP, parameters, matrices).of_degree(E::DIMENSION))
        })
    }

    fn grind(&self, puzzle: &Puzzle<F>, bits: usize) -> Result<F, HalError> {
        const OP: &str = "grind";
        let got = self.device.grind(puzzle, bits)?;
        let wanted = self.reference.grind(puzzle, bits)?;
        match compare::elements("witness", 1, &[got], &[wanted]) {
            Ok(()) => Ok(got),
            Err(why) => Err(self.mismatch(OP, &why, || {
                Ok(Record::<F>::new(
                    OP,
                    replay::puzzle_code(puzzle, bits),
                    vec![],
                ))
            })),
        }
    }
}
