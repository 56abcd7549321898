//! At a profile's own parameters: the same bytes as prove, aggregate and wrap give.

use std::fs;
use std::path::PathBuf;

use starkwright_aggregator::aggregate::{
    AggregateOptions, Interrupted, Progress, VerifyOptions, Work, aggregate, verify, wrap,
};
use starkwright_aggregator::steps::{StepProver, StepVerifier};
use starkwright_hal::Cpu;
use starkwright_prover::keccak_file::{self, Estimate, ProveOptions};
use starkwright_prover::profile::Profile;
use starkwright_prover::security::Security;

use super::world::{file, options, prove};

struct Unwatched;

impl keccak_file::Progress for Unwatched {
    fn begins(&mut self, _: &Estimate, _: &Security) {}

    fn segment(&mut self, _: u64, _: bool) -> Result<(), keccak_file::Interrupted> {
        Ok(())
    }
}

impl Progress for Unwatched {
    fn begins(&mut self, _: u64, _: u64) {}

    fn done(&mut self, _: Work) -> Result<(), Interrupted> {
        Ok(())
    }
}

/// Takes minutes: only where there is time.
#[test]
fn steps_give_the_bytes_of_prove_aggregate_and_wrap() {
    if std::env::var_os("STARKWRIGHT_LONG").is_none() {
        return;
    }
    let profile = Profile::Conjectured100;
    let options = options(profile);
    let files = [file(1), file(2)];
    let device = Cpu::new();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, file: usize| folder.path().join(format!("{name}{file}"));
    let mut inputs: Vec<PathBuf> = Vec::new();
    let mut proof_files: Vec<PathBuf> = Vec::new();
    for (number, bytes) in files.iter().enumerate() {
        let (input, output) = (path("input", number), path("proof", number));
        fs::write(&input, bytes).unwrap();
        let how = ProveOptions {
            profile,
            context: options.context,
            shape: options.shape,
            resume: false,
        };
        keccak_file::prove(&device, &input, &output, &how, &mut Unwatched).unwrap();
        inputs.push(input);
        proof_files.push(output);
    }
    let how = AggregateOptions {
        first: options.first,
        old: options.old,
        context: options.context,
        workers: 1,
        resume: false,
    };
    let (root, wrapped) = (path("root", 0), path("wrap", 0));
    aggregate(&device, &proof_files, &root, &how, &mut Unwatched).unwrap();
    wrap(&device, &root, &wrapped, &|| Ok(())).unwrap();

    let verifier = StepVerifier::new();
    let open = |file: usize| Ok(files[file].as_slice());
    let plan = verifier.plan(files.len(), open, &options).unwrap();
    let proofs = prove(&StepProver::new(device), &plan, &files, |step, proof| {
        verifier.verify(step, proof).unwrap();
    });
    let by_steps = proofs.last().unwrap();
    assert!(*by_steps == fs::read(&wrapped).unwrap());
    let again = path("steps", 0);
    fs::write(&again, by_steps).unwrap();
    let how = VerifyOptions {
        least: profile,
        context: options.context,
        inputs: &inputs,
    };
    verify(&again, &how).unwrap();
}
