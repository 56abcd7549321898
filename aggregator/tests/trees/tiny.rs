//! Parameters that exist only in tests, of this crate and of the fleet's: the same circuits, with proofs worth nothing.

use std::sync::OnceLock;

use starkwright_aggregator::node::{Keys, Layers, derive_keys};
use starkwright_hal::{Cpu, KoalaBear4};
use starkwright_prover::keccak_file::Val;
use starkwright_prover::machine::keccak::SegmentShape;
use starkwright_prover::profile::LeafParameters;

/// The parameters of every layer.
pub(crate) const TINY: LeafParameters = LeafParameters {
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

/// The layers, at the heights that their circuits have with them.
pub(crate) const LAYERS: Layers = Layers {
    leaf: TINY,
    lift: (16, TINY),
    uniform: (14, TINY),
    seal: (13, TINY),
    wrap: (13, TINY),
};

/// Blocks of the only segments that the tiny tree takes.
pub(crate) const BLOCKS: usize = 85;

/// Their shape.
pub(crate) fn shape() -> SegmentShape {
    SegmentShape::from_capacity(BLOCKS).unwrap()
}

/// The keys of the layers, where they are known.
pub(crate) static KEYS: OnceLock<Keys> = OnceLock::new();

/// The keys of the layers: derived once a process.
pub(crate) fn keys() -> &'static Keys {
    KEYS.get_or_init(|| {
        let heights = [shape().log_height()];
        derive_keys::<KoalaBear4, _>(&Cpu::<Val>::new(), &LAYERS, &heights, |name, circuit| {
            println!("{name}: {:?}", circuit.cost());
        })
        .unwrap()
    })
}
