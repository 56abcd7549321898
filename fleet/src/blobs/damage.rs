//! Blobs whose bytes are no longer what their names say.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use sha2::{Digest as _, Sha256};

use crate::FleetError;
use crate::task::BlobHash;

/// Blobs that were found damaged, and have not been written since. Forgotten with the process: they are found again.
#[derive(Clone, Default)]
pub(super) struct Damaged(Arc<Mutex<BTreeSet<BlobHash>>>);

impl Damaged {
    pub(super) fn set(&self) -> MutexGuard<'_, BTreeSet<BlobHash>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same pieces, and an error at their end where they have another hash.
pub(super) fn checked(
    pieces: BoxStream<'static, Result<Bytes, FleetError>>,
    name: BlobHash,
    damaged: Damaged,
) -> BoxStream<'static, Result<Bytes, FleetError>> {
    let state = (pieces, Sha256::new(), damaged);
    let next = move |(mut pieces, mut hash, damaged): (BoxStream<'static, _>, Sha256, Damaged)| async move {
        let piece: Option<Bytes> = pieces.try_next().await?;
        if let Some(piece) = piece {
            hash.update(&piece);
            return Ok(Some((piece, (pieces, hash, damaged))));
        }
        if hash.finalize()[..] == name.0 {
            // Found damaged before, it has been written anew.
            damaged.set().remove(&name);
            return Ok(None);
        }
        damaged.set().insert(name);
        Err(FleetError::BlobDamaged {
            hash: name,
            why: "its bytes have another hash".to_owned(),
        })
    };
    futures::stream::try_unfold(state, next).boxed()
}
