//! Programs made beforehand: exported once, they stand for a compiler.

use std::fs;
use std::path::Path;

use p3_baby_bear::BabyBear;
use p3_koala_bear::KoalaBear;
use starkwright_hal::{
    BabyBear4, BabyBear5, HalError, Keccak256Merkle, KoalaBear4, KoalaBear5, Poseidon2Merkle,
    Poseidon2WideMerkle,
};
use starkwright_hw_tests::proofs::{QUICK, device_batch, lookup_tables};
use starkwright_hw_tests::runtimes::{self, Target};
use starkwright_kernels::{OpenCl, Options};
use starkwright_prover::ProverError;

macro_rules! proof {
    ($device:expr, $log_height:expr, $F:ty, $E:ty, $S:ty) => {{
        let tables = lookup_tables::<$F>($log_height, 9);
        let traces: Vec<_> = tables.traces.iter().collect();
        device_batch::<$F, $E, $S, _, _>(
            $device,
            &QUICK,
            &tables.airs,
            &traces,
            &tables.public_values,
        )
    }};
}

/// A proof of `2^log_height` rows.
pub(crate) fn one_proof(device: &OpenCl, log_height: usize) -> Result<Vec<u8>, ProverError> {
    proof!(device, log_height, KoalaBear, KoalaBear5, Poseidon2Merkle)
}

/// Small proofs over both fields, both extensions and all hashes.
fn proofs(device: &OpenCl) -> Result<Vec<Vec<u8>>, ProverError> {
    let log_height = 5;
    Ok(vec![
        one_proof(device, log_height)?,
        proof!(
            device,
            log_height,
            KoalaBear,
            KoalaBear4,
            Poseidon2WideMerkle
        )?,
        proof!(device, log_height, BabyBear, BabyBear4, Poseidon2Merkle)?,
        proof!(device, log_height, BabyBear, BabyBear5, Keccak256Merkle)?,
    ])
}

#[test]
fn offline() {
    runtimes::each("offline", |opened| {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        // Opened anew: nothing but what the export itself asks for is in its folder.
        let exporter = opened.target.open().map_err(|error| error.to_string())?;
        let exported = exporter
            .export_programs(folder.path())
            .map_err(|error| error.to_string())?;
        let device = without_compiler(&opened.target, folder.path())?;
        let wanted = proofs(&opened.device).map_err(|error| error.to_string())?;
        let got = proofs(&device).map_err(|error| error.to_string())?;
        if got != wanted {
            return Err("a proof by offline programs differs".to_owned());
        }
        let statistics = device.runtime().statistics();
        let figures = (statistics.programs_compiled, statistics.programs_cached);
        if figures != (0, 0) || statistics.programs_loaded == 0 {
            return Err(format!("compiled, cached: {figures:?}"));
        }
        a_missing_file_is_named(&opened.target, folder.path())?;
        Ok(exported as u64)
    })
    .unwrap();
}

fn without_compiler(target: &Target, folder: &Path) -> Result<OpenCl, String> {
    let options = Options {
        compiler: false,
        disk_cache: false,
        programs: Some(folder.to_owned()),
        ..target.options()
    };
    OpenCl::open(&target.info, options).map_err(|error| error.to_string())
}

/// Without one of the programs the proof fails, and the error says which file is missing.
fn a_missing_file_is_named(target: &Target, folder: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("ntt-") && !name.ends_with(".cl") {
            fs::remove_file(&path).map_err(failed)?;
        }
    }
    let place = folder.join("ntt-").display().to_string();
    match proofs(&without_compiler(target, folder)?) {
        Err(ProverError::Hal(HalError::Build { log, .. }))
            if log.contains(&place) && log.contains(".bin is missing") =>
        {
            Ok(())
        }
        other => Err(format!("without the transforms: {:?}", other.map(|_| ()))),
    }
}
