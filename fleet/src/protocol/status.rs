//! Errors on the wire: which code says what.

use std::error::Error as _;

use tonic::{Code, Status};

use crate::FleetError;

/// An error of this side, for the other one.
pub(crate) fn to_status(error: FleetError) -> Status {
    let code = match &error {
        FleetError::Malformed { .. }
        | FleetError::Plan { .. }
        | FleetError::Unprovable { .. }
        | FleetError::UnknownUrl { .. }
        | FleetError::BlobDamaged { .. } => Code::InvalidArgument,
        FleetError::UnknownJob { .. }
        | FleetError::UnknownTask { .. }
        | FleetError::UnknownProver { .. }
        | FleetError::UnknownBlob { .. } => Code::NotFound,
        FleetError::UnknownMachine { .. }
        | FleetError::State { .. }
        | FleetError::Refused { .. }
        | FleetError::JobFailed { .. } => Code::FailedPrecondition,
        FleetError::Full { .. } => Code::ResourceExhausted,
        FleetError::Quarantined { .. } => Code::PermissionDenied,
        // The store may be back in a moment: whoever asks tries again.
        FleetError::Database { .. } | FleetError::Blobs { .. } | FleetError::Unreachable { .. } => {
            Code::Unavailable
        }
        _ => Code::Internal,
    };
    Status::new(code, error.to_string())
}

/// The other side's error, here.
pub(crate) fn from_status(address: &str, status: &Status) -> FleetError {
    let why = status.message().to_owned();
    match status.code() {
        // What the transport found has a source; what the other side said has none.
        Code::Unavailable if status.source().is_none() => FleetError::Unable {
            address: address.to_owned(),
            why,
        },
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => FleetError::Unreachable {
            address: address.to_owned(),
            why,
        },
        Code::Unauthenticated => FleetError::Refused {
            why: format!(
                "{address} refused the token ({why}): set STARKWRIGHT_TOKEN, or name a file with --token-file"
            ),
        },
        Code::Unimplemented => FleetError::Refused {
            why: format!(
                "{address} does not speak this protocol: is it an aggregator of this version?"
            ),
        },
        _ => FleetError::Refused { why },
    }
}

/// Whether the same request may succeed a little later.
pub(crate) fn is_passing(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown
    )
}
