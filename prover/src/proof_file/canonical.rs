//! One value, one encoding: postcard made strict.
//!
//! postcard itself accepts integers in longer forms than needed and bytes after the value. A proof could then be
//! changed without changing what it proves, and its hash would name nothing. We re-encode what was decoded and compare.
//!
//! What decoding untrusted bytes costs: serde reserves at most 1 MiB for a vector before it has seen its elements,
//! whatever length is claimed, and every element of p3's proof types takes at least one byte (an empty vector, which
//! becomes 24 bytes; a growing vector holds up to three times what it needs while it moves). So memory stays below
//! about 72 times the length of the bytes, and time is linear in it. Field elements are checked to be below the modulus by p3.

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ProofFileError;

/// The canonical bytes of a proof.
pub fn encode<T: Serialize>(proof: &T) -> Result<Vec<u8>, ProofFileError> {
    postcard::to_allocvec(proof).map_err(|error| ProofFileError::Unencodable {
        why: error.to_string(),
    })
}

/// The proof whose canonical bytes these are. The caller bounds their number.
///
/// # Errors
/// [`ProofFileError::Undecodable`], [`ProofFileError::TrailingBytes`], or [`ProofFileError::NotCanonical`] where
/// [`encode`] would give other bytes.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, ProofFileError> {
    let undecodable = |error: postcard::Error| ProofFileError::Undecodable {
        why: error.to_string(),
    };
    let (proof, rest) = postcard::take_from_bytes::<T>(bytes).map_err(undecodable)?;
    if !rest.is_empty() {
        let offset = (bytes.len() - rest.len()) as u64;
        return Err(ProofFileError::TrailingBytes {
            offset,
            what: "the proof",
        });
    }
    let compare = Compare {
        expected: bytes,
        matched: 0,
        differs: false,
    };
    let compared = postcard::serialize_with_flavor(&proof, compare).map_err(|error| {
        ProofFileError::Unencodable {
            why: error.to_string(),
        }
    })?;
    if compared.differs || compared.matched < bytes.len() {
        return Err(ProofFileError::NotCanonical {
            offset: compared.matched as u64,
        });
    }
    Ok(proof)
}

/// A sink that stores nothing and finds the first byte that differs from `expected`.
struct Compare<'a> {
    expected: &'a [u8],
    matched: usize,
    differs: bool,
}

impl Flavor for Compare<'_> {
    type Output = Self;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        if !self.differs {
            match self.expected.get(self.matched) {
                Some(&expected) if expected == byte => self.matched += 1,
                _ => self.differs = true,
            }
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Self> {
        Ok(self)
    }
}
