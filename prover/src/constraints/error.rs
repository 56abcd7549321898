//! Why an AIR cannot be lowered.

use super::Input;

/// Why an AIR's constraints cannot be a [`ConstraintGraph`](super::ConstraintGraph).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoweringError {
    /// An expression reads what the AIR does not declare.
    #[error("an expression reads {0:?}, which the AIR does not have")]
    UndeclaredInput(Input),

    /// An expression reads a row other than the current and the next one.
    #[error("an expression reads {offset} rows ahead; there are only the current and the next row")]
    RowOffset {
        /// Rows ahead of the current one.
        offset: usize,
    },

    /// A constraint multiplies by or adds a constant outside the base field. A graph serves every
    /// extension, so it holds base constants only; the AIR can take such a value as a public value.
    #[error("a constraint holds a constant outside the base field")]
    ExtensionConstant,

    /// A lookup contradicts itself or has a column that another number of lookups would have.
    #[error("lookup {index}: {why}")]
    Lookup {
        /// Which one, counted from 0.
        index: usize,
        /// What is wrong with it.
        why: &'static str,
    },

    /// The lookups given are not those that the AIR declares. Without one of them its constraints
    /// would be missing.
    #[error("the AIR sends {declared} messages and the lookups hold {given}")]
    Messages {
        /// Tuples of the AIR's interactions.
        declared: usize,
        /// Tuples of the lookups given.
        given: usize,
    },

    /// The AIR relies on what constraints do not express and `p3-batch-stark` does not prove.
    #[error("the AIR relies on {0}, which constraints do not express")]
    Unsupported(&'static str),

    /// More than 2^32 nodes.
    #[error("the constraints have more than 2^32 nodes")]
    TooLarge,
}
