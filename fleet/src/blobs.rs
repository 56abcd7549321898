//! Inputs and proofs, each under the SHA-256 of its bytes.
//!
//! `file://FOLDER` (an absolute path) or `s3://BUCKET/PREFIX`, whose endpoint and credentials are read from the environment
//! as every S3 client does (`AWS_ENDPOINT`, `AWS_ACCESS_KEY_ID`, …); `memory:` for tests. A blob appears under its name
//! complete or not at all, and on a disk it is synced before it appears: the queue only ever names what is there. What no row
//! names is collected (`Blobs::collect`).

use std::io::{self, Read};
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, WriteMultipart};
use sha2::{Digest as _, Sha256};

use crate::FleetError;
use crate::store::JobStore;
use crate::task::{Blob, BlobHash, BlobRange};

/// Addresses of stores of blobs.
const URLS: &[&str] = &["file:///FOLDER", "s3://BUCKET/PREFIX", "memory:"];

/// Bytes written at a time; S3 takes parts of 5 MiB and more.
const PART: usize = 8 << 20;

/// Longest blob that is stored: 1 TiB.
pub const MAX_BLOB_BYTES: u64 = 1 << 40;

/// A store of blobs. Clones share it.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
}

fn failed(what: &'static str) -> impl Fn(object_store::Error) -> FleetError {
    move |source| FleetError::Blobs { what, source }
}

/// Two digits make the folder, so that none grows too long.
fn path_of(hash: BlobHash) -> Path {
    let digits = hash.to_string();
    Path::from(format!("{}/{digits}", &digits[..2]))
}

