//! The partial file: found or made, locked, and never another than the one that its name means.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{CHECKSUM_BYTES, HEADER_BYTES, Header, MachineTag, ProofFileError};
use crate::profile::Profile;

/// How often a file is opened that others rename or delete at the same moment.
const ATTEMPTS: usize = 16;

/// Where the segments of `path` are collected until the file is complete: `path` with `.partial` appended.
#[must_use]
pub fn partial_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".partial");
    PathBuf::from(name)
}

/// The partial file, locked.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) file: File,
    /// Whether there was none.
    pub(super) created: bool,
}

/// Opens or makes the partial file and locks it.
///
/// Between opening and locking, the process that wrote the file may have finished and renamed it: what was opened
/// would be a finished proof. So the name is looked up again under the lock, and everything is tried again where it
/// means another file by now.
pub(super) fn open(partial: &Path) -> Result<Partial, ProofFileError> {
    for _ in 0..ATTEMPTS {
        // `create_new` follows no symbolic link.
        let made = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(partial);
        let created = made.is_ok();
        let file = match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match open_existing(partial)? {
                    Some(file) => file,
                    None => continue,
                }
            }
            made => made.map_err(|source| io_error("create", partial, source))?,
        };
        lock(&file, partial)?;
        if still_names(partial, &file)? {
            if created {
                sync_directory(partial);
            }
            return Ok(Partial { file, created });
        }
    }
    Err(ProofFileError::InUse {
        path: partial.to_owned(),
    })
}

/// The file of this name, or `None` where it has gone since.
fn open_existing(partial: &Path) -> Result<Option<File>, ProofFileError> {
    let Some(metadata) = at(partial)? else {
        return Ok(None);
    };
    if !metadata.is_file() {
        let why = io::Error::other("it is a link or no regular file; delete it");
        return Err(io_error("open", partial, why));
    }
    match OpenOptions::new().read(true).write(true).open(partial) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened
            .map(Some)
            .map_err(|source| io_error("open", partial, source)),
    }
}

/// What stands under this name, links not followed.
fn at(path: &Path) -> Result<Option<Metadata>, ProofFileError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found
            .map(Some)
            .map_err(|source| io_error("read", path, source)),
    }
}

#[cfg(unix)]
fn still_names(path: &Path, file: &File) -> Result<bool, ProofFileError> {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
    let opened = file
        .metadata()
        .map_err(|source| io_error("read", path, source))?;
    Ok(at(path)?.map(identity) == Some(identity(opened)))
}

/// Elsewhere an open file cannot be renamed or deleted by others.
#[cfg(not(unix))]
fn still_names(_path: &Path, _file: &File) -> Result<bool, ProofFileError> {
    Ok(true)
}

/// Keeps a second process away from the same partial file.
fn lock(file: &File, partial: &Path) -> Result<(), ProofFileError> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(ProofFileError::InUse {
            path: partial.to_owned(),
        }),
        // File systems without locks exist; the lock is a courtesy, not needed for a correct file.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// Bytes of the file.
pub(super) fn length(file: &File, partial: &Path) -> Result<u64, ProofFileError> {
    let metadata = file
        .metadata()
        .map_err(|source| io_error("read", partial, source))?;
    Ok(metadata.len())
}

/// Whether the file holds nothing but the beginning of a header of this machine, under any profile.
pub(super) fn is_header_prefix(
    mut file: &File,
    partial: &Path,
    machine: MachineTag,
) -> Result<bool, ProofFileError> {
    const RECORD: usize = HEADER_BYTES + CHECKSUM_BYTES;
    let mut found = Vec::with_capacity(RECORD + 1);
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.take(RECORD as u64 + 1).read_to_end(&mut found))
        .map_err(|source| io_error("read", partial, source))?;
    Ok(Profile::ALL.into_iter().any(|profile| {
        let mut record = Header { machine, profile }.to_bytes().to_vec();
        let checksum: [u8; CHECKSUM_BYTES] = Sha256::digest(&record).into();
        record.extend(checksum);
        record.starts_with(&found)
    }))
}

/// Refuses an output that is a folder or a device: a rename onto a folder would fail only after everything is proven, and
/// one onto a device would replace it.
///
/// # Errors
/// [`ProofFileError::Io`].
pub fn refuse_special(path: &Path) -> Result<(), ProofFileError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            Err(io_error("write", path, io::ErrorKind::IsADirectory.into()))
        }
        Ok(metadata) if !metadata.is_file() => Err(io_error(
            "write",
            path,
            io::Error::other("it is no regular file; choose another output"),
        )),
        // What is wrong with the place is said when the partial file is made.
        _ => Ok(()),
    }
}

/// Makes a new name durable where directories can be opened (POSIX). The file's own data are synced apart.
pub fn sync_directory(path: &Path) {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
}

pub(super) fn io_error(verb: &str, path: &Path, source: io::Error) -> ProofFileError {
    ProofFileError::Io {
        doing: format!("{verb} {}", path.display()),
        source,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_means_another_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (name, renamed) = (folder.path().join("a"), folder.path().join("b"));
        let file = File::create(&name).unwrap();
        assert!(still_names(&name, &file).unwrap());
        // Finished and renamed by another process; then begun anew; then a link to it.
        fs::rename(&name, &renamed).unwrap();
        assert!(!still_names(&name, &file).unwrap());
        fs::write(&name, b"").unwrap();
        assert!(!still_names(&name, &file).unwrap());
        fs::remove_file(&name).unwrap();
        std::os::unix::fs::symlink(&renamed, &name).unwrap();
        assert!(!still_names(&name, &file).unwrap());
        assert!(still_names(&renamed, &file).unwrap());
    }
}
