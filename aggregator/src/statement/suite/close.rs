//! Cases of closes.

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;

use super::{Elements, digest, sample, set};
use crate::statement::hash::{accumulator_preimage, hash, limbs};
use crate::statement::{Digest, KeccakOpening, Level, Rule, TreeStatement, layout};
use crate::tree::Interval;

/// A range of segments to be closed.
#[derive(Clone, Debug)]
pub struct CloseCase {
    /// What is particular about it; unique.
    pub name: String,
    /// The range's encoding.
    pub inner: Elements,
    /// The state in which it ends.
    pub opening: KeccakOpening,
    /// The item's index.
    pub position: u64,
    /// The accumulator before the item.
    pub old: Digest,
    /// The item's statement, or the broken rule.
    pub expected: Result<TreeStatement, Rule>,
}

/// Every case of a close.
#[must_use]
pub fn close_cases() -> Vec<CloseCase> {
    let opening = KeccakOpening {
        state: core::array::from_fn(|lane| (lane as u64 + 1) * 0x0123_4567_89ab_cdef),
        blocks: 0x3_0002_0001_0004,
        bytes: 136 * 0x3_0002_0001_0004 - 5,
    };
    let inner = TreeStatement {
        end: opening.digest(),
        first: true,
        last: true,
        ..sample(Interval::known(0, 5))
    };
    let true_case = |name: &str, position: u64, old: Digest| {
        let item = opening.item();
        let expected = TreeStatement {
            level: Level::Items,
            begin: old,
            end: hash(&accumulator_preimage(limbs(position), &old, &item)),
            list: item,
            first_index: position,
            count: 1,
            first: false,
            last: false,
            ..inner
        };
        CloseCase {
            name: name.into(),
            inner: inner.to_elements(),
            opening,
            position,
            old,
            expected: Ok(expected),
        }
    };
    let base = true_case("a complete range", 7, digest(5, 0));
    let false_case = |name: String, rule: Rule, mutate: &dyn Fn(&mut CloseCase)| {
        let mut case = CloseCase {
            name,
            expected: Err(rule),
            ..base.clone()
        };
        mutate(&mut case);
        case
    };
    let mut cases = vec![
        base.clone(),
        true_case("the first item", 0, [KoalaBear::ZERO; 8]),
        true_case("the last index there is", u64::MAX, digest(5, 1)),
        false_case("an item, not segments".into(), Rule::InnerLevel, &|case| {
            set(&mut case.inner, layout::LEVEL, 1);
            set(&mut case.inner, layout::FIRST, 0);
            set(&mut case.inner, layout::LAST, 0);
        }),
        false_case("no beginning".into(), Rule::InnerFirst, &|case| {
            set(&mut case.inner, layout::FIRST, 0);
        }),
        false_case("no end".into(), Rule::InnerLast, &|case| {
            set(&mut case.inner, layout::LAST, 0);
        }),
        false_case("no segments".into(), Rule::Range, &|case| {
            set(&mut case.inner, layout::COUNT, 0);
        }),
    ];
    for limb in 0..4 {
        let name = format!("limb {limb} of the first index is not 0");
        cases.push(false_case(name, Rule::InnerIndex, &|case| {
            set(&mut case.inner, layout::FIRST_INDEX + limb, 1);
        }));
    }
    for element in 0..8 {
        let name = format!("element {element} of the end is another");
        cases.push(false_case(name, Rule::Opening, &|case| {
            case.inner[layout::END + element] += KoalaBear::ONE;
        }));
    }
    for lane in 0..25 {
        for limb in 0..4 {
            let name = format!("limb {limb} of lane {lane} is another");
            cases.push(false_case(name, Rule::Opening, &|case| {
                case.opening.state[lane] ^= 1 << (16 * limb);
            }));
        }
    }
    for limb in 0..4 {
        let name = format!("limb {limb} of the blocks is another");
        cases.push(false_case(name, Rule::Opening, &|case| {
            case.opening.blocks ^= 1 << (16 * limb);
        }));
        let name = format!("limb {limb} of the bytes is another");
        cases.push(false_case(name, Rule::Opening, &|case| {
            case.opening.bytes ^= 1 << (16 * limb);
        }));
    }
    cases
}
