//! What a step is, and which steps there can be.

use serde::{Deserialize, Serialize};
use starkwright_prover::keccak_file::Val;
use starkwright_prover::machine::keccak::{SegmentShape, SegmentStatement};
use starkwright_prover::profile::Profile;

use crate::AggregatorError;
use crate::node_file::Kind;
use crate::statement::{Digest, KeccakOpening, Level, TreeStatement, accumulate, leaf_of_keccak};

/// Which circuit a step's proof is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepKind {
    /// A segment of the Keccak-256 machine.
    Leaf {
        /// Base-2 logarithm of its tables' height.
        log_height: u8,
    },
    /// A lift.
    Lift {
        /// Base-2 logarithm of the height of the leaf below it.
        log_leaf: u8,
    },
    /// A shrink.
    Shrink {
        /// As in [`Self::Lift`].
        log_leaf: u8,
    },
    /// A join.
    Join,
    /// A close.
    Close,
    /// A wrap, and the seal below it.
    Wrap,
}

impl StepKind {
    /// The kind's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leaf { .. } => "leaf",
            Self::Lift { .. } => "lift",
            Self::Shrink { .. } => "shrink",
            Self::Join => "join",
            Self::Close => "close",
            Self::Wrap => "wrap",
        }
    }

    /// The kind of file that holds its proof; none for a leaf's.
    #[must_use]
    pub const fn file(self) -> Option<Kind> {
        match self {
            Self::Leaf { .. } => None,
            Self::Lift { log_leaf } => Some(Kind::Lift { log_leaf }),
            Self::Shrink { log_leaf } => Some(Kind::Shrink { log_leaf }),
            Self::Join => Some(Kind::Join),
            Self::Close => Some(Kind::Close),
            Self::Wrap => Some(Kind::Wrap),
        }
    }
}

/// Whose proof a join, a close or a wrap takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Child {
    /// A shrink's.
    Shrink {
        /// Base-2 logarithm of the height of the leaf below it.
        log_leaf: u8,
    },
    /// A join's.
    Join,
    /// A close's.
    Close,
}

impl Child {
    /// The kind of file that holds its proof.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Shrink { log_leaf } => Kind::Shrink { log_leaf },
            Self::Join => Kind::Join,
            Self::Close => Kind::Close,
        }
    }

    /// Whether there are such nodes of this level, with so many leaves.
    fn is_one_of(self, level: Level, count: u64) -> bool {
        match self {
            Self::Shrink { log_leaf } => {
                level == Level::Segments && count == 1 && is_listed(log_leaf)
            }
            Self::Join => true,
            Self::Close => level == Level::Items && count == 1,
        }
    }
}

fn is_listed(log_height: u8) -> bool {
    SegmentShape::from_log_height(usize::from(log_height)).is_some()
}

/// What a step proves, and from what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Proves a segment from its part of the file.
    Leaf {
        /// Height of its tables.
        shape: SegmentShape,
        /// What is to be proven.
        segment: SegmentStatement,
    },
    /// Lifts the leaf with the same fields. What it states follows from the segment and the library's keys.
    Lift {
        /// Height of the leaf's tables.
        shape: SegmentShape,
        /// What the leaf states.
        segment: SegmentStatement,
    },
    /// Brings a lift to the uniform shape.
    Shrink {
        /// Height of the leaf below.
        shape: SegmentShape,
        /// What is to be proven, and what the lift states.
        statement: TreeStatement,
    },
    /// Joins two nodes.
    Join {
        /// The left child.
        left: Child,
        /// The right child; none: the left one's statement becomes a join's.
        right: Option<Child>,
        /// What is to be proven.
        statement: TreeStatement,
    },
    /// Closes a file's segments into an item. Its index and the accumulator before it are the statement's.
    Close {
        /// The node over all segments.
        child: Child,
        /// The state in which the file ends.
        opening: KeccakOpening,
        /// What is to be proven.
        statement: TreeStatement,
    },
    /// Seals and wraps a tree's root.
    Wrap {
        /// The root.
        child: Child,
        /// What is to be proven, and what the root states.
        statement: TreeStatement,
    },
}

/// A step: what is to be proven, from what, and under which profile. See [`Self::new`] for what holds in any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    profile: Profile,
    work: Work,
}

