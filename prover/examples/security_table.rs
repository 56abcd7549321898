//! Prints the tables of `docs/security.md`: what every listed shape of every machine reaches, term by term, and what
//! other parameters would cost.
//!
//! ```text
//! cargo run -p starkwright-prover --example security_table
//! ```

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::extension::{BinomialExtensionField, QuinticTrinomialExtensionField};
use p3_field::{Algebra, ExtensionField};
use p3_koala_bear::KoalaBear;
use starkwright_prover::machine::keccak::{KeccakTable, SegmentShape};
use starkwright_prover::profile::{Analysis, LeafParameters, Profile};
use starkwright_prover::proof_size::expected_proof_bytes;
use starkwright_prover::security::{
    Arithmetic, Bits, CommitmentHash, Security, SecurityError, TableShape, rate, require,
};

type Quintic = QuinticTrinomialExtensionField<KoalaBear>;
type Quartic = BinomialExtensionField<KoalaBear, 4>;

const HASH: CommitmentHash = CommitmentHash::Poseidon2;

/// The terms in the order of the columns.
const TERMS: [&str; 7] = [
    "logup-fingerprint",
    "air-composition",
    "deep-ali",
    "batch-combination",
    "ldt-commit-phase",
    "ldt-query-phase",
    "commitment-collision",
];

