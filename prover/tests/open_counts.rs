//! A foreign AIR whose lookup counts declare bounds that no constraint is found for: refused, unless asked for by name.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod fibonacci;

use fibonacci::SMALL;
use p3_air::{Air, BaseAir, WindowAccess};
use p3_koala_bear::KoalaBear;
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::dense::RowMajorMatrix;
use starkwright_hal::{Cpu, HalField, KoalaBear5, Poseidon2Merkle};
use starkwright_prover::ProverError;
use starkwright_prover::prove::{BatchProver, BatchVerifier};
use starkwright_prover::security::{OpenCount, SecurityError, SetupError};

type F = KoalaBear;
type Prover = BatchProver<F, KoalaBear5, Poseidon2Merkle, Cpu<F>, Asks>;
type Verifier = BatchVerifier<F, KoalaBear5, Poseidon2Merkle, Asks>;

/// Asks for each value as often as the second column says, and provides it as often as the third does.
#[derive(Clone)]
struct Asks {
    bounded: bool,
}

impl<F> BaseAir<F> for Asks {
    fn width(&self) -> usize {
        3
    }
}

impl<AB: InteractionBuilder> Air<AB> for Asks
where
    AB::F: HalField,
{
    fn eval(&self, builder: &mut AB) {
        let main = builder.main();
        let row = main.current_slice();
        let (value, asks, gives) = (row[0], row[1], row[2]);
        if self.bounded {
            builder.assert_bool(asks);
        }
        let asked: AB::Expr = asks.into();
        let given: AB::Expr = gives.into();
        builder.push_interaction("bus", [value.into()], Count::bounded(asked, 1));
        builder.push_interaction("bus", [value.into()], Count::provided(-given));
    }
}

/// The one open count, in an error.
fn refused<T>(result: Result<T, ProverError>) -> Vec<OpenCount> {
    match result.map(drop) {
        Err(ProverError::Security(SecurityError::Setup(SetupError::OpenCounts { open }))) => open,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_open_count_is_refused_unless_it_is_asked_for_by_name() {
    let tables = |bounded| (vec![Asks { bounded }], vec![4]);
    let (airs, logs) = tables(false);
    let device = Cpu::new();
    let open = refused(Prover::setup(&device, &SMALL, airs.clone(), logs.clone()));
    assert_eq!((open.len(), open[0].table, &*open[0].bus), (1, 0, "bus"));
    assert_eq!(
        refused(Verifier::setup(&SMALL, airs.clone(), logs.clone())),
        open
    );

    let prover =
        Prover::setup_with_open_counts(&device, &SMALL, airs.clone(), logs.clone()).unwrap();
    assert_eq!(prover.open_counts(), open);
    let values = (0..16u32)
        .flat_map(|i| [i, i % 2, i % 2])
        .map(p3_field::PrimeCharacteristicRing::from_u32)
        .collect();
    let proof = prover
        .prove(&[&RowMajorMatrix::new(values, 3)], &[vec![]])
        .unwrap();
    Verifier::setup_with_open_counts(&SMALL, airs, logs)
        .unwrap()
        .verify(&proof, &[vec![]])
        .unwrap();

    let (airs, logs) = tables(true);
    let prover = Prover::setup(&device, &SMALL, airs, logs).unwrap();
    assert_eq!(prover.open_counts(), []);
}