impl Blobs {
    /// Opens the store at this address.
    ///
    /// # Errors
    /// [`FleetError::UnknownUrl`]; [`FleetError::Io`] where the folder cannot be made; [`FleetError::Blobs`].
    pub fn open(url: &str) -> Result<Self, FleetError> {
        if url == "memory:" {
            return Ok(Self {
                store: Arc::new(InMemory::new()),
            });
        }
        if let Some(folder) = url.strip_prefix("file://") {
            return Self::folder(FilePath::new(folder));
        }
        if let Some(rest) = url.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let store = AmazonS3Builder::from_env()
                .with_bucket_name(bucket)
                .build()
                .map_err(failed("open the bucket"))?;
            return Ok(Self {
                store: Arc::new(PrefixStore::new(store, prefix)),
            });
        }
        Err(FleetError::UnknownUrl {
            what: "store of proofs",
            url: url.to_owned(),
            known: URLS,
        })
    }

    /// Opens a folder, and makes it where it is missing.
    ///
    /// # Errors
    /// [`FleetError::Io`], [`FleetError::Blobs`].
    pub fn folder(folder: &FilePath) -> Result<Self, FleetError> {
        std::fs::create_dir_all(folder).map_err(|source| FleetError::Io {
            what: "make the folder",
            path: folder.to_owned(),
            source,
        })?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(failed("open the folder"))?;
        Ok(Self {
            store: Arc::new(store.with_fsync(true).with_automatic_cleanup(false)),
        })
    }

    /// Stores bytes. Those that are there already are not written again.
    ///
    /// # Errors
    /// [`FleetError::Blobs`].
    pub async fn put(&self, bytes: Bytes) -> Result<Blob, FleetError> {
        let blob = Blob {
            hash: BlobHash::of(&bytes),
            bytes: bytes.len() as u64,
        };
        if !self.have(&blob).await? {
            let path = path_of(blob.hash);
            self.store
                .put(&path, bytes.into())
                .await
                .map_err(failed("write"))?;
        }
        Ok(blob)
    }

    /// Begins to store a blob that comes in pieces.
    ///
    /// # Errors
    /// [`FleetError::Malformed`] where it is too long; [`FleetError::Blobs`].
    pub async fn begin(&self, blob: Blob) -> Result<Incoming, FleetError> {
        if blob.bytes > MAX_BLOB_BYTES {
            return Err(FleetError::Malformed {
                what: "blob",
                why: format!("{} bytes are more than {MAX_BLOB_BYTES}", blob.bytes),
            });
        }
        let path = path_of(blob.hash);
        let upload = self.store.put_multipart(&path).await;
        Ok(Incoming {
            blob,
            hash: Sha256::new(),
            bytes: 0,
            write: WriteMultipart::new_with_chunk_size(upload.map_err(failed("write"))?, PART),
        })
    }

    /// Whether a blob is there, in its length.
    ///
    /// # Errors
    /// [`FleetError::Blobs`].
    pub async fn have(&self, blob: &Blob) -> Result<bool, FleetError> {
        match self.store.head(&path_of(blob.hash)).await {
            Ok(meta) => Ok(meta.size == blob.bytes),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed("look up a blob")(error)),
        }
    }

    /// A whole blob in memory, checked against its name.
    ///
    /// # Errors
    /// [`FleetError::UnknownBlob`], [`FleetError::BlobDamaged`], [`FleetError::Blobs`].
    pub async fn get(&self, blob: &Blob) -> Result<Bytes, FleetError> {
        let found = self.store.get(&path_of(blob.hash)).await;
        let found = found.map_err(|error| missing(blob.hash, error))?;
        if found.meta.size != blob.bytes {
            return Err(FleetError::BlobDamaged {
                hash: blob.hash,
                why: format!("{} bytes, not {}", found.meta.size, blob.bytes),
            });
        }
        let bytes = found.bytes().await.map_err(failed("read"))?;
        if BlobHash::of(&bytes) != blob.hash {
            return Err(FleetError::BlobDamaged {
                hash: blob.hash,
                why: "its bytes have another hash".to_owned(),
            });
        }
        Ok(bytes)
    }

    /// Part of a blob, as it is read.
    ///
    /// # Errors
    /// [`FleetError::Malformed`] for a part beyond its end; [`FleetError::UnknownBlob`], [`FleetError::Blobs`].
    pub async fn read(
        &self,
        range: &BlobRange,
    ) -> Result<BoxStream<'static, Result<Bytes, FleetError>>, FleetError> {
        let end = range.offset.checked_add(range.bytes);
        let Some(end) = end.filter(|&end| end <= range.blob.bytes) else {
            return Err(FleetError::Malformed {
                what: "part of a blob",
                why: "it reaches beyond the blob's end".to_owned(),
            });
        };
        if range.bytes == 0 {
            return Ok(futures::stream::empty().boxed());
        }
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.offset..end)),
            ..GetOptions::default()
        };
        let hash = range.blob.hash;
        let found = self.store.get_opts(&path_of(hash), options).await;
        let stream = found.map_err(|error| missing(hash, error))?.into_stream();
        Ok(stream.map_err(failed("read")).boxed())
    }

    /// A blob as a blocking reader: for planning, off the asynchronous threads.
    ///
    /// # Errors
    /// As [`Self::read`], as an [`io::Error`].
    pub fn reader(
        &self,
        runtime: &tokio::runtime::Handle,
        blob: Blob,
    ) -> io::Result<impl Read + Send + use<>> {
        let all = BlobRange {
            blob,
            offset: 0,
            bytes: blob.bytes,
        };
        let stream = runtime
            .block_on(self.read(&all))
            .map_err(io::Error::other)?;
        Ok(StreamReader {
            runtime: runtime.clone(),
            stream,
            left: Bytes::new(),
        })
    }

    /// Removes blobs that nothing in the queue refers to and that are older than `grace`: those just written are named soon.
    /// Returns how many.
    ///
    /// # Errors
    /// [`FleetError::Blobs`], the queue's.
    pub async fn collect(&self, queue: &dyn JobStore, grace: Duration) -> Result<u64, FleetError> {
        let now = std::time::SystemTime::now();
        let mut removed = 0;
        let mut pages = self.store.list(None).try_ready_chunks(256);
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed("list")(error.1))?;
            let old = page.into_iter().filter_map(|meta| {
                let hash: BlobHash = meta.location.filename()?.parse().ok()?;
                let written = std::time::SystemTime::from(meta.last_modified);
                let age = now.duration_since(written).ok()?;
                (age >= grace && meta.location == path_of(hash)).then_some(hash)
            });
            let old: Vec<BlobHash> = old.collect();
            let referenced = queue.referenced(&old).await?;
            for (hash, referenced) in old.into_iter().zip(referenced) {
                if !referenced {
                    match self.store.delete(&path_of(hash)).await {
                        Ok(()) => removed += 1,
                        Err(object_store::Error::NotFound { .. }) => {}
                        Err(error) => return Err(failed("remove")(error)),
                    }
                }
            }
        }
        Ok(removed)
    }
}

fn missing(hash: BlobHash, error: object_store::Error) -> FleetError {
    match error {
        object_store::Error::NotFound { .. } => FleetError::UnknownBlob { hash },
        error => failed("read")(error),
    }
}

/// A blob that is being stored. Dropped, it leaves nothing.
pub struct Incoming {
    blob: Blob,
    hash: Sha256,
    bytes: u64,
    write: WriteMultipart,
}

impl Incoming {
    /// Takes the next piece.
    ///
    /// # Errors
    /// [`FleetError::BlobDamaged`] where more comes than was announced; [`FleetError::Blobs`].
    pub async fn push(&mut self, piece: Bytes) -> Result<(), FleetError> {
        self.bytes += piece.len() as u64;
        if self.bytes > self.blob.bytes {
            return Err(self.damaged(format!("more than {} bytes came", self.blob.bytes)));
        }
        self.hash.update(&piece);
        self.write
            .wait_for_capacity(4)
            .await
            .map_err(failed("write"))?;
        self.write.put(piece);
        Ok(())
    }

