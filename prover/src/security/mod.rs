//! The security of a proof, rated for the shape that is actually proven.
//!
//! [`rate`] takes the tables of one batch proof ([`TableShape`]) and composes the error bounds of `p3-security`, term
//! by term, as [2024/1553](https://eprint.iacr.org/2024/1553) does: every term bounds one round of the protocol, the
//! proof is as strong as its weakest round (round-by-round soundness, which is what the Fiat-Shamir transform keeps),
//! and no stronger than its hash. Where `p3-security` models a single table we charge the batch:
//!
//! - constraints, lookups and out-of-domain evaluations of all tables are summed (union bound over the tables that
//!   share a challenge), openings are counted over the whole batch;
//! - a folding round into which a shorter table is rolled combines one more function;
//! - the proximity parameter must be admissible for the shortest table, whose openings raise its rate the most;
//! - the out-of-domain term pays the square of the list size in the list-decoding regime (Theorem 2 of 2024/1553;
//!   `p3-security` follows `soundcalc` and pays it once).
//!
//! [`require`] refuses a shape that does not reach its [`Profile`], before anything is proven. [`check_setup`] finds
//! lookups that the bounds would not cover. `docs/security.md` holds the resulting table for every listed shape.

mod bounds;
mod setup;
mod shape;

use std::fmt;

use p3_batch_stark::num_batched_openings;
use p3_security::fri::{commit_phase_error_ldr_m, commit_phase_error_udr, query_phase_error};
use p3_security::grinding::boost;
use p3_security::logup::{self, LOGUP_LABEL, LogUpAir};
use p3_security::proximity::{alpha_ldr_m, alpha_udr, compute_upper_m, list_size_ldr_m};
use p3_security::report::{
    ALI_LABEL, BATCH_LABEL, COLLISION_LABEL, DEEP_LABEL, LDT_COMMIT_LABEL, LDT_QUERY_LABEL,
};
use p3_security::{
    ErrorBits, InstanceShape, LowDegreeTest, SecurityAssumption, StarkAirParams, air, deep,
};
use p3_uni_stark::OpeningShape;
use serde::Serialize;

pub use self::setup::{OpenCount, SetupError, check_setup};
pub use self::shape::TableShape;
use crate::profile::{Analysis, LeafParameters, Profile};

/// What the bounds depend on besides parameters and tables: the size of the challenge field and the hash.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arithmetic {
    /// `log2` of the base field's order.
    pub log2_field_order: f64,
    /// `log2` of two-adic subgroup sizes: the largest domain is `2^two_adicity`.
    pub two_adicity: usize,
    /// Collision resistance of the commitments and of the transcript's sponge, in bits.
    pub collision_bits: f64,
}

/// The hash behind commitments and transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommitmentHash {
    /// Poseidon2 with digests and capacity of 8 base field elements.
    Poseidon2,
    /// Keccak-256.
    Keccak256,
}

impl Arithmetic {
    /// Base field `F` and a hash. Poseidon2 digests have 8 elements, so a collision costs `4 log2 p` bits.
    pub fn new<F: p3_field::TwoAdicField + p3_field::PrimeField64>(hash: CommitmentHash) -> Self {
        let log2_field_order = (F::ORDER_U64 as f64).log2();
        Self {
            log2_field_order,
            two_adicity: F::TWO_ADICITY,
            collision_bits: match hash {
                CommitmentHash::Poseidon2 => 4.0 * log2_field_order,
                CommitmentHash::Keccak256 => 128.0,
            },
        }
    }

    /// Bits of the challenge field, rounded down: `p3-security` takes an integer.
    fn challenge_bits(&self, extension_degree: usize) -> usize {
        (extension_degree as f64 * self.log2_field_order).floor() as usize
    }
}

