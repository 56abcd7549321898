//! The Keccak-256 machine at tiny parameters that exist only in tests: the same circuits, with proofs worth nothing.

use std::sync::OnceLock;

use starkwright_aggregator::node::{Keys, Layers, derive_keys};
use starkwright_aggregator::steps::{StepProver, StepVerifier};
use starkwright_fleet::keccak::{KeccakMachine, KeccakProver};
use starkwright_fleet::task::MachineId;
use starkwright_hal::{Cpu, KoalaBear4};
use starkwright_prover::keccak_file::Val;
use starkwright_prover::machine::keccak::SegmentShape;
use starkwright_prover::profile::{LeafParameters, Profile};

const TINY: LeafParameters = LeafParameters {
    extension_degree: 4,
    log_blowup: 1,
    num_queries: 2,
    log_final_poly_len: 1,
    max_log_arity: 3,
    cap_height: 0,
    lookup_pow_bits: 0,
    ood_pow_bits: 0,
    batch_pow_bits: 1,
    commit_pow_bits: 0,
    query_pow_bits: 2,
};

const LAYERS: Layers = Layers {
    leaf: TINY,
    lift: (16, TINY),
    uniform: (14, TINY),
    seal: (13, TINY),
    wrap: (13, TINY),
};

/// Blocks of the only segments that the tiny tree takes.
pub const BLOCKS: usize = 85;

fn heights() -> [usize; 1] {
    [SegmentShape::from_capacity(BLOCKS).unwrap().log_height()]
}

static KEYS: OnceLock<Keys> = OnceLock::new();

/// Derived once a process.
fn keys() -> &'static Keys {
    KEYS.get_or_init(|| {
        derive_keys::<KoalaBear4, _>(&Cpu::<Val>::new(), &LAYERS, &heights(), |_, _| {}).unwrap()
    })
}

/// The keys, for another process.
pub fn keys_text() -> String {
    keys().to_json(Profile::Conjectured100).unwrap()
}

/// Another process's keys, for this one.
pub fn use_keys(text: &str) {
    let keys = Keys::parse(Profile::Conjectured100, text).unwrap();
    KEYS.set(keys).unwrap();
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
