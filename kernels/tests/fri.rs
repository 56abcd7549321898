//! Evaluation, reduced openings and folding on every device found, in both variants, word for word against the CPU
//! reference. Debug builds poison fresh memory, so a word that no kernel wrote differs too.

use std::path::PathBuf;
use std::sync::LazyLock;

use p3_matrix::dense::RowMajorMatrix;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use starkwright_hal::{
    BabyBear4, BabyBear5, Cpu, Evaluation, Extension, FriOps, HalField, KoalaBear4, KoalaBear5,
    PointOpening, Reduction,
};
use starkwright_kernels::ops::{evaluate, fold, reduce};
use starkwright_kernels::{Matrix, Options, Runtime, Variant, Word};

/// Devices to test, each in both variants, with its own largest allocation and with a small one.
struct Bench {
    whole: Runtime,
    /// The same device, where a buffer holds at most [`SMALL`] bytes.
    pieces: Runtime,
}

/// A few rows of the widest matrix drawn here.
const SMALL: u64 = 4096;
const WIDEST: usize = 80;

static BENCHES: LazyLock<Vec<Bench>> = LazyLock::new(|| {
    let devices = Runtime::list().expect("the tests need an OpenCL library");
    assert!(!devices.is_empty(), "the tests need an OpenCL device");
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
    devices
        .iter()
        .flat_map(|info| variants.map(|variant| (info, variant)))
        .map(|(info, variant)| Bench {
            whole: open(info, variant, None),
            pieces: open(info, variant, Some(SMALL)),
        })
        .collect()
});

impl Bench {
    fn runtime(&self, in_pieces: bool) -> &Runtime {
        if in_pieces { &self.pieces } else { &self.whole }
    }
}

fn describe(rt: &Runtime) -> String {
    format!("{}, {}", rt.info().platform, rt.variant().name())
}

/// SplitMix64 (Steele, Lea, Flood 2014): test data from a seed.
struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Often a word at the edge of the range.
    fn base<F: HalField>(&mut self) -> F {
        let draw = self.word();
        let word = match draw >> 60 {
            0 => 0,
            1 => 1,
            2..=5 => F::ORDER_U32 - 1,
            _ => (draw as u32) % F::ORDER_U32,
        };
        F::from_montgomery_word(word).expect("a word below the prime")
    }

    fn extension<F: HalField, E: Extension<F>>(&mut self) -> E {
        E::from_basis_coefficients_fn(|_| self.base())
    }

    fn matrix<F: HalField>(&mut self, log_height: usize, width: usize) -> RowMajorMatrix<F> {
        let values = (0..width << log_height).map(|_| self.base()).collect();
        RowMajorMatrix::new(values, width)
    }

    /// Points outside of every coset here: in the extension, or in the base field and not of two-power order after the
    /// shift is taken off.
    fn points<F: HalField, E: Extension<F>>(&mut self, shift: F, count: usize) -> Vec<E> {
        (0..count)
            .map(|i| {
                if i == 2 {
                    return E::from(shift * F::GENERATOR);
                }
                let mut point = self.extension::<F, E>();
                while point.as_base().is_some() {
                    point = self.extension();
                }
                point
            })
            .collect()
    }
}

fn upload<F: HalField + Word>(rt: &Runtime, matrix: &RowMajorMatrix<F>) -> Matrix {
    Matrix::adopt(rt, matrix.values.clone(), matrix.width).expect("the matrix fits")
}

/// A matrix and the indices of the points that it is opened at.
#[derive(Clone, Debug)]
struct Shape {
    log_height: usize,
    log_blowup: usize,
    width: usize,
    points: Vec<usize>,
}

fn shape(log_height: impl Strategy<Value = usize>) -> impl Strategy<Value = Shape> {
    let width = prop_oneof![1..=20usize, 1..=WIDEST, Just(16), Just(32), Just(64)];
    let points = prop::collection::vec(0..3usize, 0..=4);
    (log_height, 0..=2usize, width, points).prop_map(|(log_height, log_blowup, width, points)| {
        Shape {
            log_height,
            log_blowup: log_blowup.min(log_height),
            width,
            points,
        }
    })
}

fn same_evaluations<F: HalField + Word, E: Extension<F>>(
    seed: u64,
    shapes: &[Shape],
    pieces: bool,
) {
    let mut random = Random(seed);
    let shift = if seed % 4 == 0 { F::ONE } else { F::GENERATOR };
    let pool = random.points::<F, E>(shift, 3);
    let matrices: Vec<RowMajorMatrix<F>> = shapes
        .iter()
        .map(|shape| random.matrix(shape.log_height, shape.width))
        .collect();
    let points: Vec<Vec<E>> = shapes
        .iter()
        .map(|shape| shape.points.iter().map(|&i| pool[i]).collect())
        .collect();
    fn requests<'a, M, E>(
        shapes: &[Shape],
        matrices: &'a [M],
        points: &'a [Vec<E>],
    ) -> Vec<Evaluation<'a, M, E>> {
        shapes
            .iter()
            .zip(matrices)
            .zip(points)
            .map(|((shape, matrix), points)| Evaluation {
                matrix,
                log_blowup: shape.log_blowup,
                points,
            })
            .collect()
    }
    let expected = Cpu::<F>::new()
        .evaluate(shift, &requests(shapes, &matrices, &points))
        .expect("the reference evaluates");
    for bench in BENCHES.iter() {
        let rt = bench.runtime(pieces);
        let on_device: Vec<Matrix> = matrices.iter().map(|matrix| upload(rt, matrix)).collect();
        let got = evaluate::evaluate::<F, E>(rt, shift, &requests(shapes, &on_device, &points));
        assert_eq!(
            got.expect("the device evaluates"),
            expected,
            "{}",
            describe(rt)
        );
    }
}

