//! The quick test finds a device that computes wrongly, and leaves a sound or a limited one in peace.

use std::time::Instant;

use p3_baby_bear::BabyBear;
use starkwright_hal::{Cpu, HalError, check_device};

use crate::faulty::{Fault, Faulty};
use crate::job::{CONSUMING, F, READING};

#[test]
fn the_reference_passes_in_both_fields() {
    check_device::<F, _>(&Cpu::new()).unwrap();
    check_device::<BabyBear, _>(&Cpu::new()).unwrap();
    let start = Instant::now();
    check_device::<F, _>(&Cpu::new()).unwrap();
    println!("check_device on the reference: {:?}", start.elapsed());
}

#[test]
fn a_wrong_operation_is_named() {
    for wanted in CONSUMING
        .into_iter()
        .chain(READING)
        .chain(["open", "upload"])
    {
        for fault in [Fault::WrongElement, Fault::UnreducedElement] {
            if wanted == "commit" && fault == Fault::UnreducedElement {
                continue;
            }
            match check_device::<F, _>(&Faulty::with(fault, wanted)) {
                Err(HalError::Mismatch { op, .. }) => assert_eq!(op, wanted),
                other => panic!("{wanted}, {fault:?}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_missing_operation_is_passed_over_and_other_failures_are_not() {
    for op in CONSUMING.into_iter().chain(READING) {
        check_device::<F, _>(&Faulty::with(Fault::Unsupported, op)).unwrap();
        let error = check_device::<F, _>(&Faulty::with(Fault::OutOfMemory, op)).unwrap_err();
        assert!(
            matches!(error, HalError::OutOfMemory { .. }),
            "{op}: {error}"
        );
    }
    assert!(check_device::<F, _>(&Faulty::with(Fault::DeviceLost, "finish")).is_err());
    let device = Faulty::<F>::sound();
    check_device::<F, _>(&device).unwrap();
    assert!(!device.is_poisoned(), "the device is left as it was");
}
