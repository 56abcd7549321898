//! Failures injected into the runtime layer while a whole proof is made: an error each time, no panic, nothing left
//! alive, and the next proof has the right bytes.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use p3_koala_bear::KoalaBear;
use starkwright_hal::{Backend, Cpu, Device, HalError, KoalaBear5, Poseidon2Merkle, Shadow};
use starkwright_hw_tests::expectations::Quirk;
use starkwright_hw_tests::faulty::{Fault, Faulty};
use starkwright_hw_tests::proofs::{LookupTables, QUICK, device_batch, lookup_tables};
use starkwright_hw_tests::runtimes::{self, Opened, long};
use starkwright_kernels::{FaultPlan, OpenCl, Options};
use starkwright_prover::ProverError;

type F = KoalaBear;

/// A proof with every kind of operation in it: preprocessed columns, lookups, mixed heights, grinding, folds. It is
/// verified by stock p3.
fn job<B: Backend<F>>(device: &B) -> Result<Vec<u8>, ProverError> {
    let LookupTables {
        airs,
        traces,
        public_values,
    } = lookup_tables::<F>(5, 9);
    let traces: Vec<_> = traces.iter().collect();
    device_batch::<F, KoalaBear5, Poseidon2Merkle, _, _>(
        device,
        &QUICK,
        &airs,
        &traces,
        &public_values,
    )
}

#[test]
fn failures() {
    runtimes::each("failures", |opened| {
        let wanted = job(&opened.device).map_err(|error| error.to_string())?;
        let cases = [
            allocations(opened, &wanted)?,
            lost(opened, &wanted)?,
            hung(opened, &wanted)?,
            builds(opened, &wanted)?,
            reads(opened, &wanted)?,
            damaged_cache(opened, &wanted)?,
            wrong_results(opened)?,
        ];
        Ok(cases.iter().sum())
    })
    .unwrap();
}

/// Some of the calls, numbered from 1: the first, the last, and `some` between them. All of them in the long tests.
fn sample(calls: u64, some: u64) -> Vec<u64> {
    if long() || calls <= some {
        return (1..=calls).collect();
    }
    (0..some)
        .map(|i| 1 + i * (calls - 1) / (some - 1))
        .collect()
}

/// How many calls to try on this device: where every opening compiles anew, few.
fn tries(opened: &Opened, most: u64) -> u64 {
    if opened.target.expects(Quirk::NoBinaries) {
        most.div_ceil(3)
    } else {
        most
    }
}

fn open(opened: &Opened, change: impl FnOnce(&mut Options)) -> Result<OpenCl, String> {
    let mut options = opened.target.options();
    change(&mut options);
    OpenCl::open(&opened.target.info, options).map_err(|error| error.to_string())
}

fn with(opened: &Opened, plan: FaultPlan) -> Result<OpenCl, String> {
    open(opened, |options| options.faults = Some(plan))
}

/// Nothing is alive, and the device makes the right proof.
fn recovers(device: &OpenCl, wanted: &[u8]) -> Result<(), String> {
    nothing_alive(device)?;
    match job(device) {
        Ok(bytes) if bytes == wanted => nothing_alive(device),
        Ok(_) => Err("the next proof differs".to_owned()),
        Err(error) => Err(format!("the next proof fails: {error}")),
    }
}

fn nothing_alive(device: &OpenCl) -> Result<(), String> {
    match device.statistics().live_bytes {
        0 => Ok(()),
        bytes => Err(format!("{bytes} bytes are alive after the proof")),
    }
}

/// The `n`-th allocation finds no memory: [`HalError::OutOfMemory`], and the same device goes on.
fn allocations(opened: &Opened, wanted: &[u8]) -> Result<u64, String> {
    let count = FaultPlan::counting();
    let device = with(opened, count.clone())?;
    recovers(&device, wanted).map_err(|why| format!("without a fault: {why}"))?;
    let tried = sample(count.counts().allocations, tries(opened, 12));
    for &n in &tried {
        let device = with(opened, FaultPlan::default().fail_allocation(n))?;
        match job(&device) {
            Err(ProverError::Hal(HalError::OutOfMemory { .. })) => {}
            other => return Err(format!("allocation {n} fails: {:?}", other.map(|_| ()))),
        }
        recovers(&device, wanted).map_err(|why| format!("after allocation {n} failed: {why}"))?;
    }
    Ok(tried.len() as u64)
}

