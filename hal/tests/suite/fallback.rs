//! The second back end takes over where it should, and nowhere else.

use proptest::prelude::*;
use starkwright_hal::{
    Buffers, Cpu, Device, DeviceMatrix, Fallback, HalError, LdeOps, MerkleOps, Operation,
    Placement, Poseidon2Merkle, Shadow,
};

use crate::faulty::{Fault, Faulty};
use crate::job::{CONSUMING, F, OPERATIONS, READING, job, sample};

fn with(fault: Fault, op: &'static str) -> Fallback<Faulty<F>, Cpu<F>> {
    Fallback::new(Faulty::with(fault, op), Cpu::new())
}

fn can_fall_back() -> impl Iterator<Item = &'static str> {
    CONSUMING.into_iter().chain(READING)
}

#[test]
fn a_device_that_does_everything_is_left_alone() {
    let device = Fallback::new(Faulty::sound(), Cpu::new()).denying();
    assert_eq!(job(&device).unwrap(), job(&Cpu::new()).unwrap());
    let statistics = device.statistics();
    assert_eq!((statistics.fallbacks, statistics.fallback_bytes), (0, 0));
    assert_eq!(
        statistics.bytes_up, 1,
        "the devices' own counters are passed on"
    );
    assert_eq!(device.caps().selector, "fallback:faulty:0");
}

#[test]
fn an_unsupported_operation_runs_on_the_second_back_end() {
    let expected = job(&Cpu::new()).unwrap();
    for op in can_fall_back() {
        let device = with(Fault::Unsupported, op);
        assert_eq!(job(&device).unwrap(), expected, "{op}");
        let statistics = device.statistics();
        let calls = if op == "coset_lde" || op == "commit" {
            2
        } else {
            1
        };
        assert_eq!(statistics.fallbacks, calls, "{op}");
        assert_eq!(statistics.fallback_bytes == 0, op == "grind", "{op}");
        device.reset_statistics();
        assert_eq!(device.statistics().fallbacks, 0);
        assert_eq!(device.statistics().fallback_bytes, 0);
    }
}

#[test]
fn denied_operations_are_errors_that_name_them() {
    for wanted in can_fall_back() {
        let device = with(Fault::Unsupported, wanted).denying();
        match job(&device).unwrap_err() {
            HalError::Unsupported { op, .. } => assert_eq!(op, wanted),
            other => panic!("{wanted}: {other}"),
        }
        assert_eq!(device.statistics().fallbacks, 0);
    }
}

#[test]
fn other_failures_propagate() {
    for op in OPERATIONS.into_iter().chain(["download", "finish"]) {
        let error = job(&with(Fault::OutOfMemory, op)).unwrap_err();
        assert!(
            matches!(error, HalError::OutOfMemory { .. }),
            "{op}: {error}"
        );
        let device = with(Fault::DeviceLost, op);
        let error = job(&device).unwrap_err();
        assert!(
            matches!(error, HalError::DeviceLost { .. }),
            "{op}: {error}"
        );
        assert_eq!(device.statistics().fallbacks, 0, "{op}");
    }
}

#[test]
fn an_input_lost_to_a_broken_promise_is_an_error() {
    for op in CONSUMING {
        let error = job(&with(Fault::LateUnsupported, op)).unwrap_err();
        assert!(
            matches!(error, HalError::Unsupported { .. }),
            "{op}: {error}"
        );
    }
}

#[test]
fn matrices_move_only_when_needed() {
    let device = with(Fault::Unsupported, "dft");
    let matrix = device.upload(sample(8, 2)).unwrap();
    assert!(matrix.is_primary());
    let matrix = device.idft(matrix).unwrap();
    assert!(matrix.is_primary());
    assert_eq!(device.statistics().fallback_bytes, 0);
    let matrix = device.dft(matrix).unwrap();
    assert!(!matrix.is_primary());
    assert_eq!(device.statistics().fallback_bytes, 64);
    assert_eq!(device.download(&matrix).unwrap(), sample(8, 2));
    assert_eq!(
        device.statistics().fallback_bytes,
        64,
        "reading it moves nothing"
    );
    let matrix = device.reshape(matrix, 4).unwrap();
    assert!(!matrix.is_primary());
    // Back to the device, which supports this one.
    let matrix = device.idft(matrix).unwrap();
    assert!(matrix.is_primary());
    assert_eq!(device.statistics().fallback_bytes, 128);
    assert_eq!(device.statistics().fallbacks, 1);
}

