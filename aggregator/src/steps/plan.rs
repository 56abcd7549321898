//! From files to steps: what `prove`, `aggregate` and `wrap` would do, as a list.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::PathBuf;

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use starkwright_hal::{Extension, Keccak256Merkle, Poseidon2Merkle};
use starkwright_prover::ProverError;
use starkwright_prover::challenger::Protocol;
use starkwright_prover::keccak_file::{Val, segment_security};
use starkwright_prover::machine::keccak::{SegmentError, SegmentShape, Segmenter};
use starkwright_prover::profile::Profile;
use starkwright_prover::security::require_count;

use super::keys::{cells, circuit_key};
use super::step::{Child, Step, StepKind, Work};
use super::verifier::{StepVerifier, Verifier};
use crate::AggregatorError;
use crate::aggregate::plan::{Item, MAX_SEGMENTS, Plan, Segments, Tree};
use crate::statement::Digest;
use crate::tree::Interval;

/// How files become one wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// Security profile.
    pub profile: Profile,
    /// Height of full segments.
    pub shape: SegmentShape,
    /// Context bound into every proof.
    pub context: [u32; 8],
    /// Index of the first file's item.
    pub first: u64,
    /// The accumulator before it.
    pub old: Digest,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRange {
    /// Number of the file, from 0.
    pub file: usize,
    /// Its first byte.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

/// A step of a plan, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedStep {
    /// The step.
    pub step: Step,
    /// Index of the item whose file it is about; of joins of items and of the wrap, the first of theirs.
    pub item: u64,
    /// Steps below it on the longest way: 0 for leaves. With item, index and count it names the step.
    pub level: u32,
    /// Index of its first leaf: a segment in its file, or, from the close up, an item.
    pub index: u64,
    /// Number of those leaves.
    pub count: u64,
    /// SHA-256, in hexadecimal digits, of its circuit's verifying key; of a leaf, which has none, of machine, version, height
    /// and profile.
    pub circuit_key: String,
    /// The steps whose proofs it takes, in order, by their places in the plan: all before its own.
    pub children: Vec<usize>,
    /// The bytes that a leaf takes.
    pub input: Option<FileRange>,
    /// Cells of its tables: rows times columns of main and preprocessed traces and of lookups. The measure of work.
    pub cells: u64,
}

impl StepVerifier {
    /// Plans the steps for `count` files, each read once, from its beginning to its end: children before parents, the wrap
    /// last. The statements are those of [`aggregate()`](crate::aggregate::aggregate) over the files' proofs, and the
    /// wrap's proof is the file that [`wrap`](crate::aggregate::wrap()) makes of the result.
    ///
    /// # Errors
    /// [`AggregatorError::NoInput`], [`AggregatorError::Io`] for what cannot be read, [`AggregatorError::Inputs`] for
    /// more than 2^20 segments, [`ProverError::Security`] where there are more proofs than the profile covers,
    /// [`AggregatorError::Segment`] for a context that is out of the field, [`AggregatorError::Range`].
    pub fn plan<R: Read>(
        &self,
        count: usize,
        open: impl FnMut(usize) -> io::Result<R>,
        options: &PlanOptions,
    ) -> Result<Vec<PlannedStep>, AggregatorError> {
        match options.profile {
            Profile::Proven100 => plan(&*self.proven100()?, count, open, options),
            Profile::Conjectured100 => plan(&*self.conjectured100()?, count, open, options),
        }
    }
}

fn plan<E, R>(
    verifier: &Verifier<E>,
    count: usize,
    mut open: impl FnMut(usize) -> io::Result<R>,
    options: &PlanOptions,
) -> Result<Vec<PlannedStep>, AggregatorError>
where
    E: Extension<Val>,
    R: Read,
    Poseidon2Merkle: Protocol<Val, E>,
    Keccak256Merkle: Protocol<Val, E>,
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    let profile = options.profile;
    let mut left = MAX_SEGMENTS;
    let files = (0..count).map(|file| {
        // Inputs have no paths here: their numbers name them in errors.
        let path = PathBuf::from(format!("input {file}"));
        match open(file) {
            Ok(reader) => Ok((path.clone(), segments(reader, path, options, &mut left)?)),
            Err(source) => Err(unreadable(path, source)),
        }
    });
    let at = (options.first, options.old);
    let plan = Plan::of_files(profile, verifier.allowed_root(), at, files)?;
    require_count(profile, plan.proofs()).map_err(ProverError::from)?;
    let mut shapes: Vec<SegmentShape> = Vec::new();
    for (shape, _) in plan.items.iter().flat_map(|item| &item.segments) {
        if !shapes.contains(shape) {
            segment_security::<E>(profile, *shape)?;
            shapes.push(*shape);
        }
    }
    let mut planner = Planner {
        verifier,
        circuits: BTreeMap::new(),
        steps: Vec::new(),
    };
    let mut items = BTreeMap::new();
    for (file, item) in plan.items.iter().enumerate() {
        let closed = planner.file(file, item)?;
        items.insert(Interval::leaf(item.closed.first_index), closed);
    }
    planner.items(&plan.outer, items)?;
    Ok(planner.steps)
}

fn unreadable(path: PathBuf, source: io::Error) -> AggregatorError {
    AggregatorError::Io {
        doing: "read",
        path,
        source,
    }
}

