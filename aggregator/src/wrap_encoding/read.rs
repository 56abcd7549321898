//! Reading: bounded by the shape, total.

use p3_batch_stark::proof::OpenedValuesWithLookups;
use p3_batch_stark::{BatchCommitments, BatchOpenedValues, BatchProof, OpenedValues};
use p3_field::{Field, PrimeCharacteristicRing, PrimeField32};
use p3_fri::{BatchMultiOpening, CommitPhaseMultiStep, FriProof};
use p3_lookup::LookupTerminal;
use p3_merkle_tree::PrunedMerklePaths;
use p3_symmetric::MerkleCap;
use p3_uni_stark::PreprocessedOpenedValues;
use starkwright_hal::{Extension, Keccak256Merkle};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::keccak_file::Val;

use super::{Proof, VERSION, WrapShape};
use crate::AggregatorError;

fn wrong(what: &str) -> AggregatorError {
    AggregatorError::NodeFile {
        why: format!("its proof: {what}"),
    }
}

struct Bytes<'a> {
    left: &'a [u8],
    /// The inverse of 2^32: words come in Montgomery form.
    from_montgomery: Val,
}

impl Bytes<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], AggregatorError> {
        let (array, left) = self
            .left
            .split_first_chunk::<N>()
            .ok_or_else(|| wrong("it is cut off"))?;
        self.left = left;
        Ok(*array)
    }

    fn word(&mut self) -> Result<Val, AggregatorError> {
        let value = u32::from_le_bytes(self.array()?);
        if value >= Val::ORDER_U32 {
            return Err(wrong("a word out of the field"));
        }
        Ok(Val::from_u32(value) * self.from_montgomery)
    }

    fn words(&mut self, count: usize) -> Result<Vec<Val>, AggregatorError> {
        (0..count).map(|_| self.word()).collect()
    }

    fn element<E: Extension<Val>>(&mut self) -> Result<E, AggregatorError> {
        let words = self.words(E::DIMENSION)?;
        Ok(E::from_basis_coefficients_fn(|word| words[word]))
    }

    fn elements<E: Extension<Val>>(&mut self, count: usize) -> Result<Vec<E>, AggregatorError> {
        (0..count).map(|_| self.element()).collect()
    }

    fn digests(&mut self, count: usize) -> Result<Vec<[u8; 32]>, AggregatorError> {
        (0..count).map(|_| self.array()).collect()
    }

    fn cap(&mut self, shape: &WrapShape) -> Result<MerkleCap<Val, [u8; 32]>, AggregatorError> {
        Ok(MerkleCap::new(self.digests(shape.cap)?))
    }

    /// Siblings: at most as many as every query with a path of its own has.
    fn paths(
        &mut self,
        queries: usize,
        steps: usize,
    ) -> Result<PrunedMerklePaths<u8, 32>, AggregatorError> {
        let count = u32::from_le_bytes(self.array()?) as usize;
        if count > queries * steps {
            return Err(wrong("more siblings than there can be"));
        }
        Ok(PrunedMerklePaths {
            sibling_hashes: self.digests(count)?,
        })
    }
}

pub(super) fn proof<E>(shape: &WrapShape, bytes: &[u8]) -> Result<(E, Proof<E>), AggregatorError>
where
    E: Extension<Val>,
    Keccak256Merkle: Protocol<Val, E>,
{
    if shape.degree != E::DIMENSION {
        return Err(wrong("it is over another field"));
    }
    let mut bytes = Bytes {
        left: bytes,
        from_montgomery: Val::TWO.exp_u64(32).inverse(),
    };
    if u32::from_le_bytes(bytes.array()?) != VERSION {
        return Err(wrong("an unknown version of the encoding"));
    }
    let challenge = bytes.element()?;
    let main = bytes.cap(shape)?;
    let permutation = Some(bytes.cap(shape)?);
    let terminal = LookupTerminal(bytes.element()?);
    let quotient_chunks = bytes.cap(shape)?;
    let [lookup_pow, ood_pow, batch_pow, query_pow] = {
        let mut words = [Val::ZERO; 4];
        for word in &mut words {
            *word = bytes.word()?;
        }
        words
    };

    let trace_local = bytes.elements(shape.main)?;
    let trace_next = Some(bytes.elements(shape.main)?);
    let chunks = (0..shape.chunks).map(|_| bytes.elements(shape.degree));
    let chunks = chunks.collect::<Result<_, _>>()?;
    let preprocessed = Some(PreprocessedOpenedValues {
        local: bytes.elements(shape.preprocessed)?,
        next: None,
    });
    let opened = OpenedValuesWithLookups {
        base_opened_values: OpenedValues {
            trace_local,
            trace_next,
            preprocessed,
            quotient_chunks: chunks,
            random: None,
        },
        permutation_local: bytes.elements(shape.lookups)?,
        permutation_next: bytes.elements(shape.lookups)?,
    };

    let (mut commit_phase_commits, mut commit_pow_witnesses) = (Vec::new(), Vec::new());
    for _ in &shape.log_arities {
        commit_phase_commits.push(bytes.cap(shape)?);
        commit_pow_witnesses.push(bytes.word()?);
    }
    let final_poly = bytes.elements(shape.final_poly)?;

    let mut input_openings = Vec::new();
    for (place, words) in shape.opened().into_iter().enumerate() {
        // The quotient's chunks are matrices of their own.
        let matrices = if place == 1 { shape.chunks } else { 1 };
        let mut opened_values = Vec::new();
        for _ in 0..shape.queries {
            let rows = (0..matrices).map(|_| bytes.words(words / matrices));
            opened_values.push(rows.collect::<Result<Vec<_>, _>>()?);
        }
        input_openings.push(BatchMultiOpening {
            opened_values,
            opening_proof: bytes.paths(shape.queries, shape.log_max_height)?,
        });
    }
    let mut commit_phase_openings = Vec::new();
    for log_arity in &shape.log_arities {
        let siblings = (0..shape.queries).map(|_| bytes.elements((1 << log_arity) - 1));
        commit_phase_openings.push(CommitPhaseMultiStep {
            sibling_values: siblings.collect::<Result<_, _>>()?,
            opening_proof: bytes.paths(shape.queries, shape.log_max_height)?,
        });
    }
    if !bytes.left.is_empty() {
        return Err(wrong("bytes behind its end"));
    }
    let proof = BatchProof {
        commitments: BatchCommitments {
            main,
            permutation,
            quotient_chunks,
            random: None,
        },
        opened_values: BatchOpenedValues {
            instances: vec![opened],
        },
        opening_proof: FriProof {
            batch_pow_witness: batch_pow,
            commit_phase_commits,
            commit_pow_witnesses,
            input_openings,
            commit_phase_openings,
            final_poly,
            query_pow_witness: query_pow,
        },
        lookup_terminals: vec![Some(terminal)],
        degree_bits: vec![shape.log_height],
        lookup_pow_witness: Some(lookup_pow),
        ood_pow_witness: ood_pow,
    };
    Ok((challenge, proof))
}
