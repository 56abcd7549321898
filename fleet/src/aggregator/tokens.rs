//! Who may ask: one token for submitters, one for provers.

use std::fmt;

use sha2::{Digest as _, Sha256};
use tonic::{Request, Status};

/// The tokens of an aggregator. Only their hashes are held: comparing those takes as long for a near miss as for any other.
#[derive(Clone, Default)]
pub struct Tokens {
    submit: Option<[u8; 32]>,
    work: Option<[u8; 32]>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = |token: &Option<_>| if token.is_some() { "set" } else { "none" };
        write!(
            f,
            "Tokens {{ submit: {}, work: {} }}",
            set(&self.submit),
            set(&self.work)
        )
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl Tokens {
    /// Tokens of submitters and of provers; without one anybody may ask.
    #[must_use]
    pub fn new(submit: Option<&str>, work: Option<&str>) -> Self {
        Self {
            submit: submit.map(hash),
            work: work.map(hash),
        }
    }

    /// Whether both are set.
    #[must_use]
    pub const fn are_set(&self) -> bool {
        self.submit.is_some() && self.work.is_some()
    }

    /// Whether they are set and differ: a submitter's must not open the provers' door.
    #[must_use]
    pub fn are_apart(&self) -> bool {
        self.are_set() && self.submit != self.work
    }

    pub(super) fn check_submit<T>(&self, request: Request<T>) -> Result<Request<T>, Status> {
        check(self.submit, "submitters'", request)
    }

    pub(super) fn check_work<T>(&self, request: Request<T>) -> Result<Request<T>, Status> {
        check(self.work, "provers'", request)
    }
}

fn check<T>(
    expected: Option<[u8; 32]>,
    whose: &str,
    request: Request<T>,
) -> Result<Request<T>, Status> {
    let Some(expected) = expected else {
        return Ok(request);
    };
    let sent = request.metadata().get("authorization");
    let sent = sent.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match sent {
        Some(token) if hash(token) == expected => Ok(request),
        Some(_) => Err(Status::unauthenticated(format!("not the {whose} token"))),
        None => Err(Status::unauthenticated(format!(
            "the {whose} token is needed"
        ))),
    }
}
