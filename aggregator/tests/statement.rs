//! Statements: the suite's cases natively, leaves and items of real files, and the canonical tree.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use proptest::prelude::*;
use starkwright_aggregator::AggregatorError;
use starkwright_aggregator::schedule::{Join, Schedule};
use starkwright_aggregator::statement::hash::{hash, limbs};
use starkwright_aggregator::statement::suite::{self, sample};
use starkwright_aggregator::statement::{
    Digest, KeccakOpening, Level, Rule, TreeStatement, close_keccak, layout, leaf_of_keccak,
};
use starkwright_aggregator::tree::{CanonicalTree, Interval};
use starkwright_prover::machine::keccak::{
    SegmentShape, SegmentStatement, Segmenter, StatementError,
};

const ROOT: Digest = [KoalaBear::TWO; 8];

fn names_are_unique<'a>(names: impl Iterator<Item = &'a String>) {
    let mut seen = BTreeSet::new();
    for name in names {
        assert!(seen.insert(name), "two cases are named {name}");
    }
}

/// The suite breaks exactly these rules, in the order of their names.
fn assert_rules(broken: impl Iterator<Item = Rule>, all: &[&str]) {
    let rules: BTreeSet<String> = broken.map(|rule| format!("{rule:?}")).collect();
    assert!(rules.iter().eq(all.iter()), "{rules:?}");
}

#[test]
fn joins_do_what_the_suite_says() {
    let cases = suite::join_cases();
    names_are_unique(cases.iter().map(|case| &case.name));
    for case in &cases {
        let left = TreeStatement::from_elements(&case.left);
        let right = TreeStatement::from_elements(&case.right);
        let found = left.and_then(|left| TreeStatement::join(&left, &right?));
        let found = found.map_err(|error| error.rule().unwrap());
        assert_eq!(found, case.expected, "{}", case.name);
    }
    let broken = cases.iter().filter_map(|case| case.expected.err());
    assert_rules(
        broken,
        &[
            "AllowedRoot",
            "Canonical",
            "Context",
            "Count",
            "Encoding",
            "FirstInside",
            "Index",
            "ItemFlags",
            "LastInside",
            "Level",
            "Range",
            "State",
        ],
    );
}

#[test]
fn closes_do_what_the_suite_says() {
    let cases = suite::close_cases();
    names_are_unique(cases.iter().map(|case| &case.name));
    for case in &cases {
        let inner = TreeStatement::from_elements(&case.inner);
        let found = inner
            .and_then(|inner| close_keccak(&inner, &case.opening, case.position, &case.old))
            .map_err(|error| error.rule().unwrap());
        assert_eq!(found, case.expected, "{}", case.name);
    }
    let broken = cases.iter().filter_map(|case| case.expected.err());
    assert_rules(
        broken,
        &[
            "InnerFirst",
            "InnerIndex",
            "InnerLast",
            "InnerLevel",
            "Opening",
            "Range",
        ],
    );
}

#[test]
fn joins_check_statements_that_were_never_encoded() {
    let [left, right] = [4, 6].map(|first| sample(Interval::new(first, 2).unwrap()));
    let empty = TreeStatement { count: 0, ..left };
    let beyond = TreeStatement {
        first_index: u64::MAX,
        ..right
    };
    let item = TreeStatement {
        level: Level::Items,
        last: true,
        ..left
    };
    for (wrong, rule) in [
        (empty, Rule::Range),
        (beyond, Rule::Range),
        (item, Rule::ItemFlags),
    ] {
        let errors = [
            TreeStatement::join(&wrong, &right).unwrap_err(),
            TreeStatement::join(&left, &wrong).unwrap_err(),
            close_keccak(&wrong, &opening(), 0, &ROOT).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, AggregatorError::Statement { rule: r } if r == rule));
        }
    }
}

#[test]
fn an_absent_right_child_changes_nothing() {
    let leaf = sample(Interval::leaf(3));
    assert_eq!(TreeStatement::join_absent(&leaf), leaf);
}

