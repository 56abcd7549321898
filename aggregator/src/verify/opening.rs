//! Queries: rows of every commitment, their Merkle paths, and the reduced openings that FRI folds.
//!
//! With columns `f_i` opened at `z` to `y_i`, and `i` counting through all columns and points of one height, FRI is run on
//! `Σ α^i (y_i − f_i(x)) / (z − x)`. The sums over `y_i` are made once. A query's sums over `f_i(x)` come with the hashing:
//! the permutation machine sums what it absorbs by Horner's rule with `β = 1/α`, so that after `r` blocks it has
//! `B_r = α^(1 − 8r) F(8r)`, where `F(k) = Σ_(i<k) α^i v_i` over the words `v` of the rows hashed together. A matrix with
//! the words `s` to `e` and the ladder's position `o` gives `α^(o − s) (F(e) − F(s))`. Where matrices follow each other in
//! the ladder as they do in the hash, the terms at their border cancel.

use std::collections::BTreeMap;

use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};
use p3_koala_bear::KoalaBear;

use super::shape::{Matrix, Point, ProofShape, heights};
use crate::circuit::layout::CELL_WORDS;
use crate::circuit::{Base, Builder, Decomposed, Ext, Gate, Octet, PathIndex, Row};

const ONE: KoalaBear = KoalaBear::ONE;
const ZERO: KoalaBear = KoalaBear::ZERO;

/// Exponents of alpha, and how often each is added.
type Exponents = BTreeMap<i64, i64>;

/// A sampled query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query {
    pub(super) number: Base,
    pub(super) bits: Decomposed,
}

/// The claimed values of all matrices and points, in the order of the opening argument.
pub(super) type Claims = Vec<Vec<Vec<Vec<Ext>>>>;

/// Everything about the openings that is the same for all queries.
pub(super) struct Openings<'a> {
    pub(super) shape: &'a ProofShape,
    /// The challenge that batches openings, and its inverse.
    pub(super) alpha: Ext,
    pub(super) beta: Ext,
    /// The child whose challenge the permutation machine sums with.
    pub(super) child: usize,
    /// The points.
    pub(super) points: BTreeMap<Point, Ext>,
    /// By height and point: the sum over the claimed values.
    claimed: BTreeMap<(usize, Point), Ext>,
    /// By batch, height, border and point: the exponents of alpha, with signs, by which `F` of the border is multiplied.
    borders: BTreeMap<(usize, usize), BTreeMap<usize, BTreeMap<Point, Exponents>>>,
    powers: BTreeMap<i64, Ext>,
    /// By batch, height, border, point and shift: coefficients made so far.
    coefficients: BTreeMap<(usize, usize, usize, Point, i64), Option<Ext>>,
    /// Ends of paths made for the present query: by lowest bit, steps and height of the cap.
    ends: BTreeMap<(usize, usize, Option<usize>), Ext>,
}

impl<'a> Openings<'a> {
    /// Sums the claimed values and plans the rest.
    pub(super) fn new(
        builder: &mut Builder,
        shape: &'a ProofShape,
        (alpha, beta): (Ext, Ext),
        child: usize,
        points: BTreeMap<Point, Ext>,
        claims: &Claims,
    ) -> Self {
        let mut openings = Self {
            shape,
            alpha,
            beta,
            child,
            points,
            claimed: BTreeMap::new(),
            borders: BTreeMap::new(),
            powers: BTreeMap::new(),
            coefficients: BTreeMap::new(),
            ends: BTreeMap::new(),
        };
        let mut ladder: BTreeMap<usize, i64> = BTreeMap::new();
        for (batch, (matrices, claims)) in shape.batches.iter().zip(claims).enumerate() {
            let mut hashed: BTreeMap<usize, usize> = BTreeMap::new();
            for (matrix, claims) in matrices.iter().zip(claims) {
                let height = matrix.log_height;
                let start = hashed.entry(height).or_default();
                let (from, to) = (*start, *start + matrix.width);
                *start = to;
                for (&point, claims) in matrix.points.iter().zip(claims) {
                    let position = ladder.entry(height).or_default();
                    let (at, exponent) = (*position, *position - from as i64);
                    *position += matrix.width as i64;
                    openings.claim(builder, (height, point), at, claims);
                    let borders = openings.borders.entry((batch, height)).or_default();
                    for (border, sign) in [(from, -1), (to, 1)] {
                        if border > 0 {
                            *borders
                                .entry(border)
                                .or_default()
                                .entry(point)
                                .or_default()
                                .entry(exponent)
                                .or_default() += sign;
                        }
                    }
                }
            }
        }
        openings
    }

    /// Adds `α^at Σ α^i y_i` to the sum of a point.
    fn claim(&mut self, builder: &mut Builder, at: (usize, Point), position: i64, values: &[Ext]) {
        let mut reversed = values.iter().rev();
        let Some(&last) = reversed.next() else {
            return;
        };
        let sum = reversed.fold(last, |sum, &value| builder.mul_add(sum, self.alpha, value));
        let power = self.power(builder, position);
        let sum = match self.claimed.get(&at) {
            Some(&before) => builder.mul_add(sum, power, before),
            None => builder.mul(sum, power),
        };
        self.claimed.insert(at, sum);
    }

