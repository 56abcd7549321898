//! Low-degree extension and plain transforms on every device found, in both variants, word for word against p3. Debug
//! builds poison fresh memory, so a word that no kernel wrote differs too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

mod found;

use std::path::PathBuf;
use std::sync::LazyLock;

use p3_baby_bear::BabyBear;
use p3_dft::{Radix2DitParallel, TwoAdicSubgroupDft};
use p3_koala_bear::KoalaBear;
use p3_matrix::Matrix as _;
use p3_matrix::bitrev::BitReversibleMatrix;
use p3_matrix::dense::RowMajorMatrix;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use starkwright_hal::{HalError, HalField};
use starkwright_kernels::ops::lde::{coset_lde, dft, extend, idft};
use starkwright_kernels::{Matrix, Options, Runtime, Variant, Word};

/// One device in one variant, with its own largest allocation and with a small one.
struct Bench {
    whole: Runtime,
    pieces: Runtime,
}

/// Bytes of the small largest allocation: a column of the highest result drawn here, and little more.
const SMALL: u64 = 4 * (1 << (MOST_ROWS + 1));
/// Logarithm of the most rows of a drawn result.
const MOST_ROWS: u32 = 13;

static BENCHES: LazyLock<Vec<Bench>> = LazyLock::new(benches);

fn benches() -> Vec<Bench> {
    let devices = found::devices();
    let open = |info, variant, max_alloc| {
        let cache_dir = Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("programs"));
        let options = Options {
            variant: Some(variant),
            max_alloc,
            cache_dir,
            ..Options::default()
        };
        Runtime::open(info, options).expect("a listed device opens")
    };
    let variants = [Variant::Vector, Variant::Scalar];
    let both = devices
        .iter()
        .flat_map(|info| variants.map(|variant| (info, variant)));
    both.map(|(info, variant)| Bench {
        whole: open(info, variant, None),
        pieces: open(info, variant, Some(SMALL)),
    })
    .collect()
}

#[derive(Clone, Copy, Debug)]
enum Transform {
    CosetLde { added_bits: usize, shift: u32 },
    Forward,
    Inverse,
}

#[derive(Clone, Debug)]
struct Case {
    log_height: u32,
    width: usize,
    transform: Transform,
    in_pieces: bool,
    seed: u64,
}

/// SplitMix64 (Steele, Lea, Flood 2014): test data from a seed, often at the edges of the range.
fn elements<F: HalField>(mut seed: u64, count: usize) -> Vec<F> {
    let mut word = || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        match z >> 60 {
            0 => 0,
            1 => 1,
            2..=5 => F::ORDER_U32 - 1,
            _ => (z as u32) % F::ORDER_U32,
        }
    };
    (0..count)
        .map(|_| F::from_montgomery_word(word()).expect("a word below the prime"))
        .collect()
}

/// p3's result.
fn expected<F: HalField>(input: RowMajorMatrix<F>, transform: Transform) -> RowMajorMatrix<F> {
    let p3 = Radix2DitParallel::default();
    match transform {
        Transform::CosetLde { added_bits, shift } => p3
            .coset_lde_batch(input, added_bits, F::from_u32(shift))
            .bit_reverse_rows()
            .to_row_major_matrix(),
        Transform::Forward => p3.dft_batch(input).to_row_major_matrix(),
        Transform::Inverse => p3.idft_batch(input),
    }
}

fn run<F: HalField>(
    rt: &Runtime,
    input: &Matrix,
    transform: Transform,
) -> Result<Matrix, HalError> {
    match transform {
        Transform::CosetLde { added_bits, shift } => {
            coset_lde::<F>(rt, input, added_bits, F::from_u32(shift))
        }
        Transform::Forward => dft::<F>(rt, input),
        Transform::Inverse => idft::<F>(rt, input),
    }
}

/// Mesa's llvmpipe ends the loops of a work-item after 65,535 iterations in all, without an error. The vector kernels,
/// whose work-items do a work-group's work, are not for it: with many cosets they need more.
fn ends_long_loops(rt: &Runtime, transform: Transform) -> bool {
    let many = matches!(
        transform,
        Transform::CosetLde {
            added_bits: 5..,
            ..
        }
    );
    many && rt.info().platform == "rusticl" && rt.variant() == Variant::Vector
}

