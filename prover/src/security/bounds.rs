//! Which values an expression of an AIR can take, as far as its constraints say so.
//!
//! A lookup that declares "at most `w` per row" is only as good as the constraint behind it. We look for that
//! constraint: an expression `e` lies in `0..=w` on every row if some constraint equals `λ · e (e - 1) … (e - w)` for
//! a constant `λ`, a preprocessed or periodic column in the interval of its data, and intervals propagate through sums
//! and products. Constraints under a selector do not count, since they leave rows out, but for flags that pass from row
//! to row: columns that start as 0 or 1 and of which each is the copy of one of them in the row before stay 0 or 1.
//!
//! Equality up to `λ` is tested by evaluation at pseudo-random points (Schwartz-Zippel): two polynomials of degree `d`
//! that are not proportional agree by chance with probability about `(d/p)^2`. The points are fixed, which is enough
//! here: the AIR is the verifier's own code and this guards against mistakes in it.

use std::collections::{HashMap, HashSet};

use p3_air::BaseAir;
use p3_air::symbolic::{BaseEntry, BaseLeaf, SymbolicExpression, SymbolicVariable};
use p3_field::PrimeField64;
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;

/// Points at which expressions are compared.
const POINTS: usize = 3;

/// The largest `w` for which a product `e (e - 1) … (e - w)` is looked for.
const MAX_RANGE: u32 = 4;

/// Values of one expression at the comparison points.
type Values<F> = [F; POINTS];

/// The most columns among which flags that pass from row to row are looked for.
const MAX_FLAGS: usize = 256;

/// The least and the greatest value, as signed integers.
pub(super) type Interval = (i64, i64);

/// The constraints of one AIR, ready to be asked about the range of an expression.
pub(super) struct Ranges<'a, F: PrimeField64> {
    /// The preprocessed columns, and the interval of each over all rows.
    fixed: Option<RowMajorMatrix<F>>,
    preprocessed: Vec<Interval>,
    /// Interval of each periodic column.
    periodic: Vec<Interval>,
    /// Main columns that are flags by induction over the rows.
    flags: HashSet<usize>,
    /// Constraint values, divided by the value at the first point: equal for proportional constraints.
    constraints: HashSet<[u64; POINTS - 1]>,
    /// Values of shared subexpressions by address, so that a DAG is walked once.
    seen: HashMap<*const SymbolicExpression<F>, Values<F>>,
    /// Keeps the addresses in `seen` alive.
    _expressions: std::marker::PhantomData<&'a SymbolicExpression<F>>,
}

impl<'a, F: PrimeField64> Ranges<'a, F> {
    pub(super) fn new<A: BaseAir<F>>(air: &A, constraints: &'a [SymbolicExpression<F>]) -> Self {
        let fixed = air.preprocessed_trace();
        let preprocessed = fixed.as_ref().map_or_else(Vec::new, |trace| {
            (0..trace.width())
                .map(|column| hull(trace.values.iter().skip(column).step_by(trace.width())))
                .collect()
        });
        let mut ranges = Self {
            fixed,
            preprocessed,
            periodic: air.periodic_columns().iter().map(hull).collect(),
            flags: HashSet::new(),
            constraints: HashSet::with_capacity(constraints.len()),
            seen: HashMap::new(),
            _expressions: std::marker::PhantomData,
        };
        for constraint in constraints {
            let values = ranges.evaluate(constraint);
            ranges.constraints.extend(proportion(values));
        }
        ranges.flags = ranges.passed_on(air.width());
        ranges
    }

    /// The largest set of main columns such that a constraint fixes each to 0 or 1 in the first row, and another makes
    /// it the copy of a member's value in the row before.
    fn passed_on(&self, width: usize) -> HashSet<usize> {
        let main = |offset, column| {
            leaf_values(&BaseLeaf::Variable(SymbolicVariable::new(
                BaseEntry::Main { offset },
                column,
            )))
        };
        let first_row = leaf_values(&BaseLeaf::<F>::IsFirstRow);
        let transition = leaf_values(&BaseLeaf::<F>::IsTransition);
        let starts_as = |column, value: F| {
            self.asserted(zip(first_row, main(0, column), |selector, x| {
                selector * (x - value)
            }))
        };
        let copies = |column, from| {
            let difference = zip(main(1, column), main(0, from), |x, y| x - y);
            self.asserted(zip(transition, difference, |selector, x| selector * x))
        };

        let mut flags: HashSet<usize> = (0..width)
            .filter(|&column| starts_as(column, F::ZERO) || starts_as(column, F::ONE))
            .collect();
        if flags.len() > MAX_FLAGS {
            return HashSet::new();
        }
        let sources: HashMap<usize, Vec<usize>> = flags
            .iter()
            .map(|&column| {
                (
                    column,
                    flags
                        .iter()
                        .copied()
                        .filter(|&from| copies(column, from))
                        .collect(),
                )
            })
            .collect();
        loop {
            let kept: HashSet<usize> = flags
                .iter()
                .copied()
                .filter(|column| sources[column].iter().any(|from| flags.contains(from)))
                .collect();
            if kept.len() == flags.len() {
                return flags;
            }
            flags = kept;
        }
    }