/// One source of error and its bound, in `-log2` of the probability.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Term {
    /// The label of `p3-security`: `air-composition`, `deep-ali`, `batch-combination`, `ldt-commit-phase`,
    /// `ldt-query-phase`, `logup-fingerprint` or `commitment-collision`.
    pub label: &'static str,
    /// The bound, grinding included, margin not yet taken off.
    pub bits: f64,
}

/// The proximity regime in which the bounds were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Regime {
    /// Within half the distance of the code: proven, list size 1.
    UniqueDecoding,
    /// Up to the Johnson bound with proximity parameter `m`: proven.
    ListDecoding {
        /// The proximity parameter that serves the weakest term best.
        m: usize,
    },
    /// The random-words conjecture.
    Conjectured,
}

impl fmt::Display for Regime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UniqueDecoding => f.write_str("unique decoding"),
            Self::ListDecoding { m } => write!(f, "list decoding, m = {m}"),
            Self::Conjectured => f.write_str("random words"),
        }
    }
}

/// The rating of one shape under one profile.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Security {
    /// What a user is told: the weakest term less the margin.
    pub bits: f64,
    /// The union bound's share, already taken off [`Self::bits`].
    pub margin_bits: f64,
    /// The label of the weakest term.
    pub binding_term: &'static str,
    /// The regime that gave the better bound.
    pub regime: Regime,
    /// Every term, in protocol order.
    pub terms: Vec<Term>,
}

/// Why a shape is not proven.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// The shape misses its profile.
    #[error(
        "{profile}: this shape reaches {bits:.1} of {needed} bits, limited by {binding_term}; \
         use shorter segments, fewer columns, tables of at least 128 rows, or a weaker profile"
    )]
    BelowProfile {
        /// The profile asked for.
        profile: Profile,
        /// Bits reached, margin taken off.
        bits: f64,
        /// Bits needed.
        needed: f64,
        /// The weakest term.
        binding_term: &'static str,
    },

    /// A table does not fit the parameters at all.
    #[error("table {table}: {why}")]
    Shape {
        /// Index of the table in the batch.
        table: usize,
        /// Which limit it breaks.
        why: String,
    },

    /// The lookups are not sound.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// Rates a batch of `tables` and refuses it if it misses `profile`.
pub fn require(
    profile: Profile,
    arithmetic: &Arithmetic,
    tables: &[TableShape],
) -> Result<Security, SecurityError> {
    let security = rate(
        &profile.leaf(),
        profile.analysis(),
        profile.margin_bits(),
        arithmetic,
        tables,
    )?;
    if security.bits < profile.target_bits() {
        return Err(SecurityError::BelowProfile {
            profile,
            bits: security.bits,
            needed: profile.target_bits(),
            binding_term: security.binding_term,
        });
    }
    Ok(security)
}

/// Rates a batch of `tables` under any parameters.
///
/// `margin_bits` is taken off the result: `log2` of the number of proofs that must all hold together.
///
/// # Errors
/// [`SecurityError::Shape`] where a table cannot be proven with these parameters at all: taller than the field's
/// two-adic domain, too short for the final polynomial, or of a degree that the blow-up does not carry.
pub fn rate(
    params: &LeafParameters,
    analysis: Analysis,
    margin_bits: f64,
    arithmetic: &Arithmetic,
    tables: &[TableShape],
) -> Result<Security, SecurityError> {
    check_fit(params, arithmetic, tables)?;
    let batch = Batch::new(params, arithmetic, tables);
    let candidates = match analysis {
        Analysis::Conjectured => vec![(Regime::Conjectured, batch.conjectured())],
        Analysis::Proven => batch.proven(),
    };
    let security = candidates
        .into_iter()
        .map(|(regime, terms)| Security::weakest(regime, terms, margin_bits))
        .max_by(|a, b| a.bits.total_cmp(&b.bits));
    security.ok_or_else(|| SecurityError::Shape {
        table: 0,
        why: "no proximity regime admits this shape".to_owned(),
    })
}