    /// Ends it: under its name from now on.
    ///
    /// # Errors
    /// [`FleetError::BlobDamaged`] where it is not what its name says: then nothing is kept. [`FleetError::Blobs`].
    pub async fn finish(self) -> Result<Blob, FleetError> {
        let found = BlobHash(self.hash.clone().finalize().into());
        if self.bytes != self.blob.bytes || found != self.blob.hash {
            let error = self.damaged(format!("{} bytes with hash {found} came", self.bytes));
            // What an abort leaves is not under the blob's name.
            let _ = self.write.abort().await;
            return Err(error);
        }
        self.write.finish().await.map_err(failed("write"))?;
        Ok(self.blob)
    }

    /// Gives it up.
    pub async fn abort(self) {
        // What an abort leaves is not under the blob's name.
        let _ = self.write.abort().await;
    }

    fn damaged(&self, why: String) -> FleetError {
        FleetError::BlobDamaged {
            hash: self.blob.hash,
            why,
        }
    }
}

struct StreamReader {
    runtime: tokio::runtime::Handle,
    stream: BoxStream<'static, Result<Bytes, FleetError>>,
    left: Bytes,
}

impl Read for StreamReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left.is_empty() {
            match self.runtime.block_on(self.stream.next()) {
                Some(piece) => self.left = piece.map_err(io::Error::other)?,
                None => return Ok(0),
            }
        }
        let taken = self.left.split_to(self.left.len().min(buffer.len()));
        buffer[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stores() -> Vec<(Blobs, Option<tempfile::TempDir>)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blobs");
        vec![
            (Blobs::open("memory:").unwrap(), None),
            (
                Blobs::open(&format!("file://{}", path.display())).unwrap(),
                Some(folder),
            ),
        ]
    }

    #[tokio::test]
    async fn what_is_put_is_got_back_whole_and_in_parts() {
        for (blobs, _folder) in stores() {
            let bytes: Bytes = (0..100_000u32).map(|i| (i % 251) as u8).collect();
            let blob = blobs.put(bytes.clone()).await.unwrap();
            assert_eq!(blobs.put(bytes.clone()).await.unwrap(), blob);
            assert_eq!(blobs.get(&blob).await.unwrap(), bytes);
            let range = BlobRange {
                blob,
                offset: 99_000,
                bytes: 1_000,
            };
            let parts = blobs.read(&range).await.unwrap();
            let parts: Vec<Bytes> = parts.try_collect().await.unwrap();
            assert_eq!(parts.concat(), bytes[99_000..]);
            let beyond = BlobRange {
                bytes: 1_001,
                ..range
            };
            assert!(blobs.read(&beyond).await.is_err());
            let other = Blob {
                hash: BlobHash::of(b"?"),
                bytes: 1,
            };
            assert!(matches!(
                blobs.get(&other).await,
                Err(FleetError::UnknownBlob { .. })
            ));
            assert!(!blobs.have(&other).await.unwrap());
        }
    }

    #[tokio::test]
    async fn pieces_become_a_blob_only_if_they_are_what_was_announced() {
        for (blobs, _folder) in stores() {
            let bytes = Bytes::from_static(b"first second");
            let blob = Blob {
                hash: BlobHash::of(&bytes),
                bytes: 12,
            };
            let lies = [&b"first secons"[..], b"first sec", b"first second!"];
            for lie in lies {
                let mut incoming = blobs.begin(blob).await.unwrap();
                let pushed = incoming.push(Bytes::from_static(lie)).await;
                if pushed.is_ok() {
                    assert!(incoming.finish().await.is_err());
                } else {
                    incoming.abort().await;
                }
                assert!(!blobs.have(&blob).await.unwrap());
            }
            let mut incoming = blobs.begin(blob).await.unwrap();
            incoming.push(bytes.slice(..5)).await.unwrap();
            incoming.push(bytes.slice(5..)).await.unwrap();
            assert_eq!(incoming.finish().await.unwrap(), blob);
            assert_eq!(blobs.get(&blob).await.unwrap(), bytes);
            let runtime = tokio::runtime::Handle::current();
            let store = blobs.clone();
            let read = tokio::task::spawn_blocking(move || {
                let mut all = Vec::new();
                store
                    .reader(&runtime, blob)
                    .unwrap()
                    .read_to_end(&mut all)
                    .unwrap();
                all
            });
            assert_eq!(read.await.unwrap(), bytes);
        }
    }

    #[tokio::test]
    async fn a_damaged_blob_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::folder(folder.path()).unwrap();
        let blob = blobs.put(Bytes::from_static(b"true")).await.unwrap();
        let digits = blob.hash.to_string();
        let path = folder.path().join(&digits[..2]).join(&digits);
        std::fs::write(&path, b"lies").unwrap();
        assert!(matches!(
            blobs.get(&blob).await,
            Err(FleetError::BlobDamaged { .. })
        ));
    }

    #[test]
    fn an_unknown_address_is_refused_with_those_that_work() {
        let error = Blobs::open("ftp://host").err().unwrap().to_string();
        assert!(error.contains("s3://BUCKET"), "{error}");
    }
}
