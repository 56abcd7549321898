//! Walking and dropping p3's expressions without recursion: a sum of a million terms is a million
//! deep.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;

use p3_air::symbolic::SymbolicExpr;
use p3_field::Field;

use super::node::Arena;
use super::{LoweringError, NodeId};

/// Lowers expressions over one kind of leaf. A subtree that expressions share is lowered once.
pub(super) struct Walk<'a, A> {
    /// By address; the expressions live as long as the walk.
    seen: HashMap<*const SymbolicExpr<A>, NodeId>,
    expressions: PhantomData<&'a SymbolicExpr<A>>,
}

impl<'a, A> Walk<'a, A> {
    pub(super) fn new() -> Self {
        Self {
            seen: HashMap::new(),
            expressions: PhantomData,
        }
    }

    /// Lowers `root` into `arena`, leaves by `leaf`.
    pub(super) fn lower<F: Field>(
        &mut self,
        root: &'a SymbolicExpr<A>,
        arena: &mut Arena<F>,
        mut leaf: impl FnMut(&'a A, &mut Arena<F>) -> Result<NodeId, LoweringError>,
    ) -> Result<NodeId, LoweringError> {
        let mut stack = vec![root];
        while let Some(&top) = stack.last() {
            let id = |operand: &Arc<_>| self.seen.get(&Arc::as_ptr(operand)).copied();
            // None where an operand is not lowered yet: it goes on top, and this comes again later.
            // What two users pushed is lowered twice, the second time from known operands.
            let lowered = match top {
                SymbolicExpr::Leaf(a) => Some(leaf(a, arena)),
                SymbolicExpr::Add { x, y, .. } => id(x).zip(id(y)).map(|(x, y)| arena.add(x, y)),
                SymbolicExpr::Sub { x, y, .. } => id(x).zip(id(y)).map(|(x, y)| arena.sub(x, y)),
                SymbolicExpr::Mul { x, y, .. } => id(x).zip(id(y)).map(|(x, y)| arena.mul(x, y)),
                SymbolicExpr::Neg { x, .. } => id(x).map(|x| arena.neg(x)),
            };
            if let Some(lowered) = lowered {
                stack.pop();
                self.seen.insert(ptr::from_ref(top), lowered?);
            } else {
                let missing = operands(top).filter(|operand| id(operand).is_none());
                stack.extend(missing.map(Arc::as_ref));
            }
        }
        // The root leaves the stack last, lowered.
        Ok(self.seen[&ptr::from_ref(root)])
    }
}

fn operands<A>(expression: &SymbolicExpr<A>) -> impl Iterator<Item = &Arc<SymbolicExpr<A>>> {
    let (x, y) = match expression {
        SymbolicExpr::Leaf(_) => (None, None),
        SymbolicExpr::Neg { x, .. } => (Some(x), None),
        SymbolicExpr::Add { x, y, .. }
        | SymbolicExpr::Sub { x, y, .. }
        | SymbolicExpr::Mul { x, y, .. } => (Some(x), Some(y)),
    };
    x.into_iter().chain(y)
}

/// Drops expressions that nothing else holds; the leaves go to `leaf`. Dropping them as they are
/// recurses.
pub(super) fn dismantle<A>(mut expressions: Vec<SymbolicExpr<A>>, mut leaf: impl FnMut(A)) {
    while let Some(expression) = expressions.pop() {
        let (x, y) = match expression {
            SymbolicExpr::Leaf(a) => {
                leaf(a);
                continue;
            }
            SymbolicExpr::Neg { x, .. } => (x, None),
            SymbolicExpr::Add { x, y, .. }
            | SymbolicExpr::Sub { x, y, .. }
            | SymbolicExpr::Mul { x, y, .. } => (x, Some(y)),
        };
        expressions.extend(Arc::into_inner(x));
        expressions.extend(y.and_then(Arc::into_inner));
    }
}
