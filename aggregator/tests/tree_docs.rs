//! `docs/soundness.md` holds the figures that the code computes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may")]

use std::fmt::Write;
use std::{env, fs};

use starkwright_aggregator::node::{Layers, rate_layers};
use starkwright_hal::{KoalaBear4, KoalaBear5};
use starkwright_prover::profile::Profile;
use starkwright_prover::security::{Bits, Security};

/// A line for each layer of a profile: parameters, terms, bits.
fn table() -> String {
    let mut text = String::new();
    let mut labels: Vec<&str> = Vec::new();
    let rated = [
        (
            Profile::Proven100,
            rate_layers::<KoalaBear5>(Profile::Proven100),
        ),
        (
            Profile::Conjectured100,
            rate_layers::<KoalaBear4>(Profile::Conjectured100),
        ),
    ];
    for (profile, rated) in rated {
        let rated: Vec<(&str, Security)> = rated.unwrap();
        let layers = Layers::of(profile);
        let layers = [layers.lift, layers.uniform, layers.seal, layers.wrap];
        if text.is_empty() {
            labels = rated[0].1.terms.iter().map(|term| term.label).collect();
            writeln!(
                text,
                "| profile | layer | rows | blow-up | queries | query grinding | {} | margin | **bits** |",
                labels.join(" | ")
            )
            .unwrap();
            writeln!(text, "|{}", "---|".repeat(8 + labels.len())).unwrap();
        }
        for ((name, security), (log_height, parameters)) in rated.iter().zip(layers) {
            let name = if *name == "join" {
                "shrink, join, close"
            } else {
                name
            };
            // The regimes do not have their terms in one order.
            let terms = labels.iter().map(|label| {
                let mut terms = security.terms.iter();
                let term = terms.find(|term| term.label == *label).unwrap();
                Bits(term.bits).to_string()
            });
            writeln!(
                text,
                "| `{profile}` | {name} | 2^{log_height} | {} | {} | {} | {} | {} | **{}** |",
                1 << parameters.log_blowup,
                parameters.num_queries,
                parameters.query_pow_bits,
                terms.collect::<Vec<_>>().join(" | "),
                security.margin_bits,
                Bits(security.bits),
            )
            .unwrap();
        }
    }
    text
}

#[test]
fn the_documented_security_is_the_computed_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/soundness.md");
    let docs = fs::read_to_string(path).unwrap();
    let (begin, end) = ("<!-- layers: begin -->\n", "<!-- layers: end -->\n");
    let (before, rest) = docs.split_once(begin).expect("the mark where it begins");
    let (documented, after) = rest.split_once(end).expect("the mark where it ends");
    let computed = table();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, format!("{before}{begin}{computed}{end}{after}")).unwrap();
    } else {
        assert_eq!(documented, computed, "run this test with UPDATE_DOCS=1");
    }
}
