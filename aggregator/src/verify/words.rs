//! A proof's words, in the order in which the circuit reads them.
//!
//! Nothing is verified here. Openings are pruned in a proof; each query's own path is restored by hashing up the tree from
//! the rows that the proof gives, whatever digests come of it.

use p3_batch_stark::BatchProof;
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::KoalaBear;
use p3_matrix::Dimensions;
use p3_merkle_tree::PrunedMerklePaths;
use p3_symmetric::MerkleCap;
use starkwright_hal::{Extension, MerkleScheme, Poseidon2Merkle};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::config::{Mmcs, StockConfig};

use super::shape::{Matrix, ProofShape, heights};
use crate::AggregatorError;
use crate::circuit::layout::CELL_WORDS;

type F = KoalaBear;
type Proof<E> = BatchProof<StockConfig<F, E, Poseidon2Merkle>>;
type Paths = PrunedMerklePaths<F, CELL_WORDS>;

/// The words of one proof.
pub struct ProofWords<'a, E: Extension<F>>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    shape: &'a ProofShape,
    proof: &'a Proof<E>,
    mmcs: Mmcs<F, Poseidon2Merkle>,
    indices: Vec<usize>,
}

fn other(what: &'static str) -> AggregatorError {
    AggregatorError::ProofShape { what }
}

fn require(holds: bool, what: &'static str) -> Result<(), AggregatorError> {
    if holds { Ok(()) } else { Err(other(what)) }
}

