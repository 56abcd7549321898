//! Whole proofs of Keccak segments, against stock p3's prover.

use std::time::Instant;

use p3_air::BaseAir;
use starkwright_hal::{Backend, HalField, KoalaBear5};
use starkwright_prover::ProverError;
use starkwright_prover::keccak_file::{Merkle, Val};
use starkwright_prover::machine::Machine;
use starkwright_prover::machine::keccak::{
    KeccakMachine, KeccakTable, SegmentShape, SegmentTrace, Segmenter,
};
use starkwright_prover::phases::Phase;
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
            let trace = trace(&segment)?;
            let public_values = [Vec::new(), trace.public_values];
            ours.prove(&[&trace.permutation, &trace.sponge], &public_values)
        },
    )?;
    // The shares are those of one more proof, which waits between extension and tree.
    ours.split_phases();
    let start = Instant::now();
    let last = trace(&segment)?;
    let generation = start.elapsed().as_secs_f64();
    let _ = ours.take_phases();
    ours.prove(
        &[&last.permutation, &last.sponge],
        &[Vec::new(), last.public_values],
    )?;
    let mut shares = ours.take_phases();
    shares.insert(Phase::Trace, generation);
    let width: usize = KeccakMachine::tables()
        .iter()
        .map(BaseAir::<Val>::width)
        .sum();
    let work = Work {
        kernel: "prove-keccak",
        field: Val::NAME,
        shape: format!("2^{}x{width}", shape.log_height()),
        amount: blocks as f64,
        unit: "blocks/s",
        bytes: None,
        roof_share: None,
        shares: Some(shares),
    };
    Ok(Row::new(&device.caps(), work, &measured))
}