impl Security {
    fn weakest(regime: Regime, terms: Vec<Term>, margin_bits: f64) -> Self {
        let (binding_term, bits) = terms
            .iter()
            .min_by(|a, b| a.bits.total_cmp(&b.bits))
            .map_or(("no-terms", 0.0), |term| (term.label, term.bits));
        Self {
            bits: bits - margin_bits,
            margin_bits,
            binding_term,
            regime,
            terms,
        }
    }
}

/// The limits of the protocol itself, apart from soundness: see the errors of [`rate`], which calls this.
pub fn check_fit(
    params: &LeafParameters,
    arithmetic: &Arithmetic,
    tables: &[TableShape],
) -> Result<(), SecurityError> {
    let refuse = |table, why| Err(SecurityError::Shape { table, why });
    if tables.is_empty() {
        return refuse(0, "a proof needs at least one table".to_owned());
    }
    for (table, shape) in tables.iter().enumerate() {
        let log_lde = shape.log_height.saturating_add(params.log_blowup);
        if log_lde > arithmetic.two_adicity {
            return refuse(
                table,
                format!(
                    "2^{} rows at blow-up 2^{} exceed the field's largest domain 2^{}",
                    shape.log_height, params.log_blowup, arithmetic.two_adicity
                ),
            );
        }
        if params.log_final_poly_len > 0 && shape.log_height <= params.log_final_poly_len {
            return refuse(
                table,
                format!(
                    "2^{} rows are too few: FRI stops at 2^{} coefficients, the table must be taller",
                    shape.log_height, params.log_final_poly_len
                ),
            );
        }
        if !shape.num_quotient_chunks.is_power_of_two()
            || shape.num_quotient_chunks > 1 << params.log_blowup
        {
            return refuse(
                table,
                format!(
                    "constraints of degree {} give {} quotient chunks, the blow-up carries at most {}",
                    shape.max_constraint_degree,
                    shape.num_quotient_chunks,
                    1usize << params.log_blowup
                ),
            );
        }
    }
    Ok(())
}

/// A batch of tables under one transcript, in the terms of `p3-security`.
struct Batch<'a> {
    params: &'a LeafParameters,
    tables: &'a [TableShape],
    challenge_bits: usize,
    collision_bits: f64,
    /// The tallest table with the openings of the whole batch.
    tallest: InstanceShape,
    /// `log2` of the rows of the shortest table.
    log_shortest: usize,
    /// Points at which a column may be opened: `zeta`, and `zeta g` if any table reads the next row.
    max_combo: usize,
}

impl<'a> Batch<'a> {
    fn new(params: &'a LeafParameters, arithmetic: &Arithmetic, tables: &'a [TableShape]) -> Self {
        let challenge_bits = arithmetic.challenge_bits(params.extension_degree);
        let num_batched_functions = tables
            .iter()
            .map(|table| {
                num_batched_openings(
                    table.width,
                    table.next_row,
                    table.preprocessed_width,
                    table.preprocessed_next_row,
                    table.num_quotient_chunks,
                    table.num_lookups,
                    params.extension_degree,
                    OpeningShape::TwoAdic,
                )
            })
            .sum();
        let two_points = tables
            .iter()
            .any(|table| table.next_row || table.preprocessed_next_row || table.num_lookups > 0);
        Self {
            params,
            tables,
            challenge_bits,
            collision_bits: arithmetic.collision_bits,
            tallest: InstanceShape {
                log_trace_length: tables
                    .iter()
                    .map(|table| table.log_height)
                    .max()
                    .unwrap_or(0),
                modulus_bits: challenge_bits,
                // Only read by p3's own composition; ours carries the exact figure as a term.
                collision_resistance: arithmetic.collision_bits as usize,
                num_batched_functions,
            },
            log_shortest: tables
                .iter()
                .map(|table| table.log_height)
                .min()
                .unwrap_or(0),
            max_combo: 1 + usize::from(two_points),
        }
    }

