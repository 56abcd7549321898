//! How much a graph computes.

use p3_field::Field;

use super::{ConstraintGraph, Node, NodeId};

/// Nodes of a graph by kind, and the longest path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Constraints, equal ones included.
    pub constraints: usize,
    /// Distinct inputs.
    pub inputs: usize,
    /// Distinct constants.
    pub constants: usize,
    /// Sums.
    pub adds: usize,
    /// Differences.
    pub subs: usize,
    /// Negations.
    pub negs: usize,
    /// Products, scalings included.
    pub muls: usize,
    /// Products with a constant.
    pub scalings: usize,
    /// Operations on the longest path from an input or constant to a constraint.
    pub depth: usize,
}

impl<F: Field> ConstraintGraph<F> {
    /// How much there is to compute.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            constraints: self.constraints.len(),
            ..Counts::default()
        };
        let constant = |id: &NodeId| matches!(self.nodes[id.index()], Node::Constant(_));
        let mut depths: Vec<usize> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            match node {
                Node::Constant(_) => counts.constants += 1,
                Node::Input(_) => counts.inputs += 1,
                Node::Add(..) => counts.adds += 1,
                Node::Sub(..) => counts.subs += 1,
                Node::Neg(_) => counts.negs += 1,
                Node::Mul(x, y) => {
                    counts.muls += 1;
                    counts.scalings += usize::from(constant(x) || constant(y));
                }
            }
            let below = node.operands().map(|id| depths[id.index()] + 1).max();
            depths.push(below.unwrap_or(0));
        }
        // Every node is needed, so the deepest one is a constraint.
        counts.depth = depths.into_iter().max().unwrap_or(0);
        counts
    }
}
