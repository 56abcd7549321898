//! One set of tests for every back end: each operation against [`Cpu`](starkwright_hal::Cpu), bit for bit.
//!
//! A suite draws shapes and elements (odd widths, single rows, mixed heights, the edges of the field), runs an
//! operation on the device and on the reference, and compares word for word: a word that is not below the prime is a
//! fault even where it stands for the right element. What an operation must refuse is tested too. The draws are the
//! same on every run; `STARKWRIGHT_SEED` changes them.
//!
//! The author of another back end writes, in a test file of their own:
//!
//! ```
//! # use starkwright_hal::Cpu;
//! starkwright_hw_tests::conformance! { my_device => Cpu::new() }
//! ```
//!
//! which makes one test for each suite, over both fields and all extensions. [`small_alloc`] needs a device whose
//! largest allocation is small, and is added by a second expression:
//!
//! ```
//! # use starkwright_hal::Cpu;
//! starkwright_hw_tests::conformance! { my_device => Cpu::new(), small_alloc => Cpu::new() }
//! ```

mod compare;
mod draw;
mod evaluate;
mod fold;
mod grind;
mod merkle;
mod reduce;
mod runner;
mod small_alloc;
mod subject;
mod transfer;
mod transform;

pub use compare::{same_elements, same_matrix};
pub use draw::{Fill, Random};
pub use evaluate::evaluate;
pub use fold::fold;
pub use grind::grind;
pub use merkle::{merkle_keccak, merkle_poseidon2, merkle_poseidon2_wide, open};
pub use reduce::reduce;
pub use small_alloc::{SMALL_ALLOC_BYTES, small_alloc};
pub use subject::{Subject, Subjects};
pub use transfer::transfer;
pub use transform::{lde, ntt};

/// How much a suite draws: number of cases, and the largest shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// A simulator that interprets every instruction: a few tiny shapes.
    Traced,
    /// A slow device: fewer and smaller shapes.
    Modest,
    /// Seconds for each suite: up to 2^10 rows and some hundred columns.
    Normal,
    /// Minutes for each suite: up to 2^15 rows and thousands of columns.
    Long,
}

impl Effort {
    /// Number of cases of a suite, for one field.
    #[must_use]
    pub const fn cases(self) -> u32 {
        match self {
            Self::Traced => 4,
            Self::Modest => 24,
            Self::Normal => 32,
            Self::Long => 400,
        }
    }

    /// Log2 of the largest height.
    #[must_use]
    pub const fn log_height(self) -> usize {
        match self {
            Self::Traced => 5,
            Self::Modest | Self::Normal => 10,
            Self::Long => 15,
        }
    }

    /// Whether a suite is run at all: whole proofs and large matrices are too much for an interpreter.
    #[must_use]
    pub fn runs(self, suite: &str) -> bool {
        const UNTRACED: [&str; 6] = [
            "small-alloc",
            "failures",
            "second-launcher",
            "proof",
            "offline",
            "discrete",
        ];
        self != Self::Traced || !UNTRACED.contains(&suite)
    }

    /// Most columns.
    #[must_use]
    pub const fn width(self) -> usize {
        match self {
            Self::Traced => 20,
            Self::Modest => 100,
            Self::Normal => 400,
            Self::Long => 2700,
        }
    }

    /// Most elements of a matrix.
    #[must_use]
    pub const fn elements(self) -> usize {
        match self {
            Self::Traced => 1 << 8,
            Self::Modest => 1 << 15,
            Self::Normal => 1 << 17,
            Self::Long => 1 << 22,
        }
    }
}

/// Makes one test for each conformance suite of a back end: see [the module](mod@crate::conformance).
///
/// `name => device` or `name => device, small_alloc => device`; or `name => each subjects` with anything that gives
/// [`Subject`](crate::conformance::Subject)s, for several devices and for the table of what ran. The expression is evaluated
/// once for each suite and field.
#[macro_export]
macro_rules! conformance {
    ($name:ident => each $subjects:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "the expression names what it likes")]
            use super::*;
            $crate::conformance_suites! { $subjects;
                transfer, ntt, lde, merkle_poseidon2, merkle_poseidon2_wide, merkle_keccak, open,
                evaluate, reduce, fold, grind, small_alloc
            }
        }
    };
    ($name:ident => $device:expr, small_alloc => $small:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "the expressions name what they like")]
            use super::*;
            $crate::conformance_suites! { $crate::conformance::Subjects::one($device);
                transfer, ntt, lde, merkle_poseidon2, merkle_poseidon2_wide, merkle_keccak, open,
                evaluate, reduce, fold, grind
            }
            $crate::conformance_suites! { $crate::conformance::Subjects::one($small); small_alloc }
        }
    };
    ($name:ident => $device:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "the expression names what it likes")]
            use super::*;
            $crate::conformance_suites! { $crate::conformance::Subjects::one($device);
                transfer, ntt, lde, merkle_poseidon2, merkle_poseidon2_wide, merkle_keccak, open,
                evaluate, reduce, fold, grind
            }
        }
    };
}

/// The tests behind [`conformance!`](crate::conformance!).
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_suites {
    ($subjects:expr; $($suite:ident),+) => {$(
        #[test]
        fn $suite() {
            use $crate::conformance::fields::{BabyBear, KoalaBear};
            let suite = stringify!($suite).replace('_', "-");
            let found = $subjects;
            found.run(&suite, $crate::conformance::$suite::<KoalaBear, _>);
            let found = $subjects;
            found.run(&suite, $crate::conformance::$suite::<BabyBear, _>);
        }
    )+};
}

/// The fields that the macro's tests name.
#[doc(hidden)]
pub mod fields {
    pub use p3_baby_bear::BabyBear;
    pub use p3_koala_bear::KoalaBear;
}
