//! Nodes of the tree: circuits that verify proofs and prove what they state.
//!
//! ```text
//!  machine's proof ──► lift ──► shrink ──► join ──► join ──► …
//!                       │          │         ▲ two children, each a shrink or a join
//!                own shape for     └─────────┘
//!                every leaf shape     one shape: tables, heights, parameters
//! ```
//!
//! - **lift** verifies a proof of one machine at one height and states what it says as a
//!   [`TreeStatement`](crate::statement::TreeStatement). Its table is as high as that takes.
//! - **shrink** verifies a lift, whose key stands in its circuit, and keeps its statement. It has the uniform shape.
//! - **join** verifies two proofs of the uniform shape and states their join. A child's key is no part of the circuit: it is
//!   read from the input and proven to be one of those under `allowed_root`, which both children's statements and the
//!   join's contain. So a join verifies joins, and its own key is a fixed point.
//!
//! Public values of a node's proof are its statement's digest and the powers of two challenges ([`NodeProof::public_values`]).

mod by_kind;
mod child;
mod circuits;
mod close;
#[cfg(test)]
mod full_profile;
mod join;
mod key;
mod keys;
mod layers;
mod lift;
mod proof;
mod rating;
mod seal;
mod shrink;
mod statement;
mod uniform;
mod verifiers;
mod wrap;

pub(crate) use by_kind::NodeVerifiers;
pub use circuits::{Circuits, Entrance, derive_keys, keccak_heights};
pub use close::Close;
pub use join::Join;
pub use key::{AllowedKeys, KEY_TREE_DEPTH, NodeKey, Role};
pub use keys::Keys;
pub(crate) use keys::hex;
pub use layers::{Layer, Layers};
pub use lift::{Lift, tails};
pub use proof::{NodeProof, NodeProver};
pub use rating::rate_layers;
pub use seal::Seal;
pub use shrink::Shrink;
pub use uniform::Uniform;
pub use verifiers::Verifiers;
pub use wrap::{ByteDigest, Wrap, WrapProof};
