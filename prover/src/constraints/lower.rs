//! From an AIR and its lookups to a graph.

use p3_air::Air;
use p3_air::symbolic::{
    AirLayout, BaseEntry, BaseLeaf, ConstraintLayout, ExtEntry, ExtLeaf, SymbolicExpression,
    SymbolicExpressionExt,
};
use p3_field::{Algebra, ExtensionField, Field};
use p3_lookup::{InteractionSymbolicBuilder, LogUpGadget, Lookup, LookupProtocol};

use super::node::Arena;
use super::walk::{Walk, dismantle};
use super::{ConstraintGraph, Input, Layout, LoweringError, Node, NodeId};

impl<F: Field> ConstraintGraph<F> {
    /// Lowers what `air` asserts, and what p3's LogUp gadget asserts for `lookups`: all of the AIR's
    /// lookups as `p3_batch_stark::CommonData` holds them, none for an AIR without interactions.
    ///
    /// `E` is the extension in which challenges lie; the graph does not depend on it.
    ///
    /// # Errors
    /// When the lookups contradict themselves or are not the AIR's, when a constraint holds a
    /// constant outside the base field, or when the AIR relies on more than constraints.
    pub fn lower<E, A>(air: &A, lookups: &[Lookup<F>]) -> Result<Self, LoweringError>
    where
        E: ExtensionField<F>,
        A: Air<InteractionSymbolicBuilder<F, E>>,
        SymbolicExpressionExt<F, E>: Algebra<E>,
    {
        if !air.public_boundary_io().is_empty() {
            return Err(LoweringError::Unsupported("public values bound outside"));
        }
        let gadget = LogUpGadget::new();
        let p3_layout = with_lookups(AirLayout::from_air(air), lookups.len(), &gadget);
        let layout = Layout::from(p3_layout);
        check_lookups(&layout, lookups)?;

        let mut builder = InteractionSymbolicBuilder::new(p3_layout);
        gadget.eval_air_and_lookups(air, &mut builder, lookups);
        check_messages(&builder, lookups)?;
        let order = builder.constraint_layout();
        let (base, extension) = (builder.base_constraints(), builder.extension_constraints());
        drop(builder); // what it recorded is held here alone, and can be taken apart

        let lowered = lower_all(&layout, &base, &extension, &order);
        let mut base = base;
        dismantle(extension, |leaf| {
            if let ExtLeaf::Base(expression) = leaf {
                base.push(expression);
            }
        });
        dismantle(base, drop);
        let (nodes, constraints) = lowered?;
        Ok(Self {
            nodes,
            constraints,
            layout,
        })
    }
}

/// p3's layout of a table with so many lookups: an accumulator and a fraction for each, and one
/// terminal; nothing without lookups.
fn with_lookups(layout: AirLayout, lookups: usize, gadget: &LogUpGadget) -> AirLayout {
    let any = usize::from(lookups > 0);
    AirLayout {
        permutation_width: lookups + any,
        num_permutation_challenges: lookups * gadget.num_challenges(),
        num_permutation_values: any,
        ..layout
    }
}

impl From<AirLayout> for Layout {
    fn from(layout: AirLayout) -> Self {
        Self {
            main: layout.main_width,
            preprocessed: layout.preprocessed_width,
            permutation: layout.permutation_width,
            periodic: layout.num_periodic_columns,
            public: layout.num_public_values,
            challenges: layout.num_permutation_challenges,
            terminals: layout.num_permutation_values,
        }
    }
}

/// Refuses lookups on which p3's gadget would panic.
fn check_lookups<F: Field>(layout: &Layout, lookups: &[Lookup<F>]) -> Result<(), LoweringError> {
    let mut lowering = Lowering::new(layout);
    for (index, lookup) in lookups.iter().enumerate() {
        let wrong = |why| Err(LoweringError::Lookup { index, why });
        let tuples = lookup.elements.len();
        if lookup.column != index {
            return wrong("its column is not its index");
        }
        if lookup.multiplicities.len() != tuples {
            return wrong("one multiplicity for each tuple");
        }
        if lookup.flags.as_ref().is_some_and(|f| f.len() != tuples) {
            return wrong("one flag for each tuple, or none at all");
        }
        let elements = lookup.elements.iter().flatten();
        let flags = lookup.flags.iter().flatten();
        for expression in elements.chain(&lookup.multiplicities).chain(flags) {
            lowering.base(expression)?;
        }
    }
    Ok(())
}

