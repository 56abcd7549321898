//! Runs a recorded operation again.
//!
//! Parameters of each operation, in order; *element* is a Montgomery word, *extension element* one word for each
//! coefficient:
//!
//! | operation           | parameters                                                                          |
//! |---------------------|-------------------------------------------------------------------------------------|
//! | `upload`, `download`, `dft`, `idft` | none                                                                |
//! | `rows`              | first row, row after the last                                                       |
//! | `reshape`           | width                                                                               |
//! | `coset_lde`         | added bits, shift (element)                                                         |
//! | `commit`, `open`    | hash (0 Poseidon2, 1 wide Poseidon2, 2 Keccak-256), cap height; indices             |
//! | `evaluate`          | shift; for each matrix: log blow-up, number of points, points (extension elements)  |
//! | `reduce`            | log height, shift, alpha; for each matrix: number of openings, and for each point, weight, value |
//! | `fold`              | log arity, beta; a second matrix is rolled in                                       |
//! | `grind`             | bits, 0, slot, output, 16 state elements; or bits, 1, the prefix's bytes            |

use std::path::Path;

use p3_field::BasedVectorSpace;

use super::record::{Record, bad};
use super::{Pair, Shadow};
use crate::{
    Backend, Buffers, Cpu, Evaluation, Extension, FriOps, HalError, HalField, HashKind,
    Keccak256Merkle, LdeOps, MerkleOps, MerkleScheme, PointOpening, Poseidon2Merkle,
    Poseidon2WideMerkle, Puzzle, Reduction,
};

/// Runs a recorded operation on a device, and on the CPU reference.
///
/// # Errors
/// [`HalError::Mismatch`] where they differ: the fault is still there. [`HalError::InvalidArgument`] for a file that
/// is no record of an operation over this field, and whatever the device fails with.
pub fn replay<F: HalField, B: Backend<F>>(path: &Path, device: &B) -> Result<(), HalError> {
    let record = Record::<F>::load(path)?;
    let mut run = Run {
        path,
        degree: record.degree,
        parameters: record.parameters.into_iter(),
        shadow: Shadow::new(device.clone(), Cpu::new()).keeping_no_inputs(),
        matrices: Vec::with_capacity(record.matrices.len()),
    };
    for matrix in record.matrices {
        run.matrices.push(run.shadow.upload(matrix)?);
    }
    match record.operation.as_str() {
        "upload" => Ok(()),
        "download" => {
            let matrix = run.take()?;
            run.shadow.download(&matrix).map(drop)
        }
        "rows" => {
            let (matrix, start, end) = (run.take()?, run.number()?, run.number()?);
            run.end()?;
            run.shadow.rows(&matrix, start..end).map(drop)
        }
        "reshape" => {
            let (matrix, width) = (run.take()?, run.number()?);
            run.end()?;
            run.shadow.reshape(matrix, width).map(drop)
        }
        "coset_lde" => {
            let (matrix, added_bits, shift) = (run.take()?, run.number()?, run.element()?);
            run.end()?;
            run.shadow.coset_lde(matrix, added_bits, shift).map(drop)
        }
        "dft" => {
            let matrix = run.take()?;
            run.shadow.dft(matrix).map(drop)
        }
        "idft" => {
            let matrix = run.take()?;
            run.shadow.idft(matrix).map(drop)
        }
        "commit" | "open" => match run.number()? {
            0 => run.tree::<Poseidon2Merkle>(),
            1 => run.tree::<Poseidon2WideMerkle>(),
            2 => run.tree::<Keccak256Merkle>(),
            other => Err(bad(path, format!("no hash has the number {other}"))),
        },
        "evaluate" => run.in_extension(Run::evaluate::<F::Quartic>, Run::evaluate::<F::Quintic>),
        "reduce" => run.in_extension(Run::reduce::<F::Quartic>, Run::reduce::<F::Quintic>),
        "fold" => run.in_extension(Run::fold::<F::Quartic>, Run::fold::<F::Quintic>),
        "grind" => run.grind(),
        other => Err(bad(path, format!("no operation is called {other:?}"))),
    }
}

/// The number that stands for a hash.
pub(super) const fn hash_code(hash: HashKind) -> u64 {
    match hash {
        HashKind::Poseidon2 => 0,
        HashKind::Poseidon2Wide => 1,
        HashKind::Keccak256 => 2,
    }
}

/// The parameters of a search.
pub(super) fn puzzle_code<F: HalField>(puzzle: &Puzzle<F>, bits: usize) -> Vec<u64> {
    let mut parameters = vec![bits as u64];
    match puzzle {
        Puzzle::Poseidon2 {
            state,
            slot,
            output,
        } => {
            parameters.extend([0, *slot as u64, *output as u64]);
            parameters.extend(state.iter().map(|x| u64::from(x.to_unique_u32())));
        }
        Puzzle::Keccak256 { prefix } => {
            parameters.push(1);
            parameters.extend(prefix.iter().map(|&byte| u64::from(byte)));
        }
    }
    parameters
}

/// An operation about to be run: its matrices, and what is left of its parameters.
struct Run<'a, F: HalField, B: Backend<F>> {
    path: &'a Path,
    degree: usize,
    parameters: std::vec::IntoIter<u64>,
    shadow: Shadow<B, Cpu<F>>,
    matrices: Vec<Pair<F, B, Cpu<F>>>,
}

