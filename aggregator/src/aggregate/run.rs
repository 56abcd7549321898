//! A run: what it plans, what it takes up, what it hands to its workers, and the result.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use starkwright_hal::{
    Backend, Extension, Keccak256Merkle, KoalaBear4, KoalaBear5, Poseidon2Merkle,
};
use starkwright_prover::ProverError;
use starkwright_prover::challenger::Protocol;
use starkwright_prover::keccak_file::{SegmentVerifiers, Val};
use starkwright_prover::machine::keccak::SegmentShape;
use starkwright_prover::profile::Profile;
use starkwright_prover::proof_file::sync_directory;
use starkwright_prover::security::{Security, require_count};

use super::folder::{Folder, Place, folder_path};
use super::kept::kept;
use super::plan::{self, Plan};
use super::source::Leaves;
use super::work::{Run, State};
use super::{AggregateOptions, AggregateReport, Progress, refuse_output};
use crate::AggregatorError;
use crate::node::{Circuits, NodeVerifiers, rate_layers};
use crate::node_file::{Kind, io_error};

pub(super) fn aggregate<B: Backend<Val>>(
    device: &B,
    inputs: &[PathBuf],
    output: &Path,
    options: &AggregateOptions,
    progress: &mut dyn Progress,
) -> Result<AggregateReport, AggregatorError> {
    let first = inputs.first().ok_or(AggregatorError::NoInput)?;
    let profile = plan::profile_of(first)?;
    match profile {
        Profile::Proven100 => {
            Run::<KoalaBear5, B>::all(device, profile, inputs, output, options, progress)
        }
        Profile::Conjectured100 => {
            Run::<KoalaBear4, B>::all(device, profile, inputs, output, options, progress)
        }
    }
}

impl<E: Extension<Val>, B: Backend<Val>> Run<'_, E, B>
where
    Poseidon2Merkle: Protocol<Val, E>,
    Keccak256Merkle: Protocol<Val, E>,
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    fn all(
        device: &B,
        profile: Profile,
        inputs: &[PathBuf],
        output: &Path,
        options: &AggregateOptions,
        progress: &mut dyn Progress,
    ) -> Result<AggregateReport, AggregatorError> {
        refuse_output(output, inputs)?;
        let circuits = Circuits::<E, B>::new(device, profile)?;
        let plan = Plan::new(inputs, profile, &circuits.allowed().root(), options)?;
        require_count(profile, plan.proofs()).map_err(ProverError::from)?;
        let mut segments = SegmentVerifiers::<E>::new(profile);
        let all = plan.items.iter().flat_map(|item| &item.segments);
        let shapes: BTreeSet<SegmentShape> = all.map(|(shape, _)| *shape).collect();
        let mut rated: Vec<Security> = Vec::new();
        for shape in shapes {
            rated.push(segments.security(shape)?);
        }
        rated.extend(
            rate_layers::<E>(profile)?
                .into_iter()
                .map(|(_, rated)| rated),
        );
        let weakest = rated.into_iter().min_by(|a, b| a.bits.total_cmp(&b.bits));
        let security = weakest.ok_or(AggregatorError::NoInput)?;
        let folder = Folder::open(output, options.resume)?;
        let nodes = NodeVerifiers::<E>::new(profile)?;

        let (inner, outer, kept) = kept(&plan, &folder, &nodes)?;
        progress.begins(plan.steps(), kept);
        let mut state = State {
            leaves: Leaves::new(&plan.items, &inner),
            inner,
            outer,
            ready: VecDeque::new(),
            running: 0,
            done: kept,
            stopped: false,
            error: None,
            progress,
        };
        state.find_ready(&plan.items);
        let run = Run {
            circuits: &circuits,
            plan: &plan,
            folder: &folder,
            segments: Mutex::new(segments),
            nodes: &nodes,
            state: Mutex::new(state),
            changed: Condvar::new(),
        };
        std::thread::scope(|scope| {
            for _ in 1..options.workers.max(1) {
                scope.spawn(|| run.work());
            }
            run.work();
        });
        let state = run
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = state.error {
            return Err(error);
        }
        let root = *plan.outer.statement(plan.outer.shape.root())?;
        if state.outer.root().is_none() {
            return Err(AggregatorError::Interrupted {
                steps: state.done,
                folder: folder_path(output),
            });
        }
        let top = Place {
            kind: Kind::Join,
            item: None,
        };
        let made = folder.path_of(top, &root);
        let proof_bytes = fs::metadata(&made).map_or(0, |metadata| metadata.len());
        fs::rename(&made, output).map_err(|source| io_error("write", output, source))?;
        sync_directory(output);
        for child in plan.outer.shape.children(plan.outer.shape.root()) {
            folder.remove(Place::of_items(child), plan.outer.statement(child)?);
        }
        if plan.items.len() == 1 {
            folder.remove(Place::ITEM, &root);
        }
        folder.finish();
        Ok(AggregateReport {
            statement: root,
            profile,
            segments: plan.segments(),
            steps: plan.steps(),
            resumed: kept,
            proof_bytes,
            security,
        })
    }
}
