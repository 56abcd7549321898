//! Low-degree extension against p3, on every OpenCL device found.
//!
//! ```text
//! GLIBC_TUNABLES=glibc.malloc.hugetlb=1 cargo run --release -p starkwright-kernels --example lde_bench -- \
//!     [repetitions [height-bits width added-bits]...]
//! ```
//!
//! Prints medians of interleaved repetitions: the ratio p3 / ours of the process' CPU time and of wall time, where p3 is
//! the better of its two transforms, and our seconds per kernel on the device. Both sides allocate their result inside
//! the timed call. Without the tunable p3 gets no huge pages, and the ratio flatters us.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]
#![allow(unsafe_code)]

use std::time::Instant;

use p3_dft::{Radix2DitParallel, TwoAdicSubgroupDft};
use p3_field::{Field, PrimeCharacteristicRing};
use p3_koala_bear::KoalaBear;
use p3_matrix::dense::RowMajorMatrix;
use p3_monty_31::dft::RecursiveDft;
use starkwright_kernels::ops::lde::coset_lde;
use starkwright_kernels::{Matrix, Options, Runtime, Variant};

const SHAPES: [(u32, usize, usize); 4] = [(18, 16, 1), (18, 64, 1), (17, 128, 1), (15, 2633, 2)];

/// Milliseconds: CPU time of all threads, and wall time.
#[derive(Clone, Copy, Default)]
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
    std::thread::sleep(std::time::Duration::from_millis(5));
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .map(|arg| arg.parse())
        .collect::<Result<_, _>>()?;
    let repetitions = numbers.first().copied().unwrap_or(9);
    let mut shapes: Vec<_> = numbers
        .get(1..)
        .unwrap_or(&[])
        .chunks_exact(3)
        .map(|s| (s[0] as u32, s[1], s[2]))
        .collect();
    if shapes.is_empty() {
        shapes = SHAPES.to_vec();
    }
    let variant = match std::env::var("VARIANT").as_deref() {
        Ok("scalar") => Some(Variant::Scalar),
        Ok("vector") => Some(Variant::Vector),
        _ => None,
    };
    let shift = KoalaBear::GENERATOR;
    for info in Runtime::list()? {
        for &(log_height, width, added_bits) in &shapes {
            let rt = Runtime::open(
                &info,
                Options {
                    variant,
                    ..Options::default()
                },
            )?;
            let words =
                (0..(width as u32) << log_height).map(|i| i.wrapping_mul(2_654_435_761) >> 1);
            let values: Vec<KoalaBear> = words.map(KoalaBear::from_u32).collect();
            let input = Matrix::adopt(&rt, values.clone(), width)?;
            let (parallel, recursive) = (Radix2DitParallel::default(), RecursiveDft::default());
            let mut costs = [const { Vec::new() }; 3];
            let kernels = |rt: &Runtime| rt.statistics().commands;
            let mut before = Vec::new();
            for repetition in 0..=repetitions {
                let matrix = || RowMajorMatrix::new(values.clone(), width);
                let m = matrix();
                let (a, result) = timed(|| parallel.coset_lde_batch(m, added_bits, shift));
                drop(result);
                let m = matrix();
                let (b, result) = timed(|| recursive.coset_lde_batch(m, added_bits, shift));
                drop(result);
                if std::env::var("KEEP").is_err() {
                    rt.trim();
                }
                let (c, result) = timed(|| {
                    let out = coset_lde(&rt, &input, added_bits, shift)?;
                    rt.finish().map(|()| out)
                });
                drop(result?);
                if repetition == 0 {
                    // Builds and fills caches.
                    before = kernels(&rt);
                    continue;
                }
                for (all, cost) in costs.iter_mut().zip([a, b, c]) {
                    all.push(cost);
                }
            }
            let cpu = costs.each_ref().map(|all| median(all, |cost| cost.cpu));
            let wall = costs.each_ref().map(|all| median(all, |cost| cost.wall));
            print!(
                "{:<28.28} {:<6} 2^{log_height}x{width}+{added_bits}  cpu {:.2} wall {:.2}  (ms cpu: p3 {:.1} {:.1}, ours {:.1}; wall: p3 {:.1} {:.1}, ours {:.1}) ",
                info.platform,
                rt.variant().name(),
                cpu[0].min(cpu[1]) / cpu[2],
                wall[0].min(wall[1]) / wall[2],
                cpu[0],
                cpu[1],
                cpu[2],
                wall[0],
                wall[1],
                wall[2],
            );
            for command in kernels(&rt) {
                let earlier = before
                    .iter()
                    .find(|b| b.name == command.name)
                    .map_or(0.0, |b| b.seconds);
                let each = (command.seconds - earlier) * 1e3 / repetitions as f64;
                if each > 0.005 {
                    print!(" {} {each:.1}", command.name);
                }
            }
            println!();
        }
    }
    Ok(())
}