fn no_step(why: impl Into<String>) -> AggregatorError {
    AggregatorError::Step { why: why.into() }
}

impl Step {
    /// A step. What it says may be false, but does not contradict itself: statements are valid, heights are listed, a segment
    /// fits its shape and its context the field, children are such as can stand below the statement, and an item is the
    /// one that its opening gives.
    ///
    /// # Errors
    /// [`AggregatorError::Step`]; what the statement's validation says.
    pub fn new(profile: Profile, work: Work) -> Result<Self, AggregatorError> {
        check(&work)?;
        Ok(Self { profile, work })
    }

    /// The profile.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// What it proves, and from what.
    #[must_use]
    pub const fn work(&self) -> &Work {
        &self.work
    }

    /// The circuit.
    #[must_use]
    pub const fn kind(&self) -> StepKind {
        // Listed heights are below 2^8.
        match &self.work {
            Work::Leaf { shape, .. } => StepKind::Leaf {
                log_height: shape.log_height() as u8,
            },
            Work::Lift { shape, .. } => StepKind::Lift {
                log_leaf: shape.log_height() as u8,
            },
            Work::Shrink { shape, .. } => StepKind::Shrink {
                log_leaf: shape.log_height() as u8,
            },
            Work::Join { .. } => StepKind::Join,
            Work::Close { .. } => StepKind::Close,
            Work::Wrap { .. } => StepKind::Wrap,
        }
    }

    /// How many proofs of other steps it takes.
    #[must_use]
    pub const fn children(&self) -> usize {
        match &self.work {
            Work::Leaf { .. } => 0,
            Work::Join { right: Some(_), .. } => 2,
            _ => 1,
        }
    }

    /// What its node states, in a tree with this root of allowed keys: of a leaf, what its lift does.
    ///
    /// # Errors
    /// As [`leaf_of_keccak`].
    pub fn statement(&self, allowed_root: &Digest) -> Result<TreeStatement, AggregatorError> {
        match &self.work {
            Work::Leaf { segment, .. } | Work::Lift { segment, .. } => {
                leaf_of_keccak(segment, allowed_root)
            }
            Work::Shrink { statement, .. }
            | Work::Join { statement, .. }
            | Work::Close { statement, .. }
            | Work::Wrap { statement, .. } => Ok(*statement),
        }
    }
}

fn check(work: &Work) -> Result<(), AggregatorError> {
    match work {
        Work::Leaf { shape, segment } | Work::Lift { shape, segment } => {
            let wrong = |source| AggregatorError::Segment {
                index: segment.index,
                source,
            };
            segment.validate().map_err(wrong)?;
            segment.to_public_values::<Val>().map_err(wrong)?;
            if segment.blocks_after - segment.blocks_before > shape.capacity() as u64 {
                return Err(no_step("its segment has more blocks than its shape holds"));
            }
        }
        Work::Shrink { statement, .. } => {
            statement.validate()?;
            if statement.level != Level::Segments || statement.count != 1 {
                return Err(no_step("a shrink is about one segment"));
            }
        }
        Work::Join {
            left,
            right,
            statement,
        } => {
            let all = statement.leaves()?.count();
            let fits = match right {
                None => left.is_one_of(statement.level, all),
                // Where a child is one leaf, it does not matter here whether the rest is.
                Some(right) => {
                    all > 1
                        && [left, right]
                            .into_iter()
                            .all(|child| child.is_one_of(statement.level, 1))
                }
            };
            if !fits {
                return Err(no_step("a join cannot have such children"));
            }
        }
        Work::Close {
            child,
            opening,
            statement,
        } => {
            statement.validate()?;
            if statement.level != Level::Items || statement.count != 1 {
                return Err(no_step("a close is about one item"));
            }
            if !child.is_one_of(Level::Segments, 1) {
                return Err(no_step("a close cannot have such a child"));
            }
            let item = opening.item();
            let end = accumulate(statement.first_index, &statement.begin, &item);
            if statement.list != item || statement.end != end {
                return Err(no_step("its item is not the one that its opening gives"));
            }
        }
        Work::Wrap { child, statement } => {
            let count = statement.leaves()?.count();
            if statement.level != Level::Items || !child.is_one_of(Level::Items, count) {
                return Err(no_step("a wrap cannot have such a child"));
            }
        }
    }
    Ok(())
}
