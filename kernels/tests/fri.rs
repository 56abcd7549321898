//! Evaluation, reduced openings and folding on every device found, in both variants, word for word against the CPU
//! reference. Debug builds poison fresh memory, so a word that no kernel wrote differs too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod found;

use std::path::PathBuf;
use std::sync::LazyLock;

use p3_field::{BasedVectorSpace, Field, PrimeCharacteristicRing, TwoAdicField};
use p3_matrix::dense::RowMajorMatrix;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use starkwright_hal::{
    BabyBear4, BabyBear5, Cpu, Evaluation, Extension, FriOps, HalError, HalField, KoalaBear4,
    KoalaBear5, PointOpening, Reduction,
};
use starkwright_kernels::ops::{evaluate, fold, reduce};
use starkwright_kernels::{Matrix, Options, Runtime, Variant, Word};

/// Bytes of the small largest allocation: a few rows of the widest matrix drawn here.
const SMALL: u64 = 4096;
const WIDEST: usize = 80;

/// Every device found in both variants, each with its own largest allocation, or all with [`SMALL`].
struct Devices {
    whole: Vec<Runtime>,
    pieces: Vec<Runtime>,
}

static DEVICES: LazyLock<Devices> = LazyLock::new(|| {
    let found = found::devices();
    let open = |max_alloc| {
        let variants = [Variant::Vector, Variant::Scalar];
        let both = found
            .iter()
            .flat_map(|info| variants.map(|variant| (info, variant)));
        // llvmpipe takes half a minute to build the vector kernels of one extension, and they are not meant for it.
        let both = both.filter(|(info, variant)| {
            !info.name.contains("llvmpipe") || *variant == Variant::Scalar
        });
        both.map(|(info, variant)| {
            let cache_dir = Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("programs"));
            let options = Options {
                variant: Some(variant),
                max_alloc,
                cache_dir,
                ..Options::default()
            };
            Runtime::open(info, options).expect("a listed device opens")
        })
        .collect()
    };
    Devices {
        whole: open(None),
        pieces: open(Some(SMALL)),
    }
});

/// How matrices lie on the devices. Each program is built for one of them only: building takes most of the time here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Allocation {
    Whole,
    Pieces,
}

impl Allocation {
    fn runtimes(self) -> &'static [Runtime] {
        match self {
            Self::Whole => &DEVICES.whole,
            Self::Pieces => &DEVICES.pieces,
        }
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
    allocation: Allocation,
) {
    let mut random = Random(seed);
    let shift = if seed.is_multiple_of(4) {
        F::ONE
    } else {
        F::GENERATOR
    };
    let pool = random.points::<F, E>(shift, 3);
    let matrices = shapes
        .iter()
        .map(|shape| random.matrix(shape.log_height, shape.width));
    let matrices: Vec<RowMajorMatrix<F>> = matrices.collect();
    let points = shapes
        .iter()
        .map(|shape| shape.points.iter().map(|&i| pool[i]).collect());
    let points: Vec<Vec<E>> = points.collect();
    fn requests<'a, M, E>(
        shapes: &[Shape],
        matrices: &'a [M],
        points: &'a [Vec<E>],
    ) -> Vec<Evaluation<'a, M, E>> {
        let request = |((shape, matrix), points): ((&Shape, &'a M), &'a Vec<E>)| Evaluation {
            matrix,
            log_blowup: shape.log_blowup,
            points,
        };
        shapes
            .iter()
            .zip(matrices)
            .zip(points)
            .map(request)
            .collect()
    }
    let expected = Cpu::<F>::new()
        .evaluate(shift, &requests(shapes, &matrices, &points))
        .expect("the reference evaluates");
    for rt in allocation.runtimes() {
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
    allocation: Allocation,
) {
    let mut random = Random(seed);
    let pool = random.points::<F, E>(F::GENERATOR, 3);
    let alpha = random.extension();
    let matrices = shapes
        .iter()
        .map(|shape| random.matrix(log_height, shape.width));
    let matrices: Vec<RowMajorMatrix<F>> = matrices.collect();
    let openings = shapes.iter().map(|shape| {
        let opening = |&i: &usize| PointOpening {
            point: pool[i],
            weight: random.extension::<F, E>(),
            value: random.extension(),
        };
        let openings = shape.points.iter().map(opening);
        // The reference divides by weights.
        openings
            .filter(|opening| !opening.weight.is_zero())
            .collect()
    });
    let openings: Vec<Vec<PointOpening<E>>> = openings.collect();
    compare_reductions(log_height, alpha, &matrices, &openings, allocation);
}