/// The device disappears at the `n`-th launch: [`HalError::DeviceLost`], from then on; the next opening works.
fn lost(opened: &Opened, wanted: &[u8]) -> Result<u64, String> {
    let count = FaultPlan::counting();
    job(&with(opened, count.clone())?).map_err(|error| error.to_string())?;
    let tried = sample(count.counts().launches, tries(opened, 9));
    for &n in &tried {
        let device = with(opened, FaultPlan::default().lose_at_launch(n))?;
        for time in ["at", "after"] {
            match job(&device) {
                Err(ProverError::Hal(HalError::DeviceLost { .. })) => {}
                other => return Err(format!("{time} lost launch {n}: {:?}", other.map(|_| ()))),
            }
            nothing_alive(&device).map_err(|why| format!("{time} lost launch {n}: {why}"))?;
        }
    }
    recovers(&open(opened, |_| ())?, wanted)?;
    Ok(tried.len() as u64)
}

/// The `n`-th launch never ends: [`HalError::DeviceLost`] once the deadline is over.
fn hung(opened: &Opened, wanted: &[u8]) -> Result<u64, String> {
    let count = FaultPlan::counting();
    job(&with(opened, count.clone())?).map_err(|error| error.to_string())?;
    let deadline = Duration::from_millis(400);
    let tried = sample(count.counts().launches, tries(opened, 4));
    for &n in &tried {
        let plan = FaultPlan::default().hang_at_launch(n);
        let device = open(opened, |options| {
            options.faults = Some(plan);
            options.deadline = deadline;
        })?;
        let start = Instant::now();
        match job(&device) {
            Err(ProverError::Hal(HalError::DeviceLost { .. })) => {}
            other => return Err(format!("hung launch {n}: {:?}", other.map(|_| ()))),
        }
        if start.elapsed() < deadline {
            return Err(format!(
                "hung launch {n}: given up after {:?}",
                start.elapsed()
            ));
        }
        nothing_alive(&device).map_err(|why| format!("hung launch {n}: {why}"))?;
    }
    recovers(&open(opened, |_| ())?, wanted)?;
    Ok(tried.len() as u64)
}

/// The `n`-th program does not build: [`HalError::Build`], and it builds the next time.
fn builds(opened: &Opened, wanted: &[u8]) -> Result<u64, String> {
    let count = FaultPlan::counting();
    job(&with(opened, count.clone())?).map_err(|error| error.to_string())?;
    let tried = sample(count.counts().builds, tries(opened, 6));
    for &n in &tried {
        let device = with(opened, FaultPlan::default().fail_build(n))?;
        match job(&device) {
            Err(ProverError::Hal(HalError::Build { .. })) => {}
            other => return Err(format!("build {n} fails: {:?}", other.map(|_| ()))),
        }
        recovers(&device, wanted).map_err(|why| format!("after build {n} failed: {why}"))?;
    }
    Ok(tried.len() as u64)
}

/// The `n`-th read delivers a flipped bit: an error, or a proof that stock p3 rejects, which [`job`] finds.
///
/// Two kinds of read are harmless: one that only says that a batch of candidates holds no witness, and one of a witness,
/// where another may pass and the proof is right with other bytes.
fn reads(opened: &Opened, wanted: &[u8]) -> Result<u64, String> {
    let count = FaultPlan::counting();
    job(&with(opened, count.clone())?).map_err(|error| error.to_string())?;
    let tried = sample(count.counts().reads, tries(opened, 12));
    let mut refused = 0;
    for &n in &tried {
        let device = with(opened, FaultPlan::default().flip_read(n))?;
        match job(&device) {
            Ok(_) => {}
            Err(ProverError::Hal(_) | ProverError::Rejected { .. }) => refused += 1,
            Err(other) => return Err(format!("read {n} flipped: {other}")),
        }
        recovers(&device, wanted).map_err(|why| format!("after read {n} was flipped: {why}"))?;
    }
    if 2 * refused < tried.len() {
        return Err(format!(
            "only {refused} of {} flipped reads were noticed",
            tried.len()
        ));
    }
    Ok(tried.len() as u64)
}

