//! `docs/security.md` holds the figures that the code computes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

#[path = "../examples/security_table.rs"]
mod security_table;

use std::{env, fs};

use starkwright_hal::KoalaBear5;
use starkwright_prover::machine::keccak::{KeccakTable, LOG_HEIGHTS};
use starkwright_prover::security::check_setup;

/// Compares the text between the marks of `name` in the docs; with `UPDATE_DOCS=1` replaces it instead.
fn compare(name: &str, computed: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/security.md");
    let docs = fs::read_to_string(path).unwrap();
    let begin = format!("<!-- {name}: begin -->\n");
    let end = format!("<!-- {name}: end -->\n");
    let (before, rest) = docs
        .split_once(&begin)
        .expect("the docs mark where the table begins");
    let (documented, after) = rest
        .split_once(&end)
        .expect("the docs mark where the table ends");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, format!("{before}{begin}{computed}{end}{after}")).unwrap();
    } else {
        assert_eq!(documented, computed, "run this test with UPDATE_DOCS=1");
    }
}

/// One test for both tables: they stand in the same file.
#[test]
fn the_documented_figures_are_the_computed_ones() {
    compare("security table", &security_table::ratings().unwrap());
    compare("alternatives", &security_table::alternatives().unwrap());
}

/// As the docs say: every bounded lookup count of our machines has constraints behind it.
#[test]
fn no_count_of_the_keccak_machine_is_open() {
    for log_height in LOG_HEIGHTS {
        let open = check_setup::<p3_koala_bear::KoalaBear, KoalaBear5, _>(
            &KeccakTable::ALL,
            &[log_height; 2],
        );
        assert_eq!(open.unwrap(), []);
    }
}
