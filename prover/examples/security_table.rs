//! Prints the table of `docs/security.md`: what every listed shape of every machine reaches, term by term.
//!
//! ```text
//! cargo run -p starkwright-prover --example security_table
//! ```

use p3_field::ExtensionField;
use p3_field::extension::{BinomialExtensionField, QuinticTrinomialExtensionField};
use p3_koala_bear::KoalaBear;
use starkwright_prover::ProverError;
use starkwright_prover::machine::keccak::{KeccakTable, SegmentShape};
use starkwright_prover::profile::Profile;
use starkwright_prover::proof_size::expected_proof_bytes;
use starkwright_prover::security::{Arithmetic, CommitmentHash, TableShape, require};

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

/// The table in Markdown, one row for each profile and listed height.
pub fn table() -> Result<String, ProverError> {
    let mut lines = vec![
        format!(
            "| profile | rows | blocks | {} | margin | **bits** | limited by | regime | proof |",
            TERMS.join(" | ")
        ),
        format!("|{}", "---|".repeat(TERMS.len() + 8)),
    ];
    for profile in Profile::ALL {
        for shape in SegmentShape::all() {
            lines.push(match profile {
                Profile::Proven100 => {
                    row::<QuinticTrinomialExtensionField<KoalaBear>>(profile, shape)?
                }
                Profile::Conjectured100 => {
                    row::<BinomialExtensionField<KoalaBear, 4>>(profile, shape)?
                }
            });
        }
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}

fn row<EF>(profile: Profile, shape: SegmentShape) -> Result<String, ProverError>
where
    EF: ExtensionField<KoalaBear>,
    p3_air::SymbolicExpressionExt<KoalaBear, EF>: p3_field::Algebra<EF>,
{
    let log_height = shape.log_height();
    let tables =
        KeccakTable::ALL.map(|air| TableShape::from_air::<KoalaBear, EF, _>(&air, log_height));
    let security = require(profile, &Arithmetic::new::<KoalaBear>(HASH), &tables)?;
    let terms = TERMS.map(|label| {
        let term = security.terms.iter().find(|term| term.label == label);
        term.map_or_else(|| "–".to_owned(), |term| format!("{:.1}", term.bits))
    });
    Ok(format!(
        "| `{profile}` | 2^{log_height} | {} | {} | {} | **{:.1}** | {} | {} | {:.2} MB |",
        shape.capacity(),
        terms.join(" | "),
        security.margin_bits,
        security.bits,
        security.binding_term,
        security.regime,
        expected_proof_bytes(&profile.leaf(), HASH, &tables) / 1e6,
    ))
}

#[allow(
    dead_code,
    reason = "the test that compares the docs includes this file as a module"
)]
fn main() -> Result<(), ProverError> {
    print!("{}", table()?);
    Ok(())
}