    /// Whether a constraint is proportional to the expression with these values.
    fn asserted(&self, values: Values<F>) -> bool {
        proportion(values).is_some_and(|found| self.constraints.contains(&found))
    }

    /// An interval that holds the signed value of `e` on every row of every trace that satisfies the constraints, or
    /// `None` where the constraints, as far as they are understood here, leave it open.
    pub(super) fn interval(&mut self, e: &'a SymbolicExpression<F>) -> Option<Interval> {
        if let SymbolicExpression::Leaf(leaf) = e
            && let Some(interval) = self.known(leaf)
        {
            return Some(interval);
        }
        if let Some(w) = self.constrained_range(e) {
            return Some((0, i64::from(w)));
        }
        if let Some(interval) = self.sum_of_fixed(e) {
            return Some(interval);
        }
        match e {
            SymbolicExpression::Leaf(_) => None,
            SymbolicExpression::Add { x, y, .. } => {
                let ((a, b), (c, d)) = (self.interval(x)?, self.interval(y)?);
                Some((a.checked_add(c)?, b.checked_add(d)?))
            }
            SymbolicExpression::Sub { x, y, .. } => {
                let ((a, b), (c, d)) = (self.interval(x)?, self.interval(y)?);
                Some((a.checked_sub(d)?, b.checked_sub(c)?))
            }
            SymbolicExpression::Neg { x, .. } => {
                let (a, b) = self.interval(x)?;
                Some((b.checked_neg()?, a.checked_neg()?))
            }
            SymbolicExpression::Mul { x, y, .. } => {
                let ((a, b), (c, d)) = (self.interval(x)?, self.interval(y)?);
                let corners = [
                    a.checked_mul(c)?,
                    a.checked_mul(d)?,
                    b.checked_mul(c)?,
                    b.checked_mul(d)?,
                ];
                Some((corners.into_iter().min()?, corners.into_iter().max()?))
            }
        }
    }

    /// The interval of a sum of preprocessed columns, over all rows: flags of which each row has one at most.
    fn sum_of_fixed(&self, e: &SymbolicExpression<F>) -> Option<Interval> {
        let (fixed, mut columns) = (self.fixed.as_ref()?, Vec::new());
        if !fixed_terms(e, &mut columns) || columns.iter().any(|&column| column >= fixed.width()) {
            return None;
        }
        let sums: Vec<F> = fixed
            .row_slices()
            .map(|row| columns.iter().map(|&column| row[column]).sum())
            .collect();
        Some(hull(&sums))
    }

    /// The interval of a constant, of a column whose data are part of the AIR, or of a flag.
    fn known(&self, leaf: &BaseLeaf<F>) -> Option<Interval> {
        match leaf {
            BaseLeaf::Constant(c) => Some((signed(*c), signed(*c))),
            BaseLeaf::Variable(SymbolicVariable { entry, index, .. }) => match entry {
                BaseEntry::Preprocessed { .. } => self.preprocessed.get(*index).copied(),
                BaseEntry::Periodic => self.periodic.get(*index).copied(),
                BaseEntry::Main { .. } => self.flags.contains(index).then_some((0, 1)),
                BaseEntry::Public => None,
            },
            BaseLeaf::IsFirstRow | BaseLeaf::IsLastRow | BaseLeaf::IsTransition => None,
        }
    }

    /// The least `w` such that a constraint is proportional to `e (e - 1) … (e - w)`.
    fn constrained_range(&mut self, e: &'a SymbolicExpression<F>) -> Option<u32> {
        let values = self.evaluate(e);
        let mut product = values;
        (1..=MAX_RANGE).find(|&w| {
            for (p, v) in product.iter_mut().zip(values) {
                *p *= v - F::from_u32(w);
            }
            self.asserted(product)
        })
    }

