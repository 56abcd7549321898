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
    Backend, Cpu, HalField, Keccak256Merkle, KoalaBear5, MerkleScheme, Poseidon2Merkle,
    Poseidon2WideMerkle, Puzzle,
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
