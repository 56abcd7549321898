//! The scheduler: the same joins and the same root for every order and every interruption.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;
use starkwright_aggregator::AggregatorError;
use starkwright_aggregator::schedule::{Join, Schedule, Step};
use starkwright_aggregator::tree::{CanonicalTree, Interval};

/// What whoever drives a schedule keeps: nodes, joins that can run, and a log of all that ran.
struct Driver {
    schedule: Schedule,
    kept: BTreeSet<Interval>,
    queue: Vec<Join>,
    ran: BTreeMap<Interval, Vec<Interval>>,
}

impl Driver {
    fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            kept: BTreeSet::new(),
            queue: Vec::new(),
            ran: BTreeMap::new(),
        }
    }

    fn apply(&mut self, step: Step) {
        for node in &step.dropped {
            assert!(self.kept.remove(node), "{node} is not there to be dropped");
        }
        for join in step.ready {
            assert!(join.children.iter().all(|child| self.kept.contains(child)));
            assert!(
                !self.ran.contains_key(&join.node),
                "{} became ready twice",
                join.node
            );
            assert!(self.queue.iter().all(|other| other.node != join.node));
            self.queue.push(join);
        }
        self.check();
    }

    /// What the schedule says it needs is what is kept; what it says is ready is in the queue.
    fn check(&self) {
        let finished: Vec<Interval> = self.schedule.finished().collect();
        assert_eq!(finished, self.kept.iter().copied().collect::<Vec<_>>());
        let ready: BTreeSet<Interval> = self.schedule.ready().map(|join| join.node).collect();
        let queue: BTreeSet<Interval> = self.queue.iter().map(|join| join.node).collect();
        assert_eq!(ready, queue);
    }

    fn leaf(&mut self, index: u64) {
        let step = self.schedule.leaf_done(index).unwrap();
        assert!(!step.duplicate);
        self.kept.insert(Interval::leaf(index));
        self.apply(step);
        let again = self.schedule.leaf_done(index).unwrap();
        assert!(again.duplicate && again.ready.is_empty() && again.dropped.is_empty());
    }

    fn run(&mut self, which: usize) {
        let Join { node, children } = self.queue.swap_remove(which);
        let step = self.schedule.node_done(node).unwrap();
        assert_eq!(step.dropped, children);
        self.ran.insert(node, children);
        let single = node.count() == 1;
        if !single {
            self.kept.insert(node);
            self.apply(step);
        }
        let again = self.schedule.node_done(node).unwrap();
        assert!(again.duplicate && again.ready.is_empty() && again.dropped.is_empty());
        self.check();
    }

    fn run_all(&mut self) {
        while !self.queue.is_empty() {
            self.run(0);
        }
    }
}

/// All joins of a tree.
fn joins(tree: CanonicalTree) -> BTreeMap<Interval, Vec<Interval>> {
    if tree.root().count() == 1 {
        return BTreeMap::from([(tree.root(), vec![tree.root()])]);
    }
    let nodes = tree.nodes().map(|node| (node, tree.children(node)));
    nodes.filter(|(_, children)| !children.is_empty()).collect()
}

/// Ranges, a shuffled order of their leaves, and choices of what to do next.
fn plans() -> impl Strategy<Value = (u64, Vec<u64>, Vec<(u8, Index)>)> {
    (0..40_u64, 1..40_u64).prop_flat_map(|(first, count)| {
        let leaves: Vec<u64> = (first..first + count).collect();
        let choices = proptest::collection::vec((0..8_u8, any::<Index>()), 0..160);
        (Just(first), Just(leaves).prop_shuffle(), choices)
    })
}