fn compare_reductions<F: HalField + Word, E: Extension<F>>(
    log_height: usize,
    alpha: E,
    matrices: &[RowMajorMatrix<F>],
    openings: &[Vec<PointOpening<E>>],
    allocation: Allocation,
) {
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
    let shift = F::GENERATOR;
    let expected = Cpu::<F>::new()
        .reduce(log_height, shift, alpha, &terms(matrices, openings))
        .expect("the reference reduces");
    for rt in allocation.runtimes() {
        let on_device: Vec<Matrix> = matrices.iter().map(|matrix| upload(rt, matrix)).collect();
        let got =
            reduce::reduce::<F, E>(rt, log_height, shift, alpha, &terms(&on_device, openings))
                .expect("the device reduces");
        assert_eq!((got.height, got.width), (1 << log_height, E::DIMENSION));
        let got: Vec<F> = got.read_vec(rt).expect("the device answers");
        assert_eq!(got, expected.values, "{}", describe(rt));
    }
}

/// Rows of the largest word, P - 1, against powers of an element of such words: sums of products near their bound.
fn same_sums_of_largest_words<F: HalField + Word, E: Extension<F>>(allocation: Allocation) {
    let largest = F::from_montgomery_word(F::ORDER_U32 - 1).expect("a word below the prime");
    let all_largest = E::from_basis_coefficients_fn(|_| largest);
    let matrix = RowMajorMatrix::new(vec![largest; 40 << 7], 40);
    let opening = PointOpening {
        point: all_largest,
        weight: all_largest,
        value: E::ZERO,
    };
    compare_reductions(7, all_largest, &[matrix], &[vec![opening]], allocation);
}

