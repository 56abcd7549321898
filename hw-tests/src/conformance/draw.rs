//! What the suites draw: shapes by proptest, elements from a seed.
//!
//! A case holds shapes and seeds, not elements: it prints in a line, and shrinks by its shape.

use p3_field::BasedVectorSpace;
use p3_matrix::dense::RowMajorMatrix;
use proptest::prelude::*;
use starkwright_hal::{Extension, HalField};

use super::Effort;

/// A small generator of random numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The generator with this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub const fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// A random element.
    pub fn element<F: HalField>(&mut self) -> F {
        F::from_u64(self.bits())
    }

    /// A random extension element.
    pub fn extension<F: HalField, E: Extension<F>>(&mut self) -> E {
        E::from_basis_coefficients_fn(|_| self.element())
    }

    /// A random element that is not 0.
    pub fn unit<F: HalField>(&mut self) -> F {
        let element: F = self.element();
        if element.is_zero() {
            F::GENERATOR
        } else {
            element
        }
    }
}

/// How a matrix is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Random elements.
    Random(u64),
    /// A random sequence of the field's edges: 0, 1, p − 1, and the elements with the smallest and largest words.
    Edges(u64),
    /// One edge throughout.
    Constant(u8),
}

/// The field's edges: as numbers, and as words.
fn edges<F: HalField>() -> [F; 6] {
    let word = |word| F::from_montgomery_word(word).unwrap_or(F::ZERO);
    [
        F::ZERO,
        F::ONE,
        F::NEG_ONE,
        word(1),
        word(F::ORDER_U32 - 1),
        word(F::ORDER_U32 / 2),
    ]
}

impl Fill {
    /// Any way to fill.
    pub(super) fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            4 => any::<u64>().prop_map(Self::Random),
            2 => any::<u64>().prop_map(Self::Edges),
            1 => (0..6u8).prop_map(Self::Constant),
        ]
    }

    /// `count` elements.
    #[must_use]
    pub fn elements<F: HalField>(self, count: usize) -> Vec<F> {
        let edges = edges::<F>();
        match self {
            Self::Random(seed) => {
                let mut random = Random::new(seed);
                (0..count).map(|_| random.element()).collect()
            }
            Self::Edges(seed) => {
                let mut random = Random::new(seed);
                (0..count)
                    .map(|_| edges[random.below(edges.len())])
                    .collect()
            }
            Self::Constant(which) => vec![edges[usize::from(which) % edges.len()]; count],
        }
    }

    /// A matrix.
    #[must_use]
    pub fn matrix<F: HalField>(self, height: usize, width: usize) -> RowMajorMatrix<F> {
        RowMajorMatrix::new(self.elements(height * width), width)
    }
}

/// How a scalar is chosen: an edge as often as not.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scalar {
    Edge(u8),
    Random(u64),
    /// In the base field, for an extension element.
    Base(u64),
}

impl Scalar {
    pub(super) fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            1 => (0..6u8).prop_map(Self::Edge),
            3 => any::<u64>().prop_map(Self::Random),
            1 => any::<u64>().prop_map(Self::Base),
        ]
    }

    pub(super) fn extension<F: HalField, E: Extension<F>>(self) -> E {
        match self {
            Self::Edge(which) => E::from(edges::<F>()[usize::from(which) % 6]),
            Self::Random(seed) => Random::new(seed).extension(),
            Self::Base(seed) => E::from(Random::new(seed).element::<F>()),
        }
    }

    /// Not zero, as shifts must be.
    pub(super) fn unit<F: HalField>(self) -> F {
        let element: F = match self {
            Self::Edge(which) => edges()[usize::from(which) % 6],
            Self::Random(seed) | Self::Base(seed) => Random::new(seed).unit(),
        };
        if element.is_zero() {
            F::GENERATOR
        } else {
            element
        }
    }
}

/// A point outside the base field's subgroups and their cosets: a random extension element that is not in the base
/// field.
pub(super) fn outside<F: HalField, E: Extension<F>>(seed: u64) -> E {
    let mut random = Random::new(seed);
    loop {
        let point: E = random.extension();
        let coefficients: &[F] = point.as_basis_coefficients_slice();
        if coefficients[1..].iter().any(|c| !c.is_zero()) {
            return point;
        }
    }
}

/// Log2 of a height: single rows and the largest more often than their share.
pub(super) fn log_height(most: usize) -> impl Strategy<Value = usize> {
    prop_oneof![1 => Just(0), 1 => Just(most), 6 => 0..=most]
}

/// A width: around the kernels' 16 columns, odd ones, and wide ones.
pub(super) fn width(most: usize) -> impl Strategy<Value = usize> {
    let near = move |width: usize| width.clamp(1, most);
    prop_oneof![
        2 => (1..=17usize).prop_map(near),
        2 => prop::sample::select(vec![1usize, 8, 15, 16, 17, 31, 32, 33, 47, 64, 65]).prop_map(near),
        2 => 1..=most,
    ]
}

/// A height and a width of no more elements than the effort allows, `room` log2 of the growth that an operation brings.
pub(super) fn shape(effort: Effort, room: usize) -> impl Strategy<Value = (usize, usize)> {
    let (most_log, elements) = (
        effort.log_height().saturating_sub(room),
        effort.elements() >> room,
    );
    (log_height(most_log), width(effort.width()))
        .prop_map(move |(log, width)| (log, width.min(elements >> log).max(1)))
}

/// Number of base coefficients of an extension element.
pub(super) fn degree<F: HalField, E: Extension<F>>() -> usize {
    <E as BasedVectorSpace<F>>::DIMENSION
}
