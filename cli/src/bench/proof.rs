//! Whole proofs of Keccak segments, against stock p3's prover.

use p3_air::BaseAir;
use starkwright_hal::{Backend, KoalaBear5};
use starkwright_prover::ProverError;
use starkwright_prover::keccak_file::{Merkle, Val};
use starkwright_prover::machine::Machine;
use starkwright_prover::machine::keccak::{
    KeccakMachine, KeccakTable, SegmentShape, SegmentTrace, Segmenter,
};
use starkwright_prover::phases::{Phase, Phases};
use starkwright_prover::profile::Profile;
use starkwright_prover::prove::{BatchProver, StockBatchProver};

use super::row::{Row, Work};
use super::timing::compare;

type Prover<B> = BatchProver<Val, KoalaBear5, Merkle, B, KeccakTable>;

/// A warm proof of one full segment against a warm proof by stock p3, trace generation included on both sides.
pub(super) fn measure<B: Backend<Val>>(
    device: &B,
    blocks: usize,
    quick: bool,
) -> Result<Row, ProverError> {
    let shape = SegmentShape::from_capacity(blocks).ok_or_else(|| ProverError::Shape {
        why: format!("no shape of {blocks} blocks"),
    })?;
    let bytes: Vec<u8> = (0..blocks * 136 - 1)
        .map(|i| ((i * 131) >> 3) as u8)
        .collect();
    let segment = Segmenter::new(bytes.as_slice(), shape, [0; 8])
        .next()
        .transpose()
        .map_err(|error| ProverError::Shape {
            why: error.to_string(),
        })?
        .ok_or_else(|| ProverError::Shape {
            why: "no segment".to_owned(),
        })?;
    let trace = |segment| {
        SegmentTrace::<Val>::generate(segment).map_err(|error| ProverError::Shape {
            why: error.to_string(),
        })
    };
    let heights = vec![shape.log_height(); 2];
    let parameters = Profile::Proven100.leaf();
    // Stock p3, with the rule of the smallest witness on both sides.
    let stock = StockBatchProver::<Val, KoalaBear5, Merkle, KeccakTable>::setup(
        &parameters,
        KeccakMachine::tables(),
        &heights,
    )?;
    let ours = Prover::<B>::setup(device, &parameters, KeccakMachine::tables(), heights)?;
    let phases = Phases::default();
    let mut generation = f64::NAN;
    let measured = compare(
        device,
        if quick { 3 } else { 5 },
        || (),
        |()| {
            let trace = trace(&segment)?;
            let public_values = [Vec::new(), trace.public_values];
            stock.prove(&[&trace.permutation, &trace.sponge], &public_values)
        },
        |()| {
            phases.start();
            let trace = trace(&segment)?;
            phases.lap(Phase::Trace);
            let public_values = [Vec::new(), trace.public_values];
            generation = phases
                .take()
                .get(&Phase::Trace)
                .copied()
                .unwrap_or(f64::NAN);
            // Phases of the last repetition are the ones shown.
            let _ = ours.take_phases();
            ours.prove(&[&trace.permutation, &trace.sponge], &public_values)
        },
    )?;
    let mut shares = ours.take_phases();
    shares.insert(Phase::Trace, generation);
    let width: usize = KeccakMachine::tables()
        .iter()
        .map(BaseAir::<Val>::width)
        .sum();
    let work = Work {
        kernel: "prove-keccak",
        shape: format!("2^{}x{width}", shape.log_height()),
        amount: blocks as f64,
        unit: "blocks/s",
        roof_share: None,
        shares: Some(shares),
    };
    Ok(Row::new(&device.caps(), work, &measured))
}
