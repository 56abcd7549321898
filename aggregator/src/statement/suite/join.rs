//! Cases of joins.

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;

use super::{Elements, sample, set};
use crate::statement::hash::{hash, limbs, list_preimage};
use crate::statement::{Level, Rule, TreeStatement, layout};
use crate::tree::{CanonicalTree, Interval};

/// Two children to be joined.
#[derive(Clone, Debug)]
pub struct JoinCase {
    /// What is particular about it; unique.
    pub name: String,
    /// The left child's encoding.
    pub left: Elements,
    /// The right child's encoding.
    pub right: Elements,
    /// The join's statement, or the broken rule.
    pub expected: Result<TreeStatement, Rule>,
}

/// Every case of a join.
#[must_use]
pub fn join_cases() -> Vec<JoinCase> {
    let mut cases = true_joins();
    equality_cases(&mut cases);
    flag_cases(&mut cases);
    index_cases(&mut cases);
    canonical_cases(&mut cases);
    encoding_cases(&mut cases);
    cases
}

/// Joins that hold: every kind of node, at both levels, and numbers with carries.
fn true_joins() -> Vec<JoinCase> {
    let mut cases = vec![
        joined("segments", pair(4, 2, 2), |_, _| {}),
        joined("items", pair(4, 2, 2), |left, right| {
            left.level = Level::Items;
            right.level = Level::Items;
        }),
        joined("the beginning of an item", pair(0, 1, 1), |left, _| {
            left.first = true;
        }),
        joined("the end of an item", pair(4, 2, 1), |_, right| {
            right.last = true;
        }),
        joined("a whole item", pair(0, 4, 1), |left, right| {
            left.first = true;
            right.last = true;
        }),
        joined(
            "the last index there is",
            pair(u64::MAX - 1, 1, 1),
            |_, _| {},
        ),
        joined("carries in the count", pair(1, (1 << 48) - 1, 1), |_, _| {}),
        joined(
            "carries in the index",
            pair(1, u64::MAX >> 1, 1 << 62),
            |_, _| {},
        ),
    ];
    for log in 0..62 {
        let size = 1 << log;
        for (name, leaves) in [
            ("siblings", pair(2 * size, size, size)),
            ("growing pieces", pair(size, size, 2 * size)),
            ("shrinking pieces", pair(0, 2 * size, size)),
        ] {
            cases.push(joined(format!("{name} from 2^{log}"), leaves, |_, _| {}));
        }
    }
    cases
}

/// Each element of each field that must be equal, changed on one side.
fn equality_cases(cases: &mut Vec<JoinCase>) {
    let fields = [
        ("the context", layout::CONTEXT, Rule::Context),
        ("the root", layout::ALLOWED_ROOT, Rule::AllowedRoot),
    ];
    for element in 0..8 {
        for (name, start, rule) in fields {
            let name = format!("element {element} of {name}");
            cases.push(broken(format!("{name}, left"), rule, |left, _| {
                left[start + element] += KoalaBear::ONE;
            }));
            cases.push(broken(format!("{name}, right"), rule, |_, right| {
                right[start + element] += KoalaBear::ONE;
            }));
        }
        let name = format!("element {element} of the state between");
        cases.push(broken(format!("{name}, left"), Rule::State, |left, _| {
            left[layout::END + element] += KoalaBear::ONE;
        }));
        cases.push(broken(format!("{name}, right"), Rule::State, |_, right| {
            right[layout::BEGIN + element] += KoalaBear::ONE;
        }));
    }
}

fn flag_cases(cases: &mut Vec<JoinCase>) {
    let set_left = |index| move |left: &mut Elements, _: &mut Elements| set(left, index, 1);
    let set_right = |index| move |_: &mut Elements, right: &mut Elements| set(right, index, 1);
    cases.extend([
        broken("items and segments", Rule::Level, set_left(layout::LEVEL)),
        broken("segments and items", Rule::Level, set_right(layout::LEVEL)),
        broken("the left is last", Rule::LastInside, set_left(layout::LAST)),
        broken(
            "the right is first",
            Rule::FirstInside,
            set_right(layout::FIRST),
        ),
    ]);
    for (name, index) in [("first", layout::FIRST), ("last", layout::LAST)] {
        let items = |left: &mut Elements, right: &mut Elements| {
            set(left, layout::LEVEL, 1);
            set(right, layout::LEVEL, 1);
        };
        let rule = Rule::ItemFlags;
        cases.push(broken(
            format!("items, the left {name}"),
            rule,
            |left, right| {
                items(left, right);
                set(left, index, 1);
            },
        ));
        cases.push(broken(
            format!("items, the right {name}"),
            rule,
            |left, right| {
                items(left, right);
                set(right, index, 1);
            },
        ));
    }
}

