//! The keys of a profile: which circuits a tree may be made of, and what a verifier trusts.

use std::collections::BTreeMap;

use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::KoalaBear;
use serde::{Deserialize, Serialize};
use starkwright_prover::profile::Profile;

use super::key::{AllowedKeys, NodeKey, Role};
use super::wrap::ByteDigest;
use crate::AggregatorError;
use crate::node_file::Kind;
use crate::statement::{DIGEST_LEN, Digest};

/// The keys of every circuit of one profile.
///
/// A key file is committed for each profile ([`Keys::of`]); `starkwright circuit --write` derives it again from the
/// circuits, and CI compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Keys of lifts, by the base-2 logarithm of the height of the proofs that they lift.
    pub lifts: BTreeMap<usize, NodeKey>,
    /// Keys of their shrinks.
    pub shrinks: BTreeMap<usize, NodeKey>,
    /// The join's key.
    pub join: NodeKey,
    /// The close's key.
    pub close: NodeKey,
    /// The seal's key.
    pub seal: NodeKey,
    /// The wrap's key.
    pub wrap: Vec<ByteDigest>,
}

/// A key file: digests as hexadecimal digits, eight for each of a Poseidon2 digest's canonical elements.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    profile: Profile,
    /// The root of the allowed keys: follows from shrinks, join and close, and is compared.
    allowed_root: String,
    keys: Vec<KeyEntry>,
    wrap: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    role: Role,
    /// Of lifts and shrinks: the base-2 logarithm of the height of the machine's tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_height: Option<usize>,
    machine: u32,
    version: u32,
    cap: Vec<String>,
}

impl Keys {
    /// The keys of a profile, from the file that this library was built with.
    ///
    /// # Errors
    /// [`AggregatorError::KeyFile`] where the file is damaged.
    pub fn of(profile: Profile) -> Result<Self, AggregatorError> {
        let text = match profile {
            Profile::Proven100 => include_str!("../../keys/proven100.json"),
            Profile::Conjectured100 => include_str!("../../keys/conjectured100.json"),
        };
        Self::parse(profile, text)
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`AggregatorError::KeyFile`] for what is no key file of this profile, lacks a key, or has one that it should not have.
    pub fn parse(profile: Profile, text: &str) -> Result<Self, AggregatorError> {
        let wrong = |why: String| AggregatorError::KeyFile { profile, why };
        let file: KeyFile = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        if file.profile != profile {
            return Err(wrong(format!("it is of {}", file.profile)));
        }
        let (mut lifts, mut shrinks) = (BTreeMap::new(), BTreeMap::new());
        let [mut join, mut close, mut seal] = [None, None, None];
        for entry in file.keys {
            let cap = entry.cap.iter().map(|digest| elements(digest));
            let cap: Option<Vec<Digest>> = cap.collect();
            let key = NodeKey {
                role: entry.role,
                machine: entry.machine,
                version: entry.version,
                cap: cap.ok_or_else(|| wrong(format!("a {}'s digest is none", entry.role)))?,
            };
            let old = match (entry.role, entry.log_height) {
                (Role::Lift, Some(log)) => lifts.insert(log, key),
                (Role::Shrink, Some(log)) => shrinks.insert(log, key),
                (Role::Join, None) => join.replace(key),
                (Role::Close, None) => close.replace(key),
                (Role::Seal, None) => seal.replace(key),
                (role, _) => return Err(wrong(format!("a {role} with or without a height"))),
            };
            if old.is_some() {
                return Err(wrong(format!("two keys of one {}", entry.role)));
            }
        }
        let missing = |role: Role| wrong(format!("no key of the {role}"));
        let wrap: Option<Vec<ByteDigest>> = file.wrap.iter().map(|text| bytes(text)).collect();
        let keys = Self {
            lifts,
            shrinks,
            join: join.ok_or_else(|| missing(Role::Join))?,
            close: close.ok_or_else(|| missing(Role::Close))?,
            seal: seal.ok_or_else(|| missing(Role::Seal))?,
            wrap: wrap.ok_or_else(|| wrong("the wrap's digest is none".to_owned()))?,
        };
        let root = keys.allowed(profile)?.root();
        if elements(&file.allowed_root) != Some(root) {
            return Err(wrong("its root is not that of its keys".to_owned()));
        }
        Ok(keys)
    }

