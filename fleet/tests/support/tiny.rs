//! The Keccak-256 machine at tiny parameters that exist only in tests: the same circuits, with proofs worth nothing.

#[path = "../../../aggregator/tests/trees/tiny.rs"]
mod layers;

use starkwright_aggregator::node::{Keys, Layers};
use starkwright_aggregator::steps::{StepProver, StepVerifier};
use starkwright_fleet::keccak::{KeccakMachine, KeccakProver};
use starkwright_fleet::task::MachineId;
use starkwright_hal::Cpu;
use starkwright_prover::keccak_file::Val;
use starkwright_prover::profile::Profile;

use layers::{LAYERS, keys, shape};

/// Blocks of the only segments that the tiny tree takes.
pub const BLOCKS: usize = layers::BLOCKS;

fn heights() -> [usize; 1] {
    [shape().log_height()]
}

/// The keys, for another process.
pub fn keys_text() -> String {
    keys().to_json(Profile::Conjectured100).unwrap()
}

/// Another process's keys, for this one.
pub fn use_keys(text: &str) {
    let keys = Keys::parse(Profile::Conjectured100, text).unwrap();
    layers::KEYS.set(keys).unwrap();
}

pub fn id() -> MachineId {
    MachineId {
        name: "keccak".to_owned(),
        version: "tiny".to_owned(),
    }
}

pub fn verifier() -> StepVerifier {
    StepVerifier::with_layers(&LAYERS, &heights(), keys().clone()).unwrap()
}

pub fn machine() -> KeccakMachine {
    const fn layers(_: Profile) -> Layers {
        LAYERS
    }
    KeccakMachine::with_verifier(id(), verifier(), layers)
}

pub fn prover() -> KeccakProver<Cpu<Val>> {
    let device = Cpu::<Val>::new();
    let prover = StepProver::with_layers(device, &LAYERS, &heights(), keys().clone());
    KeccakProver::with_prover(id(), prover.unwrap())
}
