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
//! - the lookups pay the list size in the list-decoding regime, since any candidate trace may balance a bus by chance
//!   (`p3-security` charges one trace; constraints pay it there too);
//! - the out-of-domain term pays the square of the list size in the list-decoding regime (Theorem 2 of 2024/1553;
//!   `p3-security` follows `soundcalc` and pays it once).
//!
//! [`require`] refuses a shape that does not reach its [`Profile`], before anything is proven. [`check_setup`] finds
//! lookups that the bounds would not cover. `docs/security.md` holds the resulting table for every listed shape.

mod bounds;
mod setup;
mod shape;
mod terms;

use std::fmt;

use serde::Serialize;

pub use self::setup::{OpenCount, SetupError, check_setup};
pub use self::shape::{TableShape, pack_lookups};
use self::terms::Batch;
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
        "{profile}: this shape reaches {} of {needed} bits, limited by {binding_term}; \
         use shorter segments, fewer columns, tables of at least 128 rows, or a weaker profile",
        Bits(*bits)
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

    /// More proofs than the profile's margin covers.
    #[error(
        "{profile} covers {limit} proofs together, this file needs {proofs}; use longer segments, or split the input"
    )]
    TooManyProofs {
        /// The profile asked for.
        profile: Profile,
        /// Proofs, at least.
        proofs: u64,
        /// The most that the margin covers.
        limit: u64,
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

/// Refuses more proofs in one file than the profile's margin covers: `log2(proofs) - margin` bits would be missing.
///
/// # Errors
/// [`SecurityError::TooManyProofs`].
pub fn require_count(profile: Profile, proofs: u64) -> Result<(), SecurityError> {
    match profile.max_proofs() {
        Some(limit) if proofs > limit => Err(SecurityError::TooManyProofs {
            profile,
            proofs,
            limit,
        }),
        _ => Ok(()),
    }
}

/// Bits of security as they are printed: one decimal, rounded down, since bits are never promised upwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bits(pub f64);

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}", (10.0 * self.0).floor() / 10.0)
    }
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

#[cfg(test)]
mod tests;
