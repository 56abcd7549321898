//! The statement of a join.

use super::hash::{hash, list_preimage};
use super::{Rule, TreeStatement};
use crate::AggregatorError;

impl TreeStatement {
    /// The statement of the node whose children state `left` and `right`.
    ///
    /// Level, context and root are the children's; `begin`, first index and `first` are the left
    /// one's, `end` and `last` the right one's; counts add; the list digest is the hash of both
    /// ([`list_preimage`]).
    ///
    /// At level 1, `first` and `last` are 0 in both, and so in the join.
    ///
    /// # Errors
    /// [`AggregatorError::Statement`] for a child that is none, then [`AggregatorError::Join`] with
    /// the first rule that they break, in the order in which [`Rule`] lists them.
    pub fn join(left: &Self, right: &Self) -> Result<Self, AggregatorError> {
        let (leaves, next) = (left.leaves()?, right.leaves()?);
        let index = left.first_index.checked_add(left.count);
        let count = left.count.checked_add(right.count);
        let rules = [
            (Rule::Level, left.level == right.level),
            (Rule::Context, left.context == right.context),
            (Rule::AllowedRoot, left.allowed_root == right.allowed_root),
            (Rule::Index, index == Some(right.first_index)),
            (Rule::Count, count.is_some()),
            (Rule::Canonical, leaves.joins(next)),
            (Rule::State, left.end == right.begin),
            (Rule::LastInside, !left.last),
            (Rule::FirstInside, !right.first),
        ];
        let broken = |rule| AggregatorError::Join {
            left: leaves,
            right: next,
            rule,
        };
        if let Some((rule, _)) = rules.into_iter().find(|(_, holds)| !holds) {
            return Err(broken(rule));
        }
        Ok(Self {
            end: right.end,
            list: hash(&list_preimage(&left.list, &right.list)),
            count: count.ok_or_else(|| broken(Rule::Count))?,
            last: right.last,
            ..*left
        })
    }

    /// The statement of a join whose right child is absent: the left child's, unchanged. So a single
    /// leaf becomes a join, and whoever takes joins takes it.
    #[must_use]
    pub const fn join_absent(left: &Self) -> Self {
        *left
    }
}
