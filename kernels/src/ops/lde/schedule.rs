//! The passes of a transform with their tables, made once and kept on the host.
//!
//! A schedule is small (a few thousand words up to height `2^18`: the kernels derive each tile's twiddles from one word),
//! so it is uploaded with every transform and holds no device memory between them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use starkwright_hal::{HalError, HalField};

use super::plan::{Digit, Limits, MIN_BITS, digits};
use super::table::{Network, Words, coset_shifts, reverse};

/// What to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transform<F> {
    /// The low-degree extension to `2^added_bits` cosets: natural in, bit-reversed out.
    CosetLde {
        /// Logarithm of the blow-up.
        added_bits: u32,
        /// The coset's shift.
        shift: F,
    },
    /// Evaluations on the subgroup from coefficients, both in natural order.
    Forward,
    /// Coefficients from evaluations, both in natural order.
    Inverse,
}

/// What a pass does: the kernel it launches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Tiles of the input's most significant digit, to the matrix between the passes.
    Gather,
    /// Tiles of a later digit of the inverse transform, in place.
    Inverse,
    /// The end of the inverse and the start of the forward transforms, in place.
    Turn,
    /// Tiles of a later digit of the forward transforms.
    Forward,
    /// The product with a matrix, for small heights.
    Direct,
}

impl Step {
    /// The kernel's name.
    pub(super) const fn kernel(self) -> &'static str {
        match self {
            Self::Gather => "ntt_gather",
            Self::Inverse => "ntt_inverse",
            Self::Turn => "ntt_turn",
            Self::Forward => "ntt_forward",
            Self::Direct => "ntt_direct",
        }
    }
}

/// One launch over all tiles of one digit.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) step: Step,
    pub(super) digit: Digit,
    /// The kernel's arguments between its tables and its lanes. Those named `…_at` are places in the schedule's words.
    pub(super) numbers: Vec<u32>,
}

/// The passes of a transform, and the words that they read.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Logarithm of the input's height.
    pub(super) log_height: u32,
    /// Logarithm of the result's height.
    pub(super) log_out: u32,
    /// In order of launch.
    pub(super) passes: Vec<Pass>,
    /// Tables.
    pub(super) words: Words,
}

impl Schedule {
    /// The schedule of a transform of height `2^log_height` within the limits of a device.
    pub(super) fn new<F: HalField>(
        transform: Transform<F>,
        log_height: u32,
        limits: Limits,
    ) -> Result<Self, HalError> {
        let log_out = match transform {
            Transform::CosetLde { added_bits, .. } => log_height + added_bits,
            Transform::Forward | Transform::Inverse => log_height,
        };
        let (passes, words) = (Vec::new(), Words::default());
        let mut schedule = Self {
            log_height,
            log_out,
            passes,
            words,
        };
        if log_height < MIN_BITS {
            schedule.words.elements(matrix(transform, log_height));
            schedule.push(
                Step::Direct,
                Digit {
                    bits: log_height,
                    stride: 0,
                },
                [],
            );
            return Ok(schedule);
        }
        let digits = digits(log_height, limits).unwrap_or_default();
        let [first, middle @ .., last] = digits.as_slice() else {
            return Err(HalError::unsupported("ntt", "local memory holds no tile"));
        };
        let there = match transform {
            Transform::Forward => F::two_adic_generator,
            Transform::CosetLde { .. } | Transform::Inverse => inverse_root::<F>,
        };
        let scale = match transform {
            Transform::Forward => F::ONE,
            Transform::CosetLde { .. } | Transform::Inverse => {
                F::ONE.div_2exp_u64(u64::from(log_height))
            }
        };
        schedule.gather(*last, first.bits, there, scale);
        for digit in middle.iter().rev() {
            schedule.inverse(*digit, there);
        }
        match transform {
            Transform::Forward | Transform::Inverse => schedule.inverse(*first, there),
            Transform::CosetLde { added_bits, shift } => {
                let shifts = coset_shifts(log_height, added_bits, shift);
                schedule.turn(*first, there, &shifts);
                for digit in &digits[1..] {
                    schedule.forward(*digit, &shifts);
                }
            }
        }
        Ok(schedule)
    }

    fn push<const N: usize>(&mut self, step: Step, digit: Digit, numbers: [u32; N]) {
        self.passes.push(Pass {
            step,
            digit,
            numbers: numbers.to_vec(),
        });
    }

    fn gather<F: HalField>(&mut self, digit: Digit, log_low: u32, root: Root<F>, scale: F) {
        let k = digit.bits;
        let table_at = self
            .words
            .network(Network::Dit, k, root(k as usize), F::ONE);
        let reversed_at = self.words.reversals(k);
        let (scale, log_tiles) = (scale.montgomery_word(), self.log_height - k);
        self.push(
            Step::Gather,
            digit,
            [table_at, reversed_at, scale, k, log_tiles, log_low],
        );
    }

    /// Tables of a later digit of the first transform: the network's, the tiles' shifts, and reversals.
    fn later<F: HalField>(&mut self, digit: Digit, root: Root<F>) -> [u32; 3] {
        let Digit { bits, stride } = digit;
        let table_at = self
            .words
            .network(Network::Dit, bits, root(bits as usize), F::ONE);
        let sigmas = root((bits + stride) as usize).powers().take(1 << stride);
        [
            table_at,
            self.words.elements(sigmas),
            self.words.reversals(bits),
        ]
    }

    fn inverse<F: HalField>(&mut self, digit: Digit, root: Root<F>) {
        let [table_at, sigmas_at, reversed_at] = self.later(digit, root);
        let Digit { bits, stride } = digit;
        self.push(
            Step::Inverse,
            digit,
            [table_at, sigmas_at, reversed_at, bits, stride],
        );
    }

