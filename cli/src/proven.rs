//! What is printed of a new proof about a range of items, whoever made it: `aggregate`, or a private fleet.

use serde::Serialize;
use starkwright_aggregator::statement::TreeStatement;
use starkwright_prover::profile::Profile;
use starkwright_prover::security::Security;

use crate::exit::Failure;
use crate::memory;
use crate::output::{self, bytes, digits};

/// A new proof, and how it was made.
pub(crate) struct Proven<'a, T> {
    pub(crate) statement: &'a TreeStatement,
    pub(crate) profile: Profile,
    pub(crate) security: &'a Security,
    pub(crate) proof_bytes: u64,
    pub(crate) backend: String,
    pub(crate) seconds: f64,
    /// What only one way of making it counts: a line for people, and fields for programs.
    pub(crate) line: String,
    pub(crate) counts: T,
}

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct Row<T> {
    first: u64,
    count: u64,
    old: String,
    new: String,
    list: String,
    #[serde(flatten)]
    counts: T,
    backend: String,
    profile: String,
    security_bits: f64,
    security_binding_term: &'static str,
    security_scope: &'static str,
    zero_knowledge: bool,
    proof_bytes: u64,
    prove_s: f64,
    peak_host_bytes: Option<u64>,
    valid: bool,
    complete: bool,
}

impl<T: Serialize> Proven<'_, T> {
    pub(crate) fn print(self, json: bool) -> Result<(), Failure> {
        let statement = self.statement;
        if json {
            return output::json(&Row {
                first: statement.first_index,
                count: statement.count,
                old: digits(&statement.begin),
                new: digits(&statement.end),
                list: digits(&statement.list),
                counts: self.counts,
                backend: self.backend,
                profile: self.profile.to_string(),
                security_bits: self.security.bits,
                security_binding_term: self.security.binding_term,
                security_scope: self.profile.scope(),
                zero_knowledge: false,
                proof_bytes: self.proof_bytes,
                prove_s: self.seconds,
                peak_host_bytes: memory::peak_bytes(),
                valid: true,
                complete: true,
            });
        }
        output::range(statement);
        say!("{}", self.line);
        output::security(self.profile, self.security);
        say!("proof     {}", bytes(self.proof_bytes));
        say!("time      {:.2} s", self.seconds);
        say!(
            "memory    {} host peak",
            memory::peak_bytes().map_or_else(|| "unknown".to_owned(), bytes)
        );
        Ok(())
    }
}
