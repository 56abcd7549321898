//! What a circuit knows of the proofs it verifies before it sees one: everything but their values.

use p3_air::symbolic::SymbolicExpressionExt;
use p3_air::{Air, BaseAir};
use p3_batch_stark::BatchShape;
use p3_challenger::CanObserve;
use p3_challenger::fs::{DomainSeparator, FieldUnit};
use p3_dft::{Radix2DFTSmallBatch, TwoAdicSubgroupDft};
use p3_field::Algebra;
use p3_fri::{FriShape, PcsShape};
use p3_koala_bear::KoalaBear;
use p3_lookup::{InteractionSymbolicBuilder, Kind, Lookups};
use starkwright_hal::Extension;
use starkwright_prover::constraints::ConstraintGraph;
use starkwright_prover::profile::LeafParameters;
use starkwright_prover::security::pack_lookups;

use crate::AggregatorError;

/// A table of the machine whose proofs are verified.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) graph: ConstraintGraph<KoalaBear>,
    /// Base-2 logarithm of the trace's height.
    pub(crate) log_height: usize,
    /// Base-2 logarithm of the number of quotient chunks.
    pub(crate) log_chunks: usize,
    /// Whether the trace, and the preprocessed columns, are opened at the next row.
    pub(crate) next: bool,
    pub(crate) preprocessed_next: bool,
    /// Bus of each lookup, in p3's numbering.
    pub(crate) buses: Vec<usize>,
    /// Coefficients of the periodic columns, each over the subgroup of its period.
    pub(crate) periodic: Vec<Vec<KoalaBear>>,
}

impl Table {
    /// Columns of the permutation trace over the base field.
    pub(crate) const fn permutation_width(&self, degree: usize) -> usize {
        self.graph.layout().permutation * degree
    }
}

/// A point at which columns are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Point {
    /// The out-of-domain point.
    Zeta,
    /// Its successor in a trace domain of this height.
    Next {
        /// Base-2 logarithm of the trace's height.
        log_height: usize,
    },
}

/// A committed matrix.
#[derive(Clone, Debug)]
pub(super) struct Matrix {
    pub(super) log_height: usize,
    pub(super) width: usize,
    pub(super) points: Vec<Point>,
}

/// The shape of a machine's proofs: tables, heights, parameters. Verifiers take it from their own tables, never from a
/// proof.
#[derive(Clone, Debug)]
pub struct ProofShape {
    pub(crate) parameters: LeafParameters,
    pub(crate) degree: usize,
    pub(crate) tables: Vec<Table>,
    /// Commitments in the order of the opening argument: traces, quotients, preprocessed columns, permutation traces;
    /// each a list of matrices with the heights of their extensions.
    pub(super) batches: Vec<Vec<Matrix>>,
    pub(super) has_preprocessed: bool,
    pub(crate) has_lookups: bool,
    /// The widest message of a lookup.
    pub(super) message_width: usize,
    pub(super) num_buses: usize,
    pub(crate) log_arities: Vec<usize>,
    pub(crate) log_max_height: usize,
    /// Seeds of the three nested transcripts.
    pub(super) batch_seed: Vec<KoalaBear>,
    pub(super) pcs_seed: Vec<KoalaBear>,
    pub(super) fri_seed: Vec<KoalaBear>,
}