#[test]
fn a_committed_matrix_keeps_its_side() {
    for (op, on_device) in [("dft", true), ("commit", false)] {
        let device = with(Fault::Unsupported, op);
        let matrix = device.upload(sample(8, 2)).unwrap();
        let (_, tree) = device.commit::<Poseidon2Merkle>(vec![matrix], 0).unwrap();
        let lent = device.matrices::<Poseidon2Merkle>(&tree);
        assert_eq!(lent[0].is_primary(), on_device);
        assert_eq!((lent[0].height(), lent[0].width()), (8, 2));
        assert_eq!(device.download(lent[0]).unwrap(), sample(8, 2));
    }
}

#[test]
fn small_operations_run_on_the_second_back_end() {
    let device = Fallback::new(Faulty::sound(), Cpu::new()).with_break_even(17);
    // 16 elements: below. Extended to 32: not.
    let small = device.upload(sample(8, 2)).unwrap();
    assert!(!small.is_primary());
    let small = device.idft(small).unwrap();
    assert!(!small.is_primary());
    assert_eq!(device.statistics().fallbacks, 1);
    let extended = device.coset_lde(small, 1, F::new(3)).unwrap();
    assert!(extended.is_primary());
    assert_eq!(device.statistics().fallbacks, 1);
    assert_eq!(device.statistics().fallback_bytes, 64);
    assert!(device.upload(sample(17, 1)).unwrap().is_primary());

    for break_even in [1, 100, 10_000] {
        let device = Fallback::new(Faulty::sound(), Cpu::new()).with_break_even(break_even);
        assert_eq!(job(&device).unwrap(), job(&Cpu::new()).unwrap());
        let error = job(&device.denying()).err();
        assert_eq!(error.is_some(), break_even > 1, "{error:?}");
    }
}

#[test]
fn what_neither_side_supports_is_an_error() {
    for op in can_fall_back() {
        let neither = Fallback::new(
            Faulty::<F>::with(Fault::Unsupported, op),
            Faulty::with(Fault::Unsupported, op),
        );
        let error = job(&neither).unwrap_err();
        assert!(
            matches!(error, HalError::Unsupported { .. }),
            "{op}: {error}"
        );
    }
}

#[test]
fn a_height_beyond_the_device_goes_to_the_second_back_end() {
    let primary = Faulty::<F>::sound();
    primary.limit_height(3);
    let device = Fallback::new(primary, Cpu::new());
    let operation = |added_bits| Operation::CosetLde {
        height: 8,
        width: 1,
        added_bits,
    };
    assert_eq!(device.supports(operation(1)), Ok(()));
    assert!(device.clone().denying().supports(operation(1)).is_err());
    assert!(device.supports(operation(30)).is_err());
    for (added_bits, on_device) in [(0, true), (1, false)] {
        let matrix = device.upload(sample(8, 1)).unwrap();
        let extended = device.coset_lde(matrix, added_bits, F::new(3)).unwrap();
        assert_eq!(extended.is_primary(), on_device);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever two devices refuse between them, and wherever the break-even lies, the results are the reference's.
    #[test]
    fn results_do_not_depend_on_the_side(
        first in 0usize..8,
        second in 0usize..8,
        break_even in 0usize..400,
    ) {
        let mut operations = can_fall_back();
        let first = Faulty::<F>::with(Fault::Unsupported, operations.nth(first).unwrap());
        let second = Faulty::<F>::with(Fault::Unsupported, can_fall_back().nth(second).unwrap());
        let device = Fallback::new(Fallback::new(first, second), Cpu::new());
        let device = device.with_break_even(break_even);
        prop_assert_eq!(job(&device).unwrap(), job(&Cpu::new()).unwrap());
    }
}

#[test]
fn placements_reach_the_device_behind() {
    let device = Faulty::sound();
    let fallback = Fallback::new(device.clone(), Cpu::new());
    let shadow = Shadow::new(device.clone(), Cpu::new());
    for index in 0..3 {
        let placement = Placement::spread(index, 2);
        fallback.upload_to(sample(4, 2), placement).unwrap();
        shadow.upload_to(sample(4, 2), placement).unwrap();
    }
    fallback.upload(sample(4, 2)).unwrap();
    let banks = [0, 0, 1, 1, 0, 0].map(Placement::Bank);
    assert_eq!(device.placements()[..6], banks);
    assert_eq!(device.placements()[6..], [Placement::Any]);
    // Memory that is one has no banks to name.
    assert_eq!(Placement::spread(5, 1), Placement::Any);
    assert_eq!(Placement::spread(5, 0), Placement::Any);
    assert_eq!(Placement::spread(255, 255), Placement::Bank(0));
}
