//! A tile that a kernel leaves unwritten, in memory that still holds the right words: the watched device finds it.
//!
//! With debug assertions every allocation is poisoned; here it is the watcher that asks for it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test panics")]

use p3_field::Field;
use p3_koala_bear::KoalaBear;
use starkwright_hal::{Buffers, Cpu, HalError, LdeOps, Shadow};
use starkwright_hw_tests::conformance::{Fill, same_matrix};
use starkwright_hw_tests::faulty::{Fault, Faulty};
use starkwright_hw_tests::runtimes;

type F = KoalaBear;

#[test]
fn an_unwritten_tile_is_seen_by_the_watcher_alone() {
    let targets = runtimes::targets().unwrap();
    if targets.is_empty() {
        println!("skipped: no OpenCL device was found");
    }
    for target in targets {
        let device = Faulty::<F, _>::new(target.open().unwrap(), Fault::Unwritten);
        let matrix = Fill::Random(5).matrix::<F>(1 << 6, 20);
        let wanted = Cpu::<F>::new()
            .coset_lde(matrix.clone(), 1, F::GENERATOR)
            .unwrap();

        let there = device.upload(matrix.clone()).unwrap();
        let extended = device.coset_lde(there, 1, F::GENERATOR).unwrap();
        let got = device.download(&extended).unwrap();
        let seen = same_matrix(&got, &wanted);
        if cfg!(debug_assertions) {
            assert!(
                seen.is_err(),
                "{}: allocations are not poisoned",
                target.row
            );
        } else {
            // Or the rest would prove nothing.
            assert_eq!(
                seen,
                Ok(()),
                "{}: the memory was not used again",
                target.row
            );
        }

        let shadow = Shadow::new(device, Cpu::<F>::new()).keeping_no_inputs();
        let there = shadow.upload(matrix).unwrap();
        match shadow.coset_lde(there, 1, F::GENERATOR).map(|_| ()) {
            Err(HalError::Mismatch {
                op: "coset_lde", ..
            }) => {}
            other => panic!("{}: {other:?}", target.row),
        }
    }
}
