//! Merkle commits against p3, on every OpenCL device found.
//!
//! ```text
//! GLIBC_TUNABLES=glibc.malloc.hugetlb=1 cargo run --release -p starkwright-kernels --example merkle_bench -- \
//!     [repetitions [poseidon2|poseidon2-wide|keccak256 height-bits width]...]
//! ```
//!
//! Prints medians of interleaved repetitions: the ratio p3 / ours of the process' CPU time, of the least CPU time and of
//! wall time, and our milliseconds per kernel on the device. Both sides allocate their tree inside the timed call and end with the root on the
//! host. Without the tunable p3 gets no huge pages, and the ratio flatters us. `FIELD=babybear` and `VARIANT=scalar`
//! change what is measured.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]
#![allow(unsafe_code)]

use std::time::{Duration, Instant};

use p3_baby_bear::BabyBear;
use p3_commit::Mmcs;
use p3_koala_bear::KoalaBear;
use p3_matrix::dense::RowMajorMatrix;
use starkwright_hal::{
    HalField, HashKind, Keccak256Merkle, MerkleScheme, Poseidon2Merkle, Poseidon2WideMerkle,
};
use starkwright_kernels::ops::merkle::build;
use starkwright_kernels::{Matrix, Options, Runtime, Variant, Word};

const SHAPES: [(HashKind, u32, usize); 6] = [
    (HashKind::Poseidon2, 18, 8),
    (HashKind::Poseidon2, 18, 64),
    (HashKind::Poseidon2, 18, 256),
    (HashKind::Poseidon2, 17, 2633),
    (HashKind::Poseidon2Wide, 18, 256),
    (HashKind::Keccak256, 18, 64),
];

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Milliseconds: CPU time of all threads, and wall time.
#[derive(Clone, Copy)]
struct Cost {
    cpu: f64,
    wall: f64,
}

fn cpu_ms() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes the struct it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 * 1e-6
}

fn timed<T>(job: impl FnOnce() -> T) -> (Cost, T) {
    // Threads that still spin from the job before go to sleep.
    std::thread::sleep(Duration::from_millis(5));
    let (cpu, wall) = (cpu_ms(), Instant::now());
    let result = job();
    let cost = Cost {
        cpu: cpu_ms() - cpu,
        wall: wall.elapsed().as_secs_f64() * 1e3,
    };
    (cost, result)
}

fn median(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn least(costs: &[Cost]) -> f64 {
    costs.iter().map(|c| c.cpu).fold(f64::INFINITY, f64::min)
}

fn race<F: HalField + Word, S: MerkleScheme<F>>(
    rt: &Runtime,
    (log_height, width): (u32, usize),
    repetitions: usize,
) -> Result<()> {
    let words = (0..width << log_height).map(|i| (i as u32).wrapping_mul(2_654_435_761) >> 2);
    let values: Vec<F> = words.map(F::from_u32).collect();
    let mmcs = S::mmcs(0);
    let matrix = Matrix::adopt(rt, values.clone(), width)?;
    let data = RowMajorMatrix::new(values, width);
    let (mut p3, mut ours) = (Vec::new(), Vec::new());
    let mut before = Vec::new();
    for repetition in 0..=repetitions {
        let (a, (commitment, tree)) = timed(|| mmcs.commit(vec![data.as_view()]));
        drop(tree);
        rt.trim();
        let (b, cap) = timed(|| build::<F>(rt, S::HASH, &[&matrix])?.cap(rt, 0));
        if S::commitment(&cap?)? != commitment {
            return Err("the roots differ".into());
        }
        if repetition == 0 {
            // Builds and fills caches.
            before = rt.statistics().commands;
            continue;
        }
        p3.push(a);
        ours.push(b);
    }
    let of = |of: fn(&Cost) -> f64| (median(&p3, of), median(&ours, of));
    let ((p3_cpu, cpu), (p3_wall, wall)) = (of(|c| c.cpu), of(|c| c.wall));
    println!(
        "{:24.24} {:6} {:9} {:?} 2^{log_height} x {width}: CPU {p3_cpu:.1} / {cpu:.1} ms = {:.3} (least {:.3}), \
         wall {p3_wall:.1} / {wall:.1} ms = {:.3}",
        rt.info().platform,
        rt.variant().name(),
        F::NAME,
        S::HASH,
        p3_cpu / cpu,
        least(&p3) / least(&ours),
        p3_wall / wall,
    );
    for command in rt.statistics().commands {
        let old = before
            .iter()
            .find(|c| c.name == command.name)
            .map_or(0.0, |c| c.seconds);
        let ms = (command.seconds - old) * 1e3 / repetitions as f64;
        if ms >= 0.05 {
            println!("    {:20} {ms:8.2} ms", command.name);
        }
    }
    Ok(())
}

fn measure<F: HalField + Word>(
    rt: &Runtime,
    hash: HashKind,
    shape: (u32, usize),
    repetitions: usize,
) -> Result<()> {
    match hash {
        HashKind::Poseidon2 => race::<F, Poseidon2Merkle>(rt, shape, repetitions),
        HashKind::Poseidon2Wide => race::<F, Poseidon2WideMerkle>(rt, shape, repetitions),
        HashKind::Keccak256 => race::<F, Keccak256Merkle>(rt, shape, repetitions),
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let repetitions = args.first().map_or(Ok(9), |n| n.parse())?;
    let mut shapes = Vec::new();
    for shape in args.get(1..).unwrap_or(&[]).chunks_exact(3) {
        let hash = match shape[0].as_str() {
            "poseidon2" => HashKind::Poseidon2,
            "poseidon2-wide" => HashKind::Poseidon2Wide,
            "keccak256" => HashKind::Keccak256,
            other => return Err(format!("no hash is called {other}").into()),
        };
        shapes.push((hash, shape[1].parse()?, shape[2].parse()?));
    }
    if shapes.is_empty() {
        shapes = SHAPES.to_vec();
    }
    let variant = match std::env::var("VARIANT").as_deref() {
        Ok("scalar") => Some(Variant::Scalar),
        Ok("vector") => Some(Variant::Vector),
        _ => None,
    };
    let baby_bear = std::env::var("FIELD").is_ok_and(|field| field == "babybear");
    for info in Runtime::list()? {
        for &(hash, log_height, width) in &shapes {
            let options = Options {
                variant,
                ..Options::default()
            };
            let rt = Runtime::open(&info, options)?;
            let shape = (log_height, width);
            if baby_bear {
                measure::<BabyBear>(&rt, hash, shape, repetitions)?;
            } else {
                measure::<KoalaBear>(&rt, hash, shape, repetitions)?;
            }
        }
    }
    Ok(())
}
