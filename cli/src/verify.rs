//! `starkwright verify`.

use serde::Serialize;
use starkwright_prover::ProverError;
use starkwright_prover::keccak_file::{self, VerifyOptions, VerifyReport};
use starkwright_prover::security::Bits;

use crate::args::VerifyArgs;
use crate::config;
use crate::exit::{DONE, Failure, INVALID};
use crate::output::{self, bytes, hex};

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
    let options = VerifyOptions {
        least: args.profile,
        context: config::context(&args.context)?,
        input: args.input.as_deref(),
    };
    let (verified, code) = match keccak_file::verify(&args.proof, &options) {
        Ok(report) => judged(&report),
        Err(error) => rejected(error)?,
    };
    if args.json {
        output::json(&verified)?;
    } else {
        print(&verified);
    }
    Ok(code)
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
fn rejected(error: ProverError) -> Result<(Verified, u8), Failure> {
    let failure = Failure::from(error);
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
        (true, true) => println!("valid     by stock Plonky3, and complete"),
        (true, false) => println!("PARTIAL   every proof is valid, but they are no whole file"),
        _ => println!("INVALID"),
    }
    if let Some(reason) = &verified.reason {
        println!("reason    {reason}");
    }
    if let Some(digest) = &verified.digest {
        println!("digest    {digest}");
    }
    if let (Some(length), Some(segments)) = (verified.length, verified.segments) {
        println!("length    {length} bytes in {segments} segments");
    }
    if let (Some(profile), Some(bits), Some(term), Some(scope)) = (
        &verified.profile,
        verified.security_bits,
        verified.security_binding_term,
        verified.security_scope,
    ) {
        println!(
            "security  {profile} ({} bits for {scope}, limited by {term}), not zero-knowledge",
            Bits(bits)
        );
    }
    if let Some(size) = verified.proof_bytes {
        println!("proof     {}", bytes(size));
    }
}