proptest! {
    /// Leaves and joins in any order, the schedule rebuilt from what is kept at any time: every
    /// join of the tree runs once, with its children, and nothing else.
    #[test]
    fn every_order_and_interruption_runs_the_same_joins(
        (first, leaves, choices) in plans(), arity in 2..5_u8,
    ) {
        let count = leaves.len() as u64;
        let tree = CanonicalTree::new(first, count).unwrap().with_arity(arity).unwrap();
        let mut driver = Driver::new(Schedule::new(tree));
        let mut leaves = leaves.into_iter();
        for (choice, index) in choices {
            match choice {
                0..3 => if let Some(leaf) = leaves.next() { driver.leaf(leaf) },
                3..7 if !driver.queue.is_empty() => driver.run(index.index(driver.queue.len())),
                7 if driver.schedule.root().is_none() => {
                    // Everything but the kept nodes is lost.
                    driver.schedule = Schedule::new(tree);
                    driver.queue.clear();
                    let kept: Vec<Interval> = driver.kept.iter().copied().collect();
                    let step = driver.schedule.resume(kept.iter().copied());
                    prop_assert!(step.dropped.is_empty());
                    driver.apply(step);
                    let again = driver.schedule.resume(kept);
                    prop_assert_eq!(again, Step::default());
                }
                _ => {}
            }
            let done = driver.ran.len() == joins(tree).len();
            prop_assert_eq!(driver.schedule.root().is_some(), done);
        }
        leaves.for_each(|leaf| driver.leaf(leaf));
        driver.run_all();
        prop_assert_eq!(driver.schedule.root(), Some(tree.root()));
        prop_assert_eq!(driver.ran, joins(tree));
        prop_assert_eq!(driver.schedule.missing().count(), 0);
    }

    /// With the end unknown until some moment, the joins are those of the closed range.
    #[test]
    fn an_end_given_late_changes_nothing((first, leaves, choices) in plans()) {
        let count = leaves.len() as u64;
        let tree = CanonicalTree::new(first, count).unwrap();
        let mut driver = Driver::new(Schedule::open_ended(first));
        let mut open = true;
        let mut leaves = leaves.into_iter();
        for (choice, index) in choices {
            match choice {
                0..4 => if let Some(leaf) = leaves.next() { driver.leaf(leaf) },
                7 if open => {
                    open = false;
                    let step = driver.schedule.close(count).unwrap();
                    driver.apply(step);
                }
                _ if !driver.queue.is_empty() => driver.run(index.index(driver.queue.len())),
                _ => {}
            }
        }
        leaves.for_each(|leaf| driver.leaf(leaf));
        driver.run_all();
        if open {
            prop_assert!(driver.schedule.root().is_none());
            let aligned = CanonicalTree::open_ended(first);
            // All that could run has.
            let early = joins(tree).into_keys().filter(|node| count > 1 && aligned.is_node(*node));
            prop_assert!(early.eq(driver.ran.keys().copied()));
            let step = driver.schedule.close(count).unwrap();
            driver.apply(step);
            driver.run_all();
        }
        prop_assert_eq!(driver.schedule.root(), Some(tree.root()));
        prop_assert_eq!(driver.ran, joins(tree));
    }

    /// Nodes of a shorter range serve a longer one; nested, foreign and repeated ones are dropped.
    #[test]
    fn nodes_of_another_range_are_reused(
        first in 0..40_u64, count in 1..40_u64, more in 1..40_u64, picks in any::<u64>(),
    ) {
        let short = CanonicalTree::new(first, count).unwrap();
        let long = CanonicalTree::new(first, count + more).unwrap();
        let picked = short.nodes().enumerate().filter(|(i, _)| picks >> (i % 64) & 1 == 1);
        let given: BTreeSet<Interval> = picked.map(|(_, node)| node).collect();
        let mut driver = Driver::new(Schedule::new(long));
        driver.kept = given.clone();
        let step = driver.schedule.resume(given.iter().rev().copied());
        for node in &step.dropped {
            let inside = |other: &Interval| *other != *node && other.contains(*node);
            let needed = given.iter().filter(|other| long.is_node(**other)).any(inside);
            prop_assert!(!long.is_node(*node) || needed, "{} is needed", node);
        }
        driver.apply(step);
        let missing: Vec<Interval> = driver.schedule.missing().collect();
        for gap in missing {
            (gap.first()..=gap.last()).for_each(|leaf| driver.leaf(leaf));
        }
        driver.run_all();
        prop_assert_eq!(driver.schedule.root(), Some(long.root()));
        let ran: BTreeSet<Interval> = driver.ran.into_keys().collect();
        prop_assert!(ran.iter().all(|node| !given.contains(node)));
    }
}

