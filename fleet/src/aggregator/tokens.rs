//! Who may ask: a token for submitters, and one or many for provers.

use std::fmt;

use sha2::{Digest as _, Sha256};
use tonic::{Request, Status};

use crate::FleetError;
use crate::protocol::{name, to_status};

type Hash = [u8; 32];

/// The tokens of an aggregator. Only their hashes are held: comparing those takes as long for a near miss as for any other.
#[derive(Clone, Default)]
pub struct Tokens {
    submit: Option<Hash>,
    work: Vec<WorkToken>,
}

#[derive(Clone)]
struct WorkToken {
    hash: Hash,
    caller: Caller,
}

/// Which provers a request may speak for: what its token says.
#[derive(Clone, Default)]
pub(super) struct Caller(Option<String>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let submit = if self.submit.is_some() { "set" } else { "none" };
        write!(
            f,
            "Tokens {{ submit: {submit}, work: {} }}",
            self.work.len()
        )
    }
}

fn hash(token: &str) -> Hash {
    Sha256::digest(token.as_bytes()).into()
}

impl Tokens {
    /// Tokens of submitters and of provers of any name; without one anybody may ask.
    #[must_use]
    pub fn new(submit: Option<&str>, work: Option<&str>) -> Self {
        let any = work.map(|token| WorkToken {
            hash: hash(token),
            caller: Caller::default(),
        });
        Self {
            submit: submit.map(hash),
            work: any.into_iter().collect(),
        }
    }

    /// Adds provers' tokens, one a line: `TOKEN` for provers of any name, `NAME TOKEN` for the prover of that name and those
    /// that are called `NAME.` and something. Empty lines and those that begin with `#` say nothing.
    ///
    /// # Errors
    /// [`FleetError::Malformed`] for another line, and where there is none, or a token twice.
    pub fn add_provers(&mut self, lines: &str) -> Result<(), FleetError> {
        let wrong = |why: String| FleetError::Malformed {
            what: "provers' tokens",
            why,
        };
        let lines = lines.lines().zip(1..).map(|(line, at)| (line.trim(), at));
        let mut none = true;
        for (line, at) in lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (caller, token) = match words.as_slice() {
                [token] => (None, token),
                [of, token] => (Some(name("prover's name", of)?), token),
                _ => {
                    return Err(wrong(format!("line {at} is neither TOKEN nor NAME TOKEN")));
                }
            };
            let hash = hash(token);
            if self.work.iter().any(|known| known.hash == hash) {
                return Err(wrong(format!(
                    "line {at} has a token that another line has"
                )));
            }
            self.work.push(WorkToken {
                hash,
                caller: Caller(caller),
            });
            none = false;
        }
        if none {
            return Err(wrong("there is none".to_owned()));
        }
        Ok(())
    }

    /// Whether submitters have one and provers do.
    #[must_use]
    pub const fn are_set(&self) -> bool {
        self.submit.is_some() && !self.work.is_empty()
    }

    /// Whether they are set and differ: a submitter's must not open the provers' door.
    #[must_use]
    pub fn are_apart(&self) -> bool {
        self.are_set()
            && self
                .work
                .iter()
                .all(|token| Some(token.hash) != self.submit)
    }

    pub(super) fn check_submit<T>(&self, request: Request<T>) -> Result<Request<T>, Status> {
        let Some(expected) = self.submit else {
            return Ok(request);
        };
        if shown(&request, "submitters'")? != expected {
            return Err(Status::unauthenticated("not the submitters' token"));
        }
        Ok(request)
    }

    /// The request with its [`Caller`].
    pub(super) fn check_work<T>(&self, mut request: Request<T>) -> Result<Request<T>, Status> {
        let mut caller = Caller::default();
        if !self.work.is_empty() {
            let shown = shown(&request, "provers'")?;
            let known = self.work.iter().find(|token| token.hash == shown);
            let known = known.ok_or_else(|| Status::unauthenticated("not the provers' token"))?;
            caller = known.caller.clone();
        }
        request.extensions_mut().insert(caller);
        Ok(request)
    }
}

/// The hash of the token that a request shows.
fn shown<T>(request: &Request<T>, whose: &str) -> Result<Hash, Status> {
    let sent = request.metadata().get("authorization");
    let sent = sent.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    sent.map(hash)
        .ok_or_else(|| Status::unauthenticated(format!("the {whose} token is needed")))
}

impl Caller {
    /// Of a request that [`Tokens::check_work`] let through.
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }

    /// Whether it may speak for this prover, and that is a name.
    pub(super) fn check(&self, prover: &str) -> Result<(), Status> {
        name("prover's name", prover).map_err(to_status)?;
        let Some(own) = &self.0 else {
            return Ok(());
        };
        let below = prover.strip_prefix(own.as_str());
        if below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
            return Ok(());
        }
        Err(Status::permission_denied(format!(
            "this token is for the prover {own} and those called {own}.*, not for {prover}: start it with --name {own}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(token: &str) -> Request<()> {
        let mut request = Request::new(());
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        request
    }

    #[test]
    fn a_token_with_a_name_speaks_for_that_name_alone() {
        let mut tokens = Tokens::new(Some("s"), None);
        tokens
            .add_provers("# ours\n\nany\n alice\ta-secret \nbob b-secret")
            .unwrap();
        assert!(tokens.are_apart());
        let speaks = |token: &str, name: &str| {
            let request = tokens.check_work(request(token)).unwrap();
            Caller::of(&request).check(name).is_ok()
        };
        for name in ["alice", "alice.1", "bob", "x"] {
            assert!(speaks("any", name));
        }
        assert!(speaks("a-secret", "alice") && speaks("a-secret", "alice.7.b"));
        for name in ["bob", "alicette", "alic", "", "ALICE"] {
            assert!(!speaks("a-secret", name), "{name}");
        }
        // What is no name is nobody's, whatever the token.
        for name in [
            "alice.\0",
            "alice. x",
            "alice.é",
            &format!("alice.{}", "x".repeat(100)),
        ] {
            assert!(!speaks("a-secret", name) && !speaks("any", name), "{name}");
        }
        for token in ["alice", "a-secre", "", "s"] {
            tokens.check_work(request(token)).unwrap_err();
        }
        tokens.check_submit(request("any")).unwrap_err();
        tokens.check_submit(request("s")).unwrap();
    }

    #[test]
    fn lines_that_are_no_tokens_are_refused() {
        for lines in ["", "# none", "a b c", "é b", "x\nx", "alice t\nbob t"] {
            let mut tokens = Tokens::default();
            let error = tokens.add_provers(lines).unwrap_err().to_string();
            assert!(error.contains("prover"), "{error}");
        }
        let mut tokens = Tokens::new(Some("one"), None);
        tokens.add_provers("alice one").unwrap();
        assert!(tokens.are_set() && !tokens.are_apart());
    }
}
