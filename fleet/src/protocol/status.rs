//! Errors on the wire: which code says what.

use std::error::Error;

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
    if let Some(trouble) = no_connection(status) {
        return FleetError::Refused {
            why: format!("{address}: {trouble}"),
        };
    }
    if broke_off(status) && !address.starts_with("https://") {
        return FleetError::Unreachable {
            address: address.to_owned(),
            why: format!(
                "the connection broke off ({why}); if it serves TLS, connect with https://"
            ),
        };
    }
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
    let passing = matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown
    );
    passing && no_connection(status).is_none()
}

/// What keeps the two sides from speaking with each other however often they try, and what to do about it: a certificate that
/// is not accepted, TLS on one side alone.
fn no_connection(status: &Status) -> Option<String> {
    causes(status).find_map(|error| {
        let inner = error.downcast_ref::<std::io::Error>()?.get_ref()?;
        refused_tls(inner.downcast_ref::<rustls::Error>()?)
    })
}

/// Whether there was a connection, and it ended. A server that expects TLS ends one without.
fn broke_off(status: &Status) -> bool {
    causes(status).any(|error| error.is::<tonic::transport::Error>())
        && !causes(status).any(|error| error.is::<tonic::ConnectError>())
}

fn causes(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(status.source(), |&error| error.source())
}

fn refused_tls(error: &rustls::Error) -> Option<String> {
    use rustls::CertificateError::{
        BadSignature, NotValidForName, NotValidForNameContext, UnknownIssuer,
    };
    match error {
        // Authorities of one name and different keys differ in their signatures.
        rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature) => Some(
            "nobody whom this host trusts signed its certificate: name the authority that did with --ca"
                .to_owned(),
        ),
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            Some(format!("{error}: connect by a name that it is valid for"))
        }
        rustls::Error::InvalidCertificate(why) if format!("{why:?}").contains("CaUsedAsEndEntity") => {
            Some(
                "its certificate is an authority's own: serve one that the authority signed for this host"
                    .to_owned(),
            )
        }
        rustls::Error::InvalidCertificate(_) => Some(error.to_string()),
        rustls::Error::InvalidMessage(_) => Some(format!(
            "it does not speak TLS ({error}): connect with http:// if it serves none"
        )),
        _ => None,
    }
}
