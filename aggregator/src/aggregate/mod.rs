//! Proof files become one proof.
//!
//! ```text
//!  proof files ──► plan: what every node will state          (no proof is made for this)
//!                    │
//!  segments ──► lift, shrink ──► joins ──► close ──► joins ──► the root
//!                    └──────── workers, each node into the folder beside the output ───────┘
//! ```
//!
//! Every file is a tree of segments that is closed into an item; the items are a tree of their own, an accumulator leading
//! from old to new. Since statements follow from the files alone, a node that an interrupted run has finished is known by
//! its statement: [`aggregate`] takes it up again, whichever run made it, once its proof has been verified.
//!
//! Every proof is verified by stock p3 before it is kept: the segments' on the way in, the nodes' as they are made.

mod folder;
mod kept;
pub(crate) mod plan;
mod run;
mod source;
mod verify;
mod work;
mod wrap;

use std::path::{Path, PathBuf};

use starkwright_hal::Backend;
use starkwright_prover::ProverError;
use starkwright_prover::keccak_file::Val;
use starkwright_prover::profile::Profile;
use starkwright_prover::proof_file::refuse_special;
use starkwright_prover::security::Security;

use crate::AggregatorError;
use crate::node_file::io_error;
use crate::statement::{Digest, TreeStatement};

pub use folder::folder_path;
pub use verify::{VerifyOptions, VerifyReport, verify};
pub use wrap::{GoOn, WrapReport, wrap};

/// What to aggregate, and how.
#[derive(Clone, Debug)]
pub struct AggregateOptions {
    /// Index of the first file's item.
    pub first: u64,
    /// The accumulator before it.
    pub old: Digest,
    /// Context that every proof must be bound to.
    pub context: [u32; 8],
    /// Workers: as many circuits are filled and verified at a time.
    pub workers: usize,
    /// Whether to go on with what an interrupted run has finished.
    pub resume: bool,
}

/// What a step of the work was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A segment was lifted and shrunk.
    Leaf,
    /// Two nodes were joined.
    Join,
    /// A file's segments were closed into an item.
    Close,
}

/// The run was stopped between two steps; what is finished is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

/// Watches a run, and may stop it between two steps.
pub trait Progress: Send {
    /// Called once, before the first step: how many there are in all, and how many of them an earlier run has done.
    fn begins(&mut self, steps: u64, kept: u64);

    /// Called when a node is on disk.
    ///
    /// # Errors
    /// [`Interrupted`] stops the run.
    fn done(&mut self, work: Work) -> Result<(), Interrupted>;
}

/// What was aggregated.
#[derive(Clone, Debug)]
pub struct AggregateReport {
    /// What the result states.
    pub statement: TreeStatement,
    /// Its profile.
    pub profile: Profile,
    /// Segments in all files.
    pub segments: u64,
    /// Steps in all, and those taken over from an interrupted run.
    pub steps: u64,
    /// See [`Self::steps`].
    pub resumed: u64,
    /// Bytes of the result.
    pub proof_bytes: u64,
    /// Security of the weakest proof of the tree, segments included.
    pub security: Security,
}

/// Aggregates proof files into one node, written to `output`.
///
/// # Errors
/// [`AggregatorError::NoInput`], [`AggregatorError::Inputs`] where files cannot stand in one tree,
/// [`AggregatorError::Prover`] where one is no whole, valid proof, [`AggregatorError::Interrupted`], the device's, and
/// what reading and writing say. In every case but success nothing appears under `output`, and finished nodes stay in the
/// folder beside it.
pub fn aggregate<B: Backend<Val>>(
    device: &B,
    inputs: &[PathBuf],
    output: &Path,
    options: &AggregateOptions,
    progress: &mut dyn Progress,
) -> Result<AggregateReport, AggregatorError> {
    run::aggregate(device, inputs, output, options, progress)
}

/// Refuses an output that is an input, a folder or a device, or in no folder: before anything is proven.
fn refuse_output(output: &Path, inputs: &[PathBuf]) -> Result<(), AggregatorError> {
    refuse_special(output).map_err(ProverError::from)?;
    let parent = output
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    parent
        .read_dir()
        .map_err(|source| io_error("write into", parent, source))?;
    let same = |input: &PathBuf| match (input.canonicalize(), output.canonicalize()) {
        (Ok(input), Ok(output)) => input == output,
        _ => false,
    };
    match inputs.iter().find(|input| same(input)) {
        Some(path) => Err(AggregatorError::Inputs {
            path: path.clone(),
            why: "it is the output too; choose another".to_owned(),
        }),
        None => Ok(()),
    }
}
