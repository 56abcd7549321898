//! The verifier of p3-batch-stark as a circuit.
//!
//! For a declared shape ([`ProofShape`]), caps of the declared size included, the circuit is satisfiable exactly where p3's
//! `verify_batch` accepts: the transcript is
//! replayed, every query's rows and paths are checked, FRI is folded, and every table's constraints are evaluated at the
//! out-of-domain point.
//!
//! ```text
//!  transcript ──► challenges ──► constraints at zeta = quotient
//!      │              │
//!      │              └────────► openings: rows ─ hash, sum ─► paths ─► caps      (per query and commitment)
//!      └─► queries ────────────────────┘  │
//!                                         ▼
//!                                  fold, round by round ──► final polynomial
//! ```
//!
//! What is proof and what is shape: heights, widths, parameters, lookups and the order of everything are the shape's and
//! stand in the circuit; a proof only gives values. [`ProofWords`] puts them in the order in which the circuit reads them,
//! whether they are true or false; it refuses proofs of another shape.

mod constraints;
mod fold;
mod opening;
mod quotient;
mod shape;
mod transcript;
mod words;

use std::collections::BTreeMap;

use p3_field::{PrimeCharacteristicRing, TwoAdicField};
use p3_koala_bear::KoalaBear;

pub use self::shape::ProofShape;
pub use self::words::ProofWords;

use self::fold::{Round, fold};
use self::opening::{Claims, Openings, Query};
use self::shape::Point;
use self::transcript::Transcript;
use crate::circuit::layout::CELL_WORDS;
use crate::circuit::{Base, Builder, Ext, Octet};

/// A commitment from the proof: its digests with their words.
pub type Cap = Vec<([Base; CELL_WORDS], Octet)>;

/// Where a proof's words stand in the circuit's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofParts {
    /// The first part: see [`Builder::part`].
    pub first: usize,
    /// How many parts.
    pub count: usize,
}

/// Adds the verification of a proof to a circuit.
///
/// `public_values` are those of every table. `preprocessed` is the commitment to preprocessed columns, where the machine has
/// any: who reads it decides which machines are accepted, so it must be bound elsewhere. `child` says with whose challenge
/// the permutation machine sums up: each proof in a circuit has its own.
///
/// Returns where the proof's words stand in the input. A circuit whose public values or commitment do not fit the shape does
/// not compile.
pub fn verify(
    builder: &mut Builder,
    shape: &ProofShape,
    child: usize,
    public_values: &[Vec<Base>],
    preprocessed: Option<&Cap>,
) -> ProofParts {
    let counts = shape.tables.iter().map(|table| table.graph.layout().public);
    if !public_values.iter().map(Vec::len).eq(counts) {
        builder.refuse("public values of another number than the tables have");
    }
    let digests = shape
        .has_preprocessed
        .then_some(1 << shape.parameters.cap_height);
    if preprocessed.map(Vec::len) != digests {
        builder.refuse("a commitment to preprocessed columns of another size than the shape has");
    }
    let first = builder.part(&[]);
    let replayed = builder.section("transcript", |builder| {
        replay(builder, shape, child, public_values, preprocessed)
    });
    let numbers: Vec<Ext> = replayed
        .queries
        .iter()
        .map(|query| query.number.into())
        .collect();
    builder.part(&numbers);

    let mut points = BTreeMap::from([(Point::Zeta, replayed.zeta)]);
    for table in &shape.tables {
        let generator = KoalaBear::two_adic_generator(table.log_height);
        let zeta = replayed.zeta;
        let zero = KoalaBear::ZERO;
        points
            .entry(Point::Next {
                log_height: table.log_height,
            })
            .or_insert_with(|| {
                builder.linear([(generator, zeta), (zero, zeta), (zero, zeta)], zero)
            });
    }
    builder.section("constraints", |builder| {
        quotient::check(builder, shape, &replayed, public_values);
    });
    let alpha = (replayed.batch_alpha, replayed.batch_beta);
    let mut openings = builder.section("claimed values", |builder| {
        Openings::new(builder, shape, alpha, child, points, &replayed.claims)
    });
    let values: Vec<Vec<(usize, Ext)>> = builder.section("openings", |builder| {
        let queries = replayed.queries.iter();
        queries
            .map(|&query| openings.query(builder, query, &replayed.caps))
            .collect()
    });
    builder.section("folds", |builder| {
        fold(
            builder,
            shape,
            &replayed.queries,
            &values,
            &replayed.rounds,
            &replayed.final_poly,
        );
    });
    ProofParts {
        first,
        count: 2 + shape.log_arities.len(),
    }
}

/// What the transcript yields.
struct Replayed {
    /// The lookups' challenges.
    lookup: Option<(Ext, Ext)>,
    terminals: Vec<Ext>,
    /// The challenge that combines constraints.
    alpha: Ext,
    zeta: Ext,
    claims: Claims,
    batch_alpha: Ext,
    batch_beta: Ext,
    rounds: Vec<Round>,
    final_poly: Vec<Ext>,
    queries: Vec<Query>,
    /// Caps in the order of the opening argument.
    caps: Vec<Vec<Octet>>,
}

