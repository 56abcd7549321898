//! How a transform of height `2^n` is cut into passes over the matrix.
//!
//! The row index has `n = k_1 + … + k_d` bits; its digits have `k_1` bits (most significant) to `k_d` bits. With
//! `i = i_d + 2^(k_d) i_(d−1) + …` for coefficients (least significant digit first) and
//! `j = j_1 + 2^(k_1) j_2 + …` for rows (most significant last), a transform is `d` passes of tiles of `2^(k_l)` rows
//! (Cooley and Tukey 1965; for `d = 2` Bailey's four-step method, 1990). One pass replaces digit `j_l` by `i_l`, or on
//! the way back `i_l` by the output's digit, with the twiddles between the digits baked into the tiles' coset shifts:
//!
//! ```text
//!  rows of the input     gather        tiles over j_d, to a matrix whose rows are (j_1, …, j_(d−1), i_d)
//!  …                     inverse       tiles over j_(d−1), …, j_2, in place
//!  coefficients          turn          tiles over j_1: the end of the inverse transform; for every coset the start of
//!                                      the forward transform, into the same rows of the coset's part of the result
//!  …                     forward       tiles over i_2, …, i_d, in place; in bit-reversed order inside the tile
//!  rows of the result
//! ```
//!
//! So three passes make a low-degree extension with two digits, and every pass reads and writes each row once. The order
//! of digits in the rows is such that the result's rows come out bit-reversed without a permutation.

/// Heights below `2^MIN_BITS` are multiplied by a matrix instead.
pub(super) const MIN_BITS: u32 = 4;

/// Least limit of a digit: with none of more than two bits, an odd number of bits has no digits.
const MIN_LIMIT: u32 = 3;

/// What a device's local memory allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Limits {
    /// Most bits of the first digit, whose pass needs two tiles in local memory.
    pub(super) turn: u32,
    /// Most bits of the other digits.
    pub(super) digit: u32,
}

/// One digit of the row index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digit {
    /// Its bits: tiles have `2^bits` rows …
    pub(super) bits: u32,
    /// … which are `2^stride` rows apart.
    pub(super) stride: u32,
}

/// The digits of an index of `n ≥ MIN_BITS` bits, most significant first: at least two, as few as the limits allow, and
/// as even as they allow. `None` where the limits are below [`MIN_LIMIT`].
pub(super) fn digits(n: u32, limits: Limits) -> Option<Vec<Digit>> {
    if n < MIN_BITS || limits.turn < MIN_LIMIT || limits.digit < MIN_LIMIT {
        return None;
    }
    let later = n.saturating_sub(limits.turn).div_ceil(limits.digit).max(1);
    // An even share, but no less than what the later digits cannot hold (at most `turn`, by the choice of `later`).
    let even = (n / (later + 1)).min(limits.turn);
    let first = even.max(n.saturating_sub(later * limits.digit));
    let mut left = n;
    let mut digits = Vec::new();
    for passes in (1..=later + 1).rev() {
        let bits = if passes == later + 1 {
            first
        } else {
            left / passes
        };
        left -= bits;
        digits.push(Digit { bits, stride: left });
    }
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fewest bits of a digit: a radix-4 butterfly.
    const MIN_DIGIT: u32 = 2;

    #[test]
    fn digits_cover_the_index_within_the_limits() {
        for turn in MIN_LIMIT..12 {
            for digit in MIN_LIMIT..12 {
                for n in MIN_BITS..=27 {
                    let digits = digits(n, Limits { turn, digit }).unwrap();
                    let mut left = n;
                    for (place, d) in digits.iter().enumerate() {
                        let most = if place == 0 { turn } else { digit };
                        assert!(
                            (MIN_DIGIT..=most).contains(&d.bits),
                            "{n} {turn} {digit}: {digits:?}"
                        );
                        left -= d.bits;
                        assert_eq!(d.stride, left);
                    }
                    assert_eq!(left, 0);
                    assert!(digits.len() >= 2);
                }
            }
        }
    }

    #[test]
    fn no_digits_without_a_butterfly() {
        assert_eq!(digits(3, Limits { turn: 8, digit: 8 }), None);
        assert_eq!(digits(9, Limits { turn: 2, digit: 8 }), None);
        assert_eq!(digits(9, Limits { turn: 8, digit: 2 }), None);
    }
}