impl<F: HalField, B: Backend<F>> Run<'_, F, B> {
    /// The only matrix.
    fn take(&mut self) -> Result<Pair<F, B, Cpu<F>>, HalError> {
        self.matrices
            .pop()
            .filter(|_| self.matrices.is_empty())
            .ok_or_else(|| bad(self.path, "not exactly one matrix"))
    }

    fn number(&mut self) -> Result<usize, HalError> {
        let number = self.parameters.next().and_then(|n| n.try_into().ok());
        number.ok_or_else(|| bad(self.path, "a number is missing"))
    }

    fn element(&mut self) -> Result<F, HalError> {
        let word = self.parameters.next().and_then(|n| n.try_into().ok());
        word.and_then(F::from_montgomery_word)
            .ok_or_else(|| bad(self.path, "a field element is missing"))
    }

    fn extension_element<E: Extension<F>>(&mut self) -> Result<E, HalError> {
        let coefficients = (0..E::DIMENSION).map(|_| self.element());
        let coefficients = coefficients.collect::<Result<Vec<_>, _>>()?;
        E::from_basis_coefficients_slice(&coefficients)
            .ok_or_else(|| bad(self.path, "an extension element is missing"))
    }

    /// A count of things that take at least one parameter each.
    fn count(&mut self) -> Result<usize, HalError> {
        let count = self.number()?;
        if count > self.parameters.len() {
            return Err(bad(self.path, "more parameters announced than there are"));
        }
        Ok(count)
    }

    fn in_extension(
        self,
        quartic: impl FnOnce(Self) -> Result<(), HalError>,
        quintic: impl FnOnce(Self) -> Result<(), HalError>,
    ) -> Result<(), HalError> {
        if self.degree == <F::Quartic as BasedVectorSpace<F>>::DIMENSION {
            quartic(self)
        } else if self.degree == <F::Quintic as BasedVectorSpace<F>>::DIMENSION {
            quintic(self)
        } else {
            Err(bad(self.path, "an extension of unknown degree"))
        }
    }

    /// Refuses parameters that no operation asked for.
    fn end(&self) -> Result<(), HalError> {
        if self.parameters.len() == 0 {
            Ok(())
        } else {
            Err(bad(self.path, "more parameters than the operation has"))
        }
    }

    /// A commitment, and an opening of it at the indices given.
    fn tree<S: MerkleScheme<F>>(mut self) -> Result<(), HalError> {
        let cap_height = self.number()?;
        let indices = (0..self.parameters.len()).map(|_| self.number());
        let indices = indices.collect::<Result<Vec<_>, _>>()?;
        let (_, committed) = self.shadow.commit::<S>(self.matrices, cap_height)?;
        if indices.is_empty() {
            return Ok(());
        }
        self.shadow.open::<S>(&committed, &indices).map(drop)
    }

    fn evaluate<E: Extension<F>>(mut self) -> Result<(), HalError> {
        let shift = self.element()?;
        let mut asked = Vec::with_capacity(self.matrices.len());
        for _ in 0..self.matrices.len() {
            let (log_blowup, count) = (self.number()?, self.count()?);
            let points = (0..count).map(|_| self.extension_element::<E>());
            asked.push((log_blowup, points.collect::<Result<Vec<_>, _>>()?));
        }
        self.end()?;
        let requests = self.matrices.iter().zip(&asked);
        let requests: Vec<_> = requests
            .map(|(matrix, (log_blowup, points))| Evaluation {
                matrix,
                log_blowup: *log_blowup,
                points,
            })
            .collect();
        self.shadow.evaluate(shift, &requests).map(drop)
    }

    fn reduce<E: Extension<F>>(mut self) -> Result<(), HalError> {
        let (log_height, shift) = (self.number()?, self.element()?);
        let alpha = self.extension_element::<E>()?;
        let mut asked = Vec::with_capacity(self.matrices.len());
        for _ in 0..self.matrices.len() {
            let count = self.count()?;
            let openings = (0..count).map(|_| {
                Ok(PointOpening {
                    point: self.extension_element::<E>()?,
                    weight: self.extension_element::<E>()?,
                    value: self.extension_element::<E>()?,
                })
            });
            asked.push(openings.collect::<Result<Vec<_>, _>>()?);
        }
        self.end()?;
        let terms = self.matrices.iter().zip(asked);
        let terms: Vec<_> = terms
            .map(|(matrix, openings)| Reduction { matrix, openings })
            .collect();
        self.shadow
            .reduce(log_height, shift, alpha, &terms)
            .map(drop)
    }

    fn fold<E: Extension<F>>(mut self) -> Result<(), HalError> {
        let (log_arity, beta) = (self.number()?, self.extension_element::<E>()?);
        self.end()?;
        let (leaves, roll_in) = match self.matrices.as_slice() {
            [leaves] => (leaves, None),
            [leaves, roll_in] => (leaves, Some(roll_in)),
            _ => return Err(bad(self.path, "not one or two matrices")),
        };
        self.shadow.fold(leaves, beta, log_arity, roll_in).map(drop)
    }

    fn grind(mut self) -> Result<(), HalError> {
        let bits = self.number()?;
        let puzzle = match self.number()? {
            0 => {
                let (slot, output) = (self.number()?, self.number()?);
                let mut state = [F::ZERO; 16];
                for element in &mut state {
                    *element = self.element()?;
                }
                Puzzle::Poseidon2 {
                    state,
                    slot,
                    output,
                }
            }
            1 => {
                let bytes = self.parameters.by_ref().map(u8::try_from);
                let prefix = bytes
                    .collect::<Result<_, _>>()
                    .map_err(|error| bad(self.path, error))?;
                Puzzle::Keccak256 { prefix }
            }
            other => return Err(bad(self.path, format!("no puzzle has the number {other}"))),
        };
        self.end()?;
        self.shadow.grind(&puzzle, bits).map(drop)
    }
}