fn same_fold<F: HalField + Word, E: Extension<F>>(
    seed: u64,
    log_height: usize,
    log_arity: usize,
    with_roll_in: bool,
    allocation: Allocation,
) {
    let mut random = Random(seed);
    let beta: E = random.extension();
    let leaves = random.matrix::<F>(log_height, E::DIMENSION << log_arity);
    let roll_in = with_roll_in.then(|| random.matrix::<F>(log_height, E::DIMENSION));
    let expected = Cpu::<F>::new()
        .fold(&leaves, beta, log_arity, roll_in.as_ref())
        .expect("the reference folds");
    for rt in allocation.runtimes() {
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
    ($($name:ident: $extension:ty, $allocation:ident;)*) => {$(
        mod $name {
            use super::*;

            const ALLOCATION: Allocation = Allocation::$allocation;

            #[test]
            fn evaluates_as_the_reference() {
                let shapes = prop::collection::vec(shape(0..=10usize), 0..=3);
                check((any::<u64>(), shapes), |(seed, shapes)| {
                    same_evaluations::<_, $extension>(seed, &shapes, ALLOCATION);
                });
            }

            #[test]
            fn reduces_as_the_reference() {
                let shapes = prop::collection::vec(shape(Just(0)), 0..=3);
                check((any::<u64>(), 0..=10usize, shapes), |(seed, log_height, shapes)| {
                    same_reduction::<_, $extension>(seed, log_height, &shapes, ALLOCATION);
                });
            }

            #[test]
            fn folds_as_the_reference() {
                let shapes = (0..=8usize, 1..=4usize, any::<bool>());
                check((any::<u64>(), shapes), |(seed, (log_height, log_arity, roll_in))| {
                    same_fold::<_, $extension>(seed, log_height, log_arity, roll_in, ALLOCATION);
                });
            }

            #[test]
            fn folds_every_arity() {
                for log_arity in 1..=4 {
                    same_fold::<_, $extension>(7, 5, log_arity, true, ALLOCATION);
                }
            }

            #[test]
            fn sums_stay_in_bounds() {
                same_sums_of_largest_words::<_, $extension>(ALLOCATION);
            }
        }
    )*};
}

over_each_extension! {
    koala_bear_4: KoalaBear4, Pieces;
    koala_bear_5: KoalaBear5, Whole;
    baby_bear_4: BabyBear4, Whole;
    baby_bear_5: BabyBear5, Pieces;
}

mod refusals {
    use p3_koala_bear::KoalaBear;

    use super::*;

    type E = KoalaBear4;

    fn runtime() -> &'static Runtime {
        &DEVICES.whole[0]
    }

    fn matrix(height: usize, width: usize) -> Matrix {
        Matrix::alloc(runtime(), height, width).expect("a small matrix fits")
    }

    /// Invalid arguments are told from what is not supported.
    #[derive(Debug, PartialEq, Eq)]
    enum Refusal {
        Invalid,
        Unsupported,
    }

    fn refusal<T>(result: Result<T, HalError>) -> Refusal {
        match result.err() {
            Some(HalError::InvalidArgument { .. }) => Refusal::Invalid,
            Some(HalError::Unsupported { .. }) => Refusal::Unsupported,
            other => panic!("{other:?}"),
        }
    }

    fn evaluate_at(matrix: &Matrix, log_blowup: usize, shift: KoalaBear, z: E) -> Refusal {
        let request = Evaluation {
            matrix,
            log_blowup,
            points: &[z],
        };
        refusal(evaluate::evaluate(runtime(), shift, &[request]))
    }

    /// A point of the coset of size 8, and one outside of every coset.
    fn points() -> (E, E) {
        let inside = KoalaBear::GENERATOR * KoalaBear::two_adic_generator(3).exp_u64(5);
        (
            E::from(inside),
            E::from_basis_coefficients_fn(|_| KoalaBear::TWO),
        )
    }

    #[test]
    fn evaluation() {
        let (inside, outside) = points();
        let shift = KoalaBear::GENERATOR;
        assert_eq!(
            evaluate_at(&matrix(8, 3), 0, shift, inside),
            Refusal::Invalid
        );
        assert_eq!(
            evaluate_at(&matrix(8, 3), 0, shift, E::ZERO),
            Refusal::Invalid
        );
        assert_eq!(
            evaluate_at(&matrix(6, 3), 0, shift, outside),
            Refusal::Invalid
        );
        assert_eq!(
            evaluate_at(&matrix(8, 3), 4, shift, outside),
            Refusal::Invalid
        );
        assert_eq!(
            evaluate_at(&matrix(8, 3), 0, KoalaBear::ZERO, outside),
            Refusal::Unsupported
        );
    }

    #[test]
    fn reduction() {
        let (inside, outside) = points();
        let reduced = |log_height, height, point| {
            let openings = vec![PointOpening {
                point,
                weight: E::ONE,
                value: E::ONE,
            }];
            let matrix = &matrix(height, 3);
            let terms = [Reduction { matrix, openings }];
            refusal(reduce::reduce(
                runtime(),
                log_height,
                KoalaBear::GENERATOR,
                E::TWO,
                &terms,
            ))
        };
        assert_eq!(reduced(3, 8, inside), Refusal::Invalid);
        assert_eq!(reduced(3, 16, outside), Refusal::Invalid);
        assert_eq!(reduced(64, 16, outside), Refusal::Unsupported);
    }

    #[test]
    fn folding() {
        let fold = |leaves: &Matrix, log_arity, roll_in: Option<&Matrix>| {
            refusal(fold::fold::<KoalaBear, E>(
                runtime(),
                leaves,
                E::TWO,
                log_arity,
                roll_in,
            ))
        };
        assert_eq!(fold(&matrix(4, 4), 0, None), Refusal::Invalid);
        assert_eq!(fold(&matrix(4, 9), 1, None), Refusal::Invalid);
        assert_eq!(fold(&matrix(3, 8), 1, None), Refusal::Invalid);
        assert_eq!(
            fold(&matrix(4, 8), 1, Some(&matrix(8, 4))),
            Refusal::Invalid
        );
        assert_eq!(
            fold(&matrix(4, 8), 1, Some(&matrix(4, 8))),
            Refusal::Invalid
        );
        assert_eq!(fold(&matrix(4, 4 << 5), 5, None), Refusal::Unsupported);
    }
}
