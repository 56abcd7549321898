//! Which joins can run: a pure scheduler without a clock.
//!
//! Leaves come in any order; whenever all children of a node of the canonical tree are finished, its
//! join is ready, and it stays so until it is reported as done. A join that failed or was lost is
//! simply still ready. Which joins run, and what the root is, depends on the range alone.
//!
//! The state is what is outstanding and no more: finished nodes that no join has used up, and the
//! joins that are ready. Leaves from the left, each joined as soon as it can be, leave O(log n)
//! nodes; in the worst order there is one for every two leaves of the range.
//!
//! The end may be open at first: [`Schedule::open_ended`]. All joins that are part of the tree
//! wherever the end will be are ready before [`Schedule::close`] says where it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::AggregatorError;
use crate::tree::{CanonicalTree, Interval};

/// One join: its node and the children from the left.
///
/// Over a single leaf, the node and its one child have the same interval: the right child is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// What the join yields.
    pub node: Interval,
    /// What it joins: at least one, at most as many as the tree's arity.
    pub children: Vec<Interval>,
}

/// What a report changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Joins that became ready; each does so once.
    pub ready: Vec<Join>,
    /// Finished nodes that nothing needs any more: the children of a finished join, or, when
    /// resuming, what the tree does not need.
    pub dropped: Vec<Interval>,
    /// What was reported was already known, and nothing changed.
    pub duplicate: bool,
}

/// The scheduler. See the module's documentation.
#[derive(Clone, Debug)]
pub struct Schedule {
    tree: CanonicalTree,
    open: bool,
    /// Finished nodes that no finished join contains, as first index and count: disjoint.
    finished: BTreeMap<u64, u64>,
    /// Nodes whose children are all in `finished`.
    ready: BTreeSet<Interval>,
    /// A single leaf's join, whose node is not told from the leaf by its interval, is done.
    passed: bool,
}

impl Schedule {
    /// The joins of a known tree.
    #[must_use]
    pub const fn new(tree: CanonicalTree) -> Self {
        Self {
            tree,
            open: false,
            finished: BTreeMap::new(),
            ready: BTreeSet::new(),
            passed: false,
        }
    }

    /// The joins over the leaves from `first` to an end not known yet.
    #[must_use]
    pub const fn open_ended(first: u64) -> Self {
        let mut schedule = Self::new(CanonicalTree::open_ended(first));
        schedule.open = true;
        schedule
    }

    /// Goes on from nodes that are already finished, leaves among them, of this range or of another:
    /// what is a node of this tree and not part of another one given is used, the rest is dropped.
    /// May be called at any time; [`Step::ready`] has all joins that became ready by it.
    ///
    /// A single leaf's interval is taken for the leaf, not for the join over it.
    pub fn resume(&mut self, nodes: impl IntoIterator<Item = Interval>) -> Step {
        let mut step = Step::default();
        let mut nodes: Vec<Interval> = nodes.into_iter().collect();
        // Larger ones first. Nodes of one tree are disjoint or nested.
        nodes.sort_unstable_by_key(|node| (core::cmp::Reverse(node.count()), node.first()));
        nodes.dedup();
        for node in nodes {
            if self.is_finished(node) {
                continue;
            }
            if self.covers(node) || !self.tree.is_node(node) {
                step.dropped.push(node);
                continue;
            }
            self.replace(node, &mut step.dropped);
        }
        step.ready = self.find_ready();
        step
    }

    /// A leaf is there. One that is there already, or part of a finished node, is a duplicate.
    ///
    /// # Errors
    /// [`AggregatorError::Outside`]: it is not in the range.
    pub fn leaf_done(&mut self, index: u64) -> Result<Step, AggregatorError> {
        let leaf = Interval::leaf(index);
        self.check_inside(leaf)?;
        if self.covers(leaf) {
            return Ok(Step {
                duplicate: true,
                ..Step::default()
            });
        }
        let mut step = Step::default();
        self.replace(leaf, &mut step.dropped);
        step.ready.extend(self.ready_above(leaf));
        Ok(step)
    }

    /// A join is done. One that was done before, or is part of a finished node, is a duplicate.
    ///
    /// # Errors
    /// [`AggregatorError::Outside`], [`AggregatorError::NotAJoin`] or [`AggregatorError::NotReady`];
    /// nothing has changed then.
    pub fn node_done(&mut self, node: Interval) -> Result<Step, AggregatorError> {
        self.check_inside(node)?;
        let mut step = Step::default();
        if self.ready.contains(&node) {
            if self.is_single(node) {
                self.passed = true;
                step.dropped.push(node);
            }
            self.replace(node, &mut step.dropped);
            step.ready.extend(self.ready_above(node));
            return Ok(step);
        }
        let join = node.count() > 1 || self.is_single(node);
        if !join || !self.tree.is_node(node) {
            return Err(AggregatorError::NotAJoin {
                node,
                range: self.tree.root(),
            });
        }
        step.duplicate = match self.is_single(node) {
            true => self.passed,
            false => self.covers(node),
        };
        match step.duplicate {
            true => Ok(step),
            false => Err(AggregatorError::NotReady { node }),
        }
    }

