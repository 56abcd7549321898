//! A kept input shows the fault again on the faulty device and none on a sound one; any other file is refused.

use std::fs;
use std::path::PathBuf;

use p3_baby_bear::BabyBear;
use proptest::prelude::*;
use proptest::sample::Index;
use starkwright_hal::{Cpu, HalError, Shadow, replay};
use tempfile::TempDir;

use crate::faulty::{Fault, Faulty};
use crate::job::{F, OPERATIONS, job};
use crate::shadow::{kept, mismatch};

/// The input of the first call of this operation, kept.
fn record(folder: &TempDir, op: &'static str) -> (PathBuf, Faulty<F>) {
    let device = Faulty::with(Fault::WrongElement, op);
    let pair = Shadow::new(device.clone(), Cpu::new()).keeping_inputs_in(folder.path());
    let (_, detail) = mismatch(job(&pair).unwrap_err());
    (kept(&detail), device)
}

fn refused(path: &std::path::Path) -> bool {
    matches!(
        replay::<F, _>(path, &Cpu::new()),
        Err(HalError::InvalidArgument { .. })
    )
}

#[test]
fn every_operation_replays() {
    let folder = TempDir::new().unwrap();
    for wanted in OPERATIONS {
        let (path, device) = record(&folder, wanted);
        let (op, _) = mismatch(replay(&path, &device).unwrap_err());
        assert_eq!(op, wanted);
        replay::<F, _>(&path, &Cpu::new()).unwrap();
        replay::<F, _>(&path, &Faulty::sound()).unwrap();
        assert!(
            replay::<BabyBear, _>(&path, &Cpu::new()).is_err(),
            "another field"
        );
    }
}

#[test]
fn a_keccak_puzzle_and_another_extension_replay() {
    use p3_field::PrimeCharacteristicRing;
    use starkwright_hal::{Buffers, FriOps, KoalaBear4, Puzzle};

    let folder = TempDir::new().unwrap();
    let device = Faulty::with(Fault::WrongElement, "grind");
    let pair = Shadow::new(device.clone(), Cpu::<F>::new()).keeping_inputs_in(folder.path());
    let puzzle = Puzzle::Keccak256 {
        prefix: vec![0, 255, 7],
    };
    let (_, detail) = mismatch(pair.grind(&puzzle, 4).unwrap_err());
    assert_eq!(
        mismatch(replay(&kept(&detail), &device).unwrap_err()).0,
        "grind"
    );

    device.plant(Fault::WrongElement, "fold");
    let leaves = pair.upload(crate::job::sample(4, 8)).unwrap();
    let (_, detail) = mismatch(pair.fold(&leaves, KoalaBear4::TWO, 1, None).err().unwrap());
    assert_eq!(
        mismatch(replay(&kept(&detail), &device).unwrap_err()).0,
        "fold"
    );
}

#[test]
fn truncated_and_lengthened_files_are_refused() {
    let folder = TempDir::new().unwrap();
    for op in ["fold", "reduce", "grind", "commit"] {
        let (path, _) = record(&folder, op);
        let bytes = fs::read(&path).unwrap();
        // Every cut through header and parameters, and some through the matrices.
        let spread = (200..bytes.len()).step_by(61);
        for length in (0..bytes.len().min(200)).chain(spread) {
            fs::write(&path, &bytes[..length]).unwrap();
            assert!(refused(&path), "{op} cut to {length} of {}", bytes.len());
        }
        fs::write(&path, [&bytes[..], &[0]].concat()).unwrap();
        assert!(refused(&path), "{op} lengthened");
    }
    assert!(refused(&folder.path().join("missing")));
    assert!(refused(folder.path()));
}

/// Sizes that the file does not have are refused before anything is allocated for them.
#[test]
fn announced_sizes_are_not_believed() {
    let folder = TempDir::new().unwrap();
    let header = |parameters: u32, matrices: u32| {
        let mut bytes = b"SWREPLAY".to_vec();
        bytes.extend(1u32.to_le_bytes());
        for name in ["dft", "koalabear"] {
            bytes.extend((name.len() as u32).to_le_bytes());
            bytes.extend(name.as_bytes());
        }
        bytes.extend(0u32.to_le_bytes());
        bytes.extend(parameters.to_le_bytes());
        bytes.extend(matrices.to_le_bytes());
        bytes
    };
    let path = folder.path().join("crafted");
    for (parameters, matrices) in [(u32::MAX, 0), (0, u32::MAX), (0, 0)] {
        fs::write(&path, header(parameters, matrices)).unwrap();
        assert!(refused(&path));
    }
    for (height, width) in [
        (1 << 40, 1),
        (1 << 63, 2),
        (u64::MAX, u64::MAX),
        (0, 4),
        (4, 0),
    ] {
        let mut bytes = header(0, 1);
        bytes.extend(u64::to_le_bytes(height));
        bytes.extend(u64::to_le_bytes(width));
        fs::write(&path, bytes).unwrap();
        assert!(refused(&path), "{height} by {width}");
    }
    let mut bytes = header(0, 1);
    bytes.extend([1u64.to_le_bytes(), 1u64.to_le_bytes()].concat());
    let word = bytes.len();
    bytes.extend(5u32.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    replay::<F, _>(&path, &Cpu::new()).unwrap();
    bytes[word..].copy_from_slice(&u32::MAX.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    assert!(refused(&path), "a word that is not below the prime");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// One byte changed anywhere: another input that runs, or an error; never a panic, and never a mismatch.
    #[test]
    fn a_changed_byte_is_harmless(at in any::<Index>(), flip in 1u8.., op in 0usize..3) {
        let folder = TempDir::new().unwrap();
        let (path, _) = record(&folder, ["fold", "reduce", "evaluate"][op]);
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        fs::write(&path, bytes).unwrap();
        if let Err(error) = replay::<F, _>(&path, &Cpu::new()) {
            let harmless = matches!(
                error,
                HalError::InvalidArgument { .. } | HalError::Unsupported { .. }
            );
            prop_assert!(harmless, "{}", error);
        }
    }
}