impl<'a, E: Extension<F>> ProofWords<'a, E>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    /// The words of a proof.
    #[must_use]
    pub fn new(shape: &'a ProofShape, proof: &'a Proof<E>) -> Self {
        Self {
            shape,
            proof,
            mmcs: <Poseidon2Merkle as MerkleScheme<F>>::mmcs(shape.parameters.cap_height),
            indices: Vec::new(),
        }
    }

    /// The words of one of the proof's parts, from 0; `known` as for [`Source::part`](crate::circuit::Source::part).
    ///
    /// # Errors
    /// [`AggregatorError::ProofShape`] where the proof does not have the declared shape.
    pub fn part(
        &mut self,
        part: usize,
        known: &[[F; CELL_WORDS]],
    ) -> Result<Vec<F>, AggregatorError> {
        match part {
            0 => self.transcript(),
            1 => {
                let mask = (1usize << self.shape.log_max_height) - 1;
                let numbers = known
                    .iter()
                    .map(|words| words[0].as_canonical_u32() as usize);
                self.indices = numbers.map(|number| number & mask).collect();
                self.openings()
            }
            _ => self.round(part - 2, known),
        }
    }

    fn cap(
        &self,
        words: &mut Vec<F>,
        cap: &MerkleCap<F, [F; CELL_WORDS]>,
    ) -> Result<(), AggregatorError> {
        require(
            cap.num_roots() == 1 << self.shape.parameters.cap_height,
            "a commitment's digests",
        )?;
        words.extend(cap.roots().iter().flatten());
        Ok(())
    }

    fn transcript(&self) -> Result<Vec<F>, AggregatorError> {
        let (shape, proof) = (self.shape, self.proof);
        let fri = &proof.opening_proof;
        let heights = shape.tables.iter().map(|table| table.log_height);
        require(
            proof.degree_bits.iter().copied().eq(heights),
            "the tables' heights",
        )?;
        require(
            proof.commitments.random.is_none(),
            "a commitment to randomness",
        )?;
        require(
            proof.lookup_pow_witness.is_some() == shape.has_lookups,
            "the lookups' grinding witness",
        )?;
        require(
            fri.commit_pow_witnesses.len() == shape.log_arities.len(),
            "the rounds' grinding witnesses",
        )?;
        require(
            fri.commit_phase_commits.len() == shape.log_arities.len(),
            "the rounds' commitments",
        )?;
        require(
            fri.final_poly.len() == 1 << shape.parameters.log_final_poly_len,
            "the final polynomial",
        )?;

        let mut words = vec![
            proof.lookup_pow_witness.unwrap_or(F::ZERO),
            proof.ood_pow_witness,
            fri.batch_pow_witness,
        ];
        words.extend(&fri.commit_pow_witnesses);
        words.push(fri.query_pow_witness);
        words.resize(words.len().next_multiple_of(CELL_WORDS), F::ZERO);
        self.cap(&mut words, &proof.commitments.main)?;
        require(
            proof.commitments.permutation.is_some() == shape.has_lookups,
            "the commitment to lookups",
        )?;
        if let Some(cap) = &proof.commitments.permutation {
            self.cap(&mut words, cap)?;
        }
        require(
            proof.lookup_terminals.len() == shape.tables.len(),
            "the lookups' terminals",
        )?;
        for (table, terminal) in shape.tables.iter().zip(&proof.lookup_terminals) {
            require(
                terminal.is_some() != table.buses.is_empty(),
                "the lookups' terminals",
            )?;
            if let Some(terminal) = terminal {
                words.extend(terminal.0.as_basis_coefficients_slice());
            }
        }
        self.cap(&mut words, &proof.commitments.quotient_chunks)?;
        self.claims(&mut words)?;
        for cap in &fri.commit_phase_commits {
            self.cap(&mut words, cap)?;
        }
        for coefficient in &fri.final_poly {
            words.extend(coefficient.as_basis_coefficients_slice());
        }
        Ok(words)
    }

    /// Claimed values in the order of the opening argument: traces, quotient chunks, preprocessed columns, lookups.
    fn claims(&self, words: &mut Vec<F>) -> Result<(), AggregatorError> {
        let instances = &self.proof.opened_values.instances;
        require(
            instances.len() == self.shape.tables.len(),
            "the tables' opened values",
        )?;
        let mut push = |values: &[E], width: usize, what| -> Result<(), AggregatorError> {
            require(values.len() == width, what)?;
            words.extend(
                values
                    .iter()
                    .flat_map(|value| value.as_basis_coefficients_slice()),
            );
            Ok(())
        };
        let both = || self.shape.tables.iter().zip(instances);
        for (table, instance) in both() {
            let (opened, width) = (&instance.base_opened_values, table.graph.layout().main);
            push(&opened.trace_local, width, "a trace's opened values")?;
            require(
                opened.trace_next.is_some() == table.next,
                "a trace's next row",
            )?;
            if let Some(next) = &opened.trace_next {
                push(next, width, "a trace's next row")?;
            }
            require(opened.random.is_none(), "opened randomness")?;
        }
        for (table, instance) in both() {
            let chunks = &instance.base_opened_values.quotient_chunks;
            require(
                chunks.len() == 1 << table.log_chunks,
                "the quotient's chunks",
            )?;
            for chunk in chunks {
                push(chunk, self.shape.degree, "a quotient's chunk")?;
            }
        }
        for (table, instance) in both() {
            let width = table.graph.layout().preprocessed;
            let opened = &instance.base_opened_values.preprocessed;
            require(opened.is_some() == (width > 0), "preprocessed columns")?;
            if let Some(opened) = opened {
                push(&opened.local, width, "preprocessed columns")?;
                require(
                    opened.next.is_some() == table.preprocessed_next,
                    "preprocessed columns' next row",
                )?;
                if let Some(next) = &opened.next {
                    push(next, width, "preprocessed columns' next row")?;
                }
            }
        }
        for (table, instance) in both() {
            let width = if table.buses.is_empty() {
                0
            } else {
                table.permutation_width(self.shape.degree)
            };
            push(
                &instance.permutation_local,
                width,
                "the lookups' opened values",
            )?;
            push(&instance.permutation_next, width, "the lookups' next row")?;
        }
        Ok(())
    }

    /// Every query's rows and paths in all commitments.
    fn openings(&self) -> Result<Vec<F>, AggregatorError> {
        let shape = self.shape;
        let openings = &self.proof.opening_proof.input_openings;
        require(
            openings.len() == shape.batches.len(),
            "the opened commitments",
        )?;
        require(
            self.indices.len() == shape.parameters.num_queries,
            "the queries",
        )?;
        let mut paths = Vec::new();
        for (batch, opening) in shape.batches.iter().zip(openings) {
            require(
                opening.opened_values.len() == self.indices.len(),
                "a commitment's opened rows",
            )?;
            for rows in &opening.opened_values {
                let widths = batch.iter().map(|matrix| matrix.width);
                require(
                    rows.iter().map(Vec::len).eq(widths),
                    "an opened row's width",
                )?;
            }
            let dimensions: Vec<Dimensions> = batch
                .iter()
                .map(|matrix| Dimensions {
                    width: matrix.width,
                    height: 1 << matrix.log_height,
                })
                .collect();
            let tallest = heights(batch).first().copied().unwrap_or(0);
            let low = shape.log_max_height - tallest;
            let indices: Vec<usize> = self.indices.iter().map(|index| index >> low).collect();
            paths.push(self.restore(
                &dimensions,
                &indices,
                &opening.opened_values,
                &opening.opening_proof,
            )?);
        }
        let mut words = Vec::new();
        for query in 0..self.indices.len() {
            for ((batch, opening), paths) in shape.batches.iter().zip(openings).zip(&paths) {
                self.climb(
                    &mut words,
                    batch,
                    &opening.opened_values[query],
                    &paths[query],
                );
            }
        }
        Ok(words)
    }

    /// A query's rows of one commitment: for every height the rows hashed together, then siblings up to the next height.
    fn climb(
        &self,
        words: &mut Vec<F>,
        batch: &[Matrix],
        rows: &[Vec<F>],
        siblings: &[[F; CELL_WORDS]],
    ) {
        let mut levels = heights(batch);
        levels.push(self.shape.parameters.cap_height);
        let mut siblings = siblings.iter();
        for pair in levels.windows(2) {
            let here = batch
                .iter()
                .zip(rows)
                .filter(|(matrix, _)| matrix.log_height == pair[0]);
            words.extend(here.flat_map(|(_, row)| row));
            words.extend(siblings.by_ref().take(pair[0] - pair[1]).flatten());
        }
    }

    /// Every query's row of a round, with the value so far in its place, and its path.
    fn round(&self, round: usize, known: &[[F; CELL_WORDS]]) -> Result<Vec<F>, AggregatorError> {
        let shape = self.shape;
        let openings = &self.proof.opening_proof.commit_phase_openings;
        require(
            openings.len() == shape.log_arities.len(),
            "the rounds' openings",
        )?;
        let (Some(opening), Some(&log_arity)) = (openings.get(round), shape.log_arities.get(round))
        else {
            return Err(other("the number of rounds"));
        };
        require(
            opening.sibling_values.len() == self.indices.len(),
            "a round's opened rows",
        )?;
        require(known.len() == self.indices.len(), "the queries' values")?;
        let shift: usize = shape.log_arities[..round].iter().sum();
        let mut rows: Vec<Vec<Vec<F>>> = Vec::new();
        let mut indices = Vec::new();
        for ((siblings, &index), value) in
            opening.sibling_values.iter().zip(&self.indices).zip(known)
        {
            require(siblings.len() + 1 == 1 << log_arity, "a round's row")?;
            let value = E::from_basis_coefficients_fn(|word| value[word]);
            let place = (index >> shift) & ((1 << log_arity) - 1);
            let mut row = siblings.clone();
            row.insert(place, value);
            let words = row
                .iter()
                .flat_map(|value| value.as_basis_coefficients_slice())
                .copied();
            rows.push(vec![words.collect()]);
            indices.push(index >> (shift + log_arity));
        }
        let dimensions = [Dimensions {
            width: shape.degree << log_arity,
            height: 1 << (shape.log_max_height - shift - log_arity),
        }];
        let paths = self.restore(&dimensions, &indices, &rows, &opening.opening_proof)?;
        let mut words = Vec::new();
        for (row, path) in rows.iter().flatten().zip(&paths) {
            words.extend(row);
            words.extend(path.iter().flatten());
        }
        Ok(words)
    }

    fn restore(
        &self,
        dimensions: &[Dimensions],
        indices: &[usize],
        rows: &[Vec<Vec<F>>],
        paths: &Paths,
    ) -> Result<Vec<Vec<[F; CELL_WORDS]>>, AggregatorError> {
        let restored = self
            .mmcs
            .restore_and_recompute_paths(dimensions, indices, rows, paths);
        let restored = restored.map_err(|_| other("the pruned paths of an opening"))?;
        Ok(restored.into_iter().map(|path| path.siblings).collect())
    }
}
