//! The statement of a join: the rules of [`TreeStatement::join`](crate::statement::TreeStatement::join).

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;

use super::{LIMB_BITS, LIMBS, ONE, Statement, ZERO, assert_bit, head};
use crate::circuit::layout::CELL_WORDS;
use crate::circuit::{Base, Builder, Decomposed, Ext, Gate, Octet};
use crate::statement::hash::LIST_TAG;
use crate::statement::{STATEMENT_LEN, layout};

/// A condition under which rules hold: that the right child is there.
#[derive(Clone, Copy, Debug)]
struct Unless {
    absent: Ext,
    zero: Ext,
}

impl Unless {
    /// Asserts `a = b` unless the right child is absent: `(a − b)(1 − absent) = 0`.
    fn equal(self, builder: &mut Builder, a: Ext, b: Ext) {
        let gate = Gate {
            qa: -ONE,
            qb: ONE,
            la: ONE,
            lb: -ONE,
            ..Gate::default()
        };
        builder.assert_gate(gate, a, b, self.absent, self.zero);
    }

    fn zero(self, builder: &mut Builder, a: Ext) {
        self.equal(builder, a, self.zero);
    }

    /// `left` where the right child is absent, else `joined`.
    fn select(self, builder: &mut Builder, left: Ext, joined: Ext) -> Base {
        let gate = Gate {
            qa: ONE,
            qb: -ONE,
            lb: ONE,
            ..Gate::default()
        };
        builder.gate_base(gate, left, joined, self.absent)
    }
}

/// The digest of the join of two statements, or of the left one alone where the right child is absent.
///
/// Reads three cells from the input: the count's limbs, the carries of both sums and whether the right child is absent
/// ([`join_words`]).
pub(in crate::node) fn join(builder: &mut Builder, left: &Statement, right: &Statement) -> Octet {
    let (count, _) = builder.input_words();
    let (carries, _) = builder.input_words();
    let absent: Ext = count[LIMBS].into();
    assert_bit(builder, absent);
    for &unused in count[LIMBS + 1..].iter().chain(&carries[2 * (LIMBS - 1)..]) {
        builder.assert_zero(unused.into());
    }
    let zero = builder.constant(ZERO);
    let unless = Unless { absent, zero };

    for range in [
        layout::LEVEL..layout::LEVEL + 1,
        layout::CONTEXT..layout::CONTEXT + CELL_WORDS,
        layout::ALLOWED_ROOT..layout::ALLOWED_ROOT + CELL_WORDS,
    ] {
        for index in range {
            unless.equal(builder, left.word(index), right.word(index));
        }
    }
    for i in 0..CELL_WORDS {
        unless.equal(
            builder,
            left.word(layout::END + i),
            right.word(layout::BEGIN + i),
        );
    }
    unless.zero(builder, left.word(layout::LAST));
    unless.zero(builder, right.word(layout::FIRST));
    for &carry in &carries[..2 * (LIMBS - 1)] {
        assert_bit(builder, carry.into());
    }
    for &limb in &count[..LIMBS] {
        builder.assert_bits(limb, LIMB_BITS);
    }
    let (to_index, to_count) = carries.split_at(LIMBS - 1);
    let limbs = |statement: &Statement, start: usize| -> [Ext; LIMBS] {
        core::array::from_fn(|limb| statement.word(start + limb))
    };
    let left_count = limbs(left, layout::COUNT);
    let right_count = limbs(right, layout::COUNT);
    let new_count: [Ext; LIMBS] = core::array::from_fn(|limb| count[limb].into());
    sum(
        builder,
        unless,
        limbs(left, layout::FIRST_INDEX),
        left_count,
        limbs(right, layout::FIRST_INDEX),
        to_index,
    );
    sum(
        builder,
        unless,
        left_count,
        right_count,
        new_count,
        &to_count[..LIMBS - 1],
    );
    canonical(builder, unless, left, right);

    let first_block: [Base; CELL_WORDS] = core::array::from_fn(|index| match index {
        layout::LAST => unless.select(builder, left.word(index), right.word(index)),
        _ => left.words[index],
    });
    let end = select_block(builder, unless, left, right.block(layout::END), layout::END);
    let zeros = [builder.base_constant(ZERO); LIMBS];
    let tag = head(builder, [LIST_TAG, 0, 0, 0], zeros);
    let list = builder.hash_cells(&[tag, left.block(layout::LIST), right.block(layout::LIST)]);
    let list = select_block(builder, unless, left, list, layout::LIST);
    let counts: [Base; CELL_WORDS] = core::array::from_fn(|i| match i {
        0..LIMBS => unless.select(builder, left_count[i], new_count[i]),
        _ => builder.base_constant(ZERO),
    });
    let blocks = [
        builder.unspell(first_block),
        left.block(layout::CONTEXT),
        left.block(layout::BEGIN),
        end,
        list,
        left.block(layout::ALLOWED_ROOT),
        builder.unspell(counts),
    ];
    builder.hash_cells(&blocks)
}