    /// `α^n` for any whole `n`.
    fn power(&mut self, builder: &mut Builder, n: i64) -> Ext {
        if let Some(&known) = self.powers.get(&n) {
            return known;
        }
        let base = if n < 0 { self.beta } else { self.alpha };
        let power = builder.power(base, n.unsigned_abs());
        self.powers.insert(n, power);
        power
    }

    /// `Σ ±α^(n + shift)`, made once for all queries; none where everything cancels.
    fn coefficient(
        &mut self,
        builder: &mut Builder,
        (batch, height, border, point): (usize, usize, usize, Point),
        exponents: &Exponents,
        shift: i64,
    ) -> Option<Ext> {
        let key = (batch, height, border, point, shift);
        if let Some(&known) = self.coefficients.get(&key) {
            return known;
        }
        let mut sum: Option<Ext> = None;
        for (&exponent, &times) in exponents.iter().filter(|(_, times)| **times != 0) {
            let power = self.power(builder, exponent + shift);
            let magnitude = KoalaBear::from_u64(times.unsigned_abs());
            let times = if times < 0 { -magnitude } else { magnitude };
            sum = Some(match sum {
                Some(sum) => builder.linear([(times, power), (ONE, sum), (ZERO, power)], ZERO),
                None if times == ONE => power,
                None => builder.linear([(times, power), (ZERO, power), (ZERO, power)], ZERO),
            });
        }
        self.coefficients.insert(key, sum);
        sum
    }

    /// Opens a query's rows of all commitments. Returns the reduced opening of every height, tallest first.
    pub(super) fn query(
        &mut self,
        builder: &mut Builder,
        query: Query,
        caps: &[Vec<Octet>],
    ) -> Vec<(usize, Ext)> {
        let mut sums: BTreeMap<(usize, Point), Ext> = BTreeMap::new();
        self.ends.clear();
        for (batch, cap) in caps.iter().enumerate() {
            self.batch(builder, query, batch, cap, &mut sums);
        }
        let shape = self.shape;
        let mut all: Vec<usize> = shape
            .batches
            .iter()
            .flatten()
            .map(|m| m.log_height)
            .collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.dedup();
        all.into_iter()
            .map(|height| (height, self.reduce(builder, query, height, &sums)))
            .collect()
    }

    /// `Σ_z (S_z − T_z) / (z − x)` of a height.
    fn reduce(
        &self,
        builder: &mut Builder,
        query: Query,
        height: usize,
        sums: &BTreeMap<(usize, Point), Ext>,
    ) -> Ext {
        let low = self.shape.log_max_height - height;
        let inverse = inverse_point(builder, query, low, low);
        let x = builder.inverse(inverse);
        let mut reduced: Option<Ext> = None;
        let claims: Vec<(Point, Ext)> = self
            .claimed
            .range((height, Point::Zeta)..)
            .take_while(|((at, _), _)| *at == height)
            .map(|(&(_, point), &claimed)| (point, claimed))
            .collect();
        for (point, claimed) in claims {
            let z = self.points[&point];
            let inverse = builder.inverse_of([(ONE, z), (-KoalaBear::GENERATOR, x)]);
            let opened = sums.get(&(height, point)).copied();
            // (S − T) / (z − x), added to what there is.
            let b = opened.unwrap_or(claimed);
            let qb = if opened.is_some() { -ONE } else { ZERO };
            let gate = Gate {
                qa: ONE,
                qb,
                ..Gate::default()
            };
            let quotient = builder.gate(gate, claimed, b, inverse);
            reduced = Some(match reduced {
                Some(sum) => builder.add(sum, quotient),
                None => quotient,
            });
        }
        reduced.unwrap_or_else(|| builder.constant(ZERO))
    }

    /// A query's rows of one commitment, hashed up to its cap; adds to the sums of every point.
    fn batch(
        &mut self,
        builder: &mut Builder,
        query: Query,
        batch: usize,
        cap: &[Octet],
        sums: &mut BTreeMap<(usize, Point), Ext>,
    ) {
        let shape = self.shape;
        let matrices: &[Matrix] = &shape.batches[batch];
        let cap_height = cap.len().ilog2() as usize;
        let mut levels = heights(matrices);
        levels.push(cap_height);
        let mut digest: Option<Octet> = None;
        for pair in levels.windows(2) {
            let (height, next) = (pair[0], pair[1]);
            let width = matrices
                .iter()
                .filter(|m| m.log_height == height)
                .map(|m| m.width)
                .sum();
            let rows = builder.hash_input(width, Some(self.child));
            self.borders(builder, batch, height, &rows, sums);
            let Some(&last) = rows.last() else {
                continue;
            };
            let leaf = match digest {
                Some(digest) => builder.roll_in(digest, last),
                None => last,
            };
            let low = shape.log_max_height - height;
            let is_end = next == cap_height;
            let (steps, cap_of_end) = (height - next, is_end.then_some(cap_height));
            let end = *self
                .ends
                .entry((low, steps, cap_of_end))
                .or_insert_with(|| path_end(builder, query, low, steps, cap_of_end));
            let index = PathIndex {
                number: query.number,
                first_bit: low as u32,
                end,
            };
            let last = builder.climb(leaf, steps, index);
            if is_end {
                builder.assert_in_cap(last, cap);
            } else {
                digest = Some(builder.output(last));
            }
        }
    }

