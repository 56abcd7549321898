//! What the tests would notice: faults are planted, and each must be caught.

use std::sync::Arc;
use std::time::{Duration, Instant};

use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::KoalaBear;
use starkwright_hal::{Buffers, Cpu, HalError, LdeOps, Shadow, check_device};
use starkwright_hw_tests::conformance::{self, Effort, Fill, same_matrix};
use starkwright_hw_tests::expectations::Quirk;
use starkwright_hw_tests::faulty::{Fault, Faulty};
use starkwright_hw_tests::planted;
use starkwright_hw_tests::runtimes::{self, Opened};
use starkwright_kernels::{Arg, FaultPlan, Matrix, OpenCl, Options};

type F = KoalaBear;

#[test]
fn detectors() {
    runtimes::each("detectors", |opened| {
        planted_race(opened)?;
        planted_words(opened)?;
        if opened.target.expects(Quirk::Interpreted) {
            // The faults below are made by the host: an interpreter would see nothing new in them.
            return Ok(3);
        }
        let faults = planted_results(opened)?;
        let tables = wrong_twiddles(opened)?;
        shadow_keeps_the_input(opened)?;
        Ok(4 + faults + tables)
    })
    .unwrap();
}

/// A data race: Oclgrind must see it. Elsewhere it is run and its result is one of the possible ones.
fn planted_race(opened: &Opened) -> Result<(), String> {
    let rt = opened.device.runtime();
    let words = (|| {
        let kernel = rt.kernel(&rt.program(&planted::program())?, "planted_race")?;
        let out = rt.upload(&[u32::MAX; 2])?;
        rt.launch(&kernel, [64, 1, 1], Some([16, 1, 1]), &[Arg::Buffer(&out)])?;
        rt.read_vec::<u32>(&out, 0, 2)
    })();
    let words = words.map_err(|error: HalError| error.to_string())?;
    let possible = words
        .iter()
        .zip(0..)
        .all(|(&word, parity)| word < 64 && word & 1 == parity);
    if !possible {
        return Err(format!("planted race: {words:?}"));
    }
    let Some(log) = std::env::var_os("STARKWRIGHT_OCLGRIND_LOG") else {
        return Ok(());
    };
    if !opened.target.expects(Quirk::Interpreted) {
        return Ok(());
    }
    // Messages come through a pipe, a little later.
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        let text = std::fs::read(&log).map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&text);
        let mut lines = text.lines();
        let seen = lines.any(|line| line.contains("data race")) && text.contains("planted_race");
        if seen {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(format!("Oclgrind saw no data race: {}", log.display()))
}

/// Words that are no field elements, written by kernels: one above the prime, and a tile that is not written at all.
fn planted_words(opened: &Opened) -> Result<(), String> {
    let (height, width) = (32, 5);
    let words = height * width;
    let matrix = Fill::Random(7).matrix::<F>(height, width);
    let rt = opened.device.runtime();
    let run = |name: &'static str, wrong: bool| {
        let kernel = rt.kernel(&rt.program(&planted::program())?, name)?;
        let (input, out) = (rt.upload(&matrix.values)?, Arc::new(rt.alloc(words)?));
        let (prime, n) = (if wrong { F::ORDER_U32 } else { 0 }, words as u32);
        let mut args = vec![Arg::Buffer(&input), Arg::Buffer(&out), Arg::U32(n)];
        match name {
            "planted_unreduced" => args.push(Arg::U32(prime)),
            // As it would be if it were right.
            _ if !wrong => args[2] = Arg::U32(0),
            _ => {}
        }
        if !wrong && name == "planted_unwritten" {
            rt.copy(&input, 0, &out, 0, words)?;
        }
        rt.launch(
            &kernel,
            [words.next_multiple_of(64), 1, 1],
            Some([64, 1, 1]),
            &args,
        )?;
        let made = Matrix::from_buffer(Arc::clone(&out), height, width)?;
        Buffers::<F>::download(&opened.device, &made)
    };
    for name in ["planted_unreduced", "planted_unwritten"] {
        let failed = |error: HalError| format!("{name}: {error}");
        same_matrix(&run(name, false).map_err(failed)?, &matrix)
            .map_err(|why| format!("{name}, made right: {why}"))?;
        match same_matrix(&run(name, true).map_err(failed)?, &matrix) {
            Err(why) if why.contains("not below the prime") => {}
            other => return Err(format!("{name} is not caught: {other:?}")),
        }
    }
    Ok(())
}

