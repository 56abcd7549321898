//! What a store of blobs does, wherever it is.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use starkwright_fleet::FleetError;
use starkwright_fleet::blobs::Blobs;
use starkwright_fleet::store::{JobStore, Limits, MemoryStore};
use starkwright_fleet::task::{
    Blob, BlobHash, BlobRange, JobId, MachineId, NewJob, Place, TaskSpec,
};

pub(crate) fn content(bytes: usize) -> Bytes {
    (0..bytes).map(|at| (at * at % 251) as u8).collect()
}

pub(crate) fn name_of(bytes: &Bytes) -> Blob {
    Blob {
        hash: BlobHash::of(bytes),
        bytes: bytes.len() as u64,
    }
}

pub(crate) async fn in_pieces(blobs: &Blobs, bytes: &Bytes) -> Blob {
    let mut incoming = blobs.begin(name_of(bytes)).await.unwrap();
    for at in (0..bytes.len()).step_by(100_000) {
        let end = bytes.len().min(at + 100_000);
        incoming.push(bytes.slice(at..end)).await.unwrap();
    }
    incoming.finish().await.unwrap()
}

/// Everything, one after the other, on one store.
pub(crate) async fn all(url: &str) {
    let blobs = Blobs::open(url).unwrap();
    what_is_put_is_got_back_whole_and_in_parts(&blobs).await;
    what_is_not_there_is_not_had(&blobs).await;
    pieces_become_a_blob_only_if_they_are_what_was_announced(&blobs).await;
    long_blobs_and_empty_ones_come_in_pieces_too(&blobs).await;
    what_nothing_names_is_collected_once_it_is_old(&blobs).await;
}

async fn what_is_put_is_got_back_whole_and_in_parts(blobs: &Blobs) {
    for bytes in [content(100_000), content(1), content(0)] {
        let blob = blobs.put(bytes.clone()).await.unwrap();
        assert_eq!(blob, name_of(&bytes));
        assert!(blobs.have(&blob).await.unwrap());
        assert_eq!(blobs.put(bytes.clone()).await.unwrap(), blob);
        assert_eq!(blobs.get(&blob).await.unwrap(), bytes);
        let ends = [0, 1, bytes.len() / 2, bytes.len()];
        for (from, to) in ends.iter().flat_map(|&from| ends.map(|to| (from, to))) {
            if from > to || to > bytes.len() {
                continue;
            }
            let range = BlobRange {
                blob,
                offset: from as u64,
                bytes: (to - from) as u64,
            };
            let parts: Vec<Bytes> = (blobs.read(&range).await.unwrap())
                .try_collect()
                .await
                .unwrap();
            assert_eq!(parts.concat(), bytes[from..to]);
        }
        for (offset, more) in [(0, blob.bytes + 1), (blob.bytes, 1), (u64::MAX, 1)] {
            let beyond = BlobRange {
                blob,
                offset,
                bytes: more,
            };
            let refused = blobs.read(&beyond).await.map(drop);
            assert!(
                matches!(refused, Err(FleetError::Malformed { .. })),
                "{refused:?}"
            );
        }
    }
}

async fn what_is_not_there_is_not_had(blobs: &Blobs) {
    let absent = name_of(&Bytes::from_static(b"was never stored"));
    assert!(!blobs.have(&absent).await.unwrap());
    let error = blobs.get(&absent).await.unwrap_err();
    assert!(matches!(error, FleetError::UnknownBlob { .. }), "{error}");
    // Under its name in another length: that is not it, and the one that is there stays what it is.
    let bytes = content(1000);
    let blob = blobs.put(bytes.clone()).await.unwrap();
    for length in [0, 999, 1001] {
        let other = Blob {
            bytes: length,
            ..blob
        };
        assert!(!blobs.have(&other).await.unwrap());
        let error = blobs.get(&other).await.unwrap_err();
        assert!(matches!(error, FleetError::BlobDamaged { .. }), "{error}");
    }
    assert!(blobs.have(&blob).await.unwrap());
    assert_eq!(blobs.get(&blob).await.unwrap(), bytes);
}

