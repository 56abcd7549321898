//! Every planted fault is caught at the operation it was planted in.

use std::fs;
use std::path::{Path, PathBuf};

use starkwright_hal::{
    Buffers, Cpu, Device, DeviceMatrix, HalError, MerkleOps, Poseidon2Merkle, Shadow,
};
use tempfile::TempDir;

use crate::faulty::{Fault, Faulty};
use crate::job::{F, OPERATIONS, job, sample};

fn watched(device: &Faulty<F>, folder: &TempDir) -> Shadow<Faulty<F>, Cpu<F>> {
    Shadow::new(device.clone(), Cpu::new()).keeping_inputs_in(folder.path())
}

/// The file that a mismatch names.
pub(crate) fn kept(detail: &str) -> PathBuf {
    let (_, path) = detail
        .split_once("input kept in ")
        .unwrap_or_else(|| panic!("{detail}"));
    PathBuf::from(path)
}

pub(crate) fn mismatch(error: HalError) -> (&'static str, String) {
    match error {
        HalError::Mismatch { device, op, detail } => {
            assert_eq!(device, "faulty");
            (op, detail)
        }
        other => panic!("{other}"),
    }
}

fn files(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn a_sound_device_gives_the_references_results() {
    let folder = TempDir::new().unwrap();
    let device = Faulty::sound();
    let pair = watched(&device, &folder);
    assert!(device.is_poisoned());
    assert_eq!(job(&pair).unwrap(), job(&Cpu::new()).unwrap());
    assert_eq!(files(folder.path()), 0);
    assert_eq!(pair.caps().selector, "shadow:faulty:0");
    assert_eq!(pair.statistics().bytes_up, 1);
}

#[test]
fn a_wrong_element_is_caught_in_every_operation() {
    for wanted in OPERATIONS {
        let folder = TempDir::new().unwrap();
        let device = Faulty::with(Fault::WrongElement, wanted);
        let (op, detail) = mismatch(job(&watched(&device, &folder)).unwrap_err());
        assert_eq!(op, wanted, "{detail}");
        assert!(kept(&detail).is_file(), "{detail}");
        assert!(detail.contains(" instead of "), "{detail}");
        assert_eq!(files(folder.path()), 1, "nothing unfinished is left");
    }
}

#[test]
fn a_word_out_of_range_is_caught_in_every_operation() {
    // A commitment's words are checked where it is made from a device's words.
    for wanted in OPERATIONS.into_iter().filter(|&op| op != "commit") {
        let folder = TempDir::new().unwrap();
        let device = Faulty::with(Fault::UnreducedElement, wanted);
        let (op, detail) = mismatch(job(&watched(&device, &folder)).unwrap_err());
        assert_eq!(op, wanted, "{detail}");
        assert!(detail.contains("not below the prime"), "{detail}");
    }
}

/// Two devices with the same fault agree, word for word; the range gives them away.
#[test]
fn a_word_out_of_range_is_caught_even_where_both_sides_agree() {
    for wanted in OPERATIONS.into_iter().filter(|&op| op != "commit") {
        let device = Faulty::<F>::with(Fault::UnreducedElement, wanted);
        let pair = Shadow::new(device.clone(), device).keeping_no_inputs();
        let (op, detail) = mismatch(job(&pair).unwrap_err());
        assert_eq!(op, wanted, "{detail}");
        assert!(detail.contains("not below the prime"), "{detail}");
    }
}

#[test]
fn the_first_difference_is_named() {
    let device = Faulty::with(Fault::WrongElement, "idft");
    let pair = Shadow::new(device, Cpu::<F>::new()).keeping_no_inputs();
    let matrix = pair.upload(sample(4, 3)).unwrap();
    let (_, detail) = mismatch(starkwright_hal::LdeOps::idft(&pair, matrix).err().unwrap());
    assert!(
        detail.starts_with("result, row 3, column 2: word 0x"),
        "{detail}"
    );
    assert!(detail.ends_with("; input not kept"), "{detail}");
}

#[test]
fn a_wrong_download_and_a_wrong_proof_are_caught() {
    let folder = TempDir::new().unwrap();
    let device = Faulty::sound();
    let pair = watched(&device, &folder);
    let matrix = pair.upload(sample(8, 2)).unwrap();
    device.plant(Fault::WrongElement, "download");
    let (op, detail) = mismatch(pair.download(&matrix).unwrap_err());
    assert_eq!(op, "download");
    assert!(kept(&detail).is_file());

    device.plant(Fault::WrongElement, "open siblings");
    let (_, tree) = pair.commit::<Poseidon2Merkle>(vec![matrix], 0).unwrap();
    let error = pair.open::<Poseidon2Merkle>(&tree, &[1]).err().unwrap();
    let (op, detail) = mismatch(error);
    assert_eq!(op, "open");
    assert!(detail.starts_with("proof, digest 0: words ["), "{detail}");
}

#[test]
fn an_unreduced_host_matrix_is_the_callers_fault() {
    let pair = Shadow::new(Cpu::<F>::new(), Cpu::new()).keeping_no_inputs();
    let mut matrix = sample(4, 2);
    matrix.values[3] = crate::faulty::unreduced_zero();
    let error = pair.upload(matrix).err().unwrap();
    assert!(matches!(error, HalError::InvalidArgument { .. }), "{error}");
}

#[test]
fn failures_of_either_side_propagate() {
    for op in OPERATIONS.into_iter().chain(["download", "finish"]) {
        let lost = |device| job(&device).unwrap_err();
        let faulty = || Faulty::with(Fault::DeviceLost, op);
        for error in [
            lost(Shadow::new(faulty(), Faulty::sound())),
            lost(Shadow::new(Faulty::sound(), faulty())),
        ] {
            assert!(
                matches!(error, HalError::DeviceLost { .. }),
                "{op}: {error}"
            );
        }
    }
}

#[test]
fn a_mismatch_is_reported_even_where_its_input_cannot_be_kept() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let device = Faulty::with(Fault::WrongElement, "dft");
    let pair = Shadow::new(device, Cpu::new()).keeping_inputs_in(file.join("below"));
    let (op, detail) = mismatch(job(&pair).unwrap_err());
    assert_eq!(op, "dft");
    assert!(detail.contains("input not kept: "), "{detail}");
}

#[test]
fn committed_matrices_are_lent_in_pairs() {
    let pair = Shadow::new(Cpu::<F>::new(), Cpu::new()).keeping_no_inputs();
    let matrix = pair.upload(sample(8, 2)).unwrap();
    let (_, tree) = pair.commit::<Poseidon2Merkle>(vec![matrix], 0).unwrap();
    let lent = pair.matrices::<Poseidon2Merkle>(&tree);
    assert_eq!((lent.len(), lent[0].height(), lent[0].width()), (1, 8, 2));
    assert_eq!(pair.download(lent[0]).unwrap(), sample(8, 2));
}