fn opening() -> KeccakOpening {
    KeccakOpening {
        state: [7; 25],
        blocks: 3,
        bytes: 300,
    }
}

/// The segments of some file: of one block each, for the statements alone.
fn segments(blocks: u64) -> Vec<SegmentStatement> {
    let state = |block: u64| match block {
        0 => [0; 25],
        _ => core::array::from_fn(|lane| block << 32 | lane as u64),
    };
    let segment = |index: u64| SegmentStatement {
        context: [1, 2, 3, 4, 5, 6, 7, 8],
        index,
        state_before: state(index),
        state_after: state(index + 1),
        blocks_before: index,
        blocks_after: index + 1,
        bytes_before: 136 * index,
        bytes_after: match index + 1 == blocks {
            true => 136 * index + 9,
            false => 136 * (index + 1),
        },
        first: index == 0,
        last: index + 1 == blocks,
    };
    (0..blocks).map(segment).collect()
}

/// Joins leaves in the order of the tree's nodes.
fn fold(leaves: &[TreeStatement]) -> Result<TreeStatement, AggregatorError> {
    let tree = CanonicalTree::new(leaves[0].first_index, leaves.len() as u64)?;
    let mut done = BTreeMap::new();
    for node in tree.nodes() {
        let statement = match tree.children(node)[..] {
            [left, right] => TreeStatement::join(&done[&left], &done[&right])?,
            _ => leaves[(node.first() - leaves[0].first_index) as usize],
        };
        done.insert(node, statement);
    }
    Ok(done[&tree.root()])
}

#[test]
fn a_leaf_holds_what_its_segment_states() {
    for segment in segments(3) {
        let leaf = leaf_of_keccak(&segment, &ROOT).unwrap();
        let elements: Vec<KoalaBear> = segment.to_public_values().unwrap();
        assert_eq!(leaf.context[..], elements[2..10]);
        assert_eq!((leaf.first_index, leaf.count), (segment.index, 1));
        assert_eq!((leaf.first, leaf.last), (segment.first, segment.last));
        assert_eq!((leaf.level, leaf.allowed_root), (Level::Segments, ROOT));
        // The preimages, written out once more.
        let tag = |tag: &[u8; 4]| KoalaBear::from_u32(u32::from_be_bytes(*tag));
        let zero = KoalaBear::ZERO;
        let state = |state: core::ops::Range<usize>, blocks: usize, bytes: usize| {
            let small = [tag(b"STAT"), elements[0], elements[1], zero];
            let blocks = &elements[blocks..blocks + 4];
            hash(
                &[
                    &small,
                    blocks,
                    &elements[state],
                    &elements[bytes..bytes + 4],
                ]
                .concat(),
            )
        };
        assert_eq!(leaf.begin, state(14..114, 214, 222));
        assert_eq!(leaf.end, state(114..214, 218, 226));
        assert_eq!(KeccakOpening::after(&segment).digest(), leaf.end);
        let flags = elements[230] + elements[231].double();
        let small = [tag(b"SEGM"), elements[0], elements[1], flags];
        let list = [&small, &elements[10..14], &leaf.begin, &leaf.end].concat();
        assert_eq!(leaf.list, hash(&list));
    }
}

#[test]
fn a_segment_that_contradicts_itself_is_no_leaf() {
    let mut segment = segments(3).remove(1);
    segment.first = true;
    let error = leaf_of_keccak(&segment, &ROOT).unwrap_err();
    let AggregatorError::Segment { index: 1, source } = error else {
        panic!("{error}");
    };
    assert!(matches!(source, StatementError::FirstFlag { .. }));
    segment.first = false;
    segment.context[3] = u32::MAX;
    let error = leaf_of_keccak(&segment, &ROOT).unwrap_err();
    assert!(error.to_string().contains("context element 3"), "{error}");
}