fn select_block(
    builder: &mut Builder,
    unless: Unless,
    left: &Statement,
    joined: Octet,
    at: usize,
) -> Octet {
    let joined = builder.spell(joined);
    let words =
        core::array::from_fn(|i| unless.select(builder, left.word(at + i), joined[i].into()));
    builder.unspell(words)
}

/// Asserts `a + b = c` for numbers of four limbs, with a carry out of every limb but the last.
fn sum(
    builder: &mut Builder,
    unless: Unless,
    a: [Ext; LIMBS],
    b: [Ext; LIMBS],
    c: [Ext; LIMBS],
    carries: &[Base],
) {
    let base = KoalaBear::from_u32(1 << LIMB_BITS);
    let mut carried = unless.zero;
    for limb in 0..LIMBS {
        let total = builder.linear([(ONE, a[limb]), (ONE, b[limb]), (ONE, carried)], ZERO);
        carried = carries.get(limb).map_or(unless.zero, |&carry| carry.into());
        let made = builder.linear([(ONE, c[limb]), (base, carried), (ZERO, c[limb])], ZERO);
        unless.equal(builder, total, made);
    }
}

/// The 64 bits of a number, lowest first.
fn bits(builder: &mut Builder, limbs: &[Base]) -> Vec<Ext> {
    let mut bits = Vec::new();
    for &limb in limbs {
        let decomposed: Decomposed = builder.decompose_short(limb, LIMB_BITS);
        let zero = builder.base_constant(ZERO);
        let above: Vec<Base> = (0..=LIMB_BITS)
            .map(|low| {
                if low == LIMB_BITS {
                    zero
                } else {
                    builder.without_low_bits(decomposed, low)
                }
            })
            .collect();
        for pair in above.windows(2) {
            let [this, next]: [Ext; 2] = [pair[0].into(), pair[1].into()];
            bits.push(builder.linear([(ONE, this), (-ONE.double(), next), (ZERO, this)], ZERO));
        }
    }
    bits
}

/// Asserts that both are the children of a node of the canonical tree.
///
/// The right child has `2^j` leaves from a multiple of `2^j` on. It joins a left child that has the same number and an even
/// place, or, where the right one's place is odd, at most as many: with `n`, `f`, `l` the bits of the right count, of the right
/// index and of the left count, `Σ n_i = 1`, no `f_i` with `i < j`, and `f_j = 0` or `l ≤ 2^j`.
fn canonical(builder: &mut Builder, unless: Unless, left: &Statement, right: &Statement) {
    let number =
        |statement: &Statement, start: usize| statement.words[start..start + LIMBS].to_vec();
    let n = bits(builder, &number(right, layout::COUNT));
    let f = bits(builder, &number(right, layout::FIRST_INDEX));
    let l = bits(builder, &number(left, layout::COUNT));
    let zero = unless.zero;
    // Of the bits above i, then of those from i on.
    let mut above = zero;
    let [mut misaligned, mut odd, mut more, mut same, mut less] = [zero; 5];
    for i in (0..n.len()).rev() {
        misaligned = builder.mul_add(above, f[i], misaligned);
        less = builder.mul_add(above, l[i], less);
        odd = builder.mul_add(n[i], f[i], odd);
        same = builder.mul_add(n[i], l[i], same);
        above = builder.add(above, n[i]);
        // l_i (1 − above): a bit of the left count above bit j.
        let gate = Gate {
            qa: -ONE,
            ld: ONE,
            lb: ONE,
            ..Gate::default()
        };
        more = builder.gate(gate, above, more, l[i]);
    }
    let one = builder.constant(ONE);
    unless.equal(builder, above, one);
    unless.zero(builder, misaligned);
    let odd_and_more = builder.mul(odd, more);
    unless.zero(builder, odd_and_more);
    let odd_and_same = builder.mul(odd, same);
    let odd_and_beyond = builder.mul(odd_and_same, less);
    unless.zero(builder, odd_and_beyond);
}