fn octets(cap: &Cap) -> Vec<Octet> {
    cap.iter().map(|&(_, octet)| octet).collect()
}

/// The transcript: order and grinding sites as in p3-batch-stark (`transcript.rs`), p3-fri (`pcs_transcript.rs`,
/// `transcript.rs`).
fn replay(
    builder: &mut Builder,
    shape: &ProofShape,
    child: usize,
    public_values: &[Vec<Base>],
    preprocessed: Option<&Cap>,
) -> Replayed {
    let parameters = &shape.parameters;
    let mut transcript = Transcript::default();
    let mut witnesses = Witnesses::read(builder, 4 + shape.log_arities.len());
    let cap = |builder: &mut Builder, transcript: &mut Transcript| {
        let cap = builder.input_cap(1 << parameters.cap_height);
        for (words, _) in &cap {
            transcript.observe_all(builder, words);
        }
        octets(&cap)
    };

    transcript.observe_constants(builder, &shape.batch_seed);
    for table in &shape.tables {
        let mut bits = vec![KoalaBear::ZERO; shape.degree];
        bits[0] = KoalaBear::from_usize(table.log_height);
        transcript.observe_constants(builder, &bits);
    }
    let main = cap(builder, &mut transcript);
    for values in public_values {
        transcript.observe_all(builder, values);
    }
    let mut caps = vec![main];
    let fixed = preprocessed.filter(|_| shape.has_preprocessed);
    if let Some(fixed) = fixed {
        for (words, _) in fixed {
            transcript.observe_all(builder, words);
        }
    }
    let witness = witnesses.next();
    let lookup = shape.has_lookups.then(|| {
        transcript.grind(builder, parameters.lookup_pow_bits, witness);
        let alpha = transcript.sample_element(builder);
        (alpha, transcript.sample_element(builder))
    });
    let mut permutation = None;
    let mut terminals = Vec::new();
    if shape.has_lookups {
        permutation = Some(cap(builder, &mut transcript));
        let tables = shape
            .tables
            .iter()
            .filter(|table| !table.buses.is_empty())
            .count();
        terminals = transcript.observe_input(builder, tables);
    }
    let alpha = transcript.sample_element(builder);
    caps.push(cap(builder, &mut transcript));
    caps.extend(fixed.map(octets));
    caps.extend(permutation);
    let witness = witnesses.next();
    transcript.grind(builder, parameters.ood_pow_bits, witness);
    let zeta = transcript.sample_element(builder);

    transcript.observe_constants(builder, &shape.pcs_seed);
    let widths = || shape.batches.iter().flatten();
    let all: usize = widths()
        .map(|matrix| matrix.width * matrix.points.len())
        .sum();
    let mut values = transcript.observe_input(builder, all).into_iter();
    let claims = shape
        .batches
        .iter()
        .map(|batch| {
            let matrices = batch.iter();
            matrices
                .map(|matrix| {
                    let points = matrix.points.iter();
                    points
                        .map(|_| values.by_ref().take(matrix.width).collect())
                        .collect()
                })
                .collect()
        })
        .collect();
    let witness = witnesses.next();
    transcript.grind(builder, parameters.batch_pow_bits, witness);
    let batch_alpha = transcript.sample_element(builder);

    transcript.observe_constants(builder, &shape.fri_seed);
    let rounds = shape
        .log_arities
        .iter()
        .map(|_| {
            let cap = cap(builder, &mut transcript);
            let witness = witnesses.next();
            transcript.grind(builder, parameters.commit_pow_bits, witness);
            let beta = transcript.sample_element(builder);
            Round { beta, cap }
        })
        .collect();
    let final_poly = transcript.observe_input(builder, 1 << parameters.log_final_poly_len);
    let witness = witnesses.next();
    transcript.grind(builder, parameters.query_pow_bits, witness);
    let factors = opening::factors(shape.log_max_height);
    let queries = (0..parameters.num_queries)
        .map(|_| {
            let (number, bits) = transcript.sample_bits(builder, &factors);
            Query { number, bits }
        })
        .collect();

    let batch_beta = builder.inverse(batch_alpha);
    builder.set_challenge(child, batch_beta);
    Replayed {
        lookup,
        terminals,
        alpha,
        zeta,
        claims,
        batch_alpha,
        batch_beta,
        rounds,
        final_poly,
        queries,
        caps,
    }
}

/// Grinding witnesses, eight a cell: lookups, out-of-domain point, batching, rounds, queries.
struct Witnesses(std::vec::IntoIter<Base>, Base);

impl Witnesses {
    fn read(builder: &mut Builder, count: usize) -> Self {
        let cells = count.div_ceil(CELL_WORDS);
        let words: Vec<Base> = (0..cells).flat_map(|_| builder.input_words().0).collect();
        let zero = builder.base_constant(KoalaBear::ZERO);
        // What no site reads is zero, as a proof's encoding is unique.
        for &unused in &words[count..] {
            builder.assert_zero(unused.into());
        }
        Self(words.into_iter(), zero)
    }

    fn next(&mut self) -> Base {
        self.0.next().unwrap_or(self.1)
    }
}