    /// Says that the open range has `count` leaves.
    ///
    /// # Errors
    /// [`AggregatorError::Closed`] if the end is known; [`AggregatorError::Range`] for no leaf, or
    /// one beyond index 2^64 − 1; [`AggregatorError::Outside`] if a leaf beyond the end was
    /// reported, or the end is beyond what [`CanonicalTree::open_ended`] covers. Nothing has changed then.
    pub fn close(&mut self, count: u64) -> Result<Step, AggregatorError> {
        let range = self.tree.root();
        if !self.open {
            return Err(AggregatorError::Closed { range });
        }
        let arity = self.tree.arity();
        let tree = CanonicalTree::new(range.first(), count)?.with_arity(arity)?;
        if !range.contains(tree.root()) {
            let found = tree.root();
            return Err(AggregatorError::Outside { found, range });
        }
        if let Some(found) = self.finished().find(|node| !tree.root().contains(*node)) {
            let range = tree.root();
            return Err(AggregatorError::Outside { found, range });
        }
        self.tree = tree;
        self.open = false;
        Ok(Step {
            ready: self.find_ready(),
            ..Step::default()
        })
    }

    /// All joins that can run: those that became ready and are not done, from the left.
    pub fn ready(&self) -> impl Iterator<Item = Join> {
        self.ready.iter().map(|&node| self.join(node))
    }

    /// The whole range, once its root is done and its end known.
    #[must_use]
    pub fn root(&self) -> Option<Interval> {
        let root = self.tree.root();
        let done = self.is_finished(root) && (root.count() > 1 || self.passed);
        (!self.open && done).then_some(root)
    }

    /// The finished nodes that are still needed, the root included, from the left: all that must be
    /// kept in order to [`Schedule::resume`].
    pub fn finished(&self) -> impl Iterator<Item = Interval> {
        let known = self.finished.iter();
        known.map(|(&first, &count)| Interval::known(first, count))
    }

    /// The leaves not there yet, as gaps from the left. With an open end: up to the last that is
    /// there.
    pub fn missing(&self) -> impl Iterator<Item = Interval> {
        let range = self.tree.root();
        let stop = (!self.open).then(|| range.end());
        let ends = self.finished().map(|node| (node.start(), node.end()));
        let ends = ends.chain(stop.map(|end| (end, end)));
        let gaps = ends.scan(range.start(), |from, (start, end)| {
            let gap = (*from, start);
            *from = end;
            Some(gap)
        });
        gaps.filter(|(from, to)| from < to)
            .map(|(from, to)| Interval::between(from, to))
    }

    fn check_inside(&self, found: Interval) -> Result<(), AggregatorError> {
        let range = self.tree.root();
        match range.contains(found) {
            true => Ok(()),
            false => Err(AggregatorError::Outside { found, range }),
        }
    }

    /// Whether the node is the join over a single leaf.
    fn is_single(&self, node: Interval) -> bool {
        !self.open && node.count() == 1 && node == self.tree.root()
    }

    fn is_finished(&self, node: Interval) -> bool {
        self.finished.get(&node.first()) == Some(&node.count())
    }

    /// Whether a finished node contains this one.
    fn covers(&self, node: Interval) -> bool {
        let before = self.finished.range(..=node.first()).next_back();
        before.is_some_and(|(&first, &count)| Interval::known(first, count).contains(node))
    }

    /// Puts a finished node in the place of what it contains.
    fn replace(&mut self, node: Interval, dropped: &mut Vec<Interval>) {
        let inside = self.finished.range(node.first()..=node.last());
        let inside: Vec<u64> = inside.map(|(&first, _)| first).collect();
        for first in inside {
            if let Some(count) = self.finished.remove(&first) {
                let old = Interval::known(first, count);
                if old != node {
                    dropped.push(old);
                }
            }
        }
        // Joins inside of the node, or its own: larger ones have it as a child, and begin before it
        // or were not ready without it.
        let inside = Interval::leaf(node.first())..=Interval::known(node.last(), u64::MAX);
        while let Some(&join) = self.ready.range(inside.clone()).next() {
            self.ready.remove(&join);
        }
        self.finished.insert(node.first(), node.count());
    }

    /// The join that became ready because `child` is finished.
    fn ready_above(&mut self, child: Interval) -> Option<Join> {
        let node = if self.is_single(child) {
            (!self.passed).then_some(child)
        } else {
            self.tree.parent(child)
        }?;
        let join = self.join(node);
        let complete = join.children.iter().all(|child| self.is_finished(*child));
        (complete && self.ready.insert(node)).then_some(join)
    }

    /// Looks above every finished node.
    fn find_ready(&mut self) -> Vec<Join> {
        let finished: Vec<Interval> = self.finished().collect();
        let found = finished
            .into_iter()
            .filter_map(|node| self.ready_above(node));
        found.collect()
    }

    fn join(&self, node: Interval) -> Join {
        let children = match self.is_single(node) {
            true => vec![node],
            false => self.tree.children(node),
        };
        Join { node, children }
    }
}