/// The words that [`join`] reads, for these statements.
pub(in crate::node) fn join_words(
    left: &[KoalaBear; STATEMENT_LEN],
    right: &[KoalaBear; STATEMENT_LEN],
    absent: bool,
) -> Vec<KoalaBear> {
    use p3_field::PrimeField32;
    let limb = |statement: &[KoalaBear; STATEMENT_LEN], index: usize| {
        u64::from(statement[index].as_canonical_u32())
    };
    let carries = |a: usize, from: &[KoalaBear; STATEMENT_LEN], b: usize| {
        let mut carry = 0;
        (0..LIMBS)
            .map(|i| {
                let total = limb(left, a + i) + limb(from, b + i) + carry;
                carry = total >> LIMB_BITS;
                (
                    KoalaBear::from_u64(total & 0xffff),
                    KoalaBear::from_bool(carry > 0),
                )
            })
            .collect::<Vec<_>>()
    };
    let index = carries(layout::FIRST_INDEX, left, layout::COUNT);
    let count = carries(layout::COUNT, right, layout::COUNT);
    let mut words: Vec<KoalaBear> = count.iter().map(|&(limb, _)| limb).collect();
    words.push(KoalaBear::from_bool(absent));
    words.resize(CELL_WORDS, ZERO);
    words.extend(
        index[..LIMBS - 1]
            .iter()
            .chain(&count[..LIMBS - 1])
            .map(|&(_, carry)| carry),
    );
    words.resize(2 * CELL_WORDS, ZERO);
    words
}

#[cfg(test)]
mod tests {
    use super::super::harness::{self, Run};
    use super::*;
    use crate::circuit::Circuit;
    use crate::statement::Digest;
    use crate::statement::suite::{JoinCase, join_cases, sample};
    use crate::tree::Interval;

    fn circuit() -> Circuit {
        harness::circuit(11, |builder| {
            let [left, right] = [0, 1].map(|_| Statement::read(builder));
            join(builder, &left, &right)
        })
    }

    /// The digest that the circuit publishes, where the statements satisfy it.
    fn run(
        circuit: &Circuit,
        case: &JoinCase,
        absent: bool,
        change: impl FnOnce(&mut Vec<KoalaBear>),
    ) -> Result<Digest, String> {
        let mut words = [case.left, case.right].concat();
        words.extend(join_words(&case.left, &case.right, absent));
        change(&mut words);
        Run(circuit).on(&words)
    }

    #[test]
    fn the_circuit_agrees_with_the_native_rules() {
        let circuit = circuit();
        let mut refused = 0;
        for case in join_cases() {
            let result = run(&circuit, &case, false, |_| {});
            match &case.expected {
                Ok(statement) => {
                    assert_eq!(result, Ok(statement.digest()), "{}", case.name);
                }
                // Proven children keep these rules, so the circuit need not look.
                Err(rule) if rule.is_inductive() => {}
                Err(rule) => {
                    refused += 1;
                    assert!(result.is_err(), "{}: {rule}", case.name);
                }
            }
        }
        assert!(
            refused > 50,
            "{refused} cases break a rule that the circuit checks"
        );
    }

    #[test]
    fn an_absent_child_changes_nothing() {
        let circuit = circuit();
        // The right child's place is taken by some proven node all the same.
        let proven = |case: &JoinCase| {
            !case
                .expected
                .as_ref()
                .is_err_and(|rule| rule.is_inductive())
        };
        for case in join_cases().into_iter().filter(proven).step_by(7) {
            let left = sample(Interval::new(4, 2).unwrap());
            let case = JoinCase {
                left: left.to_elements(),
                ..case
            };
            assert_eq!(
                run(&circuit, &case, true, |_| {}),
                Ok(left.digest()),
                "{}",
                case.name
            );
        }
    }

    #[test]
    fn every_word_of_the_sums_is_bound() {
        let circuit = circuit();
        let case = join_cases()
            .into_iter()
            .find(|case| case.expected.is_ok())
            .unwrap();
        for at in 0..2 * CELL_WORDS {
            let result = run(&circuit, &case, false, |words| {
                words[2 * STATEMENT_LEN + at] += ONE
            });
            // The flag for an absent child is a choice: with it the left statement is what is stated.
            let expected = (at == LIMBS).then(|| Ok(crate::statement::hash::hash(&case.left)));
            match expected {
                Some(expected) => assert_eq!(result, expected),
                None => assert!(result.is_err(), "word {at}"),
            }
        }
        // Two instead of one is no flag.
        run(&circuit, &case, false, |words| {
            words[2 * STATEMENT_LEN + LIMBS] = ONE.double()
        })
        .unwrap_err();
    }
}