    fn evaluate(&mut self, e: &'a SymbolicExpression<F>) -> Values<F> {
        if let SymbolicExpression::Leaf(leaf) = e {
            return leaf_values(leaf);
        }
        let address: *const _ = e;
        if let Some(&values) = self.seen.get(&address) {
            return values;
        }
        let values = match e {
            SymbolicExpression::Leaf(leaf) => leaf_values(leaf),
            SymbolicExpression::Add { x, y, .. } => {
                zip(self.evaluate(x), self.evaluate(y), |a, b| a + b)
            }
            SymbolicExpression::Sub { x, y, .. } => {
                zip(self.evaluate(x), self.evaluate(y), |a, b| a - b)
            }
            SymbolicExpression::Neg { x, .. } => self.evaluate(x).map(|a| -a),
            SymbolicExpression::Mul { x, y, .. } => {
                zip(self.evaluate(x), self.evaluate(y), |a, b| a * b)
            }
        };
        self.seen.insert(address, values);
        values
    }
}

fn zip<F: Copy>(x: Values<F>, y: Values<F>, op: impl Fn(F, F) -> F) -> Values<F> {
    std::array::from_fn(|i| op(x[i], y[i]))
}

/// `values` up to a constant factor, or `None` if the expression vanishes at the first point.
fn proportion<F: PrimeField64>(values: Values<F>) -> Option<[u64; POINTS - 1]> {
    let inverse = values[0].try_inverse()?;
    Some(std::array::from_fn(|i| {
        (values[i + 1] * inverse).as_canonical_u64()
    }))
}

/// Whether an expression is a sum of preprocessed columns in the current row, which are then collected.
fn fixed_terms<F: PrimeField64>(e: &SymbolicExpression<F>, columns: &mut Vec<usize>) -> bool {
    match e {
        SymbolicExpression::Add { x, y, .. } => fixed_terms(x, columns) && fixed_terms(y, columns),
        SymbolicExpression::Leaf(BaseLeaf::Variable(SymbolicVariable {
            entry: BaseEntry::Preprocessed { offset: 0 },
            index,
            ..
        })) => {
            columns.push(*index);
            true
        }
        SymbolicExpression::Leaf(BaseLeaf::Constant(c)) => c.is_zero(),
        _ => false,
    }
}

/// The least interval that holds all values, `(0, 0)` if there are none.
fn hull<'v, F: PrimeField64>(values: impl IntoIterator<Item = &'v F>) -> Interval {
    values
        .into_iter()
        .map(|&value| (signed(value), signed(value)))
        .reduce(|(low, high), (value, _)| (low.min(value), high.max(value)))
        .unwrap_or((0, 0))
}

/// A field element as the integer of least magnitude that it represents.
fn signed<F: PrimeField64>(c: F) -> i64 {
    let value = c.as_canonical_u64();
    // Both differences fit: values of 31-bit fields stay far below 2^63; larger ones saturate and then fail any bound.
    if value > F::ORDER_U64 / 2 {
        i64::try_from(F::ORDER_U64 - value).map_or(i64::MIN, |v| -v)
    } else {
        i64::try_from(value).unwrap_or(i64::MAX)
    }
}

/// Independent pseudo-random values for every variable and selector.
fn leaf_values<F: PrimeField64>(leaf: &BaseLeaf<F>) -> Values<F> {
    let key = match leaf {
        BaseLeaf::Constant(c) => return [*c; POINTS],
        BaseLeaf::Variable(SymbolicVariable { entry, index, .. }) => {
            let (kind, offset) = match entry {
                BaseEntry::Main { offset } => (1, *offset),
                BaseEntry::Preprocessed { offset } => (2, *offset),
                BaseEntry::Periodic => (3, 0),
                BaseEntry::Public => (4, 0),
            };
            [kind, offset as u64, *index as u64]
        }
        BaseLeaf::IsFirstRow => [5, 0, 0],
        BaseLeaf::IsLastRow => [6, 0, 0],
        BaseLeaf::IsTransition => [7, 0, 0],
    };
    std::array::from_fn(|point| {
        let seed = [key[0], key[1], key[2], point as u64];
        F::from_u64(
            seed.into_iter()
                .fold(0x5357_5046, |state, word| mix(state ^ word))
                % F::ORDER_U64,
        )
    })
}

/// One step of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
