//! Writing.

use p3_field::PrimeField32;
use p3_merkle_tree::PrunedMerklePaths;
use p3_symmetric::MerkleCap;
use starkwright_hal::{Extension, Keccak256Merkle};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::keccak_file::Val;

use super::{Proof, VERSION, WrapShape};
use crate::AggregatorError;

struct Bytes(Vec<u8>);

fn require(holds: bool, what: &'static str) -> Result<(), AggregatorError> {
    if holds {
        Ok(())
    } else {
        Err(AggregatorError::ProofShape { what })
    }
}

impl Bytes {
    fn word(&mut self, word: Val) {
        self.0.extend(word.to_unique_u32().to_le_bytes());
    }

    fn element<E: Extension<Val>>(&mut self, element: &E) {
        for &word in element.as_basis_coefficients_slice() {
            self.word(word);
        }
    }

    fn elements<E: Extension<Val>>(
        &mut self,
        elements: &[E],
        count: usize,
        what: &'static str,
    ) -> Result<(), AggregatorError> {
        require(elements.len() == count, what)?;
        elements.iter().for_each(|element| self.element(element));
        Ok(())
    }

    fn cap(
        &mut self,
        cap: &MerkleCap<Val, [u8; 32]>,
        digests: usize,
    ) -> Result<(), AggregatorError> {
        require(cap.num_roots() == digests, "a commitment's digests")?;
        self.0.extend(cap.roots().iter().flatten());
        Ok(())
    }

    fn paths(&mut self, paths: &PrunedMerklePaths<u8, 32>) {
        // Fewer than queries times heights.
        self.0
            .extend((paths.sibling_hashes.len() as u32).to_le_bytes());
        self.0.extend(paths.sibling_hashes.iter().flatten());
    }
}

pub(super) fn proof<E>(
    shape: &WrapShape,
    challenge: E,
    proof: &Proof<E>,
) -> Result<Vec<u8>, AggregatorError>
where
    E: Extension<Val>,
    Keccak256Merkle: Protocol<Val, E>,
{
    let fri = &proof.opening_proof;
    let mut bytes = Bytes(VERSION.to_le_bytes().to_vec());
    bytes.element(&challenge);
    bytes.cap(&proof.commitments.main, shape.cap)?;
    let (Some(lookups), Some(witness), [Some(terminal)], [opened]) = (
        &proof.commitments.permutation,
        proof.lookup_pow_witness,
        proof.lookup_terminals.as_slice(),
        proof.opened_values.instances.as_slice(),
    ) else {
        let what = "one table with lookups";
        return Err(AggregatorError::ProofShape { what });
    };
    bytes.cap(lookups, shape.cap)?;
    bytes.element(&terminal.0);
    bytes.cap(&proof.commitments.quotient_chunks, shape.cap)?;
    for witness in [
        witness,
        proof.ood_pow_witness,
        fri.batch_pow_witness,
        fri.query_pow_witness,
    ] {
        bytes.word(witness);
    }

    let base = &opened.base_opened_values;
    let (Some(next), Some(fixed)) = (&base.trace_next, &base.preprocessed) else {
        let what = "the trace's next row, and preprocessed columns";
        return Err(AggregatorError::ProofShape { what });
    };
    bytes.elements(&base.trace_local, shape.main, "the trace's opened values")?;
    bytes.elements(next, shape.main, "the trace's next row")?;
    require(
        base.quotient_chunks.len() == shape.chunks,
        "the quotient's chunks",
    )?;
    for chunk in &base.quotient_chunks {
        bytes.elements(chunk, shape.degree, "a quotient's chunk")?;
    }
    require(fixed.next.is_none(), "the preprocessed columns' next row")?;
    bytes.elements(&fixed.local, shape.preprocessed, "preprocessed columns")?;
    for lookups in [&opened.permutation_local, &opened.permutation_next] {
        bytes.elements(lookups, shape.lookups, "the lookups' opened values")?;
    }

    let rounds = shape.log_arities.len();
    let round_parts = [
        fri.commit_phase_commits.len(),
        fri.commit_pow_witnesses.len(),
        fri.commit_phase_openings.len(),
    ];
    require(round_parts == [rounds; 3], "the number of rounds")?;
    for (cap, &witness) in fri
        .commit_phase_commits
        .iter()
        .zip(&fri.commit_pow_witnesses)
    {
        bytes.cap(cap, shape.cap)?;
        bytes.word(witness);
    }
    bytes.elements(&fri.final_poly, shape.final_poly, "the final polynomial")?;

    require(fri.input_openings.len() == 4, "the opened commitments")?;
    for (opening, words) in fri.input_openings.iter().zip(shape.opened()) {
        require(opening.opened_values.len() == shape.queries, "the queries")?;
        for matrices in &opening.opened_values {
            require(
                matrices.iter().map(Vec::len).sum::<usize>() == words,
                "an opened row",
            )?;
            matrices.iter().flatten().for_each(|&word| bytes.word(word));
        }
        bytes.paths(&opening.opening_proof);
    }
    for (opening, log_arity) in fri.commit_phase_openings.iter().zip(&shape.log_arities) {
        require(opening.sibling_values.len() == shape.queries, "the queries")?;
        for siblings in &opening.sibling_values {
            bytes.elements(siblings, (1 << log_arity) - 1, "a round's opened row")?;
        }
        bytes.paths(&opening.opening_proof);
    }
    Ok(bytes.0)
}