impl ProofShape {
    /// The shape of proofs of these tables at these heights.
    ///
    /// # Errors
    /// [`AggregatorError::Lowering`] for constraints that are no arithmetic over declared columns,
    /// [`AggregatorError::Unbound`] for a cap that would leave rows unbound.
    pub fn new<E, A>(
        airs: &[A],
        log_heights: &[usize],
        parameters: &LeafParameters,
    ) -> Result<Self, AggregatorError>
    where
        E: Extension<KoalaBear>,
        A: BaseAir<KoalaBear> + Air<InteractionSymbolicBuilder<KoalaBear, E>>,
        SymbolicExpressionExt<KoalaBear, E>: Algebra<E>,
    {
        let degree = E::DIMENSION;
        let packed: Vec<Lookups<KoalaBear>> = airs
            .iter()
            .zip(log_heights)
            .map(|(air, &log_height)| pack_lookups::<KoalaBear, E, A>(air, log_height).0)
            .collect();
        let (buses, num_buses, message_width) = number_buses(&packed);
        let mut tables = Vec::new();
        for (((air, lookups), buses), &log_height) in
            airs.iter().zip(&packed).zip(buses).zip(log_heights)
        {
            tables.push(Table {
                graph: ConstraintGraph::lower::<E, A>(air, lookups)?,
                log_height,
                log_chunks: pack_lookups::<KoalaBear, E, A>(air, log_height).1,
                next: !air.main_next_row_columns().is_empty(),
                preprocessed_next: !air.preprocessed_next_row_columns().is_empty(),
                buses,
                periodic: air
                    .periodic_columns()
                    .iter()
                    .map(|column| interpolate(column))
                    .collect(),
            });
        }
        let mut shape = Self {
            parameters: *parameters,
            degree,
            has_preprocessed: tables
                .iter()
                .any(|table| table.graph.layout().preprocessed > 0),
            has_lookups: tables.iter().any(|table| !table.buses.is_empty()),
            tables,
            batches: Vec::new(),
            message_width,
            num_buses,
            log_arities: Vec::new(),
            log_max_height: 0,
            batch_seed: Vec::new(),
            pcs_seed: Vec::new(),
            fri_seed: Vec::new(),
        };
        shape.batches = shape.all_batches();
        let mut heights: Vec<usize> = shape
            .batches
            .iter()
            .flatten()
            .map(|m| m.log_height)
            .collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        heights.dedup();
        shape.log_max_height = heights.first().copied().unwrap_or(0);
        // p3 binds no row of a matrix that is not taller than the cap; the last codeword is the shortest that is committed.
        let last = parameters.log_blowup + parameters.log_final_poly_len;
        if parameters.cap_height > last
            || heights
                .last()
                .is_none_or(|&least| least <= parameters.cap_height)
        {
            let why = "a cap as tall as a matrix under it";
            return Err(AggregatorError::Unbound { why });
        }
        let fri = FriShape::new(&parameters.fri(()), &heights, shape.log_max_height);
        shape.log_arities.clone_from(&fri.log_arities);
        shape.fri_seed = seed(&fri.domain_separator::<KoalaBear, E>());
        shape.pcs_seed = seed(&shape.pcs().domain_separator::<KoalaBear, E>());
        shape.batch_seed = seed(&shape.batch().domain_separator::<KoalaBear, E>());
        Ok(shape)
    }

    /// Lengths of short last blocks that its rows have in a sponge.
    #[must_use]
    pub fn tails(&self) -> Vec<u8> {
        let mut widths: Vec<usize> = Vec::new();
        for batch in &self.batches {
            for height in heights(batch) {
                let group = batch.iter().filter(|matrix| matrix.log_height == height);
                widths.push(group.map(|matrix| matrix.width).sum());
            }
        }
        widths.extend(
            self.log_arities
                .iter()
                .map(|&log_arity| self.degree << log_arity),
        );
        // A transcript may squeeze twice in a row: a block of no words.
        let mut tails: Vec<u8> = widths.into_iter().map(|width| (width % 8) as u8).collect();
        tails.retain(|&tail| tail != 0);
        tails.push(0);
        tails.sort_unstable();
        tails.dedup();
        tails
    }

