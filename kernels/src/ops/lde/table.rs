//! Twiddle tables, in the layout that `cl/ntt.cl` describes, and the matrices of small transforms.

use p3_field::TwoAdicField;
use starkwright_hal::HalField;

/// Words of tables, as a device holds them.
#[derive(Debug, Default)]
pub(super) struct Words(Vec<u32>);

/// Which network a table is for: where a twiddle's power of the root comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// Decimation in time: from the place in a block.
    Dit,
    /// The forward network: from the bit-reversed number of the block.
    Forward,
}

impl Words {
    /// The words so far.
    pub(super) fn as_slice(&self) -> &[u32] {
        &self.0
    }

    /// Where the next table will start.
    pub(super) fn here(&self) -> u32 {
        // Tables of the largest height are a few million words.
        self.0.len() as u32
    }

    /// Field elements, as Montgomery words.
    pub(super) fn elements<F: HalField>(&mut self, elements: impl IntoIterator<Item = F>) -> u32 {
        let at = self.here();
        self.0
            .extend(elements.into_iter().map(HalField::montgomery_word));
        at
    }

    /// All indices of so many bits, each with its bits reversed.
    pub(super) fn reversals(&mut self, bits: u32) -> u32 {
        let at = self.here();
        self.0
            .extend((0..1 << bits).map(|i| reverse(i, bits) as u32));
        at
    }

    /// The table of a network of size `2^k` over the root `w` of that order with the shift `sigma`.
    pub(super) fn network<F: HalField>(&mut self, network: Network, k: u32, w: F, sigma: F) -> u32 {
        let at = self.here();
        if k % 2 == 1 {
            self.elements([sigma.exp_power_of_2(k as usize - 1)]);
        }
        let i = w.exp_power_of_2(k as usize - 2);
        // log2 of the kernel's h.
        for log_h in (k % 2..k - 1).step_by(2) {
            let step = (k - 2 - log_h) as usize;
            let shift = sigma.exp_power_of_2(step);
            let mut theta: Vec<F> = w.exp_power_of_2(step).powers().take(1 << log_h).collect();
            if network == Network::Forward {
                theta = (0..theta.len()).map(|j| theta[reverse(j, log_h)]).collect();
            }
            theta.iter_mut().for_each(|t| *t *= shift);
            let plane = |f: &dyn Fn(F) -> F| theta.iter().map(|&t| f(t)).collect::<Vec<_>>();
            self.elements(plane(&|t| t));
            self.elements(plane(&|t| t.square()));
            self.elements(plane(&|t| t.cube()));
            self.elements(plane(&|t| t * i));
            self.elements(plane(&|t| -(t.cube() * i)));
        }
        at
    }
}

/// Words of a network's table.
pub(super) const fn network_words(k: u32) -> usize {
    if k % 2 == 1 {
        1 + 10 * (((1 << (k - 1)) - 1) / 3)
    } else {
        5 * (((1 << k) - 1) / 3)
    }
}

/// `i` with its `bits` bits reversed.
pub(super) const fn reverse(i: usize, bits: u32) -> usize {
    if bits == 0 {
        0
    } else {
        i.reverse_bits() >> (usize::BITS - bits)
    }
}

/// The shifts of the cosets of an extension by `2^added_bits`, in the order of their parts in the result:
/// `shift · g^c` for bit-reversed `c`, where `g` generates the subgroup of order `2^(n + added_bits)`.
pub(super) fn coset_shifts<F: TwoAdicField>(n: u32, added_bits: u32, shift: F) -> Vec<F> {
    let powers = F::two_adic_generator((n + added_bits) as usize).powers();
    let shifts: Vec<F> = powers
        .take(1 << added_bits)
        .map(|power| shift * power)
        .collect();
    (0..shifts.len())
        .map(|slot| shifts[reverse(slot, added_bits)])
        .collect()
}