/// Files of one segment and of many, closed and joined from index 7 on.
#[test]
fn items_of_real_files_move_one_accumulator() {
    let shape = SegmentShape::from_log_height(11).unwrap();
    let old = [KoalaBear::from_u32(5); 8];
    let mut accumulator = old;
    let mut items = Vec::new();
    let lengths = [0, 136, 60_000, 11_559, 11_560];
    for (position, length) in (7..).zip(lengths) {
        let bytes: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
        let segmenter = Segmenter::new(&bytes[..], shape, [9; 8]);
        let segments: Vec<SegmentStatement> = segmenter
            .map(|segment| segment.unwrap().statement)
            .collect();
        let leaves: Vec<TreeStatement> = segments
            .iter()
            .map(|segment| leaf_of_keccak(segment, &ROOT).unwrap())
            .collect();
        let inner = fold(&leaves).unwrap();
        let end = KeccakOpening::after(segments.last().unwrap());
        let item = close_keccak(&inner, &end, position, &accumulator).unwrap();
        // The item's digest and length, and the accumulator's step, written out once more.
        let tag = |tag: &[u8; 4]| KoalaBear::from_u32(u32::from_be_bytes(*tag));
        let mut keccak = [0; 32];
        let mut hasher = tiny_keccak::Keccak::v256();
        tiny_keccak::Hasher::update(&mut hasher, &bytes);
        tiny_keccak::Hasher::finalize(hasher, &mut keccak);
        let pairs = keccak.chunks_exact(2);
        let digest: Vec<KoalaBear> = pairs
            .map(|pair| KoalaBear::from_u16(u16::from_le_bytes([pair[0], pair[1]])))
            .collect();
        let zero = KoalaBear::ZERO;
        let machine = [tag(b"K256"), KoalaBear::ONE, zero];
        let list = [&[tag(b"ITEM")], &machine[..], &limbs(length), &digest].concat();
        assert_eq!(item.list, hash(&list));
        let index = limbs(position);
        let step = [
            &[tag(b"ACCU"), zero, zero, zero],
            &index[..],
            &accumulator,
            &item.list,
        ];
        accumulator = hash(&step.concat());
        assert_eq!(item.end, accumulator);
        items.push(item);
    }
    let batch = fold(&items).unwrap();
    assert_eq!((batch.first_index, batch.count), (7, 5));
    assert_eq!((batch.begin, batch.end), (old, accumulator));
    assert_eq!(batch.level, Level::Items);
    assert!(!batch.first && !batch.last);
    // An incomplete file is no item.
    let part = leaf_of_keccak(&segments(2)[0], &ROOT).unwrap();
    let error = close_keccak(&part, &opening(), 0, &old).unwrap_err();
    assert_eq!(error.rule(), Some(Rule::InnerLast));
}

/// The same states under another machine's name, or at another version, do not chain.
#[test]
fn digests_of_states_name_the_machine() {
    use starkwright_aggregator::statement::hash::state_preimage;
    let state = [KoalaBear::ONE; 100];
    let digest = |id, version| {
        let identity = [id, version].map(KoalaBear::from_u32);
        hash(&state_preimage(identity, &state, limbs(1), limbs(136)))
    };
    assert_ne!(digest(1, 1), digest(2, 1));
    assert_ne!(digest(1, 1), digest(1, 2));
}

/// Every element of a statement, changed: another digest, and another statement or none.
#[test]
fn every_element_counts() {
    let statement = sample(Interval::new(3, 1).unwrap());
    let elements = statement.to_elements();
    for index in 0..elements.len() {
        let mut other = elements;
        other[index] += KoalaBear::ONE;
        assert_ne!(hash(&other), statement.digest(), "element {index}");
        let read = TreeStatement::from_elements(&other).ok();
        assert_ne!(read, Some(statement), "element {index}");
        if let Some(read) = read {
            assert_eq!(read.to_elements(), other);
        }
    }
    let mut other = elements;
    other[layout::COUNT] = -KoalaBear::ONE;
    let error = TreeStatement::from_elements(&other).unwrap_err();
    let message = "element 48 of a tree statement is 2130706432, which is out of its range";
    assert_eq!(error.to_string(), message);
}