#[test]
fn a_stream_needs_little_memory() {
    let mut schedule = Schedule::open_ended(5);
    let mut most = 0;
    for leaf in 5..5 + (1 << 14) {
        let mut ready = schedule.leaf_done(leaf).unwrap().ready;
        while let Some(join) = ready.pop() {
            ready.extend(schedule.node_done(join.node).unwrap().ready);
        }
        most = most.max(schedule.finished().count());
        assert_eq!(schedule.ready().count(), 0);
    }
    assert!(most <= 16, "{most} nodes held");
}

#[test]
fn a_single_leaf_passes_through_one_join() {
    let mut schedule = Schedule::new(CanonicalTree::new(9, 1).unwrap());
    let leaf = Interval::leaf(9);
    let early = schedule.node_done(leaf).unwrap_err();
    assert!(matches!(early, AggregatorError::NotReady { .. }), "{early}");
    let step = schedule.leaf_done(9).unwrap();
    let join = Join {
        node: leaf,
        children: vec![leaf],
    };
    assert_eq!(step.ready, [join]);
    assert_eq!(schedule.root(), None);
    let step = schedule.node_done(leaf).unwrap();
    assert_eq!(step.dropped, [leaf]);
    assert_eq!(schedule.root(), Some(leaf));
    assert_eq!(schedule.ready().count(), 0);
    assert!(schedule.node_done(leaf).unwrap().duplicate);
    assert!(schedule.leaf_done(9).unwrap().duplicate);
}

#[test]
fn wrong_reports_are_errors_and_change_nothing() {
    let mut schedule = Schedule::new(CanonicalTree::new(4, 6).unwrap());
    let node = |first, count| Interval::new(first, count).unwrap();
    schedule.leaf_done(4).unwrap();
    for outside in [3, 10, u64::MAX] {
        let error = schedule.leaf_done(outside).unwrap_err();
        assert!(matches!(error, AggregatorError::Outside { .. }), "{error}");
    }
    let cases = [
        (node(4, 8), "4..12 is not within 4..10"),
        (
            node(5, 2),
            "5..7 is no join of the canonical tree over 4..10",
        ),
        (
            node(4, 1),
            "4..5 is no join of the canonical tree over 4..10",
        ),
        (
            node(4, 2),
            "4..6 is reported as joined, but its children are not finished",
        ),
    ];
    for (node, message) in cases {
        assert_eq!(schedule.node_done(node).unwrap_err().to_string(), message);
    }
    let error = schedule.close(7).unwrap_err();
    assert!(matches!(error, AggregatorError::Closed { .. }), "{error}");
    assert_eq!(schedule.missing().collect::<Vec<_>>(), [node(5, 5)]);

    let mut open = Schedule::open_ended(4);
    open.leaf_done(9).unwrap();
    let error = open.close(5).unwrap_err();
    assert_eq!(error.to_string(), "9..10 is not within 4..9");
    assert!(matches!(
        open.close(0).unwrap_err(),
        AggregatorError::Range { .. }
    ));
    assert!(matches!(
        open.close(u64::MAX).unwrap_err(),
        AggregatorError::Range { .. }
    ));
    assert_eq!(open.missing().collect::<Vec<_>>(), [node(4, 5)]);
    open.close(6).unwrap();
}

/// There, an open range can be full, and is still open.
#[test]
fn an_open_range_at_the_end_of_indices_has_no_root_before_it_is_closed() {
    let mut schedule = Schedule::open_ended(u64::MAX - 2);
    schedule.leaf_done(u64::MAX - 1).unwrap();
    let step = schedule.leaf_done(u64::MAX - 2).unwrap();
    schedule.node_done(step.ready[0].node).unwrap();
    assert_eq!(schedule.root(), None);
    schedule.close(2).unwrap();
    assert_eq!(schedule.root(), Interval::new(u64::MAX - 2, 2).ok());
}