/// The segments of a file. What is read is dropped: only statements are kept.
fn segments(
    reader: impl Read,
    path: PathBuf,
    options: &PlanOptions,
    left: &mut u64,
) -> Result<Segments, AggregatorError> {
    let refused = |why: String| AggregatorError::Inputs {
        path: path.clone(),
        why,
    };
    let mut segments = Segments::new();
    for segment in Segmenter::new(reader, options.shape, options.context) {
        let segment = segment.map_err(|error| match error {
            SegmentError::Read(source) => unreadable(path.clone(), source),
            error @ SegmentError::TooLong => refused(error.to_string()),
        })?;
        *left = left
            .checked_sub(1)
            .ok_or_else(|| refused(format!("more than {MAX_SEGMENTS} segments in all files")))?;
        segments.push((segment.shape, segment.statement));
    }
    Ok(segments)
}

/// Puts steps into their order.
struct Planner<'a, E: Extension<Val>>
where
    Poseidon2Merkle: Protocol<Val, E>,
    Keccak256Merkle: Protocol<Val, E>,
{
    verifier: &'a Verifier<E>,
    /// Key and cells of the circuits that have occurred.
    circuits: BTreeMap<StepKind, (String, u64)>,
    steps: Vec<PlannedStep>,
}

impl<E: Extension<Val>> Planner<'_, E>
where
    Poseidon2Merkle: Protocol<Val, E>,
    Keccak256Merkle: Protocol<Val, E>,
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    /// Adds a step about these leaves of an item; yields its place.
    fn add(
        &mut self,
        (item, leaves): (u64, Interval),
        work: Work,
        children: Vec<usize>,
        input: Option<FileRange>,
    ) -> Result<usize, AggregatorError> {
        let profile = self.verifier.profile();
        let step = Step::new(profile, work)?;
        let kind = step.kind();
        let (circuit_key, cells) = match self.circuits.get(&kind) {
            Some(known) => known.clone(),
            None => {
                let nodes = self.verifier.nodes();
                let circuit = (
                    circuit_key(kind, profile, nodes.keys())?,
                    cells(kind, nodes)?,
                );
                self.circuits.insert(kind, circuit.clone());
                circuit
            }
        };
        let below = children.iter().filter_map(|&child| self.steps.get(child));
        let level = below.map(|step| step.level + 1).max().unwrap_or(0);
        self.steps.push(PlannedStep {
            step,
            item,
            level,
            index: leaves.first(),
            count: leaves.count(),
            circuit_key,
            children,
            input,
            cells,
        });
        Ok(self.steps.len() - 1)
    }

    /// The steps from a file to its item; yields the close.
    fn file(&mut self, file: usize, item: &Item) -> Result<usize, AggregatorError> {
        let position = item.closed.first_index;
        let mut made: BTreeMap<Interval, (usize, Child)> = BTreeMap::new();
        for node in item.tree.shape.nodes() {
            let statement = *item.tree.statement(node)?;
            let at = (position, node);
            let step = match item.segment(node) {
                Some((shape, segment)) => {
                    let (shape, segment) = (*shape, segment.clone());
                    let input = FileRange {
                        file,
                        offset: segment.bytes_before,
                        length: segment.bytes_after - segment.bytes_before,
                    };
                    let leaf = Work::Leaf {
                        shape,
                        segment: segment.clone(),
                    };
                    let leaf = self.add(at, leaf, Vec::new(), Some(input))?;
                    let lift = self.add(at, Work::Lift { shape, segment }, vec![leaf], None)?;
                    let shrink =
                        self.add(at, Work::Shrink { shape, statement }, vec![lift], None)?;
                    // A listed height is below 2^8.
                    let log_leaf = shape.log_height() as u8;
                    (shrink, Child::Shrink { log_leaf })
                }
                None => (self.join(position, &item.tree, node, &made)?, Child::Join),
            };
            made.insert(node, step);
        }
        // A single segment is closed as it is.
        let root = made.get(&item.tree.shape.root());
        let &(root, child) = root.ok_or(AggregatorError::NoInput)?;
        let close = Work::Close {
            child,
            opening: item.opening,
            statement: item.closed,
        };
        let at = (position, Interval::leaf(position));
        self.add(at, close, vec![root], None)
    }

    /// The joins of items, and the wrap.
    fn items(
        &mut self,
        tree: &Tree,
        closes: BTreeMap<Interval, usize>,
    ) -> Result<(), AggregatorError> {
        let closes = closes.into_iter();
        let mut made: BTreeMap<Interval, (usize, Child)> = closes
            .map(|(leaf, close)| (leaf, (close, Child::Close)))
            .collect();
        let whole = tree.shape.root();
        for node in tree.shape.nodes() {
            // A single item is passed on by a join without a right child.
            if node.count() > 1 || node == whole {
                let join = self.join(node.first(), tree, node, &made)?;
                made.insert(node, (join, Child::Join));
            }
        }
        let &(root, child) = made.get(&whole).ok_or(AggregatorError::NoInput)?;
        let statement = *tree.statement(whole)?;
        let at = (whole.first(), whole);
        self.add(at, Work::Wrap { child, statement }, vec![root], None)?;
        Ok(())
    }

    fn join(
        &mut self,
        item: u64,
        tree: &Tree,
        node: Interval,
        made: &BTreeMap<Interval, (usize, Child)>,
    ) -> Result<usize, AggregatorError> {
        let mut below = tree.shape.children(node);
        if below.is_empty() {
            below.push(node);
        }
        let below: Vec<(usize, Child)> = below
            .iter()
            .filter_map(|child| made.get(child).copied())
            .collect();
        let (left, right) = match below.as_slice() {
            [(_, left)] => (*left, None),
            [(_, left), (_, right)] => (*left, Some(*right)),
            // Trees here are of arity 2.
            _ => {
                return Err(AggregatorError::Arity {
                    arity: below.len() as u8,
                });
            }
        };
        let work = Work::Join {
            left,
            right,
            statement: *tree.statement(node)?,
        };
        let children = below.iter().map(|&(child, _)| child).collect();
        self.add((item, node), work, children, None)
    }
}
