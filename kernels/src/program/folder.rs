//! A folder of programs made beforehand, for devices that compile nothing.
//!
//! Every program is three files of one name, `PROGRAM-VARIANT-KEY`, where the key is the start of the SHA-256 of source,
//! options and variant:
//!
//! ```text
//!   NAME.cl     the source, as an offline compiler is given it
//!   NAME.bin    what was made of it
//!   NAME.json   the binary's Manifest
//! ```
//!
//! The name says nothing of the device: a folder is for one. Each file is written under another name and renamed, the
//! manifest last, and without it a binary counts for nothing.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use starkwright_hal::HalError;

use super::cache::{MOST_BYTES, create_private, write_whole};
use super::{Manifest, Program, ProgramSource};
use crate::runtime::Variant;

/// Larger manifests are not ours.
const MOST_MANIFEST_BYTES: u64 = 1 << 20;

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct ProgramFolder {
    folder: PathBuf,
}

impl ProgramFolder {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The name of a program's files, without their endings.
    pub(super) fn stem(source: &ProgramSource, variant: Variant) -> String {
        let mut hash = Sha256::new();
        hash.update(source.hash());
        for field in [source.options(), variant.name()] {
            hash.update((field.len() as u64).to_le_bytes());
            hash.update(field);
        }
        let key: [u8; 32] = hash.finalize().into();
        let key: String = key[..12].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{}-{key}", source.name(), variant.name())
    }

    fn path(&self, stem: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{stem}.{ending}"))
    }

    pub(super) fn binary_path(&self, stem: &str) -> PathBuf {
        self.path(stem, "bin")
    }

    /// A binary with its manifest, unchecked; `None` where neither is there.
    pub(super) fn load(&self, stem: &str) -> Result<Option<(Vec<u8>, Manifest)>, String> {
        let binary = self.binary_path(stem);
        let manifest = self.path(stem, "json");
        match (
            read(&binary, MOST_BYTES)?,
            read(&manifest, MOST_MANIFEST_BYTES)?,
        ) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(format!("{} is missing", manifest.display())),
            (None, Some(_)) => Err(format!("{} is missing", binary.display())),
            (Some(bytes), Some(text)) => {
                let parsed = serde_json::from_slice(&text);
                let read = parsed.map_err(|error| format!("{}: {error}", manifest.display()))?;
                Ok(Some((bytes, read)))
            }
        }
    }

    /// Writes a program that was built from source.
    pub(crate) fn store(
        &self,
        source: &ProgramSource,
        program: &Program,
        variant: Variant,
    ) -> Result<(), HalError> {
        let ProgramSource::Source { parts, .. } = source else {
            return Err(HalError::invalid(EXPORT, "the program is not from source"));
        };
        let (bytes, manifest) = program.binary(source.field(), &[], 0)?;
        let text = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| HalError::invalid(EXPORT, error.to_string()))?;
        let stem = Self::stem(source, variant);
        let write = |ending, contents: &[u8]| {
            let path = self.path(&stem, ending);
            let written =
                create_private(&self.folder).and_then(|()| write_whole(&path, &[contents]));
            written.map_err(|error| {
                HalError::invalid(EXPORT, format!("cannot write {}: {error}", path.display()))
            })
        };
        write("cl", parts.concat().as_bytes())?;
        write("bin", &bytes)?;
        write("json", &text)
    }
}

const EXPORT: &str = "exporting programs";

/// A file's bytes, at most so many; `None` where there is no such file.
fn read(path: &Path, most: u64) -> Result<Option<Vec<u8>>, String> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    let mut bytes = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(format!("{}: more than {most} bytes", path.display()));
    }
    Ok(Some(bytes))
}
