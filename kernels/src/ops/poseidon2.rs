//! What `cl/poseidon2.cl` must know about one Poseidon2 instance: round constants and the internal layer's diagonal.
//!
//! The kernel computes the partial rounds in another basis than p3, and its divisions by powers of two are off by a
//! constant (see there). [`parameters`] writes the instance as OpenCL source, with round constants that make up for it.

use std::collections::BTreeSet;
use std::fmt::Write;

use starkwright_hal::{HalError, HalField};

use Factor::{Over, Times};

/// One entry of the internal layer's diagonal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Factor {
    /// The integer itself.
    Times(i32),
    /// `1 / 2^n`; for negative `n`, `-1 / 2^|n|`.
    Over(i32),
}

/// Entries 1, 2, … of the diagonal; entry 0 is −2. From `poseidon2.rs` of p3-koala-bear.
const KOALA_BEAR_16: [Factor; 15] = [
    Times(1),
    Times(2),
    Over(1),
    Times(3),
    Times(4),
    Over(-1),
    Times(-3),
    Times(-4),
    Over(8),
    Over(3),
    Over(24),
    Over(-8),
    Over(-3),
    Over(-4),
    Over(-24),
];
const KOALA_BEAR_24: [Factor; 23] = [
    Times(1),
    Times(2),
    Over(1),
    Times(3),
    Times(4),
    Over(-1),
    Times(-3),
    Times(-4),
    Over(8),
    Over(2),
    Over(3),
    Over(4),
    Over(5),
    Over(6),
    Over(24),
    Over(-8),
    Over(-3),
    Over(-4),
    Over(-5),
    Over(-6),
    Over(-7),
    Over(-9),
    Over(-24),
];
/// From `poseidon2.rs` of p3-baby-bear.
const BABY_BEAR_16: [Factor; 15] = [
    Times(1),
    Times(2),
    Over(1),
    Times(3),
    Times(4),
    Over(-1),
    Times(-3),
    Times(-4),
    Over(8),
    Over(2),
    Over(3),
    Over(27),
    Over(-8),
    Over(-4),
    Over(-27),
];
const BABY_BEAR_24: [Factor; 23] = [
    Times(1),
    Times(2),
    Over(1),
    Times(3),
    Times(4),
    Over(-1),
    Times(-3),
    Times(-4),
    Over(8),
    Over(2),
    Over(3),
    Over(4),
    Over(7),
    Over(9),
    Over(27),
    Over(-8),
    Over(-2),
    Over(-3),
    Over(-4),
    Over(-5),
    Over(-6),
    Over(-7),
    Over(-27),
];

/// The diagonal and the S-box's degree.
fn instance<F: HalField>(width: usize) -> Option<(&'static [Factor], u32)> {
    match (F::NAME, width) {
        ("koalabear", 16) => Some((&KOALA_BEAR_16, 3)),
        ("koalabear", 24) => Some((&KOALA_BEAR_24, 3)),
        ("babybear", 16) => Some((&BABY_BEAR_16, 7)),
        ("babybear", 24) => Some((&BABY_BEAR_24, 7)),
        _ => None,
    }
}

impl Factor {
    const fn negated(self) -> Self {
        match self {
            Times(k) => Times(-k),
            Over(n) => Over(-n),
        }
    }

    const fn is_negative(self) -> bool {
        matches!(self, Times(..0) | Over(..0))
    }

    const fn squared(self) -> Self {
        match self {
            Times(k) => Times(k * k),
            Over(n) => Over(2 * n.abs()),
        }
    }

    /// The kernel's macro that multiplies by `|self|`.
    fn macro_name(self) -> String {
        match self {
            Times(1 | -1) => "SAME".to_owned(),
            Times(k) => format!("MUL{}", k.abs()),
            Over(n) => format!("DIV{}", n.abs()),
        }
    }

    /// What that macro computes: a division gives `(x + 1) / 2^n − 1`, where 1 is the word and not the element.
    fn apply<F: HalField>(self, x: F, word_one: F) -> F {
        match self {
            Times(k) => x * F::from_u32(k.unsigned_abs()),
            Over(n) => (x + word_one).div_2exp_u64(u64::from(n.unsigned_abs())) - word_one,
        }
    }
}

/// The internal layer, sorted as the kernel wants it.
struct InternalLayer {
    /// Words `i`, `j` with factors `v` and `−v`; `v` positive.
    pairs: Vec<(usize, usize, Factor)>,
    singles: Vec<(usize, Factor)>,
}

impl InternalLayer {
    fn new(diagonal: &[Factor]) -> Self {
        let mut layer = Self {
            pairs: Vec::new(),
            singles: Vec::new(),
        };
        for (i, &v) in diagonal.iter().enumerate() {
            match diagonal.iter().position(|&w| w == v.negated()) {
                Some(j) if !v.is_negative() => layer.pairs.push((i + 1, j + 1, v)),
                Some(_) => {}
                None => layer.singles.push((i + 1, v)),
            }
        }
        layer
    }

