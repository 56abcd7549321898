//! What a task needs: its part of the input, and its children's proofs.

use tonic::{Response, Status};

use super::retry::Retry;
use crate::FleetError;
use crate::link::Link;
use crate::protocol::wire::work_client::WorkClient;
use crate::protocol::{Wire, wire};
use crate::store::Claim;
use crate::task::{Blob, BlobHash, BlobRange};

/// Most bytes of an input or a proof that a prover holds: a segment has some hundred kilobytes, a proof a few megabytes.
const MAX_BYTES: u64 = 1 << 30;

/// Input and children of a task.
pub(super) async fn inputs(
    client: &WorkClient<Link>,
    retry: &Retry,
    claim: &Claim,
) -> Result<(Option<Vec<u8>>, Vec<Vec<u8>>), FleetError> {
    let input = match &claim.spec.input {
        Some(range) => Some(read(client, retry, range).await?),
        None => None,
    };
    let mut children = Vec::with_capacity(claim.children.len());
    for &blob in &claim.children {
        children.push(whole(client, retry, blob).await?);
    }
    Ok((input, children))
}

/// A whole blob, checked against its name: one that was damaged on its way is asked for again.
async fn whole(
    client: &WorkClient<Link>,
    retry: &Retry,
    blob: Blob,
) -> Result<Vec<u8>, FleetError> {
    let range = BlobRange {
        blob,
        offset: 0,
        bytes: blob.bytes,
    };
    for _ in 0..3 {
        let bytes = read(client, retry, &range).await?;
        if BlobHash::of(&bytes) == blob.hash {
            return Ok(bytes);
        }
    }
    Err(FleetError::BlobDamaged {
        hash: blob.hash,
        why: "three times its bytes came with another hash".to_owned(),
    })
}

async fn read(
    client: &WorkClient<Link>,
    retry: &Retry,
    range: &BlobRange,
) -> Result<Vec<u8>, FleetError> {
    if range.bytes > MAX_BYTES {
        return Err(FleetError::Malformed {
            what: "task",
            why: format!(
                "it reads {} bytes; {MAX_BYTES} are held at most",
                range.bytes
            ),
        });
    }
    let request = wire::GetBlobRequest {
        blob: Some(range.blob.to_wire()),
        offset: range.offset,
        bytes: range.bytes,
    };
    let wanted = range.bytes as usize;
    retry
        .call(|| once(client.clone(), request.clone(), wanted))
        .await
}

async fn once(
    mut client: WorkClient<Link>,
    request: wire::GetBlobRequest,
    wanted: usize,
) -> Result<Response<Vec<u8>>, Status> {
    let mut chunks = client.get_blob(request).await?.into_inner();
    let mut bytes = Vec::with_capacity(wanted);
    while let Some(chunk) = chunks.message().await? {
        if bytes.len() + chunk.data.len() > wanted {
            return Err(Status::data_loss("more bytes came than asked for"));
        }
        bytes.extend_from_slice(&chunk.data);
    }
    if bytes.len() != wanted {
        return Err(Status::unavailable("fewer bytes came than asked for"));
    }
    Ok(Response::new(bytes))
}
