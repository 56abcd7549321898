//! What can go wrong in this crate.

use std::io;
use std::path::PathBuf;

use starkwright_prover::ProverError;
use starkwright_prover::constraints::LoweringError;
use starkwright_prover::machine::keccak::StatementError;
use starkwright_prover::profile::Profile;

use crate::node::Role;
use crate::statement::Rule;
use crate::tree::Interval;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AggregatorError {
    /// A range of no leaf, or one that goes beyond index 2^64 − 1.
    #[error(
        "{count} leaves from index {first}: a range has at least one, and none beyond 2^64 - 1"
    )]
    Range {
        /// Index of its first leaf.
        first: u64,
        /// Number of leaves.
        count: u64,
    },
    /// A tree needs joins of two children at least.
    #[error("a tree of arity {arity}: two at least are needed")]
    Arity {
        /// The arity asked for.
        arity: u8,
    },
    /// A field element is not what the encoding of a tree statement has in its place.
    #[error("element {index} of a tree statement is {value}, which is out of its range")]
    Encoding {
        /// Its index in the encoding.
        index: usize,
        /// Its value.
        value: u32,
    },
    /// A tree statement contradicts itself.
    #[error("no tree statement: {rule}")]
    Statement {
        /// The rule it breaks.
        rule: Rule,
    },
    /// Two statements cannot be joined.
    #[error("{left} and {right} cannot be joined: {rule}")]
    Join {
        /// Leaves of the left one.
        left: Interval,
        /// Leaves of the right one.
        right: Interval,
        /// The rule they break.
        rule: Rule,
    },
    /// A range of segments cannot be closed into an item.
    #[error("segments {inner} cannot be closed into an item: {rule}")]
    Close {
        /// Its segments.
        inner: Interval,
        /// The rule it breaks.
        rule: Rule,
    },
    /// A segment's statement is none.
    #[error("segment {index}: {source}")]
    Segment {
        /// Its index.
        index: u64,
        /// What is wrong with it.
        source: StatementError,
    },
    /// A leaf or node lies outside of the range that is aggregated.
    #[error("{found} is not within {range}")]
    Outside {
        /// What was reported.
        found: Interval,
        /// The range.
        range: Interval,
    },
    /// A join was reported as finished that was not ready.
    #[error("{node} is reported as joined, but its children are not finished")]
    NotReady {
        /// What was reported.
        node: Interval,
    },
    /// An interval was reported as joined that no join of this tree yields.
    #[error("{node} is no join of the canonical tree over {range}")]
    NotAJoin {
        /// What was reported.
        node: Interval,
        /// The tree's range.
        range: Interval,
    },
    /// The end of a range was given twice.
    #[error("the range is {range}: its end is already known")]
    Closed {
        /// The range.
        range: Interval,
    },
    /// A circuit does not fit its table.
    #[error("the {machine} machine takes {rows} rows, more than the table's {height}")]
    TooManyRows {
        /// Which machine.
        machine: &'static str,
        /// Rows it takes.
        rows: usize,
        /// Rows there are.
        height: usize,
    },
    /// A circuit was written in a way that would leave a value unbound.
    #[error("the circuit cannot be laid out: {why}")]
    Unbound {
        /// What would be unbound.
        why: &'static str,
    },
    /// A part of an assignment's input has another number of words than the circuit reads.
    #[error("part {part} of the input has {found} words, the circuit reads {expected}")]
    Input {
        /// The part.
        part: usize,
        /// Words the circuit reads.
        expected: usize,
        /// Words given.
        found: usize,
    },
    /// A proof has another shape than the circuit verifies.
    #[error("the proof has another shape than this circuit verifies: {what}")]
    ProofShape {
        /// What differs.
        what: &'static str,
    },
    /// A child's key is none of those that the tree allows.
    #[error("the child's key is not one of the keys that this tree allows")]
    UnknownKey,
    /// Only joins and closes are sealed: a single leaf goes through a join first.
    #[error("a {role} cannot be sealed: only a join or a close can; join a single leaf first")]
    NotATop {
        /// What was to be sealed.
        role: Role,
    },
    /// There is nothing to aggregate.
    #[error("nothing to aggregate: name at least one proof file")]
    NoInput,
    /// A file cannot stand in a tree with the others.
    #[error("{}: {why}", path.display())]
    Inputs {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A run was stopped.
    #[error("interrupted; {steps} finished steps are kept in {}: go on with --resume", folder.display())]
    Interrupted {
        /// Steps finished, earlier runs' included.
        steps: u64,
        /// Where they are.
        folder: PathBuf,
    },
    /// A wrap was stopped.
    #[error("interrupted; nothing is written")]
    WrapInterrupted,
    /// An earlier run has left nodes.
    #[error("{} holds the nodes of an interrupted run: go on with --resume, or delete it", path.display())]
    FolderExists {
        /// The folder.
        path: PathBuf,
    },
    /// Another run works in the folder.
    #[error("another run is working in {}", path.display())]
    FolderInUse {
        /// The folder.
        path: PathBuf,
    },
    /// A proof that was made here does not verify: the device computes wrongly.
    #[error(
        "{device}: its proof of {node} does not verify ({why}); check it with `starkwright devices --test`, or run with shadow:<device>"
    )]
    WrongProof {
        /// The device.
        device: String,
        /// What was proven.
        node: String,
        /// What the verifier says.
        why: String,
    },
    /// Bytes are no step, or a step contradicts itself.
    #[error("not a usable step: {why}")]
    Step {
        /// What is wrong.
        why: String,
    },
    /// A step was given something else than it is about.
    #[error("the step cannot be taken with what was given for it: {why}")]
    StepInput {
        /// What is wrong.
        why: String,
    },
    /// A file is none of a node, or not of the node that is wanted.
    #[error("not a usable node file: {why}")]
    NodeFile {
        /// What is wrong.
        why: String,
    },
    /// A file could not be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A key file is none, or not of this profile.
    #[error("the key file of {profile}: {why}; derive it again with `starkwright circuit --write`")]
    KeyFile {
        /// The profile.
        profile: Profile,
        /// What is wrong.
        why: String,
    },
    /// A circuit has another key than the key file says.
    #[error(
        "the {circuit}'s key is not the one in the key file: the circuits have changed since it was written"
    )]
    OtherKey {
        /// The circuit.
        circuit: &'static str,
    },
    /// A tree allows more keys than there are places for.
    #[error("a tree allows at most 16 keys")]
    TooManyKeys,
    /// The constraints of a table could not be lowered.
    #[error(transparent)]
    Lowering(#[from] LoweringError),
    /// Proving, or verifying natively, failed.
    #[error(transparent)]
    Prover(#[from] ProverError),
}

impl AggregatorError {
    /// The rule of statements that is broken, if that is what is wrong.
    #[must_use]
    pub const fn rule(&self) -> Option<Rule> {
        match self {
            Self::Encoding { .. } => Some(Rule::Encoding),
            Self::Statement { rule } | Self::Join { rule, .. } | Self::Close { rule, .. } => {
                Some(*rule)
            }
            _ => None,
        }
    }
}
