//! Operations on each OpenCL device and on the reference: `cargo bench -p starkwright-hw-tests --bench device`.
//!
//! Names are `operation/field/shape/device`, so that one shape's devices stand side by side. Input is uploaded before the
//! clock starts. `starkwright bench` compares with p3 under equal conditions; this is for watching a kernel while changing it.
#![allow(clippy::unwrap_used, reason = "a bench ends at the first failure")]

use std::time::Duration;

use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, measurement::WallTime,
};
use p3_field::{Field, PrimeCharacteristicRing};
use p3_koala_bear::KoalaBear;
use starkwright_hal::{
    Backend, Cpu, Evaluation, HalField, Keccak256Merkle, KoalaBear5, MerkleScheme, PointOpening,
    Poseidon2Merkle, Poseidon2WideMerkle, Puzzle, Reduction,
};
use starkwright_hw_tests::conformance::{Fill, Random};
use starkwright_hw_tests::runtimes::{self, Opened};
use starkwright_kernels::ops::merkle::{keccak_f, poseidon2};

type F = KoalaBear;

/// Log2 of the rows of most shapes.
const LOG_ROWS: usize = 14;

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(format!("{name}/{}", F::NAME));
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(2));
    group
}

/// A device's benches. `name` is the runtime and the variant.
fn operations<B: Backend<F>>(criterion: &mut Criterion, name: &str, device: &B) {
    let upload = |width: usize| {
        device
            .upload(Fill::Random(1).matrix(1 << LOG_ROWS, width))
            .unwrap()
    };
    let mut lde = group(criterion, "lde");
    for width in [16, 64] {
        lde.throughput(Throughput::Elements((width << (LOG_ROWS + 1)) as u64));
        lde.bench_function(
            BenchmarkId::new(format!("2^{LOG_ROWS}x{width}"), name),
            |bench| {
                bench.iter_batched(
                    || upload(width),
                    |matrix| {
                        let extended = device.coset_lde(matrix, 1, F::GENERATOR).unwrap();
                        device.finish().unwrap();
                        extended
                    },
                    BatchSize::PerIteration,
                );
            },
        );
    }
    lde.finish();
    merkle::<Poseidon2Merkle, B>(criterion, "merkle-poseidon2", name, device);
    merkle::<Poseidon2WideMerkle, B>(criterion, "merkle-poseidon2-wide", name, device);
    merkle::<Keccak256Merkle, B>(criterion, "merkle-keccak", name, device);

    openings(criterion, name, device);

    let mut fold = group(criterion, "fold");
    let leaves = upload(5 << 3);
    let beta: KoalaBear5 = Random::new(2).extension();
    fold.throughput(Throughput::Elements(8 << LOG_ROWS));
    fold.bench_function(BenchmarkId::new(format!("2^{LOG_ROWS}x8"), name), |bench| {
        bench.iter(|| {
            let folded = device.fold(&leaves, beta, 3, None).unwrap();
            device.finish().unwrap();
            folded
        });
    });
    fold.finish();

    let mut grind = group(criterion, "grind");
    let state = std::array::from_fn(F::from_usize);
    let puzzle = Puzzle::Poseidon2 {
        state,
        slot: 3,
        output: 7,
    };
    grind.bench_function(BenchmarkId::new("14 bits", name), |bench| {
        bench.iter(|| device.grind(&puzzle, 14).unwrap());
    });
    grind.finish();
}

fn merkle<S: MerkleScheme<F>, B: Backend<F>>(
    criterion: &mut Criterion,
    scheme: &str,
    name: &str,
    device: &B,
) {
    let mut group = group(criterion, scheme);
    for width in [8, 64] {
        group.throughput(Throughput::Elements((width << LOG_ROWS) as u64));
        group.bench_function(
            BenchmarkId::new(format!("2^{LOG_ROWS}x{width}"), name),
            |bench| {
                bench.iter_batched(
                    || {
                        vec![
                            device
                                .upload(Fill::Random(3).matrix(1 << LOG_ROWS, width))
                                .unwrap(),
                        ]
                    },
                    |matrices| device.commit::<S>(matrices, 0).unwrap(),
                    BatchSize::PerIteration,
                );
            },
        );
    }
    group.finish();
}

