//! What a crash leaves of a write to a folder: a file beside the blob's name, which no listing shows.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::task::BlobHash;

/// Removes those that are older than `grace`: younger ones may be being written. Returns how many.
pub(super) fn remove(folder: &Path, grace: Duration) -> io::Result<u64> {
    let (now, mut removed) = (SystemTime::now(), 0);
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let name = entry.file_name();
            // Staged by `object_store`: the name, `#`, a number.
            let staged = name.to_str().and_then(|name| name.split_once('#'));
            if staged.is_none_or(|(name, _)| name.parse::<BlobHash>().is_err()) {
                continue;
            }
            let age = now.duration_since(entry.metadata()?.modified()?);
            if age.is_ok_and(|age| age >= grace) {
                fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}
