//! The folder beside the output: finished nodes, one file each, until the root is there.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use p3_field::PrimeField32;

use crate::AggregatorError;
use crate::node_file::{Kind, NodeFile, io_error};
use crate::statement::TreeStatement;

/// Where the nodes of `output` are kept until it is complete: `output` with `.nodes` appended.
#[must_use]
pub fn folder_path(output: &Path) -> PathBuf {
    let mut name = OsString::from(output);
    name.push(".nodes");
    PathBuf::from(name)
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
        Ok(folder)
    }

    fn holds_nodes(&self) -> Result<bool, AggregatorError> {
        let entries = fs::read_dir(&self.path);
        let entries = entries.map_err(|source| io_error("read", &self.path, source))?;
        Ok(entries
            .flatten()
            .any(|entry| entry.path().extension().is_some_and(|ext| ext == "node")))
    }

    /// Where a node with this statement is kept: its name is the statement's digest.
    pub(super) fn place(&self, kind: Kind, statement: &TreeStatement) -> PathBuf {
        let digest = statement.digest();
        let digits = digest[..4]
            .iter()
            .map(|element| format!("{:08x}", element.as_canonical_u32()));
        let digits: String = digits.collect();
        self.path.join(format!("{}-{digits}.node", kind.name()))
    }

    /// The node with this statement, where it is kept and is what it should be. Its proof is not looked at.
    pub(super) fn find(
        &self,
        kind: Kind,
        statement: &TreeStatement,
    ) -> Result<NodeFile, AggregatorError> {
        let file = NodeFile::read(&self.place(kind, statement))?;
        if file.kind != kind || file.statement != *statement {
            let why = "it is about another node".to_owned();
            return Err(AggregatorError::NodeFile { why });
        }
        Ok(file)
    }

    /// Removes a node that nothing needs any more.
    pub(super) fn remove(&self, kind: Kind, statement: &TreeStatement) {
        // What stays behind costs space and nothing else.
        let _ = fs::remove_file(self.place(kind, statement));
    }

    /// Removes the folder and what is in it, once the result has its name.
    pub(super) fn finish(self) {
        drop(self.lock);
        let _ = fs::remove_dir_all(&self.path);
    }
}
