//! Evaluation, reduced openings and folding at the Keccak machine's shape: process CPU time of p3 (the CPU back end)
//! over that of each OpenCL device, interleaved, medians.
//!
//! ```text
//! GLIBC_TUNABLES=glibc.malloc.hugetlb=1 cargo run --release -p starkwright-kernels --example fri_bench -- [LOG_HEIGHT [WIDTH [REPETITIONS]]]
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]
#![allow(unsafe_code)]

use std::error::Error;
use std::time::Instant;

use p3_field::{Field, PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::KoalaBear;
use p3_matrix::dense::RowMajorMatrix;
use starkwright_hal::{
    Cpu, Evaluation, Extension, FriOps, KoalaBear4, KoalaBear5, PointOpening, Reduction,
};
use starkwright_kernels::ops::{evaluate::evaluate, fold::fold, reduce::reduce};
use starkwright_kernels::{Matrix, Options, Runtime};

type F = KoalaBear;
type Fallible<T> = Result<T, Box<dyn Error>>;

const LOG_BLOWUP: usize = 2;
const LOG_ARITY: usize = 3;

fn main() -> Fallible<()> {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<usize>());
    let log_height = args.next().transpose()?.unwrap_or(17);
    let width = args.next().transpose()?.unwrap_or(2633);
    let repetitions = args.next().transpose()?.unwrap_or(7);

    let mut seed = 1;
    let values = (0..width << log_height)
        .map(|_| element(&mut seed))
        .collect();
    let matrix = RowMajorMatrix::new(values, width);
    println!("device; extension; operation; p3 CPU ms; device CPU ms; CPU ratio; wall ratio");
    for info in Runtime::list()? {
        let rt = Runtime::open(&info, Options::default())?;
        let on_device = Matrix::adopt(&rt, matrix.values.clone(), width)?;
        let name = format!("{}, {}", info.platform, rt.variant().name());
        let shape = Shape {
            log_height,
            repetitions,
        };
        shape.compare::<KoalaBear5>(&format!("{name}; 5"), &rt, &matrix, &on_device)?;
        shape.compare::<KoalaBear4>(&format!("{name}; 4"), &rt, &matrix, &on_device)?;
    }
    Ok(())
}

/// A linear congruential sequence (Knuth's MMIX constants).
fn element(seed: &mut u64) -> F {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    F::from_u32((*seed >> 33) as u32 % F::ORDER_U32)
}

struct Shape {
    log_height: usize,
    repetitions: usize,
}

impl Shape {
    fn compare<E: Extension<F>>(
        &self,
        name: &str,
        rt: &Runtime,
        matrix: &RowMajorMatrix<F>,
        on_device: &Matrix,
    ) -> Fallible<()> {
        let cpu = Cpu::<F>::new();
        let mut seed = 2;
        let mut challenge = || E::from_basis_coefficients_fn(|_| element(&mut seed));
        let (alpha, beta) = (challenge(), challenge());
        let points = [challenge(), challenge()];
        let mut opening = |point| PointOpening {
            point,
            weight: challenge(),
            value: challenge(),
        };
        let openings = points.map(&mut opening).to_vec();
        let shift = F::GENERATOR;

        let expected = cpu.evaluate(shift, &[low(matrix, &points)])?;
        let got = evaluate(rt, shift, &[low(on_device, &points)])?;
        assert_eq!(got, expected, "{name}: evaluations differ");
        self.race(
            &format!("{name}; evaluate"),
            || cpu.evaluate(shift, &[low(matrix, &points)]).map(drop),
            || evaluate(rt, shift, &[low(on_device, &points)]).map(drop),
        )?;

        let term = [Reduction {
            matrix,
            openings: openings.clone(),
        }];
        let device_term = [Reduction {
            matrix: on_device,
            openings,
        }];
        let expected = cpu.reduce(self.log_height, shift, alpha, &term)?;
        let reduced = reduce(rt, self.log_height, shift, alpha, &device_term)?;
        assert_eq!(
            reduced.read_vec::<F>(rt)?,
            expected.values,
            "{name}: reduced openings differ"
        );
        self.race(
            &format!("{name}; reduce"),
            || cpu.reduce(self.log_height, shift, alpha, &term).map(drop),
            || reduce(rt, self.log_height, shift, alpha, &device_term).and_then(|_| rt.finish()),
        )?;

        let leaves = RowMajorMatrix::new(expected.values, E::DIMENSION << LOG_ARITY);
        let device_leaves = Matrix::adopt(rt, leaves.values.clone(), leaves.width)?;
        let expected = cpu.fold(&leaves, beta, LOG_ARITY, None)?;
        let folded = fold(rt, &device_leaves, beta, LOG_ARITY, None)?;
        assert_eq!(
            folded.read_vec::<F>(rt)?,
            expected.values,
            "{name}: folds differ"
        );
        self.race(
            &format!("{name}; fold"),
            || cpu.fold(&leaves, beta, LOG_ARITY, None).map(drop),
            || fold(rt, &device_leaves, beta, LOG_ARITY, None).and_then(|_| rt.finish()),
        )
    }

    /// Runs both in turn and prints the ratio of their medians.
    fn race<X: Error + 'static>(
        &self,
        name: &str,
        mut p3: impl FnMut() -> Result<(), X>,
        mut device: impl FnMut() -> Result<(), X>,
    ) -> Fallible<()> {
        let (mut cpu, mut wall) = ([vec![], vec![]], [vec![], vec![]]);
        for _ in 0..self.repetitions {
            for side in 0..2 {
                let (start, start_cpu) = (Instant::now(), cpu_seconds());
                if side == 0 {
                    p3()?
                } else {
                    device()?
                }
                cpu[side].push(cpu_seconds() - start_cpu);
                wall[side].push(start.elapsed().as_secs_f64());
            }
        }
        let [p3, ours] = cpu.map(median);
        let [p3_wall, our_wall] = wall.map(median);
        println!(
            "{name}; {:.2}; {:.2}; {:.2}; {:.2}",
            p3 * 1e3,
            ours * 1e3,
            p3 / ours,
            p3_wall / our_wall
        );
        Ok(())
    }
}

fn low<'a, M, E>(matrix: &'a M, points: &'a [E]) -> Evaluation<'a, M, E> {
    Evaluation {
        matrix,
        log_blowup: LOG_BLOWUP,
        points,
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// CPU time of all threads of this process.
fn cpu_seconds() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