/// Runs a case on every device, and compares raw words: a word that is not canonical differs.
fn check<F: HalField + Word>(case: &Case) {
    let Case {
        log_height,
        width,
        transform,
        in_pieces,
        seed,
    } = *case;
    let input = RowMajorMatrix::new(elements::<F>(seed, width << log_height), width);
    let words = input.values.clone();
    let want: Vec<u32> = expected(input.clone(), transform)
        .values
        .iter()
        .map(|x| x.montgomery_word())
        .collect();
    for bench in &*BENCHES {
        let rt = if in_pieces {
            &bench.pieces
        } else {
            &bench.whole
        };
        if ends_long_loops(rt, transform) {
            continue;
        }
        let on = format!(
            "{} {}, {}",
            rt.info().platform,
            rt.variant().name(),
            F::NAME
        );
        let device = Matrix::adopt(rt, words.clone(), width).expect("the input fits");
        let mut results = vec![run::<F>(rt, &device, transform)];
        if let Transform::CosetLde { added_bits, shift } = transform {
            let shift = F::from_u32(shift);
            results.push(extend(rt, words.clone(), width, added_bits, shift));
        }
        for got in results {
            let got = got.unwrap_or_else(|e| panic!("{on}: {case:?}: {e}"));
            assert_eq!((got.width, got.height * width), (width, want.len()));
            let got = got.read_vec::<u32>(rt).expect("the device answers");
            let differ = got.iter().zip(&want).filter(|(a, b)| a != b).count();
            let first = got.iter().zip(&want).position(|(a, b)| a != b);
            assert!(
                first.is_none(),
                "{on}: {case:?}: {differ} of {} words differ, first {first:?}",
                want.len()
            );
        }
    }
}

fn case() -> impl Strategy<Value = Case> {
    let shift = prop_oneof![
        Just(1u32),
        Just(KoalaBear::GENERATOR.as_canonical_u32()),
        2u32..0x7800_0000
    ];
    let lde = (0usize..5, shift)
        .prop_map(|(added_bits, shift)| Transform::CosetLde { added_bits, shift });
    let transform =
        prop_oneof![4 => lde, 1 => Just(Transform::Forward), 1 => Just(Transform::Inverse)];
    let width = prop_oneof![1usize..5, 5usize..40, Just(16), Just(33), 40usize..90];
    (0u32..13, width, transform, any::<bool>(), any::<u64>()).prop_map(
        |(log_height, width, transform, in_pieces, seed)| {
            let added = match transform {
                Transform::CosetLde { added_bits, .. } => added_bits as u32,
                _ => 0,
            };
            let log_height = log_height.min(MOST_ROWS - added);
            // Wide matrices are low.
            let width = width.min((1 << 17 >> (log_height + added)).max(1));
            Case {
                log_height,
                width,
                transform,
                in_pieces,
                seed,
            }
        },
    )
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(24)
}

use p3_field::{Field, PrimeField32};

