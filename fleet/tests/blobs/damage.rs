//! Blobs whose bytes were altered where they lie.

use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::aws::AmazonS3Builder;
use starkwright_fleet::FleetError;
use starkwright_fleet::blobs::Blobs;
use starkwright_fleet::task::{Blob, BlobRange};

use super::suite::{content, in_pieces};

/// Writes other bytes under a blob's name.
pub(crate) async fn overwrite(url: &str, blob: &Blob, bytes: Bytes) {
    let digits = blob.hash.to_string();
    let name = format!("{}/{digits}", &digits[..2]);
    if let Some(folder) = url.strip_prefix("file://") {
        std::fs::write(std::path::Path::new(folder).join(name), bytes).unwrap();
        return;
    }
    let path = url.strip_prefix("s3://").unwrap();
    let (bucket, prefix) = path.split_once('/').unwrap();
    let store = AmazonS3Builder::from_env().with_bucket_name(bucket);
    let store = store.build().unwrap();
    let path = format!("{prefix}/{name}").into();
    store.put(&path, bytes.into()).await.unwrap();
}

fn is_damage<T>(found: Result<T, FleetError>) {
    let error = found.map(drop).unwrap_err();
    assert!(matches!(error, FleetError::BlobDamaged { .. }), "{error}");
}

pub(crate) async fn is_found_and_healed(url: &str) {
    let blobs = Blobs::open(url).unwrap();
    let right = content(5000);
    let mut flipped = right.to_vec();
    flipped[4999] ^= 1;
    let longer = [&right[..], b"!"].concat();
    let damages = [
        flipped.into(),
        right.slice(..4999),
        longer.into(),
        Bytes::new(),
    ];
    for damage in damages {
        let blob = blobs.put(right.clone()).await.unwrap();
        overwrite(url, &blob, damage.clone()).await;
        is_damage(blobs.get(&blob).await);
        assert!(!blobs.have(&blob).await.unwrap());
        if damage.len() != right.len() {
            // Parts cannot be checked, but for the length of the whole.
            let end = BlobRange {
                blob,
                offset: 4000,
                bytes: 1000,
            };
            is_damage(blobs.read(&end).await);
        }
        // Delivered again.
        blobs.put(right.clone()).await.unwrap();
        assert!(blobs.have(&blob).await.unwrap());
        assert_eq!(blobs.get(&blob).await.unwrap(), right);
        // Uploaded again.
        overwrite(url, &blob, damage).await;
        is_damage(blobs.get(&blob).await);
        assert_eq!(in_pieces(&blobs, &right).await, blob);
        assert!(blobs.have(&blob).await.unwrap());
        assert_eq!(blobs.get(&blob).await.unwrap(), right);
    }
}
