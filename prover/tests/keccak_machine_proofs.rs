//! Small proofs of the Keccak-256 machine with stock p3: what the constraints say is what
//! `p3-batch-stark` proves.
//!
//! The FRI parameters here are for speed, not for security.

#![allow(clippy::unwrap_used, reason = "tests")]

use p3_baby_bear::{BabyBear, Poseidon2BabyBear, default_babybear_poseidon2_16};
use p3_batch_stark::{ProverData, StarkInstance, prove_batch, verify_batch};
use p3_challenger::DuplexChallenger;
use p3_commit::ExtensionMmcs;
use p3_dft::Radix2DitParallel;
use p3_field::extension::{BinomialExtensionField, QuinticTrinomialExtensionField};
use p3_field::{Field, PrimeCharacteristicRing};
use p3_fri::{FriParameters, TwoAdicFriPcs};
use p3_koala_bear::{KoalaBear, Poseidon2KoalaBear, default_koalabear_poseidon2_16};
use p3_merkle_tree::MerkleTreeMmcs;
use p3_symmetric::{PaddingFreeSponge, TruncatedPermutation};
use p3_uni_stark::StarkConfig;
use starkwright_prover::machine::Machine;
use starkwright_prover::machine::keccak::{
    KeccakMachine, KeccakTable, Segment, SegmentShape, SegmentTrace, Segmenter, chain,
    public_values as pv,
};

/// All segments of a file, of the smallest shape.
fn segments(file: &[u8]) -> Vec<Segment> {
    let shape = SegmentShape::from_capacity(85).unwrap();
    Segmenter::new(file, shape, [0; 8])
        .collect::<Result<_, _>>()
        .unwrap()
}

/// Proves the segments with stock p3 and verifies them; then changes each kind of public value and
/// expects the verifier to refuse.
macro_rules! stock_proofs {
    ($name:ident, $field:ty, $extension:ty, $permutation:ty, $new_permutation:path) => {
        fn $name(segments: &[Segment], log_blowup: usize) {
            type Hash = PaddingFreeSponge<$permutation, 16, 8, 8>;
            type Compress = TruncatedPermutation<$permutation, 2, 8, 16>;
            type Packing = <$field as Field>::Packing;
            type Mmcs = MerkleTreeMmcs<Packing, Packing, Hash, Compress, 2, 8>;
            type ChallengeMmcs = ExtensionMmcs<$field, $extension, Mmcs>;
            type Pcs = TwoAdicFriPcs<$field, Radix2DitParallel<$field>, Mmcs, ChallengeMmcs>;
            type Challenger = DuplexChallenger<$field, $permutation, 16, 8>;

            let permutation = $new_permutation();
            let mmcs = Mmcs::new(
                Hash::new(permutation.clone()),
                Compress::new(permutation.clone()),
                0,
            );
            let fri = FriParameters {
                log_blowup,
                log_final_poly_len: 0,
                max_log_arity: 3,
                num_queries: 2,
                batch_proof_of_work_bits: 0,
                commit_proof_of_work_bits: 0,
                query_proof_of_work_bits: 0,
                mmcs: ChallengeMmcs::new(mmcs.clone()),
            };
            let pcs = Pcs::new(Radix2DitParallel::default(), mmcs, fri);
            let config: StarkConfig<Pcs, $extension, Challenger> =
                StarkConfig::new(pcs, Challenger::new(permutation));

            for segment in segments {
                let trace = SegmentTrace::<$field>::generate(segment).unwrap();
                let public = KeccakMachine::public_values::<$field>(&segment.statement).unwrap();
                assert_eq!(public[1], trace.public_values);
                let instances = [
                    StarkInstance {
                        air: &KeccakTable::ALL[0],
                        trace: &trace.permutation,
                        public_values: public[0].clone(),
                    },
                    StarkInstance {
                        air: &KeccakTable::ALL[1],
                        trace: &trace.sponge,
                        public_values: public[1].clone(),
                    },
                ];
                let data = ProverData::from_instances(&config, &instances).unwrap();
                let proof = prove_batch(&config, &instances, &data).unwrap();
                let verify = |public: &[Vec<$field>]| {
                    verify_batch(&config, &KeccakTable::ALL, &proof, public, &data.common)
                };
                verify(&public).unwrap();
                for index in [
                    pv::ID,
                    pv::VERSION,
                    pv::CONTEXT,
                    pv::INDEX,
                    pv::STATE_BEFORE,
                    pv::STATE_AFTER,
                    pv::BLOCKS_BEFORE,
                    pv::BLOCKS_AFTER,
                    pv::BYTES_BEFORE,
                    pv::BYTES_AFTER,
                    pv::FIRST,
                    pv::LAST,
                ] {
                    let mut other = public.clone();
                    other[1][index] = <$field>::ONE - other[1][index];
                    assert!(verify(&other).is_err(), "public value {index}");
                }
            }
            chain(
                &segments
                    .iter()
                    .map(|s| s.statement.clone())
                    .collect::<Vec<_>>(),
            )
            .unwrap();
        }
    };
}

stock_proofs!(
    koala_bear,
    KoalaBear,
    QuinticTrinomialExtensionField<KoalaBear>,
    Poseidon2KoalaBear<16>,
    default_koalabear_poseidon2_16
);
stock_proofs!(
    baby_bear,
    BabyBear,
    BinomialExtensionField<BabyBear, 4>,
    Poseidon2BabyBear<16>,
    default_babybear_poseidon2_16
);

#[test]
fn one_segment() {
    koala_bear(&segments(b"abc"), 2);
    baby_bear(&segments(b""), 1);
}

#[test]
fn several_segments() {
    let file: Vec<u8> = (0..85 * 136 + 1000_u32)
        .map(|i| ((i * i) >> 5) as u8)
        .collect();
    let mut segments = segments(&file);
    assert_eq!(segments.len(), 2);
    for segment in &mut segments {
        segment.statement.context = [1, 2, 3, 4, 5, 6, 7, 8];
    }
    koala_bear(&segments, 1);
}