fn digests() -> impl Strategy<Value = Digest> {
    any::<[u32; 8]>().prop_map(|words| words.map(|word| KoalaBear::from_u32(word >> 2)))
}

prop_compose! {
    fn statements()(
        digests in [digests(), digests(), digests(), digests(), digests()],
        first_index in any::<u64>(), count in any::<u64>(), shift in 0..64_u32,
        items in any::<bool>(), first in any::<bool>(), last in any::<bool>(),
    ) -> TreeStatement {
        let [context, begin, end, list, allowed_root] = digests;
        let most = (u64::MAX - first_index).saturating_add(1);
        TreeStatement {
            level: if items { Level::Items } else { Level::Segments },
            context, begin, end, list, allowed_root,
            first_index,
            count: ((count >> shift) % most).max(1),
            first: first && !items,
            last: last && !items,
        }
    }
}

proptest! {
    #[test]
    fn encodings_are_read_back(statement in statements()) {
        let elements = statement.to_elements();
        prop_assert_eq!(TreeStatement::from_elements(&elements).unwrap(), statement);
    }

    /// Whatever the elements: a statement with exactly this encoding, or an error.
    #[test]
    fn reading_is_total(
        statement in statements(),
        changes in proptest::collection::vec((0..layout::STATEMENT_LEN, any::<u32>()), 0..4),
    ) {
        let mut elements = statement.to_elements();
        for (index, value) in changes {
            elements[index] = KoalaBear::from_u32(value % 0x7f00_0001);
        }
        if let Ok(read) = TreeStatement::from_elements(&elements) {
            prop_assert_eq!(read.to_elements(), elements);
        }
    }

    /// The joins of a canonical tree, in any order of time, give one statement.
    #[test]
    fn every_order_gives_the_same_statement(
        first in 0..30_u64,
        order in (1..24_usize).prop_flat_map(|n| Just((0..n as u64).collect::<Vec<_>>()).prop_shuffle()),
        picks in proptest::collection::vec(any::<prop::sample::Index>(), 24),
    ) {
        let count = order.len() as u64;
        let leaf = |i: u64| sample(Interval::leaf(first + i));
        let leaves: Vec<TreeStatement> = (0..count).map(leaf).collect();
        let mut schedule = Schedule::new(CanonicalTree::new(first, count).unwrap());
        let mut kept = BTreeMap::new();
        let mut queue: Vec<Join> = Vec::new();
        let mut picks = picks.into_iter();
        for i in order {
            kept.insert(Interval::leaf(first + i), leaf(i));
            queue.extend(schedule.leaf_done(first + i).unwrap().ready);
            // Some joins run now, in some order; the others later.
            let some = picks.next().map_or(0, |pick| pick.index(queue.len() + 1));
            for _ in 0..some {
                let Join { node, children } = queue.swap_remove(0);
                run(&mut kept, node, &children);
                queue.extend(schedule.node_done(node).unwrap().ready);
            }
        }
        while let Some(Join { node, children }) = queue.pop() {
            run(&mut kept, node, &children);
            queue.extend(schedule.node_done(node).unwrap().ready);
        }
        let root = schedule.root().unwrap();
        prop_assert_eq!(kept.len(), 1);
        prop_assert_eq!(kept[&root], fold(&leaves).unwrap());
        prop_assert_eq!(kept[&root].leaves().unwrap(), root);
    }
}

fn run(kept: &mut BTreeMap<Interval, TreeStatement>, node: Interval, children: &[Interval]) {
    let inputs: Vec<TreeStatement> = children.iter().map(|c| kept.remove(c).unwrap()).collect();
    let joined = match inputs[..] {
        [left, right] => TreeStatement::join(&left, &right).unwrap(),
        [left] => TreeStatement::join_absent(&left),
        _ => panic!("{children:?}"),
    };
    kept.insert(node, joined);
}