/// The ratings in Markdown, one row for each profile and listed height.
pub(crate) fn ratings() -> Result<String, SecurityError> {
    let mut lines = vec![
        format!(
            "| profile | rows | blocks | {} | margin | **bits** | limited by | regime | proof |",
            TERMS.join(" | ")
        ),
        format!("|{}", "---|".repeat(TERMS.len() + 8)),
    ];
    for profile in Profile::ALL {
        for shape in SegmentShape::all() {
            let tables = match profile {
                Profile::Proven100 => tables::<Quintic>(shape),
                Profile::Conjectured100 => tables::<Quartic>(shape),
            };
            lines.push(rating(profile, shape, &tables)?);
        }
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}

fn rating(
    profile: Profile,
    shape: SegmentShape,
    tables: &[TableShape],
) -> Result<String, SecurityError> {
    let security = require(profile, &Arithmetic::new::<KoalaBear>(HASH), tables)?;
    let terms = TERMS.map(|label| {
        let term = security.terms.iter().find(|term| term.label == label);
        term.map_or_else(|| "–".to_owned(), |term| Bits(term.bits).to_string())
    });
    Ok(format!(
        "| `{profile}` | 2^{} | {} | {} | {} | **{}** | {} | {} | {:.2} MB |",
        shape.log_height(),
        shape.capacity(),
        terms.join(" | "),
        security.margin_bits,
        Bits(security.bits),
        security.binding_term,
        security.regime,
        expected_proof_bytes(&profile.leaf(), HASH, tables) / 1e6,
    ))
}

/// Alternatives to the parameters of `proven100` in Markdown: each changes one of them and takes the fewest queries
/// with which every listed shape still reaches the profile. Sizes are for 2^15 rows.
pub(crate) fn alternatives() -> Result<String, SecurityError> {
    let leaf = Profile::Proven100.leaf();
    let changes = [
        ("none", leaf),
        (
            "blow-up 2",
            LeafParameters {
                log_blowup: 1,
                ..leaf
            },
        ),
        (
            "blow-up 8",
            LeafParameters {
                log_blowup: 3,
                ..leaf
            },
        ),
        (
            "blow-up 16",
            LeafParameters {
                log_blowup: 4,
                ..leaf
            },
        ),
        (
            "arity 2",
            LeafParameters {
                max_log_arity: 1,
                ..leaf
            },
        ),
        (
            "arity 4",
            LeafParameters {
                max_log_arity: 2,
                ..leaf
            },
        ),
        (
            "arity 16",
            LeafParameters {
                max_log_arity: 4,
                ..leaf
            },
        ),
        (
            "final polynomial of 1 coefficient",
            LeafParameters {
                log_final_poly_len: 0,
                ..leaf
            },
        ),
        (
            "final polynomial of 64 coefficients",
            LeafParameters {
                log_final_poly_len: 6,
                ..leaf
            },
        ),
        (
            "cap of 8 digests",
            LeafParameters {
                cap_height: 3,
                ..leaf
            },
        ),
        (
            "query grinding 20",
            LeafParameters {
                query_pow_bits: 20,
                ..leaf
            },
        ),
        (
            "batch grinding 8",
            LeafParameters {
                batch_pow_bits: 8,
                ..leaf
            },
        ),
        (
            "no batch grinding",
            LeafParameters {
                batch_pow_bits: 0,
                ..leaf
            },
        ),
        (
            "no grinding before folds",
            LeafParameters {
                commit_pow_bits: 0,
                ..leaf
            },
        ),
        (
            "degree 4",
            LeafParameters {
                extension_degree: 4,
                ..leaf
            },
        ),
    ];
    let shapes: Vec<_> = SegmentShape::all()
        .map(|shape| (shape.log_height(), tables::<Quintic>(shape)))
        .collect();
    let mut lines = vec!["| change | queries | limited by | proof |".to_owned()];
    lines.push("|---|---|---|---|".to_owned());
    for (change, params) in changes {
        let (queries, security) = fewest_queries(&params, &shapes)?;
        let Some(num_queries) = queries else {
            lines.push(format!(
                "| {change} | none suffice | {} | – |",
                security.binding_term
            ));
            continue;
        };
        let params = LeafParameters {
            num_queries,
            ..params
        };
        let size = shapes
            .iter()
            .filter(|(log_height, _)| *log_height == 15)
            .map(|(_, tables)| expected_proof_bytes(&params, HASH, tables) / 1e6)
            .sum::<f64>();
        lines.push(format!(
            "| {change} | {num_queries} | {} | {size:.2} MB |",
            security.binding_term
        ));
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}

/// The fewest queries, at most 400, with which all shapes reach `proven100`, and the rating of the weakest there.
fn fewest_queries(
    params: &LeafParameters,
    shapes: &[(usize, Vec<TableShape>)],
) -> Result<(Option<usize>, Security), SecurityError> {
    let profile = Profile::Proven100;
    let arithmetic = Arithmetic::new::<KoalaBear>(HASH);
    let weakest = |num_queries| -> Result<Security, SecurityError> {
        let params = LeafParameters {
            num_queries,
            ..*params
        };
        let ratings: Result<Vec<_>, _> = shapes
            .iter()
            .map(|(_, tables)| {
                rate(
                    &params,
                    Analysis::Proven,
                    profile.margin_bits(),
                    &arithmetic,
                    tables,
                )
            })
            .collect();
        let weakest = ratings?
            .into_iter()
            .min_by(|a, b| a.bits.total_cmp(&b.bits));
        weakest.ok_or_else(|| SecurityError::Shape {
            table: 0,
            why: "no shape".to_owned(),
        })
    };
    // A rating never falls with more queries, so the fewest can be bisected.
    let (mut few, mut enough) = (0, 400);
    if weakest(enough)?.bits < profile.target_bits() {
        return Ok((None, weakest(enough)?));
    }
    while enough - few > 1 {
        let middle = usize::midpoint(few, enough);
        if weakest(middle)?.bits >= profile.target_bits() {
            enough = middle;
        } else {
            few = middle;
        }
    }
    Ok((Some(enough), weakest(enough)?))
}

fn tables<EF>(shape: SegmentShape) -> Vec<TableShape>
where
    EF: ExtensionField<KoalaBear>,
    SymbolicExpressionExt<KoalaBear, EF>: Algebra<EF>,
{
    let table = |air| TableShape::from_air::<KoalaBear, EF, _>(air, shape.log_height());
    KeccakTable::ALL.iter().map(table).collect()
}

#[allow(
    dead_code,
    reason = "the test that compares the docs includes this file as a module"
)]
fn main() -> Result<(), SecurityError> {
    println!("{}\n{}", ratings()?, alternatives()?);
    Ok(())
}