    /// Terms under the random-words conjecture (list size 1), as `conjectured_security_report` composes them.
    fn conjectured(&self) -> Vec<Term> {
        let unique = self.batching(|shape, functions| {
            SecurityAssumption::UniqueDecoding.prox_gaps_error(
                shape.log_trace_length,
                self.params.log_blowup,
                shape.modulus_bits,
                functions,
            )
        });
        let mut terms = self.before_fri(1.0, 1.0, unique);
        for term in self.params.fri_regime().conjectured_terms(&self.tallest) {
            let rolled_in = if term.label == LDT_COMMIT_LABEL {
                self.roll_in_bits()
            } else {
                0.0
            };
            terms.push(Term {
                label: term.label,
                bits: (term.bits.bits() - rolled_in).max(0.0),
            });
        }
        self.with_collisions(terms)
    }

    /// Terms of each proven regime: unique decoding, and list decoding at every admissible `m`.
    fn proven(&self) -> Vec<(Regime, Vec<Term>)> {
        let fri = self.params.fri_regime();
        let air = self.air_params(0);
        let log_blowup = self.params.log_blowup;
        let mut regimes = Vec::new();

        // p3 returns 0 bits where a theorem's precondition fails; the shortest table is the first to break it.
        let shortest = InstanceShape {
            log_trace_length: self.log_shortest,
            ..self.tallest
        };
        if fri.proven_error_udr(&air, &shortest).bits() > 0.0 {
            let batching = self.batching(|shape, functions| {
                SecurityAssumption::UniqueDecoding.prox_gaps_error(
                    shape.log_trace_length,
                    log_blowup,
                    shape.modulus_bits,
                    functions,
                )
            });
            let terms = self.before_fri(1.0, 1.0, batching);
            let alpha = alpha_udr(self.log_shortest, log_blowup, self.max_combo);
            let commit = commit_phase_error_udr(&fri, &self.tallest);
            regimes.push((Regime::UniqueDecoding, self.with_fri(terms, commit, alpha)));
        }

        let largest_m = compute_upper_m(1 << self.log_shortest, self.max_combo);
        for (m, ldt) in fri.ldr_candidates(&air, &self.tallest) {
            if m > largest_m || ldt.bits() <= 0.0 {
                continue;
            }
            let batching = self.batching(|shape, functions| {
                SecurityAssumption::prox_gaps_error_jb_at_m(
                    shape.log_trace_length,
                    log_blowup,
                    shape.modulus_bits,
                    functions,
                    m,
                )
            });
            let list = list_size_ldr_m(log_blowup, m);
            // Theorem 2 of 2024/1553 charges (m / rho)^2, a little more than the square of p3's list size.
            let deep_list = ((m as f64 + 0.5) * f64::from(1u32 << log_blowup)).powi(2);
            let terms = self.before_fri(list, deep_list, batching);
            let commit = commit_phase_error_ldr_m(&fri, &self.tallest, m);
            let alpha = alpha_ldr_m(log_blowup, m);
            regimes.push((
                Regime::ListDecoding { m },
                self.with_fri(terms, commit, alpha),
            ));
        }
        regimes
    }

    /// The rounds before FRI, in transcript order: lookups, constraint combination, out-of-domain point, batching.
    fn before_fri(&self, list: f64, deep_list: f64, batching: Option<ErrorBits>) -> Vec<Term> {
        let grinding = self.params.grinding_sites();
        let mut terms = Vec::new();
        if let Some(bits) = self.lookups() {
            terms.push(Term {
                label: LOGUP_LABEL,
                bits: boost(bits, grinding.lookup_challenge).bits(),
            });
        }
        let composition = self.union(|table| {
            air::composition_error(table.num_constraints.max(1), list, self.challenge_bits)
        });
        terms.push(Term {
            label: ALI_LABEL,
            bits: composition.bits(),
        });
        let deep = self.union_indexed(|index, table| {
            let shape = InstanceShape {
                log_trace_length: table.log_height,
                ..self.tallest
            };
            deep::deep_ali_error(&self.air_params(index), &shape, deep_list)
        });
        terms.push(Term {
            label: DEEP_LABEL,
            bits: boost(deep, grinding.out_of_domain).bits(),
        });
        if let Some(bits) = batching {
            terms.push(Term {
                label: BATCH_LABEL,
                bits: boost(bits, grinding.batch_combination).bits(),
            });
        }
        terms
    }

