//! The rules of statements, by name.

/// A rule that statements, joins or closes keep. Native errors name it, and the circuits' test suite
/// expects it ([`super::suite`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// Elements encode a statement: tag, bits, 16-bit limbs.
    #[error("the elements are no encoding of a statement")]
    Encoding,
    /// A statement covers at least one leaf, and none beyond index 2^64 − 1.
    #[error("a statement covers at least one leaf, and none beyond index 2^64 - 1")]
    Range,
    /// At level 1, `first` and `last` are 0.
    #[error("a statement over items has neither a first nor a last flag")]
    ItemFlags,
    /// Joined statements have the same level.
    #[error("the levels differ")]
    Level,
    /// Joined statements have the same context.
    #[error("the contexts differ")]
    Context,
    /// Joined statements have the same root of allowed keys.
    #[error("the roots of allowed keys differ")]
    AllowedRoot,
    /// The right statement's first index is the left one's plus its count, without overflow.
    #[error("the right one does not begin at the index where the left one ends")]
    Index,
    /// The count of the join is below 2^64.
    #[error("the counts add up to 2^64 or more")]
    Count,
    /// Both are the children of a node of the canonical tree.
    #[error("their join is no node of the canonical tree")]
    Canonical,
    /// The right statement begins with the state in which the left one ends.
    #[error("the right one does not begin with the left one's final state")]
    State,
    /// The left statement is not last.
    #[error("the left one is marked as last")]
    LastInside,
    /// The right statement is not first.
    #[error("the right one is marked as first")]
    FirstInside,
    /// What is closed is a range of segments: level 0.
    #[error("only segments are closed into an item")]
    InnerLevel,
    /// What is closed begins at index 0.
    #[error("its first index is not 0")]
    InnerIndex,
    /// What is closed begins its item.
    #[error("it does not begin its item")]
    InnerFirst,
    /// What is closed ends its item.
    #[error("it does not end its item")]
    InnerLast,
    /// The final state given is the one whose digest the statement holds.
    #[error("the final state is not the one that the statement ends in")]
    Opening,
}

impl Rule {
    /// Whether no statement that a circuit has proven ever breaks the rule, because leaves keep it
    /// and joins and closes preserve it. A circuit may rely on its children for such a rule; the
    /// native functions check it all the same. For that, a join range-checks the limbs of its index
    /// and count, and a close those of the position.
    #[must_use]
    pub const fn is_inductive(self) -> bool {
        matches!(self, Self::Encoding | Self::Range | Self::ItemFlags)
    }
}
