//! Proofs that were changed, and inputs of other steps.

use sha2::{Digest, Sha256};
use starkwright_aggregator::AggregatorError;
use starkwright_aggregator::aggregate::{VerifyOptions, verify};
use starkwright_aggregator::node_file::NodeFile;
use starkwright_aggregator::steps::{PlannedStep, StepKind};
use starkwright_prover::profile::Profile;

use super::world::World;

/// Truncated, longer, and with a bit flipped: with the checksum as it was, and with one that fits.
pub(crate) fn changed_proofs(world: &World, plan: &[PlannedStep], proofs: &[Vec<u8>]) {
    let mut seen = std::collections::BTreeSet::new();
    for (planned, proof) in plan.iter().zip(proofs) {
        if !seen.insert(planned.step.kind()) {
            continue;
        }
        let refused = |bytes: &[u8], what: &str| {
            let verified = world.verifier.verify(&planned.step, bytes);
            let kind = planned.step.kind().name();
            assert!(verified.is_err(), "{kind}, {what}");
        };
        for end in [0, 1, 16, proof.len() / 2, proof.len() - 1] {
            refused(&proof[..end], "truncated");
        }
        let mut longer = proof.clone();
        longer.push(0);
        refused(&longer, "longer");
        let has_checksum = planned.step.kind().file().is_some();
        let end = proof.len() - if has_checksum { 32 } else { 0 };
        for at in (0..end).step_by(end / 120) {
            let mut bytes = proof[..end].to_vec();
            bytes[at] ^= 1 << (at % 8);
            if has_checksum {
                let mut as_it_was = bytes.clone();
                as_it_was.extend(&proof[end..]);
                refused(&as_it_was, "flipped");
                let checksum = Sha256::digest(&bytes);
                bytes.extend(checksum);
            }
            refused(&bytes, &format!("byte {at}"));
        }
    }
}

/// What a step is not about is refused before anything is proven, and is not said to be the device's fault.
pub(crate) fn other_inputs(
    world: &World,
    plan: &[PlannedStep],
    files: &[Vec<u8>],
    proofs: &[Vec<u8>],
) {
    for planned in plan {
        let refused = |input: Option<&[u8]>, children: &[&[u8]]| {
            let proven = world.prover.prove(&planned.step, input, children);
            let what = planned.step.kind().name();
            match proven {
                Err(AggregatorError::StepInput { .. }) => {}
                other => panic!("{what}: {:?}", other.map(|proof| proof.len())),
            }
        };
        let children: Vec<&[u8]> = planned
            .children
            .iter()
            .map(|&child| proofs[child].as_slice())
            .collect();
        if let Some(range) = planned.input {
            let file = &files[range.file];
            let bytes = &file[range.offset as usize..][..range.length as usize];
            let mut other = bytes.to_vec();
            other[10] ^= 1;
            refused(Some(&other), &[]);
            refused(Some(&bytes[1..]), &[]);
            refused(None, &[]);
            refused(Some(bytes), &[&proofs[0]]);
            continue;
        }
        refused(Some(b"bytes"), &children);
        refused(None, &[]);
        refused(None, &children[1..]);
        if let [left, right] = children[..] {
            refused(None, &[right, left]);
            refused(None, &[left]);
            refused(None, &[left, left]);
        }
        // Another step's proof in place of the first child, and a damaged one.
        for proof in proofs {
            if proof.as_slice() != children[0] {
                let mut others = children.clone();
                others[0] = proof;
                refused(None, &others);
            }
        }
        let mut damaged = children[0].to_vec();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        let mut others = children.clone();
        others[0] = &damaged;
        refused(None, &others);
    }
}

/// `starkwright verify` takes roots of trees alone, whatever a lift's file says of itself.
pub(crate) fn a_lift_as_a_file(plan: &[PlannedStep], proofs: &[Vec<u8>]) {
    let is_lift = |step: &PlannedStep| matches!(step.step.kind(), StepKind::Lift { .. });
    let lift = plan.iter().position(is_lift).unwrap();
    let mut file = NodeFile::from_bytes(&proofs[lift]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lift");
    let options = VerifyOptions {
        least: Profile::Conjectured100,
        context: [5; 8],
        inputs: &[],
    };
    let refused = |file: &NodeFile| {
        file.write(&path).unwrap();
        let why = verify(&path, &options).unwrap_err().to_string();
        assert!(why.contains("it is about segments"), "{why}");
    };
    refused(&file);
    let wrap = NodeFile::from_bytes(proofs.last().unwrap()).unwrap();
    file.statement = wrap.statement;
    refused(&file);
}