/// What opening a commitment takes: evaluation at two points, the reduced opening, the rows and paths of queries.
fn openings<B: Backend<F>>(criterion: &mut Criterion, name: &str, device: &B) {
    const WIDTH: usize = 64;
    let matrix = || {
        device
            .upload(Fill::Random(5).matrix(1 << LOG_ROWS, WIDTH))
            .unwrap()
    };
    let extended = matrix();
    let shape = format!("2^{LOG_ROWS}x{WIDTH}");
    let mut random = Random::new(6);
    let mut draw = || random.extension::<F, KoalaBear5>();
    let points = [draw(), draw()];

    let mut evaluate = group(criterion, "evaluate");
    evaluate.throughput(Throughput::Elements((WIDTH << (LOG_ROWS - 1)) as u64));
    evaluate.bench_function(BenchmarkId::new(&shape, name), |bench| {
        let requests = [Evaluation {
            matrix: &extended,
            log_blowup: 1,
            points: &points,
        }];
        bench.iter(|| device.evaluate(F::GENERATOR, &requests).unwrap());
    });
    evaluate.finish();

    let alpha = draw();
    let openings = points.map(|point| PointOpening {
        point,
        weight: draw(),
        value: draw(),
    });
    let mut reduce = group(criterion, "reduce");
    reduce.throughput(Throughput::Elements((WIDTH << LOG_ROWS) as u64));
    reduce.bench_function(BenchmarkId::new(&shape, name), |bench| {
        let terms = [Reduction {
            matrix: &extended,
            openings: openings.to_vec(),
        }];
        bench.iter(|| {
            let reduced = device
                .reduce(LOG_ROWS, F::GENERATOR, alpha, &terms)
                .unwrap();
            device.finish().unwrap();
            reduced
        });
    });
    reduce.finish();

    let (_, committed) = device.commit::<Poseidon2Merkle>(vec![matrix()], 0).unwrap();
    let mut random = Random::new(7);
    let indices: Vec<usize> = (0..100).map(|_| random.below(1 << LOG_ROWS)).collect();
    let mut open = group(criterion, "open");
    open.throughput(Throughput::Elements(indices.len() as u64));
    open.bench_function(BenchmarkId::new(&shape, name), |bench| {
        bench.iter(|| {
            device
                .open::<Poseidon2Merkle>(&committed, &indices)
                .unwrap()
        });
    });
    open.finish();
}

/// The bare permutations, which only our kernels offer.
fn permutations(criterion: &mut Criterion, opened: &Opened) {
    let (rt, name) = (opened.device.runtime(), opened.target.row.to_string());
    let states = 1usize << LOG_ROWS;
    let shape = format!("2^{LOG_ROWS}");
    for width in [16, 24] {
        let mut group = group(criterion, &format!("permute-poseidon2-{width}"));
        let buffer = rt
            .upload(&Fill::Random(4).elements::<F>(states * width))
            .unwrap();
        group.throughput(Throughput::Elements(states as u64));
        group.bench_function(BenchmarkId::new(&shape, &name), |bench| {
            bench.iter(|| {
                poseidon2::<F>(rt, width, &buffer).unwrap();
                rt.finish().unwrap();
            });
        });
        group.finish();
    }
    let mut group = group(criterion, "permute-keccak");
    let buffer = rt.upload(&vec![1u32; states * 50]).unwrap();
    group.throughput(Throughput::Elements(states as u64));
    group.bench_function(BenchmarkId::new(&shape, &name), |bench| {
        bench.iter(|| {
            keccak_f(rt, &buffer).unwrap();
            rt.finish().unwrap();
        });
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    operations(&mut criterion, "p3", &Cpu::<F>::new());
    match runtimes::opened() {
        Err(why) => {
            eprintln!("{why}");
            std::process::exit(1);
        }
        Ok(devices) => {
            for opened in devices {
                operations(
                    &mut criterion,
                    &opened.target.row.to_string(),
                    &opened.device,
                );
                permutations(&mut criterion, opened);
            }
        }
    }
    criterion.final_summary();
}