    fn with_fri(&self, mut terms: Vec<Term>, commit: Option<ErrorBits>, alpha: f64) -> Vec<Term> {
        if let Some(commit) = commit {
            let bits = (commit.bits() - self.roll_in_bits()).max(0.0);
            terms.push(Term {
                label: LDT_COMMIT_LABEL,
                bits,
            });
        }
        let query =
            query_phase_error(alpha, self.params.num_queries, self.params.query_pow_bits).bits();
        terms.push(Term {
            label: LDT_QUERY_LABEL,
            bits: query,
        });
        self.with_collisions(terms)
    }

    fn with_collisions(&self, mut terms: Vec<Term>) -> Vec<Term> {
        terms.push(Term {
            label: COLLISION_LABEL,
            bits: self.collision_bits,
        });
        terms
    }

    /// A folding round of arity `a` combines `a - 1` further functions, and `a` where a shorter table joins.
    fn roll_in_bits(&self) -> f64 {
        let one_height = self
            .tables
            .iter()
            .all(|table| table.log_height == self.tallest.log_trace_length);
        let arity = (1u64 << self.params.max_log_arity) as f64;
        if one_height || arity < 2.0 {
            0.0
        } else {
            (arity / (arity - 1.0)).log2()
        }
    }

    /// Error of the challenge that batches all openings, if there are two or more.
    fn batching(&self, bits: impl Fn(&InstanceShape, usize) -> f64) -> Option<ErrorBits> {
        let functions = self.tallest.num_batched_functions;
        (functions >= 2).then(|| ErrorBits::from_log2(bits(&self.tallest, functions).max(0.0)))
    }

    /// Error of the lookup argument over all tables; messages are as wide as the widest of the batch.
    fn lookups(&self) -> Option<ErrorBits> {
        let widest = self
            .tables
            .iter()
            .map(|table| table.max_message_width)
            .max()
            .unwrap_or(0);
        let errors: Vec<_> = self
            .tables
            .iter()
            .filter(|table| table.num_interactions > 0)
            .map(|table| {
                let lookup = LogUpAir {
                    num_interactions: table.num_interactions,
                    max_message_width: widest,
                };
                let shape = InstanceShape {
                    log_trace_length: table.log_height,
                    ..self.tallest
                };
                logup::fingerprint_error(&lookup, &shape)
            })
            .collect();
        (!errors.is_empty()).then(|| ErrorBits::sum(&errors))
    }

    fn union(&self, error: impl Fn(&TableShape) -> ErrorBits) -> ErrorBits {
        self.union_indexed(|_, table| error(table))
    }

    fn union_indexed(&self, error: impl Fn(usize, &TableShape) -> ErrorBits) -> ErrorBits {
        let errors: Vec<_> = self
            .tables
            .iter()
            .enumerate()
            .map(|(i, t)| error(i, t))
            .collect();
        ErrorBits::sum(&errors)
    }

    fn air_params(&self, table: usize) -> StarkAirParams {
        let table = &self.tables[table];
        StarkAirParams {
            num_constraints: table.num_constraints,
            max_constraint_degree: table.max_constraint_degree,
            num_quotient_chunks: table.num_quotient_chunks,
            max_combo: self.max_combo,
        }
    }
}

#[cfg(test)]
mod tests;
