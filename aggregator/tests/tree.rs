//! The canonical tree against its definition, written out naively.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use starkwright_aggregator::AggregatorError;
use starkwright_aggregator::tree::{CanonicalTree, Interval};

/// Nodes with their children, by the definition: every aligned interval inside; the maximal ones
/// are those inside no other; they are joined from the left.
fn naive(first: u64, count: u64, arity: u64) -> BTreeMap<(u64, u64), Vec<(u64, u64)>> {
    let end = first + count;
    let mut nodes = BTreeMap::new();
    let mut size = 1;
    while size <= end {
        for start in (0..end).step_by(size as usize) {
            if start >= first && start + size <= end {
                let part = size / arity;
                let parts = (0..arity).map(|i| (start + i * part, start + (i + 1) * part));
                let children = if size == 1 { vec![] } else { parts.collect() };
                nodes.insert((start, start + size), children);
            }
        }
        size *= arity;
    }
    let inside = |a: &(u64, u64), b: &(u64, u64)| a != b && b.0 <= a.0 && a.1 <= b.1;
    let aligned: Vec<(u64, u64)> = nodes.keys().copied().collect();
    let maximal = |node: &(u64, u64)| !aligned.iter().any(|other| inside(node, other));
    let mut row: Vec<(u64, u64)> = aligned.iter().copied().filter(maximal).collect();
    while row.len() > 1 {
        let group: Vec<(u64, u64)> = row.drain(..row.len().min(arity as usize)).collect();
        let node = (group[0].0, group[group.len() - 1].1);
        nodes.insert(node, group);
        row.insert(0, node);
    }
    nodes
}

fn interval((start, end): (u64, u64)) -> Interval {
    Interval::new(start, end - start).unwrap()
}

fn depth(tree: CanonicalTree, node: Interval) -> u32 {
    let below = tree.children(node);
    below
        .into_iter()
        .map(|child| 1 + depth(tree, child))
        .max()
        .unwrap_or(0)
}

fn check_against_definition(first: u64, count: u64, arity: u8) {
    let tree = CanonicalTree::new(first, count)
        .unwrap()
        .with_arity(arity)
        .unwrap();
    let nodes = naive(first, count, u64::from(arity));
    for start in first..first + count {
        for end in start + 1..=first + count {
            let node = interval((start, end));
            let expected = nodes.get(&(start, end));
            assert_eq!(tree.is_node(node), expected.is_some(), "{node} in {tree:?}");
            let children: Vec<Interval> = expected
                .into_iter()
                .flatten()
                .map(|&c| interval(c))
                .collect();
            assert_eq!(tree.children(node), children, "{node} in {tree:?}");
            let parent = nodes
                .iter()
                .find(|(_, children)| children.contains(&(start, end)));
            let parent = parent.map(|(&node, _)| interval(node));
            assert_eq!(tree.parent(node), parent, "{node} in {tree:?}");
        }
    }
    // Bottom-up: every node once, children first.
    let mut seen = BTreeSet::new();
    for node in tree.nodes() {
        assert!(tree.children(node).iter().all(|child| seen.contains(child)));
        assert!(seen.insert(node));
    }
    let all: BTreeSet<Interval> = nodes.keys().map(|&node| interval(node)).collect();
    assert_eq!(seen, all);
    if count > 1 {
        assert_eq!(tree.joins(), all.len() as u64 - count);
        assert_eq!(tree.depth(), depth(tree, tree.root()));
    }
    if arity == 2 {
        assert_eq!(tree.joins(), (count - 1).max(1));
    }
}

#[test]
fn small_trees_are_as_defined() {
    for first in 0..20 {
        for count in 1..=20 {
            check_against_definition(first, count, 2);
            check_against_definition(first, count, 3);
        }
    }
}

#[test]
fn a_drawn_tree() {
    // 3..14: [((3, 4..8), 8..12), 12..14]
    let tree = CanonicalTree::new(3, 11).unwrap();
    let children = |start, end| -> Vec<(u64, u64)> {
        let children = tree.children(interval((start, end)));
        let bounds = children.iter().map(|c| (c.first(), c.last() + 1));
        bounds.collect()
    };
    assert_eq!(children(3, 14), [(3, 12), (12, 14)]);
    assert_eq!(children(3, 12), [(3, 8), (8, 12)]);
    assert_eq!(children(3, 8), [(3, 4), (4, 8)]);
    assert_eq!(children(4, 8), [(4, 6), (6, 8)]);
    assert_eq!(tree.depth(), 5);
}

#[test]
fn a_single_leaf_has_one_join() {
    let tree = CanonicalTree::new(7, 1).unwrap();
    assert_eq!(tree.joins(), 1);
    assert_eq!(tree.depth(), 1);
    assert_eq!(tree.nodes().collect::<Vec<_>>(), [Interval::leaf(7)]);
    assert_eq!(tree.parent(Interval::leaf(7)), None);
}