    /// The key file's text.
    ///
    /// # Errors
    /// [`AggregatorError::KeyFile`] where there are more keys than the tree has places.
    pub fn to_json(&self, profile: Profile) -> Result<String, AggregatorError> {
        let entry = |key: &NodeKey, log_height: Option<usize>| KeyEntry {
            role: key.role,
            log_height,
            machine: key.machine,
            version: key.version,
            cap: key.cap.iter().map(hex_elements).collect(),
        };
        let mut keys: Vec<KeyEntry> = Vec::new();
        for (&log, key) in self.lifts.iter().chain(&self.shrinks) {
            keys.push(entry(key, Some(log)));
        }
        keys.extend([&self.join, &self.close, &self.seal].map(|key| entry(key, None)));
        let file = KeyFile {
            profile,
            allowed_root: hex_elements(&self.allowed(profile)?.root()),
            keys,
            wrap: self.wrap.iter().map(|digest| hex(digest)).collect(),
        };
        let text =
            serde_json::to_string_pretty(&file).map_err(|error| AggregatorError::KeyFile {
                profile,
                why: error.to_string(),
            })?;
        Ok(text + "\n")
    }

    /// The key of a kind of node.
    ///
    /// # Errors
    /// [`AggregatorError::UnknownKey`] for a lift or shrink of a height without one; [`AggregatorError::NodeFile`] for a wrap, which
    /// is no node.
    pub fn of_kind(&self, kind: Kind) -> Result<&NodeKey, AggregatorError> {
        match kind {
            Kind::Lift { log_leaf } => self
                .lifts
                .get(&usize::from(log_leaf))
                .ok_or(AggregatorError::UnknownKey),
            Kind::Shrink { log_leaf } => self
                .shrinks
                .get(&usize::from(log_leaf))
                .ok_or(AggregatorError::UnknownKey),
            Kind::Join => Ok(&self.join),
            Kind::Close => Ok(&self.close),
            Kind::Wrap => Err(AggregatorError::NodeFile {
                why: "it holds a wrap, and a node is wanted".to_owned(),
            }),
        }
    }

    /// The keys that nodes of the uniform shape may have: shrinks by height, join, close.
    ///
    /// # Errors
    /// [`AggregatorError::KeyFile`] where there are more than the tree has places.
    pub fn allowed(&self, profile: Profile) -> Result<AllowedKeys, AggregatorError> {
        allowed(&self.shrinks, &self.join, &self.close).ok_or_else(|| AggregatorError::KeyFile {
            profile,
            why: "more keys than there are places".to_owned(),
        })
    }
}

/// The allowed keys in their order; none where they are too many.
pub(super) fn allowed(
    shrinks: &BTreeMap<usize, NodeKey>,
    join: &NodeKey,
    close: &NodeKey,
) -> Option<AllowedKeys> {
    let keys: Vec<NodeKey> = shrinks.values().chain([join, close]).cloned().collect();
    AllowedKeys::new(&keys)
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hex_elements(digest: &Digest) -> String {
    let elements = digest.iter();
    elements
        .map(|element| format!("{:08x}", element.as_canonical_u32()))
        .collect()
}

/// Elements from eight hexadecimal digits each; none for other digits, another length, or an element out of the field.
fn elements(text: &str) -> Option<Digest> {
    let words = bytes(text)?;
    let mut digest = [KoalaBear::ZERO; DIGEST_LEN];
    for (element, word) in digest.iter_mut().zip(words.chunks_exact(4)) {
        let value = word
            .iter()
            .fold(0, |value, &byte| value << 8 | u32::from(byte));
        if value >= KoalaBear::ORDER_U32 {
            return None;
        }
        *element = KoalaBear::from_u32(value);
    }
    Some(digest)
}

fn bytes(text: &str) -> Option<ByteDigest> {
    if text.len() != 64
        || !text
            .bytes()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    {
        return None;
    }
    let mut bytes = ByteDigest::default();
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_files_are_read_and_written_back() {
        for profile in Profile::ALL {
            let keys = Keys::of(profile).unwrap();
            let text = keys.to_json(profile).unwrap();
            assert_eq!(Keys::parse(profile, &text).unwrap(), keys);
        }
    }

    #[test]
    fn a_file_that_lies_is_refused() {
        let profile = Profile::Proven100;
        let text = Keys::of(profile).unwrap().to_json(profile).unwrap();
        let refused = |text: String| Keys::parse(profile, &text).unwrap_err();
        // A digit of a shrink's key, which is under the root. (Lifts stand in their shrinks.)
        let shrink = text.find("shrink").unwrap();
        let at = shrink + text[shrink..].find("cap").unwrap() + 40;
        let mut other = text.clone().into_bytes();
        other[at] = if other[at] == b'0' { b'1' } else { b'0' };
        refused(String::from_utf8(other).unwrap());
        refused(text.replace("\"join\"", "\"close\""));
        refused(text.replace("proven100", "conjectured100"));
        refused(text.replacen("\"machine\": 0", "\"machine\": 1", 1));
        refused(text.replacen("\"allowed_root\": \"", "\"allowed_root\": \"0", 1));
        refused(text.replacen('{', "{\"more\": 1,", 1));
        refused(text[..text.len() / 2].to_owned());
        Keys::parse(Profile::Conjectured100, &text).unwrap_err();
    }
}
