//! Real proofs as bytes: their expected size and their one encoding.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use p3_koala_bear::KoalaBear;
use starkwright_hal::{Cpu, Extension, KoalaBear4, KoalaBear5, Poseidon2Merkle};
use starkwright_prover::machine::keccak::{KeccakTable, SegmentShape, SegmentTrace, Segmenter};
use starkwright_prover::profile::Profile;
use starkwright_prover::proof_file::{ProofFileError, decode, encode};
use starkwright_prover::proof_size::expected_proof_bytes;
use starkwright_prover::prove::{BatchProver, StockBatchProof};
use starkwright_prover::security::{CommitmentHash, TableShape};

/// A segment of 85 blocks of an input that does not matter, proven on the CPU, as bytes; and the shapes of its tables.
fn prove<E: Extension<KoalaBear>>(profile: Profile) -> (Vec<u8>, Vec<TableShape>)
where
    SymbolicExpressionExt<KoalaBear, E>: Algebra<E>,
{
    let shape = SegmentShape::from_log_height(11).unwrap();
    let segment = Segmenter::new(&[0xa5; 9000][..], shape, [0; 8])
        .next()
        .unwrap()
        .unwrap();
    let trace = SegmentTrace::<KoalaBear>::generate(&segment).unwrap();
    let airs = KeccakTable::ALL.to_vec();
    let shapes = airs
        .iter()
        .map(|air| TableShape::from_air::<KoalaBear, E, _>(air, 11))
        .collect();
    let prover = BatchProver::<KoalaBear, E, Poseidon2Merkle, _, _>::setup(
        &Cpu::new(),
        &profile.leaf(),
        airs,
        vec![11; 2],
    )
    .unwrap();
    let traces = [&trace.permutation, &trace.sponge];
    let proof = prover
        .prove(&traces, &[Vec::new(), trace.public_values.clone()])
        .unwrap();
    (encode(&proof).unwrap(), shapes)
}

fn expectation_holds(profile: Profile, bytes: &[u8], shapes: &[TableShape]) {
    let expected = expected_proof_bytes(&profile.leaf(), CommitmentHash::Poseidon2, shapes);
    let error = bytes.len() as f64 / expected - 1.0;
    assert!(
        error.abs() < 0.01,
        "{profile}: {} bytes, {expected:.0} expected",
        bytes.len()
    );
}

#[test]
fn a_proven_leaf_is_as_large_as_expected() {
    let (bytes, shapes) = prove::<KoalaBear5>(Profile::Proven100);
    expectation_holds(Profile::Proven100, &bytes, &shapes);
}

#[test]
fn a_conjectured_leaf_is_as_large_as_expected_and_has_one_encoding() {
    type Proof = StockBatchProof<KoalaBear, KoalaBear4, Poseidon2Merkle>;
    let (bytes, shapes) = prove::<KoalaBear4>(Profile::Conjectured100);
    expectation_holds(Profile::Conjectured100, &bytes, &shapes);

    let proof: Proof = decode(&bytes).unwrap();
    assert_eq!(encode(&proof).unwrap(), bytes);

    // The first byte is the length of the commitment's cap, one digest. In two bytes it means the same to postcard.
    assert_eq!(bytes[0], 1);
    let longer = [&[0x81, 0x00], &bytes[1..]].concat();
    assert!(postcard::from_bytes::<Proof>(&longer).is_ok());
    assert!(matches!(
        decode::<Proof>(&longer),
        Err(ProofFileError::NotCanonical { offset: 0 })
    ));

    for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        assert!(matches!(
            decode::<Proof>(&bytes[..cut]),
            Err(ProofFileError::Undecodable { .. })
        ));
    }
    let trailing = [&bytes[..], &[0]].concat();
    assert!(matches!(
        decode::<Proof>(&trailing),
        Err(ProofFileError::TrailingBytes { .. })
    ));
}