/// Each fault of [`Faulty`], by each suite that has to notice it; and by the quick test of a device.
fn planted_results(opened: &Opened) -> Result<u64, String> {
    let mut caught = 0;
    for (fault, suites) in Fault::ALL {
        let device = Faulty::<F, OpenCl>::new(opened.device.clone(), fault);
        for suite in suites {
            match run_suite(suite, &device) {
                Err(_) => caught += 1,
                Ok(cases) => return Err(format!("{suite} passes {cases} cases with {fault:?}")),
            }
        }
        // The quick test looks at results only.
        if matches!(fault, Fault::Reshape | Fault::Rows) {
            continue;
        }
        match check_device::<F, _>(&device) {
            Err(HalError::Mismatch { .. }) => caught += 1,
            other => return Err(format!("check_device with {fault:?}: {other:?}")),
        }
    }
    Ok(caught)
}

fn run_suite(name: &str, device: &Faulty<F, OpenCl>) -> Result<u64, String> {
    let suite = match name {
        "transfer" => conformance::transfer::<F, Faulty<F, OpenCl>>,
        "ntt" => conformance::ntt,
        "lde" => conformance::lde,
        "merkle-poseidon2" => conformance::merkle_poseidon2,
        "merkle-poseidon2-wide" => conformance::merkle_poseidon2_wide,
        "merkle-keccak" => conformance::merkle_keccak,
        "open" => conformance::open,
        "evaluate" => conformance::evaluate,
        "reduce" => conformance::reduce,
        "fold" => conformance::fold,
        "grind" => conformance::grind,
        other => return Err(format!("there is no suite {other}")),
    };
    suite(device, Effort::Traced)
}

/// A wrong twiddle under [`Shadow`]: an error that names the operation, and the input in a file.
fn shadow_keeps_the_input(opened: &Opened) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let device = Faulty::<F, OpenCl>::new(opened.device.clone(), Fault::LdeTwiddle);
    let shadow = Shadow::new(device, Cpu::<F>::new()).keeping_inputs_in(folder.path());
    let matrix = shadow
        .upload(Fill::Random(8).matrix(16, 3))
        .map_err(|error| error.to_string())?;
    let result = shadow.coset_lde(matrix, 1, F::TWO);
    match result.map(|_| ()) {
        Err(HalError::Mismatch {
            op: "coset_lde", ..
        }) => {}
        other => return Err(format!("shadow: {other:?}")),
    }
    let kept = std::fs::read_dir(folder.path())
        .map_err(|error| error.to_string())?
        .count();
    if kept == 1 {
        Ok(())
    } else {
        Err(format!("shadow: {kept} inputs kept"))
    }
}

/// The kernels themselves with one bit of their table of roots flipped: for each kind of transform, plain comparison and
/// [`Shadow`] must see it, and the next transform, with a right table, is right.
fn wrong_twiddles(opened: &Opened) -> Result<u64, String> {
    // One row is multiplied by a matrix; the others are cut into one, two and three passes.
    const SHAPES: [(usize, usize); 4] = [(1, 3), (16, 20), (1 << 9, 7), (1 << 13, 2)];
    for (height, width) in SHAPES {
        let failed = |why: String| format!("wrong twiddle, {height} x {width}: {why}");
        let matrix = Fill::Random(9).matrix::<F>(height, width);
        let wanted = Cpu::<F>::new().coset_lde(matrix.clone(), 1, F::TWO);
        let wanted = wanted.map_err(|error| failed(error.to_string()))?;
        let options = Options {
            faults: Some(FaultPlan::default().flip_table_word(1)),
            ..opened.target.options()
        };
        let device = OpenCl::open(&opened.target.info, options.clone());
        let device = device.map_err(|error| failed(error.to_string()))?;
        let extended = || {
            let there = device.upload(matrix.clone())?;
            Buffers::<F>::download(&device, &device.coset_lde(there, 1, F::TWO)?)
        };
        let (wrong, right) = (extended(), extended());
        let compare = |got: Result<_, HalError>| {
            let got = got.map_err(|error| failed(error.to_string()))?;
            Ok::<_, String>(same_matrix(&got, &wanted))
        };
        if compare(wrong)?.is_ok() {
            return Err(failed("the result is right".to_owned()));
        }
        compare(right)?.map_err(failed)?;

        let faults = Some(FaultPlan::default().flip_table_word(1));
        let device = OpenCl::open(&opened.target.info, Options { faults, ..options });
        let device = device.map_err(|error| failed(error.to_string()))?;
        let shadow = Shadow::new(device, Cpu::<F>::new()).keeping_no_inputs();
        let result = shadow
            .upload(matrix)
            .and_then(|there| shadow.coset_lde(there, 1, F::TWO));
        match result.map(|_| ()) {
            Err(HalError::Mismatch {
                op: "coset_lde", ..
            }) => {}
            other => return Err(failed(format!("under shadow: {other:?}"))),
        }
    }
    Ok(2 * SHAPES.len() as u64)
}