/// Refuses lookups that are not all of what the AIR declares.
fn check_messages<F: Field, E: ExtensionField<F>>(
    builder: &InteractionSymbolicBuilder<F, E>,
    lookups: &[Lookup<F>],
) -> Result<(), LoweringError> {
    if !builder.indexed_reads().is_empty() || !builder.indexed_tables().is_empty() {
        return Err(LoweringError::Unsupported("indexed reads"));
    }
    let local = builder.local_interactions().iter().map(|i| i.tuples.len());
    let exclusive = builder.exclusive_interactions().iter();
    let branches = exclusive.map(|i| i.branches.len());
    let declared = builder.global_interactions().len() + local.chain(branches).sum::<usize>();
    let given = lookups.iter().map(|lookup| lookup.elements.len()).sum();
    if declared == given {
        Ok(())
    } else {
        Err(LoweringError::Messages { declared, given })
    }
}

/// Nodes, and the constraints among them in the order in which they were asserted.
fn lower_all<F: Field, E: ExtensionField<F>>(
    layout: &Layout,
    base: &[SymbolicExpression<F>],
    extension: &[SymbolicExpressionExt<F, E>],
    order: &ConstraintLayout,
) -> Result<(Vec<Node<F>>, Vec<NodeId>), LoweringError> {
    let mut lowering = Lowering::new(layout);
    let mut asserted = Vec::with_capacity(order.total_constraints());
    for (&place, expression) in order.base_indices.iter().zip(base) {
        asserted.push((place, lowering.base(expression)?));
    }
    let mut walk = Walk::new();
    for (&place, expression) in order.ext_indices.iter().zip(extension) {
        asserted.push((place, lowering.extension(&mut walk, expression)?));
    }
    asserted.sort_unstable_by_key(|&(place, _)| place);
    let roots = asserted.into_iter().map(|(_, id)| id).collect();
    Ok(lowering.arena.needed_by(roots))
}

/// Expressions of one table on their way into the arena.
struct Lowering<'a, F> {
    layout: &'a Layout,
    arena: Arena<F>,
    walk: Walk<'a, BaseLeaf<F>>,
}

impl<'a, F: Field> Lowering<'a, F> {
    fn new(layout: &'a Layout) -> Self {
        Self {
            layout,
            arena: Arena::new(),
            walk: Walk::new(),
        }
    }

    fn base(&mut self, expression: &'a SymbolicExpression<F>) -> Result<NodeId, LoweringError> {
        let layout = self.layout;
        let leaf = |leaf: &BaseLeaf<F>, arena: &mut Arena<F>| base_leaf(layout, leaf, arena);
        self.walk.lower(expression, &mut self.arena, leaf)
    }

    fn extension<E: ExtensionField<F>>(
        &mut self,
        walk: &mut Walk<'a, ExtLeaf<F, E>>,
        expression: &'a SymbolicExpressionExt<F, E>,
    ) -> Result<NodeId, LoweringError> {
        let Self {
            layout,
            arena,
            walk: base_walk,
        } = self;
        walk.lower(expression, arena, |leaf, arena| match leaf {
            ExtLeaf::Base(expression) => base_walk.lower(expression, arena, |leaf, arena| {
                base_leaf(layout, leaf, arena)
            }),
            ExtLeaf::ExtVariable(variable) => {
                let input = match variable.entry {
                    ExtEntry::Permutation { offset } => Input::Permutation {
                        column: variable.index,
                        next: next_row(offset)?,
                    },
                    ExtEntry::Challenge => Input::Challenge(variable.index),
                    ExtEntry::PermutationValue => Input::Terminal(variable.index),
                };
                declared(layout, input, arena)
            }
            ExtLeaf::ExtConstant(constant) => match constant.as_base() {
                Some(constant) => arena.constant(constant),
                None => Err(LoweringError::ExtensionConstant),
            },
        })
    }
}

fn base_leaf<F: Field>(
    layout: &Layout,
    leaf: &BaseLeaf<F>,
    arena: &mut Arena<F>,
) -> Result<NodeId, LoweringError> {
    let input = match leaf {
        BaseLeaf::Constant(constant) => return arena.constant(*constant),
        BaseLeaf::IsFirstRow => Input::IsFirstRow,
        BaseLeaf::IsLastRow => Input::IsLastRow,
        BaseLeaf::IsTransition => Input::IsTransition,
        BaseLeaf::Variable(variable) => match variable.entry {
            BaseEntry::Main { offset } => Input::Main {
                column: variable.index,
                next: next_row(offset)?,
            },
            BaseEntry::Preprocessed { offset } => Input::Preprocessed {
                column: variable.index,
                next: next_row(offset)?,
            },
            BaseEntry::Periodic => Input::Periodic(variable.index),
            BaseEntry::Public => Input::Public(variable.index),
        },
    };
    declared(layout, input, arena)
}

fn next_row(offset: usize) -> Result<bool, LoweringError> {
    match offset {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(LoweringError::RowOffset { offset }),
    }
}

/// The input's node, where the table has the input.
fn declared<F: Field>(
    layout: &Layout,
    input: Input,
    arena: &mut Arena<F>,
) -> Result<NodeId, LoweringError> {
    if layout.has(input) {
        arena.input(input)
    } else {
        Err(LoweringError::UndeclaredInput(input))
    }
}