#[test]
fn ranges_without_leaves_or_beyond_the_last_index_are_none() {
    let range = |first, count| CanonicalTree::new(first, count).map(|_| ());
    for (first, count) in [(0, 0), (u64::MAX, 2), (1 << 63, (1 << 63) + 1)] {
        let error = range(first, count).unwrap_err();
        assert!(matches!(error, AggregatorError::Range { .. }), "{error}");
    }
    range(u64::MAX, 1).unwrap();
    range(1, u64::MAX).unwrap();
    let arity = CanonicalTree::new(0, 1).unwrap().with_arity(1).unwrap_err();
    assert!(matches!(arity, AggregatorError::Arity { arity: 1 }));
}

#[test]
fn siblings_are_what_a_tree_of_their_union_has_as_children() {
    for first in 0..34 {
        for middle in first + 1..40 {
            for end in middle + 1..42 {
                let (left, right) = (interval((first, middle)), interval((middle, end)));
                let union = CanonicalTree::new(first, end - first).unwrap();
                let expected = union.children(union.root()) == [left, right];
                assert_eq!(left.joins(right), expected, "{left} {right}");
            }
        }
    }
    assert!(!interval((0, 2)).joins(interval((3, 4))));
    let [low, high] = [0, 1 << 63].map(|first| Interval::new(first, 1 << 63).unwrap());
    assert!(!low.joins(high), "2^64 leaves have no count");
}

/// The walk from a leaf to the root, each step checked: works for trees of any size.
fn check_walk(tree: CanonicalTree, leaf: u64) {
    let mut node = Interval::leaf(leaf);
    let mut steps = 0;
    while let Some(parent) = tree.parent(node) {
        assert!(tree.is_node(parent));
        let children = tree.children(parent);
        assert!(children.contains(&node), "{node} below {parent}");
        assert_eq!(children[0].first(), parent.first());
        assert_eq!(children[children.len() - 1].last(), parent.last());
        for pair in children.windows(2) {
            assert_eq!(pair[0].last() + 1, pair[1].first());
        }
        if tree.arity() == 2 {
            assert!(children[0].joins(children[1]));
        }
        steps += 1;
        node = parent;
    }
    assert_eq!(node, tree.root());
    assert!(steps <= tree.depth());
}

/// Any range, with a leaf in it.
fn any_range() -> impl Strategy<Value = (u64, u64, u64)> {
    let first = prop_oneof![
        any::<u64>(),
        0..100_u64,
        (0..100_u64).prop_map(|i| u64::MAX - i),
        (0..64_u32).prop_map(|j| 1 << j)
    ];
    (first, any::<u64>(), any::<u64>(), 0..64_u32).prop_map(|(first, count, leaf, shift)| {
        let most = (u64::MAX - first).saturating_add(1);
        let count = (count >> shift) % most + 1;
        let count = count.min(most);
        (first, count, first + leaf % count)
    })
}

proptest! {
    #[test]
    fn trees_are_as_defined(first in 0..300_u64, count in 1..60_u64, arity in 2..6_u8) {
        check_against_definition(first, count, arity);
    }

    #[test]
    fn every_leaf_leads_to_the_root((first, count, leaf) in any_range(), arity in 2..=255_u8) {
        let tree = CanonicalTree::new(first, count).unwrap();
        check_walk(tree, leaf);
        check_walk(tree, first);
        check_walk(tree, tree.root().last());
        prop_assert_eq!(tree.joins(), (count - 1).max(1));
        prop_assert!(tree.depth() <= 128);
        check_walk(tree.with_arity(arity).unwrap(), leaf);
    }

    /// A shorter range from the same leaf has every node of the longer one that fits.
    #[test]
    fn longer_ranges_share_their_nodes(
        first in 0..200_u64, count in 1..80_u64, more in 0..80_u64, arity in 2..5_u8,
    ) {
        let tree = |count| CanonicalTree::new(first, count).unwrap().with_arity(arity).unwrap();
        let (short, long) = (tree(count), tree(count + more));
        let open = CanonicalTree::open_ended(first).with_arity(arity).unwrap();
        for node in long.nodes().filter(|node| short.root().contains(*node)) {
            prop_assert!(short.is_node(node), "{} of {:?}", node, long);
        }
        for node in long.nodes() {
            if open.is_node(node) {
                prop_assert_eq!(open.children(node), long.children(node));
            } else {
                // Only the last joins of a range are its own.
                prop_assert_eq!(node.first(), first);
            }
        }
        // And aligned nodes are shared both ways: all but the spine.
        for node in short.nodes().filter(|node| !long.is_node(*node)) {
            prop_assert_eq!(node.first(), first);
        }
    }
}

#[test]
fn open_ended_trees_reach_to_the_end_of_indices() {
    for first in [0, 1, 6, 1 << 63, u64::MAX - 2, u64::MAX - 1, u64::MAX] {
        let tree = CanonicalTree::open_ended(first);
        check_walk(tree, first);
        check_walk(tree, tree.root().last());
    }
}