/// A device that computes wrongly. Stock p3 rejects the proof where a wrong word is in it; a codeword with a wrong element
/// is still near a polynomial, its proof may pass and differs in its bytes: [`Shadow`] finds every one.
fn wrong_results(opened: &Opened) -> Result<u64, String> {
    let faulty = |fault| Faulty::<F, OpenCl>::new(opened.device.clone(), fault);
    let in_the_proof = [Fault::Cap, Fault::OpenedRow, Fault::Path, Fault::Evaluation];
    for fault in in_the_proof {
        match job(&faulty(fault)) {
            Err(ProverError::Rejected { .. }) => {}
            // Of roots one is compared when the prover is set up.
            Err(ProverError::Hal(HalError::Mismatch { .. })) if fault == Fault::Cap => {}
            other => return Err(format!("{fault:?}: {:?}", other.map(|_| ()))),
        }
    }
    let before = opened.device.statistics().live_bytes;
    let on_the_way = [
        Fault::LdeElement,
        Fault::LdeTwiddle,
        Fault::Unreduced,
        Fault::Unwritten,
        Fault::Kept,
        Fault::Reduction,
        Fault::Fold,
        Fault::Witness,
    ];
    for fault in in_the_proof.into_iter().chain(on_the_way) {
        let shadow = Shadow::new(faulty(fault), Cpu::<F>::new()).keeping_no_inputs();
        match job(&shadow) {
            Err(ProverError::Hal(HalError::Mismatch { .. })) => {}
            other => return Err(format!("{fault:?} under shadow: {:?}", other.map(|_| ()))),
        }
    }
    match opened.device.statistics().live_bytes {
        after if after == before => Ok((2 * in_the_proof.len() + on_the_way.len()) as u64),
        after => Err(format!(
            "{} bytes are left by wrong results",
            after - before
        )),
    }
}

/// Files of built programs that are cut short, changed or empty are built again, and never reach the driver.
fn damaged_cache(opened: &Opened, wanted: &[u8]) -> Result<u64, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let fresh = || {
        open(opened, |options| {
            options.cache_dir = Some(folder.path().to_owned())
        })
    };
    recovers(&fresh()?, wanted).map_err(|why| format!("with an empty cache: {why}"))?;
    let kept = files(folder.path()).len() as u64;
    if opened.target.expects(Quirk::NoBinaries) {
        return match kept {
            0 => Ok(1),
            _ => Err("the driver gives binaries now: see the expectations".to_owned()),
        };
    }
    if kept == 0 {
        return Err("no built program was kept on disk".to_owned());
    }
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 4] = [
        ("cut short", |bytes| bytes.truncate(bytes.len() / 2)),
        ("changed", |bytes| flip(bytes, 0..usize::MAX)),
        ("changed at its head", |bytes| flip(bytes, 0..1)),
        ("empty", Vec::clear),
    ];
    for (what, damage) in damages {
        for path in files(folder.path()) {
            let mut bytes = fs::read(&path).map_err(|error| error.to_string())?;
            damage(&mut bytes);
            fs::write(&path, bytes).map_err(|error| error.to_string())?;
        }
        let device = fresh()?;
        recovers(&device, wanted).map_err(|why| format!("with a cache {what}: {why}"))?;
        let rejected = device.runtime().statistics().cache_rejected;
        if rejected != kept {
            return Err(format!(
                "{rejected} of {kept} files that were {what} were noticed"
            ));
        }
    }
    // Rebuilt by then, and used.
    let device = fresh()?;
    recovers(&device, wanted)?;
    let statistics = device.runtime().statistics();
    if (statistics.cache_rejected, statistics.programs_compiled) != (0, 0) {
        return Err("the rebuilt cache is not used".to_owned());
    }
    Ok(damages.len() as u64)
}

/// Flips a bit in the middle of the range.
fn flip(bytes: &mut [u8], range: Range<usize>) {
    let middle = (range.start + range.end.min(bytes.len())) / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 4;
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    entries.filter(|path| path.is_file()).collect()
}
