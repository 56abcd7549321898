//! An AIR's constraints as a graph of additions and multiplications.
//!
//! p3 hands out constraints as trees of reference-counted expressions, and lookups as a gadget that
//! asserts more of them. Whoever compiles constraints into something else (a recursion circuit, a
//! kernel) wants a list instead: this module runs the AIR and the gadget once and lowers what they
//! assert, each distinct value one node.
//!
//! ```text
//!                                  constraints      c0          c1
//!  air.eval ─┐                                       │           │
//!            ├─► expressions ──► nodes    6: Mul(4, 5)   7: Sub(5, 2)
//!  LogUp ────┘                            4: IsTransition   5: Add(0, 1)   ◄── shared
//!                                         0: Main{0}   1: Main{1}   2: Public(0)
//! ```
//!
//! - **Order.** [`ConstraintGraph::constraints`] holds the constraints as the verifier of
//!   `p3-batch-stark` meets them: the AIR's, base and extension, in the order in which it asserts
//!   them, then one fraction pin per lookup, then the accumulator's first row, transition and last
//!   row. The verifier folds them as `folded = folded * alpha + constraint`
//!   ([`ConstraintGraph::evaluate_folded`]).
//! - **Form.** Operands precede the nodes that use them. Equal nodes are one node, the operands of
//!   sums and products being ordered. Constants are folded; no node adds 0 or `-x`, nor multiplies
//!   by 0, 1 or -1. Every node is needed by a constraint. Doublings stay what the AIR wrote, `x + x`
//!   or `2 * x`.
//! - **Field.** Constants lie in the base field and inputs are whatever the reader supplies, so one
//!   graph serves every extension.
//!
//! Lowering takes time and memory linear in what the AIR shares, whatever its unfolded size or
//! depth. It is p3's gadget that unfolds the expressions inside lookups; they are small.
//!
//! # Example
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use p3_field::{Field, PrimeCharacteristicRing};
//! use p3_keccak_air::KeccakAir;
//! use p3_koala_bear::KoalaBear;
//! use starkwright_hal::KoalaBear5;
//! use starkwright_prover::constraints::{ConstraintGraph, Input, Node};
//!
//! let graph = ConstraintGraph::<KoalaBear>::lower::<KoalaBear5, _>(&KeccakAir {}, &[])?;
//! let products = graph.nodes().iter().filter(|node| matches!(node, Node::Mul(..))).count();
//! assert_eq!(products, graph.counts().muls);
//!
//! // A row of zeros that is no first row satisfies every constraint.
//! let zeros = |input| match input {
//!     Input::IsTransition => KoalaBear5::ONE,
//!     _ => KoalaBear5::ZERO,
//! };
//! assert!(graph.evaluate(zeros).iter().all(KoalaBear5::is_zero));
//! # Ok(())
//! # }
//! ```
//!
//! The lookups of a table are those of `p3_batch_stark::CommonData`, which packs them by the
//! quotient's degree; another packing asserts other constraints.
//!
//! # What the machines' tables need
//!
//! Nodes by kind over KoalaBear; `scalings` are those of the products that have a constant factor, `depth` the operations
//! on the longest path.
//!
//! | table | constraints | inputs | constants | adds | subs | negs | muls | scalings | depth |
//! |---|---|---|---|---|---|---|---|---|---|
//! | Keccak-f | 3186 | 2866 | 3 | 14497 | 9571 | 0 | 8945 | 0 | 401 |
//! | sponge | 732 | 628 | 19 | 564 | 742 | 0 | 1371 | 200 | 401 |
//! | Poseidon2 | 148 | 164 | 153 | 1436 | 308 | 0 | 476 | 180 | 333 |
//!
//! Poseidon2 is p3's AIR with p3's default constants, width 16 and x³ without registers.

mod counts;
mod error;
mod input;
mod lower;
mod node;
mod walk;

use p3_field::Algebra;

pub use counts::Counts;
pub use error::LoweringError;
pub use input::{Input, Layout};
pub use node::{Node, NodeId};

#[cfg(test)]
mod tests;

/// The constraints of one AIR with its lookups. See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConstraintGraph<F> {
    nodes: Vec<Node<F>>,
    constraints: Vec<NodeId>,
    layout: Layout,
}

impl<F> ConstraintGraph<F> {
    /// The nodes. Operands have smaller ids than the nodes that use them, and a [`NodeId`] is the
    /// index here.
    #[must_use]
    pub fn nodes(&self) -> &[Node<F>] {
        &self.nodes
    }

    /// The constraints in the order in which the verifier folds them; each is to vanish. Two
    /// constraints that say the same are one node, listed twice.
    #[must_use]
    pub fn constraints(&self) -> &[NodeId] {
        &self.constraints
    }

    /// How many inputs of each kind there are, whether or not a constraint reads them.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The value of every constraint, in order, where `input` gives the inputs' values. Each input
    /// is asked for once at most.
    pub fn evaluate<T>(&self, mut input: impl FnMut(Input) -> T) -> Vec<T>
    where
        F: Clone,
        T: Algebra<F>,
    {
        let mut values: Vec<T> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            // Operands have smaller ids, so their values are there.
            let value = |id: NodeId| values[id.index()].dup();
            let next = match *node {
                Node::Constant(ref constant) => T::from(constant.clone()),
                Node::Input(asked) => input(asked),
                Node::Add(x, y) => value(x) + value(y),
                Node::Sub(x, y) => value(x) - value(y),
                Node::Neg(x) => -value(x),
                Node::Mul(x, y) => value(x) * value(y),
            };
            values.push(next);
        }
        let constraints = self.constraints.iter();
        constraints.map(|id| values[id.index()].dup()).collect()
    }

    /// The constraints folded by `alpha` as the verifier does it: of `n` constraints, constraint `i`
    /// counts `alpha^(n - 1 - i)` times.
    pub fn evaluate_folded<T>(&self, alpha: &T, input: impl FnMut(Input) -> T) -> T
    where
        F: Clone,
        T: Algebra<F>,
    {
        let values = self.evaluate(input).into_iter();
        values.fold(T::ZERO, |folded, value| folded * alpha.dup() + value)
    }
}