#[test]
fn random_shapes_match_p3() {
    let mut runner = TestRunner::new(Config {
        cases: cases(),
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&(case(), any::<bool>()), |(case, koala)| {
        if koala {
            check::<KoalaBear>(&case)
        } else {
            check::<BabyBear>(&case)
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// Every height up to 2^10 in one width of each kind: the networks of every size, odd and even.
#[test]
fn every_small_height_matches_p3() {
    for log_height in 0..=10 {
        for width in [1, 16, 21] {
            for added_bits in [0, 1, 3] {
                let transform = Transform::CosetLde {
                    added_bits,
                    shift: 31,
                };
                check::<BabyBear>(&Case {
                    log_height,
                    width,
                    transform,
                    in_pieces: false,
                    seed: 1,
                });
            }
            for transform in [Transform::Forward, Transform::Inverse] {
                check::<KoalaBear>(&Case {
                    log_height,
                    width,
                    transform,
                    in_pieces: false,
                    seed: 2,
                });
            }
        }
    }
}

#[test]
fn high_and_wide_matrices_match_p3() {
    for (log_height, width, added_bits) in [
        (15, 37, 2),
        (17, 16, 1),
        (19, 1, 1),
        (6, 2633, 8),
        (1, 3000, 8),
    ] {
        let transform = Transform::CosetLde {
            added_bits,
            shift: 3,
        };
        check::<KoalaBear>(&Case {
            log_height,
            width,
            transform,
            in_pieces: false,
            seed: 3,
        });
    }
}

#[test]
fn forward_undoes_inverse() {
    let values = elements::<KoalaBear>(4, 19 << 11);
    for bench in &*BENCHES {
        let rt = &bench.pieces;
        let input = Matrix::adopt(rt, values.clone(), 19).unwrap();
        let there = idft::<KoalaBear>(rt, &input).unwrap();
        let back = dft::<KoalaBear>(rt, &there).unwrap();
        assert!(there.read_vec::<KoalaBear>(rt).unwrap() != values);
        assert!(back.read_vec::<KoalaBear>(rt).unwrap() == values);
    }
}

/// What a transform leaves on the device is its result alone.
#[test]
fn nothing_stays_on_the_device() {
    for bench in benches() {
        for rt in [&bench.whole, &bench.pieces] {
            let before = rt.statistics().live_bytes;
            let input = Matrix::adopt(rt, elements::<KoalaBear>(5, 24 << 11), 24).unwrap();
            let out = coset_lde(rt, &input, 1, KoalaBear::GENERATOR).unwrap();
            rt.finish().unwrap();
            drop(input);
            assert_eq!(rt.statistics().live_bytes - before, (4 * 24) << 12);
            drop(out);
            assert_eq!(rt.statistics().live_bytes, before);
        }
    }
}

/// Rows that come from the host are extended in the result's memory: nothing else is allocated but tables, and scratch
/// memory for lanes that are not aligned.
#[test]
fn rows_from_the_host_take_no_memory_beside_the_result() {
    for bench in benches() {
        let rt = &bench.whole;
        let before = rt.statistics().live_bytes;
        let rows = elements::<KoalaBear>(6, 24 << 11);
        let out = extend(rt, rows, 24, 2, KoalaBear::GENERATOR).unwrap();
        rt.finish().unwrap();
        let result = (4 * 24) << 13;
        let statistics = rt.statistics();
        assert_eq!(statistics.live_bytes - before, result);
        let scratch = (4 * 32) << 13;
        let tables = 1 << 16;
        assert!(tables < result / 4 && statistics.peak_bytes < before + result + scratch + tables);
        drop(out);
        assert_eq!(rt.statistics().live_bytes, before);
    }
}

#[test]
fn shapes_that_make_no_sense_are_refused() {
    let rt = &BENCHES[0].whole;
    let matrix = |rows: usize, width: usize| {
        Matrix::adopt(rt, vec![KoalaBear::default(); rows * width], width).unwrap()
    };
    let invalid = |result: Result<Matrix, HalError>| {
        assert!(
            matches!(result, Err(HalError::InvalidArgument { .. })),
            "{result:?}"
        );
    };
    invalid(coset_lde(rt, &matrix(3, 2), 1, KoalaBear::GENERATOR));
    invalid(coset_lde(rt, &matrix(4, 0), 1, KoalaBear::GENERATOR));
    invalid(coset_lde(rt, &matrix(4, 2), 23, KoalaBear::GENERATOR));
    invalid(coset_lde(
        rt,
        &matrix(4, 2),
        usize::MAX,
        KoalaBear::GENERATOR,
    ));
    invalid(dft::<KoalaBear>(rt, &matrix(6, 2)));
    invalid(idft::<KoalaBear>(rt, &matrix(0, 2)));
}

/// A column that does not fit in one buffer cannot be transformed; the error says so.
#[test]
fn a_column_beyond_the_largest_allocation_is_unsupported() {
    let rt = &BENCHES[0].pieces;
    let input = Matrix::adopt(rt, vec![KoalaBear::default(); 1 << MOST_ROWS], 1).unwrap();
    let result = coset_lde(rt, &input, 2, KoalaBear::GENERATOR);
    assert!(
        matches!(result, Err(HalError::Unsupported { .. })),
        "{result:?}"
    );
}
