//! The error terms of a batch of tables, one by one, in each proximity regime.
//!
//! `docs/security.md` lists the formulas and their sources; the module documentation of [`security`](super) says where
//! we charge more than `p3-security` does.

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

use super::{Arithmetic, Regime, TableShape, Term};
use crate::profile::LeafParameters;

/// A batch of tables under one transcript, in the terms of `p3-security`.
pub(super) struct Batch<'a> {
    params: &'a LeafParameters,
    tables: &'a [TableShape],
    challenge_bits: usize,
    collision_bits: f64,
    /// The tallest table with the openings of the whole batch.
    pub(super) tallest: InstanceShape,
    /// `log2` of the rows of the shortest table.
    log_shortest: usize,
    /// Points at which a column may be opened: `zeta`, and `zeta g` if any table reads the next row.
    max_combo: usize,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        params: &'a LeafParameters,
        arithmetic: &Arithmetic,
        tables: &'a [TableShape],
    ) -> Self {
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
    pub(super) fn conjectured(&self) -> Vec<Term> {
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
    pub(super) fn proven(&self) -> Vec<(Regime, Vec<Term>)> {
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
            // Each trace in the list has its own chance to balance the buses falsely.
            let of_the_list = ErrorBits::from_log2((bits.bits() - list.log2()).max(0.0));
            terms.push(Term {
                label: LOGUP_LABEL,
                bits: boost(of_the_list, grinding.lookup_challenge).bits(),
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

    pub(super) fn air_params(&self, table: usize) -> StarkAirParams {
        let table = &self.tables[table];
        StarkAirParams {
            num_constraints: table.num_constraints,
            max_constraint_degree: table.max_constraint_degree,
            num_quotient_chunks: table.num_quotient_chunks,
            max_combo: self.max_combo,
        }
    }
}