/// Gaps, overlaps, and sums that do not fit into 64 bits.
fn index_cases(cases: &mut Vec<JoinCase>) {
    for bit in 0..64 {
        let name = format!("bit {bit} of the right first index");
        cases.push(broken(name, Rule::Index, |_, right| {
            put(right, layout::FIRST_INDEX, 6 ^ 1 << bit);
        }));
    }
    let swapped = |left: &mut Elements, right: &mut Elements| core::mem::swap(left, right);
    cases.push(broken("the wrong way round", Rule::Index, swapped));
    cases.push(broken(
        "a statement with itself",
        Rule::Index,
        |left, right| {
            *right = *left;
        },
    ));
    let place = |elements: &mut Elements, first: u64, count: u64| {
        put(elements, layout::FIRST_INDEX, first);
        put(elements, layout::COUNT, count);
    };
    for (name, left_place, right_place, rule) in [
        ("the index wraps", (u64::MAX, 1), (0, 1), Rule::Index),
        (
            "the index wraps, from afar",
            (1 << 63, 1 << 63),
            (0, 1),
            Rule::Index,
        ),
        (
            "all 2^64 leaves",
            (0, 1 << 63),
            (1 << 63, 1 << 63),
            Rule::Count,
        ),
        ("the left is empty", (6, 0), (6, 2), Rule::Range),
        ("the right is empty", (4, 2), (6, 0), Rule::Range),
        (
            "the left goes beyond 2^64",
            (u64::MAX, 2),
            (1, 1),
            Rule::Range,
        ),
        (
            "2^64 leaves, one and the rest",
            (0, 1),
            (1, u64::MAX),
            Rule::Count,
        ),
        (
            "the right goes beyond 2^64",
            (4, 2),
            (1 << 63, (1 << 63) + 1),
            Rule::Range,
        ),
    ] {
        cases.push(broken(name, rule, |left, right| {
            place(left, left_place.0, left_place.1);
            place(right, right_place.0, right_place.1);
        }));
    }
    // 2^16 - 1 + 1: a carry that is lost where limbs are added.
    for limb in 1..4 {
        let carried = 1 << (16 * limb);
        let name = format!("no carry into limb {limb}");
        cases.push(broken(name, Rule::Index, |left, right| {
            place(left, carried - 1, 1);
            place(right, 0, 1);
        }));
    }
}

/// Neighbours that are no siblings: all small ones, and one of each kind for each size.
fn canonical_cases(cases: &mut Vec<JoinCase>) {
    for first in 0..9 {
        for middle in first + 1..10 {
            for end in middle + 1..11 {
                let name = format!("{first}..{middle} and {middle}..{end}");
                let leaves = pair(first, middle - first, end - middle);
                let siblings = CanonicalTree::new(first, end - first)
                    .is_ok_and(|tree| tree.children(tree.root()) == leaves);
                cases.push(match siblings {
                    true => joined(name, leaves, |_, _| {}),
                    false => not_canonical(name, leaves),
                });
            }
        }
    }
    for log in 0..61 {
        let size = 1 << log;
        for (name, leaves) in [
            ("no power of two", pair(0, 4 * size, 3 * size)),
            ("not aligned", pair(0, size, 2 * size)),
            ("not maximal", pair(0, 3 * size, size)),
            (
                "not maximal by one leaf",
                pair(2 * size - 1, size + 1, size),
            ),
        ] {
            cases.push(not_canonical(format!("{name}, 2^{log}"), leaves));
        }
    }
}

/// Elements out of their range in a child.
fn encoding_cases(cases: &mut Vec<JoinCase>) {
    let limbs = (layout::FIRST_INDEX..layout::FIRST_INDEX + 4)
        .chain(layout::COUNT..layout::COUNT + 4)
        .map(|index| (index, 1 << 16));
    let bits = [layout::LEVEL, layout::FIRST, layout::LAST].map(|index| (index, 2));
    for (index, value) in limbs.chain(bits).chain([(layout::TAG, 0)]) {
        let name = format!("element {index} is {value}");
        let rule = Rule::Encoding;
        cases.push(broken(format!("{name}, left"), rule, |left, _| {
            set(left, index, value);
        }));
        cases.push(broken(format!("{name}, right"), rule, |_, right| {
            set(right, index, value);
        }));
    }
}

fn pair(first: u64, left: u64, right: u64) -> [Interval; 2] {
    // The cases' numbers stay below 2^64.
    [
        Interval::known(first, left),
        Interval::known(first + left, right),
    ]
}

fn joined(
    name: impl Into<String>,
    leaves: [Interval; 2],
    mutate: impl Fn(&mut TreeStatement, &mut TreeStatement),
) -> JoinCase {
    let [mut left, mut right] = leaves.map(sample);
    mutate(&mut left, &mut right);
    let expected = TreeStatement {
        level: left.level,
        context: left.context,
        begin: left.begin,
        end: right.end,
        list: hash(&list_preimage(&left.list, &right.list)),
        first_index: left.first_index,
        count: left.count + right.count,
        first: left.first,
        last: right.last,
        allowed_root: left.allowed_root,
    };
    JoinCase {
        name: name.into(),
        left: left.to_elements(),
        right: right.to_elements(),
        expected: Ok(expected),
    }
}

fn not_canonical(name: impl Into<String>, leaves: [Interval; 2]) -> JoinCase {
    broken(name, Rule::Canonical, |left, right| {
        [*left, *right] = leaves.map(|leaves| sample(leaves).to_elements());
    })
}

/// A join of 4..6 and 6..8, broken.
fn broken(
    name: impl Into<String>,
    rule: Rule,
    mutate: impl Fn(&mut Elements, &mut Elements),
) -> JoinCase {
    let base = joined(name, pair(4, 2, 2), |_, _| {});
    let mut case = JoinCase {
        expected: Err(rule),
        ..base
    };
    mutate(&mut case.left, &mut case.right);
    case
}

fn put(elements: &mut Elements, start: usize, number: u64) {
    elements[start..start + 4].copy_from_slice(&limbs(number));
}
