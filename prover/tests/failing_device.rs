//! A device that fails or computes wrongly: what the prover says, and that the next proof is not harmed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

#[allow(dead_code, unreachable_pub, reason = "hal's own tests use the rest")]
#[path = "../../hal/tests/suite/faulty.rs"]
mod faulty;
mod fibonacci;

use faulty::{Fault, Faulty};
use fibonacci::{Fibonacci, SMALL, fibonacci};
use p3_field::PrimeCharacteristicRing;
use p3_keccak_air::{KeccakAir, generate_trace_rows};
use p3_koala_bear::KoalaBear;
use starkwright_hal::{HalError, Keccak256Merkle, KoalaBear5, Poseidon2Merkle};
use starkwright_prover::ProverError;
use starkwright_prover::prove::{BatchProver, UniProver};

type F = KoalaBear;
type Batch<S> = BatchProver<F, KoalaBear5, S, Faulty<F>, Fibonacci>;

const LOG_HEIGHT: usize = 5;

/// A fault at a place where nothing happens.
fn heal(device: &Faulty<F>) {
    device.plant(Fault::DeviceLost, "nowhere");
}

/// Every operation that a proof uses fails in turn, those among them where p3 allows no error (`rows`, `grind`); each
/// time the same prover makes the right proof afterwards.
#[test]
fn one_failed_proof_does_not_spoil_the_next() {
    let device = Faulty::sound();
    let air = Fibonacci {
        height: 1 << LOG_HEIGHT,
    };
    let prover =
        Batch::<Poseidon2Merkle>::setup(&device, &SMALL, vec![air], vec![LOG_HEIGHT]).unwrap();
    let start = F::from_u32(3);
    let trace = fibonacci(1 << LOG_HEIGHT, start);
    let prove = || prover.prove(&[&trace], &[vec![start]]);
    let wanted = postcard::to_allocvec(&prove().unwrap()).unwrap();

    let keccak = generate_trace_rows::<F>(vec![[7; 25]; 1], 0);
    let uni =
        UniProver::<F, KoalaBear5, Poseidon2Merkle, _, _>::setup(&device, &SMALL, KeccakAir {}, 5)
            .unwrap();
    let prove_uni = || uni.prove(keccak.clone(), &[]);
    let wanted_uni = postcard::to_allocvec(&prove_uni().unwrap()).unwrap();

    for op in [
        "upload",
        "coset_lde",
        "commit",
        "rows",
        "evaluate",
        "grind",
        "reduce",
        "fold",
        "open",
    ] {
        device.plant(Fault::DeviceLost, op);
        for failed in [prove().map(drop), prove_uni().map(drop)] {
            assert!(
                matches!(failed, Err(ProverError::Hal(HalError::DeviceLost { .. }))),
                "{op}: {failed:?}"
            );
        }
        heal(&device);
        assert_eq!(
            postcard::to_allocvec(&prove().unwrap()).unwrap(),
            wanted,
            "{op}"
        );
        let again = postcard::to_allocvec(&prove_uni().unwrap()).unwrap();
        assert_eq!(again, wanted_uni, "{op}");
    }
}

/// A wrong hash is found before anything is proven.
#[test]
fn a_device_with_another_hash_is_refused_at_set_up() {
    fn set_up<S>(device: &Faulty<F>) -> Result<(), ProverError>
    where
        S: starkwright_prover::challenger::Protocol<F, KoalaBear5>,
    {
        let air = Fibonacci {
            height: 1 << LOG_HEIGHT,
        };
        Batch::<S>::setup(device, &SMALL, vec![air], vec![LOG_HEIGHT]).map(drop)
    }
    let device = Faulty::with(Fault::WrongElement, "commit");
    for refused in [
        set_up::<Poseidon2Merkle>(&device),
        set_up::<Keccak256Merkle>(&device),
        UniProver::<F, KoalaBear5, Poseidon2Merkle, _, _>::setup(&device, &SMALL, KeccakAir {}, 5)
            .map(drop),
    ] {
        assert!(
            matches!(
                refused,
                Err(ProverError::Hal(HalError::Mismatch { op: "commit", .. }))
            ),
            "{refused:?}"
        );
    }
    heal(&device);
    set_up::<Poseidon2Merkle>(&device).unwrap();
}