    fn all_batches(&self) -> Vec<Vec<Matrix>> {
        let blowup = self.parameters.log_blowup;
        let matrix = |table: &Table, width: usize, next: bool| {
            let mut points = vec![Point::Zeta];
            if next {
                points.push(Point::Next {
                    log_height: table.log_height,
                });
            }
            Matrix {
                log_height: table.log_height + blowup,
                width,
                points,
            }
        };
        let tables = &self.tables;
        let main = tables
            .iter()
            .map(|t| matrix(t, t.graph.layout().main, t.next))
            .collect();
        let quotient = tables
            .iter()
            .flat_map(|t| (0..1 << t.log_chunks).map(move |_| matrix(t, self.degree, false)))
            .collect();
        let preprocessed = tables
            .iter()
            .filter(|t| t.graph.layout().preprocessed > 0)
            .map(|t| matrix(t, t.graph.layout().preprocessed, t.preprocessed_next))
            .collect();
        let permutation = tables
            .iter()
            .filter(|t| !t.buses.is_empty())
            .map(|t| matrix(t, t.permutation_width(self.degree), true))
            .collect();
        let mut batches = vec![main, quotient];
        if self.has_preprocessed {
            batches.push(preprocessed);
        }
        if self.has_lookups {
            batches.push(permutation);
        }
        batches
    }

    fn pcs(&self) -> PcsShape {
        PcsShape {
            claimed_evaluation_counts: self
                .batches
                .iter()
                .map(|batch| {
                    batch
                        .iter()
                        .map(|m| vec![m.width; m.points.len()])
                        .collect()
                })
                .collect(),
            batch_pow_bits: self.parameters.batch_pow_bits,
        }
    }

    fn batch(&self) -> BatchShape {
        let layouts = || self.tables.iter().map(|table| table.graph.layout());
        BatchShape {
            trace_widths: layouts().map(|layout| layout.main).collect(),
            public_value_counts: layouts().map(|layout| layout.public).collect(),
            preprocessed_widths: layouts().map(|layout| layout.preprocessed).collect(),
            has_preprocessed_commitment: self.has_preprocessed,
            num_lookup_instances: self.tables.iter().filter(|t| !t.buses.is_empty()).count(),
            lookup_pow_bits: self.parameters.lookup_pow_bits,
            has_randomization_commitment: false,
            ood_pow_bits: self.parameters.ood_pow_bits,
        }
    }
}

/// The heights of a batch's matrices, tallest first.
pub(super) fn heights(batch: &[Matrix]) -> Vec<usize> {
    let mut heights: Vec<usize> = batch.iter().map(|matrix| matrix.log_height).collect();
    heights.sort_unstable_by(|a, b| b.cmp(a));
    heights.dedup();
    heights
}

/// Buses of each table's lookups, how many there are, and the widest message (p3-batch-stark, `transcript.rs`).
fn number_buses(lookups: &[Lookups<KoalaBear>]) -> (Vec<Vec<usize>>, usize, usize) {
    let mut names: Vec<(String, usize)> = Vec::new();
    let (mut next, mut width) = (0, 1);
    let buses = lookups
        .iter()
        .map(|table| {
            table
                .iter()
                .map(|lookup| {
                    width = lookup.elements.iter().map(Vec::len).fold(width, usize::max);
                    let fresh = next;
                    match &lookup.kind {
                        Kind::Global(name) => {
                            if let Some((_, known)) = names.iter().find(|(known, _)| known == name)
                            {
                                return *known;
                            }
                            names.push((name.clone(), fresh));
                        }
                        Kind::Local => {}
                    }
                    next += 1;
                    fresh
                })
                .collect()
        })
        .collect();
    (buses, next, width)
}

/// Coefficients of the polynomial with these values over the subgroup of their number.
fn interpolate(values: &[KoalaBear]) -> Vec<KoalaBear> {
    Radix2DFTSmallBatch::default().idft(values.to_vec())
}

/// The elements with which a transcript begins.
fn seed(separator: &DomainSeparator<FieldUnit<KoalaBear>>) -> Vec<KoalaBear> {
    let mut seed = Recorder(Vec::new());
    separator.seed(&mut seed);
    seed.0
}

/// Keeps what it observes.
struct Recorder(Vec<KoalaBear>);

impl CanObserve<KoalaBear> for Recorder {
    fn observe(&mut self, value: KoalaBear) {
        self.0.push(value);
    }
}
