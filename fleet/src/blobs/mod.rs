//! Inputs and proofs, each under the SHA-256 of its bytes.
//!
//! `file://FOLDER` or `s3://BUCKET/PREFIX`, whose endpoint and credentials are read from the environment
//! as every S3 client does (`AWS_ENDPOINT`, `AWS_ACCESS_KEY_ID`, …); `memory:` for tests. A blob appears under its name
//! complete or not at all, and on a disk it is synced before it appears: the queue only ever names what is there. What no row
//! names is collected (`Blobs::collect`).
//!
//! A blob that is read whole is checked against its name. One that was damaged where it lies is not had any more from then on,
//! so that whoever has its bytes sends them again; written again, it is whole.

mod damage;
mod incoming;
mod leftovers;

use std::io::{self, Read};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::ClientConfigKey;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, WriteMultipart};
use sha2::{Digest as _, Sha256};

use crate::FleetError;
use crate::store::JobStore;
use crate::task::{Blob, BlobHash, BlobRange};

use damage::{Damaged, checked};

pub use incoming::Incoming;

/// Addresses of stores of blobs.
const URLS: &[&str] = &["file:///FOLDER", "s3://BUCKET/PREFIX", "memory:"];

/// Bytes written at a time; S3 takes parts of 5 MiB and more, and ten thousand of them at most.
const PART: u64 = 8 << 20;
const PARTS: u64 = 10_000;

/// Longest blob that is stored: 1 TiB.
pub const MAX_BLOB_BYTES: u64 = 1 << 40;

/// A store of blobs. Clones share it.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    damaged: Damaged,
    /// Where the store is a folder.
    folder: Option<PathBuf>,
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
    /// [`FleetError::UnknownUrl`]; [`FleetError::Io`] where the folder cannot be made; [`FleetError::Settings`] for an endpoint
    /// without TLS where that is not allowed; [`FleetError::Blobs`]. Whether a bucket is there is not looked up.
    pub fn open(url: &str) -> Result<Self, FleetError> {
        if url == "memory:" {
            return Ok(Self::on(InMemory::new()));
        }
        if let Some(folder) = url.strip_prefix("file://") {
            return Self::folder(FilePath::new(folder));
        }
        if let Some(rest) = url.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let store = s3_of_environment()?.with_bucket_name(bucket).build();
            let store = store.map_err(failed("open the bucket"))?;
            return Ok(Self::on(PrefixStore::new(store, prefix)));
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
        let store = store.with_fsync(true).with_automatic_cleanup(false);
        Ok(Self {
            folder: Some(folder.to_owned()),
            ..Self::on(store)
        })
    }

    fn on(store: impl ObjectStore) -> Self {
        Self {
            store: Arc::new(store),
            damaged: Damaged::default(),
            folder: None,
        }
    }

    /// Stores bytes, also those that are there already: they may have been damaged, or be about to be collected.
    ///
    /// # Errors
    /// [`FleetError::Blobs`].
    pub async fn put(&self, bytes: Bytes) -> Result<Blob, FleetError> {
        let blob = Blob {
            hash: BlobHash::of(&bytes),
            bytes: bytes.len() as u64,
        };
        let put = self.store.put(&path_of(blob.hash), bytes.into()).await;
        put.map_err(failed("write"))?;
        self.damaged.set().remove(&blob.hash);
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
        let part = PART.max(blob.bytes.div_ceil(PARTS)) as usize;
        Ok(Incoming {
            blob,
            hash: Sha256::new(),
            bytes: 0,
            write: WriteMultipart::new_with_chunk_size(upload.map_err(failed("write"))?, part),
            damaged: self.damaged.clone(),
        })
    }

    /// Whether a blob is there, in its length, and was not found damaged.
    ///
    /// # Errors
    /// [`FleetError::Blobs`].
    pub async fn have(&self, blob: &Blob) -> Result<bool, FleetError> {
        match self.store.head(&path_of(blob.hash)).await {
            Ok(meta) => Ok(meta.size == blob.bytes && !self.damaged.set().contains(&blob.hash)),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed("look up a blob")(error)),
        }
    }

    /// A whole blob in memory, checked against its name.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn get(&self, blob: &Blob) -> Result<Bytes, FleetError> {
        let pieces: Vec<Bytes> = self.read(&whole(*blob)).await?.try_collect().await?;
        Ok(pieces.concat().into())
    }

    /// Part of a blob, as it is read. The stream of a whole blob ends with an error where its bytes are not what its name
    /// says.
    ///
    /// # Errors
    /// [`FleetError::Malformed`] for a part beyond its end; [`FleetError::UnknownBlob`], [`FleetError::BlobDamaged`],
    /// [`FleetError::Blobs`].
    pub async fn read(
        &self,
        range: &BlobRange,
    ) -> Result<BoxStream<'static, Result<Bytes, FleetError>>, FleetError> {
        let (blob, hash) = (range.blob, range.blob.hash);
        let end = range.offset.checked_add(range.bytes);
        let Some(end) = end.filter(|&end| end <= blob.bytes) else {
            return Err(FleetError::Malformed {
                what: "part of a blob",
                why: "it reaches beyond the blob's end".to_owned(),
            });
        };
        if range.bytes == 0 && blob.bytes > 0 {
            return Ok(futures::stream::empty().boxed());
        }
        let options = GetOptions {
            // No part is empty.
            range: (range.bytes > 0).then(|| (range.offset..end).into()),
            ..GetOptions::default()
        };
        let found = match self.store.get_opts(&path_of(hash), options).await {
            Ok(found) if found.meta.size == blob.bytes => found,
            Ok(found) => return Err(wrong_length(blob, found.meta.size)),
            Err(error) => return Err(self.unreadable(blob, error).await),
        };
        let stream = found.into_stream().map_err(failed("read")).boxed();
        if *range == whole(blob) {
            return Ok(checked(stream, hash, self.damaged.clone()));
        }
        Ok(stream)
    }

    /// Why a blob cannot be read. A part that lies beyond what is left of it is an error of the store's.
    async fn unreadable(&self, blob: Blob, error: object_store::Error) -> FleetError {
        if let object_store::Error::NotFound { .. } = error {
            return FleetError::UnknownBlob { hash: blob.hash };
        }
        match self.store.head(&path_of(blob.hash)).await {
            Ok(meta) if meta.size != blob.bytes => wrong_length(blob, meta.size),
            _ => failed("read")(error),
        }
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
        let stream = runtime
            .block_on(self.read(&whole(blob)))
            .map_err(io::Error::other)?;
        Ok(StreamReader {
            runtime: runtime.clone(),
            stream,
            left: Bytes::new(),
        })
    }

    /// Removes blobs that nothing in the queue refers to and that are older than `grace` (those just written are named soon),
    /// and from a folder what crashes left of writes. Returns how many.
    ///
    /// # Errors
    /// [`FleetError::Blobs`], [`FleetError::Io`], the queue's.
    pub async fn collect(&self, queue: &dyn JobStore, grace: Duration) -> Result<u64, FleetError> {
        let mut removed = self.remove_leftovers(grace).await?;
        let now = SystemTime::now();
        let mut pages = self.store.list(None).try_ready_chunks(256);
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed("list")(error.1))?;
            let old = page.into_iter().filter_map(|meta| {
                let hash: BlobHash = meta.location.filename()?.parse().ok()?;
                (is_old(&meta, now, grace) && meta.location == path_of(hash)).then_some(hash)
            });
            let old: Vec<BlobHash> = old.collect();
            let referenced = queue.referenced(&old).await?;
            let unnamed = old.into_iter().zip(referenced);
            for hash in unnamed.filter_map(|(hash, named)| (!named).then_some(hash)) {
                removed += u64::from(self.remove_old(queue, hash, now, grace).await?);
            }
        }
        Ok(removed)
    }

    /// Removes a blob, unless it was written again since it was listed, as it is before it is named, or is named by now.
    async fn remove_old(
        &self,
        queue: &dyn JobStore,
        hash: BlobHash,
        now: SystemTime,
        grace: Duration,
    ) -> Result<bool, FleetError> {
        let path = path_of(hash);
        let removed = match self.store.head(&path).await {
            Ok(meta) if !is_old(&meta, now, grace) => return Ok(false),
            Ok(_) if queue.referenced(&[hash]).await? != [false] => return Ok(false),
            Ok(_) => self.store.delete(&path).await,
            Err(error) => Err(error),
        };
        match removed {
            Ok(()) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed("remove")(error)),
        }
    }

    async fn remove_leftovers(&self, grace: Duration) -> Result<u64, FleetError> {
        let Some(folder) = self.folder.clone() else {
            return Ok(0);
        };
        let path = folder.clone();
        let removing = tokio::task::spawn_blocking(move || leftovers::remove(&folder, grace));
        let removed = removing
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        removed.map_err(|source| FleetError::Io {
            what: "clear the folder",
            path,
            source,
        })
    }
}

