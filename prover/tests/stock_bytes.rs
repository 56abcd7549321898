//! Proofs made through the device interface equal those of stock p3, byte for byte, and stock p3 verifies them.
//!
//! The oracle is p3's own commitment scheme under a challenger that grinds for the smallest witness.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

mod fibonacci;

use fibonacci::{Fibonacci, SMALL, fibonacci};
use p3_batch_stark::{ProverData, StarkInstance, prove_batch};
use p3_field::PrimeCharacteristicRing;
use p3_uni_stark::{prove_with_preprocessed, setup_preprocessed};
use starkwright_hal::*;
use starkwright_prover::prove::{
    BatchProver, BatchVerifier, UniProver, UniVerifier, oracle_config,
};

macro_rules! batch {
    ($name:ident, $F:ty, $E:ty, $S:ty) => {
        #[test]
        fn $name() {
            let logs = [6usize, 4];
            let airs: Vec<_> = logs
                .iter()
                .map(|&log| Fibonacci { height: 1 << log })
                .collect();
            let starts = [<$F>::from_u32(5), <$F>::from_u32(7)];
            let traces: Vec<_> = logs
                .iter()
                .zip(starts)
                .map(|(&log, start)| fibonacci::<$F>(1 << log, start))
                .collect();
            let public: Vec<Vec<$F>> = starts.iter().map(|&start| vec![start]).collect();
            let refs: Vec<_> = traces.iter().collect();

            let prover = BatchProver::<$F, $E, $S, _, _>::setup(
                &Cpu::<$F>::new(),
                &SMALL,
                airs.clone(),
                logs.to_vec(),
            )
            .unwrap();
            let proof = prover.prove(&refs, &public).unwrap();

            let config = oracle_config::<$F, $E, $S>(&SMALL);
            let instances = StarkInstance::new_multiple(&airs, &refs, &public);
            let data = ProverData::from_instances(&config, &instances).unwrap();
            let stock = prove_batch(&config, &instances, &data).unwrap();
            let (ours, theirs) = (
                postcard::to_allocvec(&proof).unwrap(),
                postcard::to_allocvec(&stock).unwrap(),
            );
            assert!(ours == theirs, "proofs differ");

            let verifier =
                BatchVerifier::<$F, $E, $S, _>::setup(&SMALL, airs, logs.to_vec()).unwrap();
            let read = postcard::from_bytes(&ours).unwrap();
            verifier.verify(&read, &public).unwrap();
            prover.verifier().verify(&read, &public).unwrap();
            let mut lie = public.clone();
            lie[0][0] += <$F>::ONE;
            assert!(verifier.verify(&read, &lie).is_err());
        }
    };
}

batch!(koalabear5_poseidon2, KoalaBear, KoalaBear5, Poseidon2Merkle);
batch!(
    koalabear4_poseidon2_wide,
    KoalaBear,
    KoalaBear4,
    Poseidon2WideMerkle
);
batch!(koalabear5_keccak, KoalaBear, KoalaBear5, Keccak256Merkle);
batch!(babybear5_poseidon2, BabyBear, BabyBear5, Poseidon2Merkle);
batch!(babybear4_keccak, BabyBear, BabyBear4, Keccak256Merkle);

use p3_baby_bear::BabyBear;
use p3_koala_bear::KoalaBear;

#[test]
fn a_single_table_of_p3_keccak_air() {
    type F = KoalaBear;
    let air = p3_keccak_air::KeccakAir {};
    let inputs: Vec<[u64; 25]> = (0..2)
        .map(|i| std::array::from_fn(|j| (i * 31 + j) as u64))
        .collect();
    let trace = p3_keccak_air::generate_trace_rows::<F>(inputs, 0);
    let log = 6;
    let prover =
        UniProver::<F, KoalaBear5, Poseidon2Merkle, _, _>::setup(&Cpu::new(), &SMALL, air, log)
            .unwrap();
    let proof = prover.prove(trace.clone(), &[]).unwrap();
    let air = p3_keccak_air::KeccakAir {};
    let config = oracle_config::<F, KoalaBear5, Poseidon2Merkle>(&SMALL);
    let data = setup_preprocessed(&config, &air, log)
        .unwrap()
        .map(|(data, _)| data);
    let stock = prove_with_preprocessed(&config, &air, trace, &[], data.as_ref()).unwrap();
    let (ours, theirs) = (
        postcard::to_allocvec(&proof).unwrap(),
        postcard::to_allocvec(&stock).unwrap(),
    );
    assert!(ours == theirs, "proofs differ");
    let verifier =
        UniVerifier::<F, KoalaBear5, Poseidon2Merkle, _>::setup(&SMALL, air, log).unwrap();
    verifier
        .verify(&postcard::from_bytes(&ours).unwrap(), &[])
        .unwrap();
}
