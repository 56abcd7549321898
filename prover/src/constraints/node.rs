//! Nodes, and the arena that keeps each of them once.

use std::collections::HashMap;

use p3_field::Field;

use super::{Input, LoweringError};

/// The index of a node in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// The index as a number.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A value: given, or computed from values with smaller ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Node<F> {
    /// An element of the base field.
    Constant(F),
    /// What the reader of the graph supplies.
    Input(Input),
    /// `x + y`; the ids ascend.
    Add(NodeId, NodeId),
    /// `x - y`.
    Sub(NodeId, NodeId),
    /// `-x`.
    Neg(NodeId),
    /// `x * y`; the ids ascend.
    Mul(NodeId, NodeId),
}

impl<F> Node<F> {
    /// The operands, none to two.
    pub fn operands(&self) -> impl Iterator<Item = NodeId> + use<F> {
        let (x, y) = match *self {
            Self::Constant(_) | Self::Input(_) => (None, None),
            Self::Neg(x) => (Some(x), None),
            Self::Add(x, y) | Self::Sub(x, y) | Self::Mul(x, y) => (Some(x), Some(y)),
        };
        x.into_iter().chain(y)
    }

    /// The node with other operands.
    fn with_operands(self, to: impl Fn(NodeId) -> NodeId) -> Self {
        match self {
            Self::Constant(_) | Self::Input(_) => self,
            Self::Add(x, y) => Self::Add(to(x), to(y)),
            Self::Sub(x, y) => Self::Sub(to(x), to(y)),
            Self::Neg(x) => Self::Neg(to(x)),
            Self::Mul(x, y) => Self::Mul(to(x), to(y)),
        }
    }
}

/// Nodes under construction: equal ones are merged and trivial ones simplified as they come.
pub(super) struct Arena<F> {
    nodes: Vec<Node<F>>,
    ids: HashMap<Node<F>, NodeId>,
}

impl<F: Field> Arena<F> {
    pub(super) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            ids: HashMap::new(),
        }
    }

    fn node(&self, id: NodeId) -> Node<F> {
        self.nodes[id.index()]
    }

    /// The node's id, an old one where there is an equal node.
    fn keep(&mut self, node: Node<F>) -> Result<NodeId, LoweringError> {
        if let Some(&id) = self.ids.get(&node) {
            return Ok(id);
        }
        let index = u32::try_from(self.nodes.len()).map_err(|_| LoweringError::TooLarge)?;
        self.nodes.push(node);
        self.ids.insert(node, NodeId(index));
        Ok(NodeId(index))
    }

    pub(super) fn constant(&mut self, value: F) -> Result<NodeId, LoweringError> {
        self.keep(Node::Constant(value))
    }

    pub(super) fn input(&mut self, input: Input) -> Result<NodeId, LoweringError> {
        self.keep(Node::Input(input))
    }

    pub(super) fn add(&mut self, x: NodeId, y: NodeId) -> Result<NodeId, LoweringError> {
        match (self.node(x), self.node(y)) {
            (Node::Constant(a), Node::Constant(b)) => self.constant(a + b),
            (Node::Constant(a), _) if a.is_zero() => Ok(y),
            (_, Node::Constant(b)) if b.is_zero() => Ok(x),
            (_, Node::Neg(y)) => self.sub(x, y),
            (Node::Neg(x), _) => self.sub(y, x),
            _ => self.keep(Node::Add(x.min(y), x.max(y))),
        }
    }

    pub(super) fn sub(&mut self, x: NodeId, y: NodeId) -> Result<NodeId, LoweringError> {
        match (self.node(x), self.node(y)) {
            (Node::Constant(a), Node::Constant(b)) => self.constant(a - b),
            _ if x == y => self.constant(F::ZERO),
            (Node::Constant(a), _) if a.is_zero() => self.neg(y),
            (_, Node::Constant(b)) if b.is_zero() => Ok(x),
            (_, Node::Neg(y)) => self.add(x, y),
            _ => self.keep(Node::Sub(x, y)),
        }
    }

    pub(super) fn neg(&mut self, x: NodeId) -> Result<NodeId, LoweringError> {
        match self.node(x) {
            Node::Constant(a) => self.constant(-a),
            Node::Neg(x) => Ok(x),
            _ => self.keep(Node::Neg(x)),
        }
    }

    pub(super) fn mul(&mut self, x: NodeId, y: NodeId) -> Result<NodeId, LoweringError> {
        match (self.node(x), self.node(y)) {
            (Node::Constant(a), Node::Constant(b)) => self.constant(a * b),
            (Node::Constant(a), _) => self.scale(a, x, y),
            (_, Node::Constant(b)) => self.scale(b, y, x),
            _ => self.keep(Node::Mul(x.min(y), x.max(y))),
        }
    }

    /// `factor * y`, where `x` is the node of `factor` and `y` is no constant.
    fn scale(&mut self, factor: F, x: NodeId, y: NodeId) -> Result<NodeId, LoweringError> {
        if factor.is_zero() {
            Ok(x)
        } else if factor.is_one() {
            Ok(y)
        } else if factor == F::NEG_ONE {
            self.neg(y)
        } else {
            self.keep(Node::Mul(x.min(y), x.max(y)))
        }
    }

    /// The nodes that `roots` need, in their old order, and the roots' ids among them.
    pub(super) fn needed_by(self, mut roots: Vec<NodeId>) -> (Vec<Node<F>>, Vec<NodeId>) {
        let mut needed = vec![false; self.nodes.len()];
        for root in &roots {
            needed[root.index()] = true;
        }
        // Users come after their operands: going backwards, all of a node's users are settled.
        for (index, node) in self.nodes.iter().enumerate().rev() {
            if needed[index] {
                for operand in node.operands() {
                    needed[operand.index()] = true;
                }
            }
        }
        let mut kept = Vec::new();
        let mut new_ids = vec![NodeId(0); self.nodes.len()];
        for (index, node) in self.nodes.into_iter().enumerate() {
            if needed[index] {
                // No more nodes than before, so the number fits.
                new_ids[index] = NodeId(kept.len() as u32);
                kept.push(node.with_operands(|id| new_ids[id.index()]));
            }
        }
        for root in &mut roots {
            *root = new_ids[root.index()];
        }
        (kept, roots)
    }
}