    /// Adds the terms at the borders of a commitment's matrices of one height to the sums of their points.
    fn borders(
        &mut self,
        builder: &mut Builder,
        batch: usize,
        height: usize,
        rows: &[Row],
        sums: &mut BTreeMap<(usize, Point), Ext>,
    ) {
        let borders = self
            .borders
            .get(&(batch, height))
            .cloned()
            .unwrap_or_default();
        let end = borders.keys().next_back().copied().unwrap_or(0);
        for (border, points) in borders {
            let mut add = |openings: &mut Self, builder: &mut Builder, value: Ext, shift: i64| {
                for (&point, exponents) in &points {
                    let key = (batch, height, border, point);
                    let Some(coefficient) = openings.coefficient(builder, key, exponents, shift)
                    else {
                        continue;
                    };
                    let sum = match sums.get(&(height, point)) {
                        Some(&sum) => builder.mul_add(value, coefficient, sum),
                        None => builder.mul(value, coefficient),
                    };
                    sums.insert((height, point), sum);
                }
            };
            // Sums end at whole blocks; the last block is summed as if zeros followed.
            let (blocks, left) = if border == end {
                (rows.len(), 0)
            } else {
                (border / CELL_WORDS, border % CELL_WORDS)
            };
            if blocks > 0 {
                let sum = builder.sum(rows[blocks - 1]);
                add(self, builder, sum, (CELL_WORDS * blocks) as i64 - 1);
            }
            if left > 0 {
                let octet = builder.block_cell(rows[blocks]);
                let words = builder.spell(octet);
                for (i, word) in words.into_iter().take(left).enumerate() {
                    add(self, builder, word.into(), (CELL_WORDS * blocks + i) as i64);
                }
            }
        }
    }
}

/// The inverse of the query's point in the domain of its index without the `low` lowest bits, its highest bits left in:
/// the product over bits `from` on, raised to `2^low`, since every factor is the square of the next bit's.
pub(super) fn inverse_point(builder: &mut Builder, query: Query, low: usize, from: usize) -> Ext {
    let product = builder.product_above(query.bits, from);
    builder.power_of_two_power(product.into(), low)
}

/// The end of a path of `steps` steps from bit `low` on: the number of those bits, and if the path ends at a cap, the place
/// in it as the second word.
pub(super) fn path_end(
    builder: &mut Builder,
    query: Query,
    low: usize,
    steps: usize,
    cap_height: Option<usize>,
) -> Ext {
    let from = builder.without_low_bits(query.bits, low);
    let to = builder.without_low_bits(query.bits, low + steps);
    let weight = KoalaBear::TWO.exp_u64(steps as u64);
    match cap_height {
        None | Some(0) => builder.linear(
            [
                (ONE, from.into()),
                (-weight, to.into()),
                (ZERO, from.into()),
            ],
            ZERO,
        ),
        Some(cap_height) => {
            let above = builder.without_low_bits(query.bits, low + steps + cap_height);
            let weight_of_cap = KoalaBear::TWO.exp_u64(cap_height as u64);
            let place = builder.linear(
                [
                    (ONE, to.into()),
                    (-weight_of_cap, above.into()),
                    (ZERO, to.into()),
                ],
                ZERO,
            );
            let x = builder.x();
            let shifted = builder.mul(place, x);
            builder.linear(
                [(ONE, shifted), (ONE, from.into()), (-weight, to.into())],
                ZERO,
            )
        }
    }
}

/// Factors for the bits of an index of `bits` bits: see [`inverse_point_factors`](crate::circuit::inverse_point_factors).
pub(super) fn factors(bits: usize) -> Vec<KoalaBear> {
    crate::circuit::inverse_point_factors(bits)
}

/// Inverses of the points that fold together, halved: of pair `j` of a row of `2^log_arity` elements, `ω^(−rev(j)) / 2`.
pub(super) fn pair_factors(log_arity: usize) -> Vec<KoalaBear> {
    let root = KoalaBear::two_adic_generator(log_arity).inverse();
    let pairs = 1usize << (log_arity - 1);
    (0..pairs)
        .map(|pair| {
            root.exp_u64(p3_util::reverse_bits_len(pair, log_arity - 1) as u64)
                .halve()
        })
        .collect()
}
