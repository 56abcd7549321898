//! `docs/security.md` holds the figures that the code computes.

#[path = "../examples/security_table.rs"]
mod security_table;

use std::{env, fs};

const BEGIN: &str = "<!-- security table: begin -->\n";
const END: &str = "<!-- security table: end -->\n";

/// With `UPDATE_DOCS=1` the table in the docs is replaced instead.
#[test]
fn the_documented_table_is_the_computed_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/security.md");
    let docs = fs::read_to_string(path).unwrap();
    let (before, rest) = docs
        .split_once(BEGIN)
        .expect("the docs mark where the table begins");
    let (documented, after) = rest
        .split_once(END)
        .expect("the docs mark where the table ends");
    let computed = security_table::table().unwrap();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, format!("{before}{BEGIN}{computed}{END}{after}")).unwrap();
    } else {
        assert_eq!(documented, computed, "run this test with UPDATE_DOCS=1");
    }
}
