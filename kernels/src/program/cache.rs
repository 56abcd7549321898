//! Built programs on disk.
//!
//! One file per program, named by its key (which covers source, options, device, driver and OpenCL version):
//!
//! ```text
//!   magic "STRKWRGT" · version u32 · key 32 bytes · length u64 of what follows the SHA-256 · its SHA-256
//!   length u32 of the signatures · signatures, a line each · binary                                    (little-endian)
//! ```
//!
//! The kernels' signatures are kept because some drivers forget them with the source.
//!
//! A file is written under another name and renamed, so readers see all of it or nothing. A file that differs from what
//! its header says is never handed to a driver (PoCL crashes on a truncated binary); it is replaced by the next build.
//! On Unix a folder that others may write is not used at all: what lies in it is run.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::KernelSignature;

/// A built program on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The driver's binary.
    pub(super) binary: Vec<u8>,
    /// The kernels' arguments, where the driver told them of the source.
    pub(super) signatures: Option<Vec<KernelSignature>>,
}

impl Entry {
    fn encode(&self) -> Vec<u8> {
        let signatures = self.signatures.iter().flatten().map(|s| s.encode() + "\n");
        let signatures: String = signatures.collect();
        let mut body = Vec::with_capacity(4 + signatures.len() + self.binary.len());
        body.extend_from_slice(&(signatures.len() as u32).to_le_bytes());
        body.extend_from_slice(signatures.as_bytes());
        body.extend_from_slice(&self.binary);
        body
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let (length, rest) = body.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (signatures, binary) = rest.split_at_checked(length)?;
        let lines = std::str::from_utf8(signatures).ok()?.lines();
        let signatures: Vec<_> = lines.map(KernelSignature::decode).collect::<Option<_>>()?;
        Some(Self {
            binary: binary.to_vec(),
            signatures: (!signatures.is_empty()).then_some(signatures),
        })
    }
}

/// A folder of built programs.
#[derive(Clone, Debug)]
pub(crate) struct DiskCache {
    folder: PathBuf,
}

const MAGIC: &[u8; 8] = b"STRKWRGT";
const VERSION: u32 = 1;
const HEADER: usize = 8 + 4 + 32 + 8 + 32;
/// Larger files are not ours: built programs are a few megabytes.
pub(super) const MOST_BYTES: u64 = 256 << 20;

impl DiskCache {
    /// The cache in `folder`, or in the user's cache folder; `None` where the user has none.
    pub(crate) fn at(folder: Option<PathBuf>) -> Option<Self> {
        let folder = folder.or_else(|| {
            let absolute = |name| {
                std::env::var_os(name)
                    .map(PathBuf::from)
                    .filter(|path| path.is_absolute())
            };
            let caches =
                absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
            Some(caches?.join("starkwright"))
        })?;
        Some(Self { folder })
    }

    fn path(&self, key: &[u8; 32]) -> PathBuf {
        let name: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(name + ".clbin")
    }

    /// The program stored under `key`, if there is one. A damaged file is an error, and so is a folder that others may
    /// write.
    pub(super) fn load(&self, key: &[u8; 32]) -> io::Result<Option<Entry>> {
        match fs::metadata(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            folder => check_private(&folder?)?,
        }
        let file = match File::open(self.path(key)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut bytes)?;
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "damaged cache file");
        let (header, body) = bytes.split_at_checked(HEADER).ok_or_else(damaged)?;
        if header != Self::header(key, body) {
            return Err(damaged());
        }
        Entry::decode(body).map(Some).ok_or_else(damaged)
    }

    /// Stores a program, unless the driver gave no binary.
    pub(super) fn store(&self, key: &[u8; 32], entry: &Entry) -> io::Result<()> {
        let body = entry.encode();
        if entry.binary.is_empty() || body.len() as u64 > MOST_BYTES - HEADER as u64 {
            return Ok(());
        }
        create_private(&self.folder)?;
        check_private(&fs::metadata(&self.folder)?)?;
        write_whole(&self.path(key), &[&Self::header(key, &body), &body])
    }

    fn header(key: &[u8; 32], body: &[u8]) -> Vec<u8> {
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(key);
        header.extend_from_slice(&(body.len() as u64).to_le_bytes());
        header.extend_from_slice(&Sha256::digest(body));
        header
    }
}