    fn turn<F: HalField>(&mut self, digit: Digit, root: Root<F>, shifts: &[F]) {
        let [table_at, sigmas_at, reversed_at] = self.later(digit, root);
        let Digit { bits, stride } = digit;
        let cosets_at = self.words.here();
        for shift in shifts {
            let sigma = shift.exp_power_of_2(stride as usize);
            let w = F::two_adic_generator(bits as usize);
            self.words.network(Network::Forward, bits, w, sigma);
        }
        let (cosets, height) = (shifts.len() as u32, self.log_height);
        let numbers = [
            table_at,
            sigmas_at,
            reversed_at,
            cosets_at,
            cosets,
            height,
            bits,
            stride,
        ];
        self.push(Step::Turn, digit, numbers);
    }

    fn forward<F: HalField>(&mut self, digit: Digit, shifts: &[F]) {
        let Digit { bits, stride } = digit;
        let w = F::two_adic_generator(bits as usize);
        let table_at = self.words.network(Network::Forward, bits, w, F::ONE);
        let sigmas_at = self
            .words
            .elements(forward_sigmas(self.log_height, digit, shifts));
        self.push(Step::Forward, digit, [table_at, sigmas_at, bits, stride]);
    }
}

/// The root of unity of order `2^bits` that a transform uses.
type Root<F> = fn(bits: usize) -> F;

fn inverse_root<F: HalField>(bits: usize) -> F {
    F::two_adic_generator(bits).inverse()
}

/// The shifts of the tiles of a later digit: `(s · w^q)^(2^stride)` for every coset's shift `s` and the number `q`, with
/// its bits reversed, that the digits before it have; `w` has order `2^n`.
fn forward_sigmas<F: HalField>(n: u32, digit: Digit, shifts: &[F]) -> Vec<F> {
    let Digit { bits, stride } = digit;
    let before = n - bits - stride;
    let root = F::two_adic_generator((n - stride) as usize);
    let powers: Vec<F> = root.powers().take(1 << before).collect();
    let powers: Vec<F> = (0..powers.len())
        .map(|q| powers[reverse(q, before)])
        .collect();
    let shifts = shifts.iter().map(|s| s.exp_power_of_2(stride as usize));
    shifts
        .flat_map(|s| powers.iter().map(move |&power| s * power))
        .collect()
}

/// The matrix of a small transform, row after row: what every row of the result takes of every row of the input.
fn matrix<F: HalField>(transform: Transform<F>, n: u32) -> Vec<F> {
    let height = 1usize << n;
    let root = F::two_adic_generator(n as usize);
    let scale = F::ONE.div_2exp_u64(u64::from(n));
    let power = |base: F, i: usize, j: usize| base.exp_u64((i * j) as u64);
    let square = |base: F, scale: F| -> Vec<F> {
        let entries = (0..height).flat_map(|i| (0..height).map(move |j| (i, j)));
        entries.map(|(i, j)| power(base, i, j) * scale).collect()
    };
    match transform {
        Transform::Forward => square(root, F::ONE),
        Transform::Inverse => square(root.inverse(), scale),
        Transform::CosetLde { added_bits, shift } => {
            let coefficients = square(root.inverse(), scale);
            let mut rows = Vec::new();
            for s in coset_shifts(n, added_bits, shift) {
                for m in 0..height {
                    let point = s * root.exp_u64(reverse(m, n) as u64);
                    rows.extend((0..height).map(|j| {
                        let column = coefficients.iter().skip(j).step_by(height);
                        column.rev().fold(F::ZERO, |sum, &c| sum * point + c)
                    }));
                }
            }
            rows
        }
    }
}

/// What a schedule depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    field: &'static str,
    transform: Transform<u32>,
    log_height: u32,
    limits: Limits,
}

/// Schedules used lately, the latest first.
static KEPT: Mutex<VecDeque<(Key, Arc<Schedule>)>> = Mutex::new(VecDeque::new());

/// Most words of tables kept (32 MiB); the latest schedule is kept whatever its size.
const MOST_WORDS: usize = 8 << 20;

/// [`Schedule::new`], remembered.
pub(super) fn schedule<F: HalField>(
    transform: Transform<F>,
    log_height: u32,
    limits: Limits,
) -> Result<Arc<Schedule>, HalError> {
    let word_transform = match transform {
        Transform::Forward => Transform::Forward,
        Transform::Inverse => Transform::Inverse,
        Transform::CosetLde { added_bits, shift } => Transform::CosetLde {
            added_bits,
            shift: shift.montgomery_word(),
        },
    };
    let key = Key {
        field: F::NAME,
        transform: word_transform,
        log_height,
        limits,
    };
    if let Some(known) = recall(&key) {
        return Ok(known);
    }
    // Made without the lock: at worst two threads make the same one.
    let made = Arc::new(Schedule::new(transform, log_height, limits)?);
    keep(key, Arc::clone(&made));
    Ok(made)
}

fn recall(key: &Key) -> Option<Arc<Schedule>> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let place = kept.iter().position(|(known, _)| known == key)?;
    let entry = kept.remove(place)?;
    let schedule = Arc::clone(&entry.1);
    kept.push_front(entry);
    Some(schedule)
}

fn keep(key: Key, schedule: Arc<Schedule>) {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.push_front((key, schedule));
    let mut words = 0;
    let fits = kept.iter().take_while(|(_, schedule)| {
        words += schedule.words.as_slice().len();
        words <= MOST_WORDS
    });
    let fits = fits.count().max(1);
    kept.truncate(fits);
}
