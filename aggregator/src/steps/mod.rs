//! Each proof of a tree as a step that any machine can take from bytes, and anyone can verify from bytes.
//!
//! ```text
//!  files ──► StepVerifier::plan ──► Step, Step, …          statements of all of them; no proof is made for this
//!                                     │ to_bytes
//!            bytes of a file's part ──►
//!            proofs of other steps ───► StepProver::prove ──► proof ──► StepVerifier::verify
//! ```
//!
//! [`aggregate()`](crate::aggregate::aggregate) does the same work in one process, from proof files, and keeps only what it
//! needs to resume. Here every step stands alone: it names profile, circuit and the exact statement to be proven, so that
//! its proof can be made anywhere and is checked, by stock p3 under this library's keys, wherever it arrives. Statements and
//! tree are the same ([`plan`](crate::aggregate)), so the last step's proof is byte by byte the file that `starkwright prove`,
//! `aggregate` and `wrap` give.
//!
//! | step | takes | its proof |
//! |---|---|---|
//! | leaf | a part of the file | p3's, in postcard: as in a proof file |
//! | lift | a leaf's proof | a [`NodeFile`](crate::node_file::NodeFile) of its kind |
//! | shrink | a lift's | the same |
//! | join | one's or two's: shrinks, joins or closes | the same |
//! | close | a shrink's or a join's | the same |
//! | wrap | a join's or a close's | the same: what `starkwright wrap` writes. Seals on the way |
//!
//! A step only selects: keys, parameters and tables are the library's.

mod keys;
mod leaf;
mod plan;
mod prover;
mod step;
mod verifier;
mod wire;

pub use keys::circuits_version;
pub use plan::{FileRange, PlanOptions, PlannedStep};
pub use prover::StepProver;
pub use step::{Child, Step, StepKind, Work};
pub use verifier::{MAX_STEP_PROOF_BYTES, StepVerifier};
pub use wire::MAX_STEP_BYTES;
