//! Many proofs become one.
//!
//! ```text
//!  leaves, in any order of time            nodes of one canonical tree             the root
//!
//!  segment proofs ──► statement::leaf ──► TreeStatement ──► join ──► … ──► join ──► one statement
//!                                              ▲
//!                         schedule: which joins can run ◄── tree: which joins there are
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`statement`] | what a node states; leaves, joins and closes; every hash and encoding; cases that circuits and native code are both tested on |
//! | [`tree`] | the canonical tree: its shape follows from the first index and the count alone |
//! | [`schedule`] | a pure scheduler without a clock: takes leaves in any order, says which joins are ready |
//! | [`circuit`] | circuits over the challenge field, compiled to one table |
//! | [`verify`] | the verifier of p3-batch-stark as a circuit |
//! | [`node`] | lift, shrink, join, close, seal, wrap: circuits that verify proofs, and their keys |
//! | [`node_file`] | a node's proof as a file |
//! | [`wrap_encoding`] | the last proof as bytes for a contract |
//! | [`aggregate`] | proof files become one proof: plan, workers, what is kept when interrupted |
//! | [`steps`] | the same, each proof a step of its own: from bytes, to bytes |
//!
//! Since the shape of the tree is fixed, the final statement, and with it the final proof, is the
//! same whatever came first or was interrupted.
//!
//! # Joining five leaves
//!
//! ```
//! # fn main() -> Result<(), starkwright_aggregator::AggregatorError> {
//! use std::collections::BTreeMap;
//!
//! use starkwright_aggregator::schedule::{Join, Schedule};
//! use starkwright_aggregator::statement::TreeStatement;
//! use starkwright_aggregator::statement::suite::sample;
//! use starkwright_aggregator::tree::{CanonicalTree, Interval};
//!
//! let mut schedule = Schedule::new(CanonicalTree::new(3, 5)?); // leaves 3 to 7
//! let mut statements = BTreeMap::new();
//! for index in [6, 3, 7, 5, 4] {
//!     let leaf = sample(Interval::leaf(index)); // or leaf_of_keccak(segment, allowed_root)?
//!     statements.insert(Interval::leaf(index), leaf);
//!     let mut ready: Vec<Join> = schedule.leaf_done(index)?.ready;
//!     while let Some(Join { node, children }) = ready.pop() {
//!         let [left, right] = [0, 1].map(|child| statements[&children[child]]);
//!         statements.insert(node, TreeStatement::join(&left, &right)?);
//!         let step = schedule.node_done(node)?;
//!         step.dropped.iter().for_each(|child| drop(statements.remove(child)));
//!         ready.extend(step.ready);
//!     }
//! }
//! let root = Interval::new(3, 5)?;
//! assert_eq!(schedule.root(), Some(root));
//! assert_eq!(statements.len(), 1); // the root alone is kept
//! assert_eq!(statements[&root].count, 5);
//! # Ok(())
//! # }
//! ```

pub mod aggregate;
pub mod circuit;
mod error;
pub mod node;
pub mod node_file;
mod once;
pub mod schedule;
pub mod statement;
pub mod steps;
pub mod tree;
pub mod verify;
pub mod wrap_encoding;

pub use error::AggregatorError;

// Unit tests share helpers with the integration tests, which know the crate by its name.
#[cfg(test)]
extern crate self as starkwright_aggregator;