    /// The constants that ride along in the kernel's partial rounds, found by running them on a state of zeros with
    /// an S-box that yields zero: what `s0` carries into each round after the first (and out of the last), and what
    /// every word of the state carries in the end.
    fn offsets<F: HalField>(&self, width: usize, rounds: usize, word_one: F) -> (Vec<F>, Vec<F>) {
        let mut state = vec![F::ZERO; width];
        // (A of this round, v^-1 B) of each pair; the first round has B itself, 0.
        let mut pairs = vec![(F::ZERO, F::ZERO); self.pairs.len()];
        let mut carried = Vec::with_capacity(rounds);
        for round in 0..rounds {
            let sum = self.singles.iter().map(|&(i, _)| state[i]).sum::<F>()
                + pairs.iter().map(|&(a, _)| a).sum::<F>();
            carried.push(sum);
            for &(i, v) in &self.singles {
                let product = v.apply(state[i], word_one);
                state[i] = if v.is_negative() {
                    sum - product
                } else {
                    sum + product
                };
            }
            for ((a, b), &(_, _, v)) in pairs.iter_mut().zip(&self.pairs) {
                let factor = if round == 0 { v } else { v.squared() };
                (*a, *b) = (factor.apply(*b, word_one) + sum.double(), *a);
            }
        }
        for ((a, b), &(i, j, v)) in pairs.into_iter().zip(&self.pairs) {
            let difference = v.apply(b, word_one);
            state[i] = (a + difference).halve();
            state[j] = (a - difference).halve();
        }
        (carried, state)
    }

    /// The macros of the internal layer.
    fn source(&self, two_adicity: usize) -> String {
        let mut text = String::new();
        let mut define = |line: std::fmt::Arguments<'_>| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "#define {line}");
        };
        let squares = self.pairs.iter().map(|&(_, _, v)| v.squared());
        let factors = self.pairs.iter().map(|&(_, _, v)| v).chain(squares);
        let divisions: BTreeSet<usize> = factors
            .chain(self.singles.iter().map(|&(_, v)| v))
            .filter_map(|v| {
                if let Over(n) = v {
                    Some(n.unsigned_abs() as usize)
                } else {
                    None
                }
            })
            .collect();
        for n in divisions {
            if n <= two_adicity {
                define(format_args!("DIV{n}(x) DIV(x, {n})"));
            } else {
                // ((x + 1) / 2^m - 1 + 1) / 2^m - 1 = (x + 1) / 2^2m - 1.
                let half = n / 2;
                define(format_args!("DIV{n}(x) DIV{half}(DIV{half}(x))"));
            }
        }
        let pairs: String = self
            .pairs
            .iter()
            .map(|&(i, j, v)| {
                format!(
                    " X({i}, {j}, {}, {})",
                    v.macro_name(),
                    v.squared().macro_name()
                )
            })
            .collect();
        define(format_args!("EACH_PAIR(X){pairs}"));
        let singles: String = self
            .singles
            .iter()
            .map(|&(i, v)| {
                let combine = if v.is_negative() { "v_sub" } else { "v_add" };
                format!(" X({i}, {combine}, {})", v.macro_name())
            })
            .collect();
        define(format_args!("EACH_SINGLE(X){singles}"));
        let singles = || self.singles.iter().map(|&(i, _)| i);
        let even: Vec<usize> = singles()
            .chain(self.pairs.iter().map(|&(i, _, _)| i))
            .collect();
        let odd: Vec<usize> = singles()
            .chain(self.pairs.iter().map(|&(_, j, _)| j))
            .collect();
        define(format_args!("SUM_EVEN {}", sum_tree(&even)));
        define(format_args!("SUM_ODD {}", sum_tree(&odd)));
        text
    }
}

/// The sum of state words as a balanced tree of additions.
fn sum_tree(words: &[usize]) -> String {
    match words {
        [] => "0".to_owned(),
        [i] => format!("s{i}"),
        _ => {
            let (left, right) = words.split_at(words.len() / 2);
            format!("v_add({}, {})", sum_tree(left), sum_tree(right))
        }
    }
}

/// The part of a program's source that stands between `field.cl` and `poseidon2.cl`.
///
/// # Errors
/// [`HalError::Unsupported`] for a field or width without a known instance.
pub(crate) fn parameters<F: HalField>(width: usize) -> Result<String, HalError> {
    let unknown = || {
        HalError::unsupported(
            "poseidon2",
            format!("no instance of width {width} over {}", F::NAME),
        )
    };
    let (diagonal, alpha) = instance::<F>(width).ok_or_else(unknown)?;
    let mut constants = F::poseidon2_constants(width).ok_or_else(unknown)?;
    let word_one = F::from_montgomery_word(1).ok_or_else(unknown)?;
    let rounds = constants.internal.len();
    let layer = InternalLayer::new(diagonal);
    let (carried, left) = layer.offsets(width, rounds, word_one);

    // A value carried into an S-box is taken off the constant added there.
    let mut partial = constants.internal;
    partial.push(F::ZERO);
    for (constant, &offset) in partial[1..].iter_mut().zip(&carried) {
        *constant -= offset;
    }
    for (constant, &offset) in constants.external_final.iter_mut().zip(&left) {
        *constant -= offset;
    }

    let minus_prime = |c: &F| c.montgomery_word().wrapping_sub(F::ORDER_U32);
    let full: Vec<u32> = constants
        .external_initial
        .iter()
        .chain(&constants.external_final)
        .map(minus_prime)
        .collect();
    let partial: Vec<u32> = partial
        .iter()
        .enumerate()
        .map(|(round, c)| {
            if round == 0 {
                minus_prime(c)
            } else {
                c.montgomery_word()
            }
        })
        .collect();

    Ok(format!(
        "#define WIDTH {width}\n#define ALPHA {alpha}\n#define PARTIAL_ROUNDS {rounds}\n{}{}{}",
        layer.source(F::TWO_ADICITY),
        array("RC_FULL", &full),
        array("RC_PARTIAL", &partial),
    ))
}

/// A constant array in OpenCL C.
fn array(name: &str, words: &[u32]) -> String {
    let mut text = format!("__constant uint {name}[{}] = {{", words.len());
    for word in words {
        let _ = write!(text, "{word}u,");
    }
    text.push_str("};\n");
    text
}
