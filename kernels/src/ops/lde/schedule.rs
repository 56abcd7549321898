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

/// One launch over all tiles of one digit. The numbers named `…_at` are places in the schedule's words.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pass {
    /// The kernel `ntt_gather`.
    Gather {
        digit: Digit,
        table_at: u32,
        reversed_at: u32,
        scale: u32,
        log_low: u32,
    },
    /// The kernel `ntt_inverse`.
    Inverse {
        digit: Digit,
        table_at: u32,
        sigmas_at: u32,
        reversed_at: u32,
    },
    /// The kernel `ntt_turn`.
    Turn {
        digit: Digit,
        table_at: u32,
        sigmas_at: u32,
        reversed_at: u32,
        cosets_at: u32,
        cosets: u32,
    },
    /// The kernel `ntt_forward`.
    Forward {
        digit: Digit,
        table_at: u32,
        sigmas_at: u32,
    },
    /// The kernel `ntt_direct`: the words are a matrix.
    Direct,
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
        let mut schedule = Self {
            log_height,
            log_out,
            passes: Vec::new(),
            words: Words::default(),
        };
        if log_height < MIN_BITS {
            schedule.words.elements(matrix(transform, log_height));
            schedule.passes.push(Pass::Direct);
        } else {
            let Some(digits) = digits(log_height, limits) else {
                return Err(HalError::unsupported("ntt", "local memory holds no tile"));
            };
            schedule.add(transform, &digits);
        }
        Ok(schedule)
    }

    fn add<F: HalField>(&mut self, transform: Transform<F>, digits: &[Digit]) {
        let n = self.log_height;
        let words = &mut self.words;
        let root = |bits: u32| F::two_adic_generator(bits as usize);
        // The root of the first transform: the inverse one but for `Forward`.
        let first_root = |bits: u32| match transform {
            Transform::Forward => root(bits),
            Transform::CosetLde { .. } | Transform::Inverse => root(bits).inverse(),
        };
        let scale = match transform {
            Transform::Forward => F::ONE,
            Transform::CosetLde { .. } | Transform::Inverse => F::ONE.div_2exp_u64(u64::from(n)),
        };
        let last = digits.len() - 1;
        for (place, &digit) in digits.iter().enumerate().rev() {
            let k = digit.bits;
            let reversed_at = words.reversals(k);
            if place == last {
                let table_at = words.network(Network::Dit, k, first_root(k), F::ONE);
                let (scale, log_low) = (scale.montgomery_word(), digits[0].bits);
                self.passes.push(Pass::Gather {
                    digit,
                    table_at,
                    reversed_at,
                    scale,
                    log_low,
                });
                continue;
            }
            let table_at = words.network(Network::Dit, k, first_root(k), F::ONE);
            let sigmas = first_root(k + digit.stride)
                .powers()
                .take(1 << digit.stride);
            let sigmas_at = words.elements(sigmas);
            let Transform::CosetLde { added_bits, shift } = transform else {
                self.passes.push(Pass::Inverse {
                    digit,
                    table_at,
                    sigmas_at,
                    reversed_at,
                });
                continue;
            };
            if place > 0 {
                self.passes.push(Pass::Inverse {
                    digit,
                    table_at,
                    sigmas_at,
                    reversed_at,
                });
                continue;
            }
            let cosets_at = words.elements::<F>([]);
            let shifts = coset_shifts(n, added_bits, shift);
            for s in &shifts {
                let sigma = s.exp_power_of_2(digit.stride as usize);
                words.network(Network::Forward, k, root(k), sigma);
            }
            let cosets = 1 << added_bits;
            self.passes.push(Pass::Turn {
                digit,
                table_at,
                sigmas_at,
                reversed_at,
                cosets_at,
                cosets,
            });
            for &digit in &digits[1..] {
                let table_at =
                    words.network(Network::Forward, digit.bits, root(digit.bits), F::ONE);
                let sigmas_at = words.elements(forward_sigmas(n, digit, &shifts));
                self.passes.push(Pass::Forward {
                    digit,
                    table_at,
                    sigmas_at,
                });
            }
        }
    }
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