fn same_reduction<F: HalField + Word, E: Extension<F>>(
    seed: u64,
    log_height: usize,
    shapes: &[Shape],
    pieces: bool,
) {
    let mut random = Random(seed);
    let shift = F::GENERATOR;
    let pool = random.points::<F, E>(shift, 3);
    let alpha = random.extension();
    let matrices: Vec<RowMajorMatrix<F>> = shapes
        .iter()
        .map(|shape| random.matrix(log_height, shape.width))
        .collect();
    let openings: Vec<Vec<PointOpening<E>>> = shapes
        .iter()
        .map(|shape| {
            let mut opening = |&i: &usize| PointOpening {
                point: pool[i],
                // The reference divides by the first weight.
                weight: random.extension::<F, E>() + E::from_basis_coefficients_fn(|_| F::TWO),
                value: random.extension(),
            };
            shape
                .points
                .iter()
                .map(&mut opening)
                .filter(|open| !open.weight.is_zero())
                .collect()
        })
        .collect();
    fn terms<'a, M, E: Copy>(
        matrices: &'a [M],
        openings: &[Vec<PointOpening<E>>],
    ) -> Vec<Reduction<'a, M, E>> {
        let with = |(matrix, openings): (&'a M, &Vec<_>)| Reduction {
            matrix,
            openings: openings.clone(),
        };
        matrices.iter().zip(openings).map(with).collect()
    }
    let expected = Cpu::<F>::new()
        .reduce(log_height, shift, alpha, &terms(&matrices, &openings))
        .expect("the reference reduces");
    for bench in BENCHES.iter() {
        let rt = bench.runtime(pieces);
        let on_device: Vec<Matrix> = matrices.iter().map(|matrix| upload(rt, matrix)).collect();
        let got =
            reduce::reduce::<F, E>(rt, log_height, shift, alpha, &terms(&on_device, &openings))
                .expect("the device reduces");
        assert_eq!((got.height, got.width), (1 << log_height, E::DIMENSION));
        let got: Vec<F> = got.read_vec(rt).expect("the device answers");
        assert_eq!(got, expected.values, "{}", describe(rt));
    }
}

fn same_fold<F: HalField + Word, E: Extension<F>>(
    seed: u64,
    log_height: usize,
    log_arity: usize,
    with_roll_in: bool,
    pieces: bool,
) {
    let mut random = Random(seed);
    let beta: E = random.extension();
    let leaves = random.matrix::<F>(log_height, E::DIMENSION << log_arity);
    let roll_in = with_roll_in.then(|| random.matrix::<F>(log_height, E::DIMENSION));
    let expected = Cpu::<F>::new()
        .fold(&leaves, beta, log_arity, roll_in.as_ref())
        .expect("the reference folds");
    for bench in BENCHES.iter() {
        let rt = bench.runtime(pieces);
        let on_device = upload(rt, &leaves);
        let roll_in = roll_in.as_ref().map(|matrix| upload(rt, matrix));
        let got = fold::fold::<F, E>(rt, &on_device, beta, log_arity, roll_in.as_ref())
            .expect("the device folds");
        assert_eq!((got.height, got.width), (1 << log_height, E::DIMENSION));
        let got: Vec<F> = got.read_vec(rt).expect("the device answers");
        assert_eq!(got, expected.values, "{}", describe(rt));
    }
}

/// Runs `case` on drawn inputs; panics inside are shrunk as failures.
fn check<S: Strategy>(strategy: S, case: impl Fn(S::Value)) {
    let config = Config {
        cases: 12,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&strategy, |input| {
            case(input);
            Ok(())
        })
        .expect("device and reference agree");
}

macro_rules! over_each_extension {
    ($($name:ident: $extension:ty;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn evaluates_as_the_reference() {
                let shapes = prop::collection::vec(shape(0..=9usize), 1..=3);
                check((any::<u64>(), shapes, any::<bool>()), |(seed, shapes, pieces)| {
                    same_evaluations::<_, $extension>(seed, &shapes, pieces);
                });
            }

            #[test]
            fn reduces_as_the_reference() {
                let shapes = prop::collection::vec(shape(Just(0)), 0..=3);
                check(
                    (any::<u64>(), 0..=9usize, shapes, any::<bool>()),
                    |(seed, log_height, shapes, pieces)| {
                        same_reduction::<_, $extension>(seed, log_height, &shapes, pieces);
                    },
                );
            }

            #[test]
            fn folds_as_the_reference() {
                check(
                    (any::<u64>(), 0..=8usize, 1..=4usize, any::<bool>(), any::<bool>()),
                    |(seed, log_height, log_arity, roll_in, pieces)| {
                        same_fold::<_, $extension>(seed, log_height, log_arity, roll_in, pieces);
                    },
                );
            }
        }
    )*};
}

over_each_extension! {
    koala_bear_4: KoalaBear4;
    koala_bear_5: KoalaBear5;
    baby_bear_4: BabyBear4;
    baby_bear_5: BabyBear5;
}