/// Writes a file under another name and renames it: readers see all of it, or what was there before.
pub(super) fn write_whole(path: &Path, pieces: &[&[u8]]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}-{}", std::process::id(), serial()));
    let temporary = PathBuf::from(temporary);
    let written = (|| {
        let mut file = File::create(&temporary)?;
        for piece in pieces {
            file.write_all(piece)?;
        }
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// A number that no other temporary file of this process has.
fn serial() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Makes a folder that only its owner can write: what lies in it is run.
pub(super) fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Refuses a folder that someone else than this user and root may write.
#[cfg(unix)]
fn check_private(folder: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;

    let owners = [0, user()];
    if owners.contains(&folder.uid()) && folder.mode() & 0o022 == 0 {
        return Ok(());
    }
    let why = "others may write the cache folder";
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

#[cfg(not(unix))]
fn check_private(_: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

/// The user that this process acts for.
#[cfg(unix)]
#[allow(unsafe_code)]
fn user() -> u32 {
    // SAFETY: a question without arguments, which cannot fail.
    unsafe { libc::geteuid() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn cache() -> (tempfile::TempDir, DiskCache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = DiskCache::at(Some(folder.path().join("programs"))).unwrap();
        (folder, cache)
    }

    fn entry(binary: &[u8]) -> Entry {
        let signatures = ["add(BVV)", "none()"].map(|text| KernelSignature::decode(text).unwrap());
        Entry {
            binary: binary.to_vec(),
            signatures: Some(signatures.to_vec()),
        }
    }

    #[test]
    fn stores_and_loads() {
        let (_folder, cache) = cache();
        assert_eq!(cache.load(&KEY).unwrap(), None);
        cache.store(&KEY, &entry(b"binary")).unwrap();
        cache.store(&KEY, &entry(b"newer")).unwrap();
        assert_eq!(cache.load(&KEY).unwrap(), Some(entry(b"newer")));
        assert_eq!(cache.load(&[8; 32]).unwrap(), None);
        let untold = Entry {
            signatures: None,
            ..entry(b"\n()")
        };
        cache.store(&KEY, &untold).unwrap();
        assert_eq!(cache.load(&KEY).unwrap(), Some(untold));
        // Nothing temporary is left.
        assert_eq!(fs::read_dir(&cache.folder).unwrap().count(), 1);
    }

    #[test]
    #[cfg(unix)]
    fn a_folder_that_others_may_write_is_not_used() {
        use std::os::unix::fs::PermissionsExt;

        let (_folder, cache) = cache();
        cache.store(&KEY, &entry(b"binary")).unwrap();
        let allow = |mode| {
            fs::set_permissions(&cache.folder, fs::Permissions::from_mode(mode)).unwrap();
        };
        for mode in [0o720, 0o702, 0o777] {
            allow(mode);
            let refused = cache.load(&KEY).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{mode:o}");
            assert!(cache.store(&KEY, &entry(b"newer")).is_err());
        }
        allow(0o755);
        assert_eq!(cache.load(&KEY).unwrap(), Some(entry(b"binary")));
        // Another user's, where this one may give folders away.
        if std::os::unix::fs::chown(&cache.folder, Some(user() + 1), None).is_ok() {
            assert!(cache.load(&KEY).is_err());
        }
    }

    #[test]
    fn no_binary_makes_no_file() {
        let (_folder, cache) = cache();
        cache.store(&KEY, &entry(b"")).unwrap();
        assert_eq!(cache.load(&KEY).unwrap(), None);
    }

    #[test]
    fn every_truncation_and_every_flipped_byte_is_seen() {
        let (_folder, cache) = cache();
        cache.store(&KEY, &entry(b"some binary")).unwrap();
        let good = fs::read(cache.path(&KEY)).unwrap();
        for length in 0..good.len() {
            fs::write(cache.path(&KEY), &good[..length]).unwrap();
            assert!(cache.load(&KEY).is_err(), "truncated to {length}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs::write(cache.path(&KEY), &bad).unwrap();
            assert!(cache.load(&KEY).is_err(), "flipped at {at}");
        }
        // Another program's file under this name.
        cache.store(&[8; 32], &entry(b"some binary")).unwrap();
        fs::rename(cache.path(&[8; 32]), cache.path(&KEY)).unwrap();
        assert!(cache.load(&KEY).is_err());
        // A whole file whose inside is nonsense.
        for body in [
            &[][..],
            &[1, 0, 0, 0],
            &[2, 0, 0, 0, 0xff, 0xfe],
            &[2, 0, 0, 0, b'x', b'\n'],
        ] {
            let mut file = DiskCache::header(&KEY, body);
            file.extend_from_slice(body);
            fs::write(cache.path(&KEY), &file).unwrap();
            assert!(cache.load(&KEY).is_err(), "{body:?}");
        }
    }
}