#[cfg(test)]
mod tests {
    use p3_baby_bear::BabyBear;
    use p3_field::{Field, PrimeCharacteristicRing};
    use p3_koala_bear::KoalaBear;

    use super::*;

    /// A network run on one column, as the kernels do it.
    fn run<F: HalField>(network: Network, k: u32, sigma: F, column: &[F], table: &[F]) -> Vec<F> {
        let n = 1 << k;
        let mut x: Vec<F> = column.to_vec();
        if network == Network::Dit {
            x = (0..n).map(|i| column[reverse(i, k)]).collect();
        }
        let _ = sigma;
        let mut tw = table;
        if k % 2 == 1 {
            for r in 0..n / 2 {
                let (a, b) = if network == Network::Dit {
                    (2 * r, 2 * r + 1)
                } else {
                    (r, r + n / 2)
                };
                let m = x[b] * tw[0];
                (x[a], x[b]) = (x[a] + m, x[a] - m);
            }
            tw = &tw[1..];
        }
        let mut h = 1 << (k % 2);
        while h < n {
            let stride = if network == Network::Dit {
                h
            } else {
                n / (4 * h)
            };
            for r in 0..n / 4 {
                let i = r / stride * 4 * stride + r % stride;
                let t = if network == Network::Dit {
                    r % stride
                } else {
                    r / stride
                };
                let at = |quarter: usize| i + quarter * stride;
                // Quarters of x_0, x_1, x_2, x_3 before, and of y_0, y_1, y_2, y_3 after.
                let (from, to) = match network {
                    Network::Dit => ([0, 2, 1, 3], [0, 1, 2, 3]),
                    Network::Forward => ([0, 1, 2, 3], [0, 2, 1, 3]),
                };
                let v = from.map(|quarter| x[at(quarter)]);
                let plane = |p: usize| tw[t + p * h];
                let m = v[2] * plane(1);
                let e = v[1] * plane(0) + v[3] * plane(2);
                let o = v[1] * plane(3) + v[3] * plane(4);
                let y = [v[0] + m + e, v[0] - m + o, v[0] + m - e, v[0] - m - o];
                to.iter()
                    .zip(y)
                    .for_each(|(&quarter, y)| x[at(quarter)] = y);
            }
            tw = &tw[5 * h..];
            h *= 4;
        }
        assert!(tw.is_empty());
        x
    }

    fn check<F: HalField>(k: u32) {
        let (w, sigma) = (F::two_adic_generator(k as usize), F::GENERATOR);
        let column: Vec<F> = (0..1u32 << k).map(|i| F::from_u32(i * i + 7)).collect();
        let expected = |m: usize| -> F {
            let point = sigma * w.exp_u64(m as u64);
            column.iter().rev().fold(F::ZERO, |sum, &c| sum * point + c)
        };
        for network in [Network::Dit, Network::Forward] {
            let mut words = Words::default();
            assert_eq!(words.network(network, k, w, sigma), 0);
            assert_eq!(words.as_slice().len(), network_words(k));
            let table: Option<Vec<F>> = words
                .as_slice()
                .iter()
                .map(|&word| F::from_montgomery_word(word))
                .collect();
            let y = run(network, k, sigma, &column, &table.unwrap());
            for (place, &y) in y.iter().enumerate() {
                let m = if network == Network::Dit {
                    place
                } else {
                    reverse(place, k)
                };
                assert_eq!(y, expected(m), "{network:?} of 2^{k} at {m}");
            }
        }
    }

    #[test]
    fn networks_evaluate_on_cosets() {
        for k in 2..9 {
            check::<KoalaBear>(k);
            check::<BabyBear>(k);
        }
    }

    #[test]
    fn cosets_are_in_bit_reversed_order() {
        let g = KoalaBear::two_adic_generator(5);
        let shifts = coset_shifts(3, 2, KoalaBear::GENERATOR);
        assert_eq!(
            shifts,
            [0, 2, 1, 3].map(|c| KoalaBear::GENERATOR * g.exp_u64(c))
        );
    }
}
