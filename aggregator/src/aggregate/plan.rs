//! The plan: from the files' statements to the statement of every node.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use starkwright_prover::ProverError;
use starkwright_prover::keccak_file::LIMITS;
use starkwright_prover::machine::keccak::{Chain, SegmentShape, SegmentStatement};
use starkwright_prover::profile::Profile;
use starkwright_prover::proof_file::ProofReader;

use super::AggregateOptions;
use super::folder::Place;
use crate::AggregatorError;
use crate::node_file::Kind;
use crate::statement::{Digest, KeccakOpening, TreeStatement, close_keccak, leaf_of_keccak};
use crate::tree::{CanonicalTree, Interval};

/// Most segments of one run: statements of all their nodes are held in memory, a few hundred bytes each.
pub(crate) const MAX_SEGMENTS: u64 = 1 << 20;

/// A file's segments, in order.
pub(crate) type Segments = Vec<(SegmentShape, SegmentStatement)>;

/// The nodes of one tree and what they state.
pub(crate) struct Tree {
    pub(crate) shape: CanonicalTree,
    statements: BTreeMap<Interval, TreeStatement>,
}

impl Tree {
    fn new(leaves: Vec<TreeStatement>) -> Result<Self, AggregatorError> {
        let first = leaves.first().map_or(0, |leaf| leaf.first_index);
        let shape = CanonicalTree::new(first, leaves.len() as u64)?;
        let mut statements = BTreeMap::new();
        for leaf in leaves {
            statements.insert(leaf.leaves()?, leaf);
        }
        for node in shape.nodes().filter(|node| node.count() > 1) {
            let children = shape.children(node);
            let mut states = children.iter().filter_map(|child| statements.get(child));
            if let (Some(left), Some(right), None) = (states.next(), states.next(), states.next()) {
                let joined = TreeStatement::join(left, right)?;
                statements.insert(node, joined);
            }
        }
        Ok(Self { shape, statements })
    }

    /// What the node states.
    ///
    /// # Errors
    /// [`AggregatorError::Outside`] for what is no node.
    pub(crate) fn statement(&self, node: Interval) -> Result<&TreeStatement, AggregatorError> {
        let range = self.shape.root();
        self.statements
            .get(&node)
            .ok_or(AggregatorError::Outside { found: node, range })
    }
}

/// One file: a tree of segments, closed into an item.
pub(crate) struct Item {
    pub(crate) path: PathBuf,
    pub(crate) segments: Segments,
    pub(crate) tree: Tree,
    /// The state in which the file ends.
    pub(crate) opening: KeccakOpening,
    /// What the item states.
    pub(crate) closed: TreeStatement,
}

impl Item {
    /// The segment that a leaf of the file's tree is about; none for a join.
    pub(crate) fn segment(&self, node: Interval) -> Option<&(SegmentShape, SegmentStatement)> {
        let leaf = (node.count() == 1).then_some(node.first())?;
        self.segments.get(usize::try_from(leaf).ok()?)
    }

    /// Which circuit proves a node of the file's tree.
    pub(crate) fn kind(&self, node: Interval) -> Kind {
        match self.segment(node) {
            // A listed height is below 2^8.
            Some((shape, _)) => Kind::Shrink {
                log_leaf: shape.log_height() as u8,
            },
            None => Kind::Join,
        }
    }

    /// The same, and whose it is: two files may hold the same segments.
    pub(super) fn place(&self, node: Interval) -> Place {
        Place {
            kind: self.kind(node),
            item: Some(self.closed.first_index),
        }
    }

    /// A segment's proof does not hold.
    pub(super) fn false_segment(&self, index: u64, error: &ProverError) -> AggregatorError {
        rejected(&self.path, &format!("segment {index}: {error}"))
    }

    /// The file is no longer what was planned with.
    pub(super) fn changed(&self) -> AggregatorError {
        AggregatorError::Inputs {
            path: self.path.clone(),
            why: "it has changed while it was read".to_owned(),
        }
    }
}

/// All files.
pub(crate) struct Plan {
    pub(crate) profile: Profile,
    pub(crate) items: Vec<Item>,
    pub(crate) outer: Tree,
}

/// The profile of a proof file.
pub(super) fn profile_of(path: &Path) -> Result<Profile, AggregatorError> {
    Ok(open(path)?.header().profile)
}

/// Opens a proof file.
pub(super) fn open(path: &Path) -> Result<ProofReader<'static, BufReader<File>>, AggregatorError> {
    let file = File::open(path).map_err(|error| ProverError::Input {
        path: path.to_owned(),
        why: error.to_string(),
    })?;
    Ok(ProofReader::new(BufReader::new(file), LIMITS).map_err(ProverError::from)?)
}