fn is_old(meta: &ObjectMeta, now: SystemTime, grace: Duration) -> bool {
    let age = now.duration_since(SystemTime::from(meta.last_modified));
    age.is_ok_and(|age| age >= grace)
}

/// Endpoint and credentials.
fn s3_of_environment() -> Result<AmazonS3Builder, FleetError> {
    // Its HTTP client brings no provider of its own. Whoever installed one before, keeps it.
    drop(rustls::crypto::ring::default_provider().install_default());
    let s3 = AmazonS3Builder::from_env();
    let endpoints = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
    let endpoint = endpoints.iter().find_map(|key| s3.get_config_value(key));
    let allowed = s3.get_config_value(&AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
    match endpoint {
        Some(endpoint)
            if endpoint.starts_with("http://") && allowed.as_deref() == Some("false") =>
        {
            Err(FleetError::Settings {
                why: format!(
                    "{endpoint} is not encrypted: use https://, or set AWS_ALLOW_HTTP=true where the network is trusted"
                ),
            })
        }
        _ => Ok(s3),
    }
}

const fn whole(blob: Blob) -> BlobRange {
    BlobRange {
        blob,
        offset: 0,
        bytes: blob.bytes,
    }
}

fn wrong_length(blob: Blob, found: u64) -> FleetError {
    FleetError::BlobDamaged {
        hash: blob.hash,
        why: format!("{found} bytes, not {}", blob.bytes),
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

    #[test]
    fn an_unknown_address_is_refused_with_those_that_work() {
        let error = Blobs::open("ftp://host").err().unwrap().to_string();
        assert!(error.contains("s3://BUCKET"), "{error}");
    }
}
