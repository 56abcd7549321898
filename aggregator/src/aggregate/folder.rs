//! The folder beside the output: finished nodes, one file each, until the root is there.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use p3_field::PrimeField32;

use crate::AggregatorError;
use crate::node_file::{Kind, NodeFile, io_error};
use crate::statement::TreeStatement;
use crate::tree::Interval;

/// Where the nodes of `output` are kept until it is complete: `output` with `.nodes` appended.
#[must_use]
pub fn folder_path(output: &Path) -> PathBuf {
    let mut name = OsString::from(output);
    name.push(".nodes");
    PathBuf::from(name)
}

/// Whose node it is, and which circuit's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: Kind,
    /// The index of the file whose segments it is about; none for items.
    pub(super) item: Option<u64>,
}

impl Place {
    /// An item.
    pub(super) const ITEM: Self = Self {
        kind: Kind::Close,
        item: None,
    };

    /// A node of the tree of items: of a single one the item, not the join over it.
    pub(super) fn of_items(node: Interval) -> Self {
        let kind = match node.count() {
            1 => Kind::Close,
            _ => Kind::Join,
        };
        Self { kind, item: None }
    }
}

/// The folder, locked against a second run.
pub(super) struct Folder {
    path: PathBuf,
    lock: File,
}

const LOCK: &str = "lock";

impl Folder {
    /// Opens the folder or makes it.
    ///
    /// # Errors
    /// [`AggregatorError::FolderExists`] where there are nodes in it and the run does not resume,
    /// [`AggregatorError::FolderInUse`], [`AggregatorError::Io`].
    pub(super) fn open(output: &Path, resume: bool) -> Result<Self, AggregatorError> {
        let path = folder_path(output);
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(|source| io_error("make", &path, source))?,
        }
        let lock_path = path.join(LOCK);
        let lock =
            File::create(&lock_path).map_err(|source| io_error("make", &lock_path, source))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(AggregatorError::FolderInUse { path });
            }
            // File systems without locks exist; the lock is a courtesy.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let folder = Self { path, lock };
        if !resume && folder.holds_nodes()? {
            let path = folder.path;
            return Err(AggregatorError::FolderExists { path });
        }
        // Of a run that was killed while it wrote.
        for half in folder.files("writing")? {
            let _ = fs::remove_file(half);
        }
        Ok(folder)
    }

    fn holds_nodes(&self) -> Result<bool, AggregatorError> {
        Ok(!self.files("node")?.is_empty())
    }

    /// The files with this extension.
    fn files(&self, extension: &str) -> Result<Vec<PathBuf>, AggregatorError> {
        let entries = fs::read_dir(&self.path);
        let entries = entries.map_err(|source| io_error("read", &self.path, source))?;
        let paths = entries.flatten().map(|entry| entry.path());
        Ok(paths
            .filter(|path| path.extension().is_some_and(|found| found == extension))
            .collect())
    }

    /// Where a node with this statement is kept: its name says which circuit's it is, of which file, and has the statement's
    /// digest.
    pub(super) fn path_of(&self, place: Place, statement: &TreeStatement) -> PathBuf {
        let digest = statement.digest();
        let digits = digest[..4]
            .iter()
            .map(|element| format!("{:08x}", element.as_canonical_u32()));
        let digits: String = digits.collect();
        let kind = match place.kind {
            Kind::Shrink { log_leaf } => format!("shrink{log_leaf}"),
            kind => kind.name().to_owned(),
        };
        let owner = match place.item {
            Some(item) => format!("segments-of-{item}"),
            None => "items".to_owned(),
        };
        self.path.join(format!("{owner}-{kind}-{digits}.node"))
    }

    /// The node with this statement, where it is kept and is what it should be. Its proof is not looked at.
    pub(super) fn find(
        &self,
        place: Place,
        statement: &TreeStatement,
    ) -> Result<NodeFile, AggregatorError> {
        let file = NodeFile::read(&self.path_of(place, statement))?;
        if file.kind != place.kind || file.statement != *statement {
            let why = "it is about another node".to_owned();
            return Err(AggregatorError::NodeFile { why });
        }
        Ok(file)
    }

    /// Removes a node that nothing needs any more.
    pub(super) fn remove(&self, place: Place, statement: &TreeStatement) {
        // What stays behind costs space and nothing else.
        let _ = fs::remove_file(self.path_of(place, statement));
    }

    /// Removes the folder, once the result has its name. What is not of this run stays, and the folder with it.
    pub(super) fn finish(self) {
        let _ = fs::remove_file(self.path.join(LOCK));
        let _ = fs::remove_dir(&self.path);
        drop(self.lock);
    }
}
