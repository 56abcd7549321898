//! Failures injected into the runtime layer while a whole proof is made: an error each time, no panic, nothing left
//! alive, and the next proof has the right bytes.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use p3_commit::{PolynomialSpace, UnivariateStarkPcs};
use p3_koala_bear::KoalaBear;
use p3_matrix::Matrix;
use starkwright_hal::{Backend, Cpu, Device, HalError, KoalaBear5, Poseidon2Merkle, Shadow};
use starkwright_hw_tests::conformance::{Fill, Random};
use starkwright_hw_tests::expectations::Quirk;
use starkwright_hw_tests::faulty::{Fault, Faulty};
use starkwright_hw_tests::proofs::{LookupTables, QUICK, device_batch, lookup_tables};
use starkwright_hw_tests::runtimes::{self, Opened, long};
use starkwright_kernels::{FaultPlan, OpenCl, Options};
use starkwright_prover::ProverError;
use starkwright_prover::challenger::{Failure, Grinding, Protocol};
use starkwright_prover::pcs::DevicePcs;
use starkwright_prover::phases::Phases;

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
            maps(opened, &wanted)?,
            damaged_cache(opened, &wanted)?,
            wrong_results(opened)?,
        ];
        Ok(cases.iter().sum())
    })
    .unwrap();
}

/// `some` of the calls, numbered from 1: the first, the last, and between them one drawn from each of equal parts, others
/// for every commit. All of them in the long tests.
fn sample(calls: u64, some: u64) -> Vec<u64> {
    if long() || calls <= some {
        return (1..=calls).collect();
    }
    let mut random = Random::new(seed());
    let (between, parts) = (calls - 2, some - 2);
    let drawn = (0..parts).map(|i| {
        let (from, to) = (between * i / parts, between * (i + 1) / parts);
        2 + from + random.bits() % (to - from)
    });
    let mut chosen: Vec<u64> = [1].into_iter().chain(drawn).collect();
    chosen.push(calls);
    chosen
}

/// What the draws begin with: `STARKWRIGHT_SEED`, else this commit, else (outside of a repository) always the same.
/// Printed once, so that a failure can be had again.
fn seed() -> u64 {
    static SEED: LazyLock<u64> = LazyLock::new(|| {
        let commit = || {
            let mut git = Command::new("git");
            let output = git.args(["rev-parse", "HEAD"]).output().ok()?;
            let name = String::from_utf8(output.stdout).ok()?;
            output.status.success().then(|| name.trim().to_owned())
        };
        let chosen = std::env::var("STARKWRIGHT_SEED").ok().or_else(commit);
        let chosen = chosen.unwrap_or_default();
        println!("failures: drawn with STARKWRIGHT_SEED={chosen}");
        // FNV-1a.
        chosen.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        })
    });
    *SEED
}

/// How many calls to try on this device: on a slow one, few.
fn tries(opened: &Opened, most: u64) -> u64 {
    if opened.target.expects(Quirk::Emulated) {
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

/// The `n`-th map is refused by the driver: its error comes out of the proof, also where p3 allows none.
fn maps(opened: &Opened, wanted: &[u8]) -> Result<u64, String> {
    let refused = |result: Result<(), ProverError>| match result {
        Err(ProverError::Hal(HalError::Driver {
            call: "clEnqueueMapBuffer",
            ..
        })) => Ok(()),
        other => Err(format!("a map fails: {other:?}")),
    };
    let count = FaultPlan::counting();
    quotient_rows(&with(opened, count.clone())?).map_err(|error| error.to_string())?;
    if count.counts().maps != 1 {
        return Err(format!("the quotient's rows: {:?}", count.counts()));
    }
    let device = with(opened, FaultPlan::default().fail_map(1))?;
    refused(quotient_rows(&device)).map_err(|why| format!("the quotient's rows: {why}"))?;
    nothing_alive(&device)?;

    let count = FaultPlan::counting();
    job(&with(opened, count.clone())?).map_err(|error| error.to_string())?;
    let maps = count.counts().maps;
    for n in 1..=maps {
        let device = with(opened, FaultPlan::default().fail_map(n))?;
        refused(job(&device).map(|_| ())).map_err(|why| format!("map {n}: {why}"))?;
        recovers(&device, wanted).map_err(|why| format!("after map {n} failed: {why}"))?;
    }
    Ok(1 + maps)
}

/// What p3's prover does for a quotient: commits to a trace, takes its rows over the quotient's domain, by a call that
/// cannot fail, and goes on to the next commitment.
fn quotient_rows(device: &OpenCl) -> Result<(), ProverError> {
    type Pcs = DevicePcs<F, KoalaBear5, Poseidon2Merkle, OpenCl>;
    type Challenger = Grinding<<Poseidon2Merkle as Protocol<F, KoalaBear5>>::Transcript, OpenCl>;
    let pcs = Pcs::new(
        device.clone(),
        &QUICK,
        Failure::default(),
        Phases::default(),
    )?;
    let domain = |log_height: usize| {
        <Pcs as p3_commit::Pcs<KoalaBear5, Challenger>>::natural_domain_for_degree(
            &pcs,
            1 << log_height,
        )
    };
    let commit = |log_height: usize| {
        let trace = Fill::Random(3).matrix::<F>(1 << log_height, 2);
        let evaluations = [(domain(log_height), trace)];
        <Pcs as p3_commit::Pcs<KoalaBear5, Challenger>>::commit(&pcs, evaluations)
    };
    let (_, committed) = commit(4)?;
    let quotient = domain(4).create_disjoint_domain(1 << 5);
    let rows = <Pcs as UnivariateStarkPcs<KoalaBear5, Challenger>>::get_evaluations_on_domain(
        &pcs, &committed, 0, quotient,
    );
    assert_eq!((rows.height(), rows.width()), (1 << 5, 2));
    drop(rows);
    commit(3).map(|_| ())
}

/// A device that computes wrongly. Stock p3 rejects the proof where a wrong word is in it; a codeword with a wrong element
/// is still near a polynomial, its proof may pass and differs in its bytes: [`Shadow`] finds every one.
fn wrong_results(opened: &Opened) -> Result<u64, String> {
    let device = open(opened, |_| ())?;
    let faulty = |fault| Faulty::<F, OpenCl>::new(device.clone(), fault);
    let in_the_proof = [Fault::Cap, Fault::OpenedRow, Fault::Path, Fault::Evaluation];
    for fault in in_the_proof {
        match job(&faulty(fault)) {
            Err(ProverError::Rejected { .. }) => {}
            // Of roots one is compared when the prover is set up.
            Err(ProverError::Hal(HalError::Mismatch { .. })) if fault == Fault::Cap => {}
            other => return Err(format!("{fault:?}: {:?}", other.map(|_| ()))),
        }
    }
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
    nothing_alive(&device)?;
    Ok((2 * in_the_proof.len() + on_the_way.len()) as u64)
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
