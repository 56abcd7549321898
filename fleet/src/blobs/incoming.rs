//! A blob that comes in pieces.

use bytes::Bytes;
use object_store::WriteMultipart;
use sha2::{Digest as _, Sha256};

use super::damage::Damaged;
use super::failed;
use crate::FleetError;
use crate::task::{Blob, BlobHash};

/// A blob that is being stored. Dropped, it leaves nothing.
pub struct Incoming {
    pub(super) blob: Blob,
    pub(super) hash: Sha256,
    pub(super) bytes: u64,
    pub(super) write: WriteMultipart,
    pub(super) damaged: Damaged,
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
        self.damaged.set().remove(&self.blob.hash);
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