async fn pieces_become_a_blob_only_if_they_are_what_was_announced(blobs: &Blobs) {
    let bytes = Bytes::from_static(b"first second");
    let blob = name_of(&bytes);
    for lie in [&b"first secons"[..], b"first sec", b"first second!"] {
        let mut incoming = blobs.begin(blob).await.unwrap();
        match incoming.push(Bytes::from_static(lie)).await {
            Ok(()) => drop(incoming.finish().await.unwrap_err()),
            Err(_) => incoming.abort().await,
        }
        assert!(!blobs.have(&blob).await.unwrap());
    }
    // Dropped half way.
    let mut incoming = blobs.begin(blob).await.unwrap();
    incoming.push(bytes.slice(..5)).await.unwrap();
    drop(incoming);
    assert!(!blobs.have(&blob).await.unwrap());
    assert_eq!(in_pieces(blobs, &bytes).await, blob);
    assert_eq!(blobs.get(&blob).await.unwrap(), bytes);
}

async fn long_blobs_and_empty_ones_come_in_pieces_too(blobs: &Blobs) {
    // Three parts of eight mebibytes, the last of them short.
    for length in [0, 20 << 20] {
        let bytes = content(length);
        let blob = in_pieces(blobs, &bytes).await;
        assert!(blobs.have(&blob).await.unwrap());
        let (runtime, store) = (tokio::runtime::Handle::current(), blobs.clone());
        let read = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            let mut reader = store.reader(&runtime, blob).unwrap();
            reader.read_to_end(&mut all).unwrap();
            all
        });
        assert!(read.await.unwrap() == bytes);
    }
}

/// A job that reads this blob and does nothing.
fn reads(blob: Blob) -> NewJob {
    NewJob {
        id: JobId::of(&[b"reads"]),
        machine: MachineId {
            name: "toy".to_owned(),
            version: "1".to_owned(),
        },
        payload: Vec::new(),
        stream: String::new(),
        first: 0,
        count: 1,
        priority: 0,
        inputs: vec![blob],
        trace: String::new(),
        tasks: vec![TaskSpec {
            kind: "leaf".to_owned(),
            place: Place::default(),
            circuit: "toy".to_owned(),
            urgency: 0,
            children: Vec::new(),
            input: None,
            payload: Vec::new(),
            memory: 0,
            work: 1,
        }],
    }
}

async fn what_nothing_names_is_collected_once_it_is_old(blobs: &Blobs) {
    let queue = MemoryStore::new(Limits::default());
    // Whatever was stored until here.
    blobs.collect(&queue, Duration::ZERO).await.unwrap();
    let named = blobs.put(content(500)).await.unwrap();
    queue.submit(&reads(named)).await.unwrap();
    let mut loose = Vec::new();
    for length in 0..20 {
        loose.push(blobs.put(content(length)).await.unwrap());
    }
    let hour = Duration::from_secs(3600);
    assert_eq!(blobs.collect(&queue, hour).await.unwrap(), 0);
    assert_eq!(blobs.collect(&queue, Duration::ZERO).await.unwrap(), 20);
    for blob in &loose {
        assert!(!blobs.have(blob).await.unwrap());
    }
    assert!(blobs.have(&named).await.unwrap());
    assert_eq!(blobs.collect(&queue, Duration::ZERO).await.unwrap(), 0);
}

/// Two fleets may share a bucket.
pub(crate) async fn prefixes_are_apart(url: &str) {
    let one = Blobs::open(&format!("{url}/one")).unwrap();
    let other = Blobs::open(&format!("{url}/other")).unwrap();
    let blob = one.put(content(10)).await.unwrap();
    assert!(!other.have(&blob).await.unwrap());
    let queue = MemoryStore::new(Limits::default());
    assert_eq!(other.collect(&queue, Duration::ZERO).await.unwrap(), 0);
    assert!(one.have(&blob).await.unwrap());
    assert_eq!(one.collect(&queue, Duration::ZERO).await.unwrap(), 1);
}
