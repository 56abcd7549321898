//! `starkwright verify`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Serialize;
use starkwright_aggregator::aggregate;
use starkwright_aggregator::node_file::NodeFile;
use starkwright_prover::keccak_file::{self, VerifyOptions, VerifyReport};
use starkwright_prover::security::Bits;

use crate::args::VerifyArgs;
use crate::config;
use crate::exit::{DONE, Failure, INVALID};
use crate::output::{self, bytes, digits, hex};

/// The object that `--json` prints.
#[derive(Debug, Default, Serialize)]
struct Verified {
    valid: bool,
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<u64>,
    /// Of an aggregated file: whether it is a join, a close or a wrap.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    /// Of an aggregated file: the first item's index, and how many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    /// Of an aggregated file: the accumulator before and after the items, and the digest of their list.
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_bits: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_binding_term: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_scope: Option<&'static str>,
    zero_knowledge: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof_bytes: Option<u64>,
    /// Why the proof is invalid or partial.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(crate) fn run(args: &VerifyArgs) -> Result<u8, Failure> {
    let context = config::context(&args.context)?;
    let (verified, code) = if is_aggregated(&args.proof) {
        let options = aggregate::VerifyOptions {
            least: args.profile,
            context,
            inputs: &args.input,
        };
        match aggregate::verify(&args.proof, &options) {
            Ok(report) => (aggregated(&report), DONE),
            Err(error) => rejected(error)?,
        }
    } else {
        let options = VerifyOptions {
            least: args.profile,
            context,
            input: match args.input.as_slice() {
                [] => None,
                [input] => Some(input),
                _ => {
                    let why = "a proof file is about one file: give one --input";
                    return Err(Failure::usage(why));
                }
            },
        };
        match keccak_file::verify(&args.proof, &options) {
            Ok(report) => judged(&report),
            Err(error) => rejected(error)?,
        }
    };
    if args.json {
        output::json(&verified)?;
    } else {
        print(&verified);
    }
    Ok(code)
}

/// Whether the file is an aggregated one; one that cannot be read is left to whoever reports that.
fn is_aggregated(path: &Path) -> bool {
    // A pipe can be read once only: what comes through one is taken for a proof file.
    if !path.is_file() {
        return false;
    }
    let mut beginning = Vec::new();
    let read = File::open(path).and_then(|file| file.take(4).read_to_end(&mut beginning));
    read.is_ok() && NodeFile::is_one(&beginning)
}

fn aggregated(report: &aggregate::VerifyReport) -> Verified {
    let statement = &report.statement;
    Verified {
        valid: true,
        complete: true,
        kind: Some(report.kind.name()),
        first: Some(statement.first_index),
        count: Some(statement.count),
        old: Some(digits(&statement.begin)),
        new: Some(digits(&statement.end)),
        list: Some(digits(&statement.list)),
        profile: Some(report.profile.to_string()),
        security_bits: Some(report.security.bits),
        security_binding_term: Some(report.security.binding_term),
        security_scope: Some(report.profile.scope()),
        proof_bytes: Some(report.proof_bytes),
        ..Verified::default()
    }
}

fn judged(report: &VerifyReport) -> (Verified, u8) {
    let mut verified = Verified {
        valid: true,
        segments: Some(report.segments),
        profile: Some(report.profile.to_string()),
        security_bits: Some(report.security.bits),
        security_binding_term: Some(report.security.binding_term),
        security_scope: Some(report.profile.scope()),
        proof_bytes: Some(report.proof_bytes),
        ..Verified::default()
    };
    match &report.statement {
        Ok(statement) => {
            verified.complete = true;
            verified.digest = Some(hex(&statement.digest));
            verified.length = Some(statement.length);
            (verified, DONE)
        }
        Err(broken) => {
            verified.reason = Some(broken.to_string());
            (verified, INVALID)
        }
    }
}

/// A proof that does not hold is a result; a file that cannot be read is a failure.
fn rejected(error: impl Into<Failure>) -> Result<(Verified, u8), Failure> {
    let failure: Failure = error.into();
    if failure.code != INVALID {
        return Err(failure);
    }
    Ok((
        Verified {
            reason: Some(failure.message),
            ..Verified::default()
        },
        INVALID,
    ))
}

fn print(verified: &Verified) {
    match (verified.valid, verified.complete) {
        (true, true) => say!("valid     by stock Plonky3, and complete"),
        (true, false) => say!("PARTIAL   every proof is valid, but they are no whole file"),
        _ => say!("INVALID"),
    }
    if let Some(reason) = &verified.reason {
        say!("reason    {reason}");
    }
    if let Some(digest) = &verified.digest {
        say!("digest    {digest}");
    }
    if let (Some(kind), Some(first), Some(count)) = (verified.kind, verified.first, verified.count)
    {
        say!("items     {first} to {} (a {kind})", first + (count - 1));
    }
    if let (Some(old), Some(new)) = (&verified.old, &verified.new) {
        say!("old       {old}");
        say!("new       {new}");
    }
    if let (Some(length), Some(segments)) = (verified.length, verified.segments) {
        say!("length    {length} bytes in {segments} segments");
    }
    if let (Some(profile), Some(bits), Some(term), Some(scope)) = (
        &verified.profile,
        verified.security_bits,
        verified.security_binding_term,
        verified.security_scope,
    ) {
        say!(
            "security  {profile} ({} bits for {scope}, limited by {term}), not zero-knowledge",
            Bits(bits)
        );
    }
    if let Some(size) = verified.proof_bytes {
        say!("proof     {}", bytes(size));
    }
}
