//! Tiny parameters, their keys, and a prover and a verifier of them.

use p3_field::PrimeCharacteristicRing;
use starkwright_aggregator::AggregatorError;
use starkwright_aggregator::statement::TreeStatement;
use starkwright_aggregator::steps::{PlanOptions, PlannedStep, Step, StepProver, StepVerifier};
use starkwright_hal::Cpu;
use starkwright_prover::keccak_file::Val;
use starkwright_prover::profile::Profile;

use crate::tiny::{LAYERS, keys, shape};

/// Segments of 85 blocks, items from index 6 on.
pub(crate) fn options(profile: Profile) -> PlanOptions {
    PlanOptions {
        profile,
        shape: shape(),
        context: [5; 8],
        first: 6,
        old: [Val::TWO; 8],
    }
}

/// A file that fills so many segments, but for a few bytes.
pub(crate) fn file(segments: usize) -> Vec<u8> {
    (0..segments * 85 * 136 - 17)
        .map(|i| (i * 7 % 251) as u8)
        .collect()
}

pub(crate) struct World {
    pub(crate) prover: StepProver<Cpu<Val>>,
    pub(crate) verifier: Verifier,
}

/// The verifier, without a device.
pub(crate) struct Verifier(StepVerifier);

impl Verifier {
    pub(crate) fn verify(&self, step: &Step, proof: &[u8]) -> Result<(), AggregatorError> {
        self.0.verify(step, proof)
    }

    /// What the plan's last step states.
    pub(crate) fn plan_root(&self, plan: &[PlannedStep]) -> TreeStatement {
        let root = &plan.last().unwrap().step;
        root.statement(&[Val::ZERO; 8]).unwrap()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let device = Cpu::<Val>::new();
        let heights = [11];
        let keys = keys().clone();
        let verifier = StepVerifier::with_layers(&LAYERS, &heights, keys.clone()).unwrap();
        Self {
            prover: StepProver::with_layers(device, &LAYERS, &heights, keys).unwrap(),
            verifier: Verifier(verifier),
        }
    }

    pub(crate) fn plan(&self, files: &[Vec<u8>]) -> Result<Vec<PlannedStep>, AggregatorError> {
        let open = |file: usize| Ok(files[file].as_slice());
        let options = options(Profile::Conjectured100);
        self.verifier.0.plan(files.len(), open, &options)
    }

    /// The proofs of all steps, in order, each verified.
    pub(crate) fn prove(&self, plan: &[PlannedStep], files: &[Vec<u8>]) -> Vec<Vec<u8>> {
        prove(&self.prover, plan, files, |step, proof| {
            self.verifier.verify(step, proof).unwrap();
        })
    }
}

/// Takes steps in order, through bytes alone.
pub(crate) fn prove(
    prover: &StepProver<Cpu<Val>>,
    plan: &[PlannedStep],
    files: &[Vec<u8>],
    verify: impl Fn(&Step, &[u8]),
) -> Vec<Vec<u8>> {
    let mut proofs: Vec<Vec<u8>> = Vec::new();
    for planned in plan {
        let step = Step::from_bytes(&planned.step.to_bytes().unwrap()).unwrap();
        let input = planned.input.map(|range| {
            let end = range.offset + range.length;
            &files[range.file][range.offset as usize..end as usize]
        });
        let children: Vec<&[u8]> = planned
            .children
            .iter()
            .map(|&child| proofs[child].as_slice())
            .collect();
        let proof = prover.prove(&step, input, &children).unwrap();
        verify(&step, &proof);
        proofs.push(proof);
    }
    proofs
}