impl Plan {
    /// Reads what the files state. No proof is looked at.
    pub(super) fn new(
        inputs: &[PathBuf],
        profile: Profile,
        allowed_root: &Digest,
        options: &AggregateOptions,
    ) -> Result<Self, AggregatorError> {
        let mut left = MAX_SEGMENTS;
        let files = inputs.iter().map(|path| {
            let segments = segments(path, profile, options.context, &mut left)?;
            Ok((path.clone(), segments))
        });
        Self::of_files(profile, allowed_root, (options.first, options.old), files)
    }

    /// The plan for these files, each with its name and its segments: the first one's item is at index `first`, behind
    /// the accumulator `old`.
    ///
    /// # Errors
    /// [`AggregatorError::NoInput`]; what the statements say where they do not chain to a whole file.
    pub(crate) fn of_files(
        profile: Profile,
        allowed_root: &Digest,
        (first, mut old): (u64, Digest),
        files: impl Iterator<Item = Result<(PathBuf, Segments), AggregatorError>>,
    ) -> Result<Self, AggregatorError> {
        let mut items = Vec::new();
        let mut outer = Vec::new();
        for (place, file) in files.enumerate() {
            let (path, segments) = file?;
            let place = place as u64;
            let position = first.checked_add(place).ok_or(AggregatorError::Range {
                first,
                count: place + 1,
            })?;
            let leaves = segments
                .iter()
                .map(|(_, segment)| leaf_of_keccak(segment, allowed_root));
            let tree = Tree::new(leaves.collect::<Result<_, _>>()?)?;
            let opening = segments
                .last()
                .map(|(_, segment)| KeccakOpening::after(segment));
            let opening = opening.ok_or(AggregatorError::NoInput)?;
            let inner = tree.statement(tree.shape.root())?;
            let closed = close_keccak(inner, &opening, position, &old)?;
            old = closed.end;
            outer.push(closed);
            items.push(Item {
                path,
                segments,
                tree,
                opening,
                closed,
            });
        }
        if items.is_empty() {
            return Err(AggregatorError::NoInput);
        }
        Ok(Self {
            profile,
            items,
            outer: Tree::new(outer)?,
        })
    }

    /// Segments of all files.
    pub(super) fn segments(&self) -> u64 {
        self.items
            .iter()
            .map(|item| item.segments.len() as u64)
            .sum()
    }

    /// Steps of the whole work: leaves, joins, closes.
    pub(super) fn steps(&self) -> u64 {
        let inner = self.items.iter().map(|item| {
            // A single segment is closed as it is.
            2 * item.segments.len() as u64
        });
        inner.sum::<u64>() + self.outer.shape.joins()
    }

    /// Proofs that must all hold: segments, lifts, shrinks and the steps above them.
    pub(crate) fn proofs(&self) -> u64 {
        2 * self.segments() + self.steps()
    }
}

/// A file that is no whole, valid proof.
fn rejected(path: &Path, why: &str) -> AggregatorError {
    let why = format!("{}: {why}", path.display());
    ProverError::Rejected { why }.into()
}

/// The statements of a whole file's segments, in order.
fn segments(
    path: &Path,
    profile: Profile,
    context: [u32; 8],
    left: &mut u64,
) -> Result<Segments, AggregatorError> {
    let refused = |why: String| AggregatorError::Inputs {
        path: path.to_owned(),
        why,
    };
    let mut reader = open(path)?;
    let found = reader.header().profile;
    if found != profile {
        return Err(refused(format!(
            "its profile is {found}, the first file's is {profile}, and profiles never mix in a tree"
        )));
    }
    let mut chain = Chain::default();
    let mut segments = Vec::new();
    while let Some(record) = reader.next_segment().map_err(ProverError::from)? {
        *left = left
            .checked_sub(1)
            .ok_or_else(|| refused(format!("more than {MAX_SEGMENTS} segments in all files")))?;
        let shape =
            SegmentShape::from_log_height(usize::from(record.log_height)).ok_or_else(|| {
                rejected(
                    path,
                    &format!("height 2^{} is not listed", record.log_height),
                )
            })?;
        let statement = SegmentStatement::from_bytes(&record.statement)
            .map_err(|error| rejected(path, &error.to_string()))?;
        if statement.context != context {
            return Err(refused(
                "its context is not the one expected (--context)".to_owned(),
            ));
        }
        chain
            .push(statement.clone())
            .map_err(|error| rejected(path, &error.to_string()))?;
        segments.push((shape, statement));
    }
    let whole = chain.finish();
    whole.map_err(|error| rejected(path, &error.to_string()))?;
    Ok(segments)
}
