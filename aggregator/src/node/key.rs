//! Keys of nodes' circuits, and the set of those that a tree allows.
//!
//! A key is the commitment to a circuit's preprocessed columns: which gates it has and how they are wired. `allowed_root` is
//! the root of a Merkle tree of fixed depth over the hashes of keys, each with its role, machine and version.

use std::fmt;

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use p3_symmetric::{PseudoCompressionFunction, TruncatedPermutation};
use serde::{Deserialize, Serialize};
use starkwright_hal::HalField;

use crate::circuit::layout::CELL_WORDS;
use crate::statement::Digest;
use crate::statement::hash::hash;

/// Depth of the tree of allowed keys.
pub const KEY_TREE_DEPTH: usize = 4;
/// Tag of a key's hash.
pub(super) const KEY_TAG: u32 = u32::from_be_bytes(*b"KEYS");

/// What a circuit does in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Verifies a machine's proof.
    Lift,
    /// Brings a lift to the uniform shape.
    Shrink,
    /// Joins two nodes.
    Join,
    /// Closes a complete range of segments into an item.
    Close,
    /// Brings a join or a close to the shape that a wrap verifies.
    Seal,
}

impl Role {
    /// The role's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lift => "lift",
            Self::Shrink => "shrink",
            Self::Join => "join",
            Self::Close => "close",
            Self::Seal => "seal",
        }
    }

    /// The role's number in a key's hash.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Lift => 1,
            Self::Shrink => 2,
            Self::Join => 3,
            Self::Close => 4,
            Self::Seal => 5,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key: role, machine (0 for none), version, and the commitment to preprocessed columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeKey {
    /// The role.
    pub role: Role,
    /// The machine's id; 0 for a join.
    pub machine: u32,
    /// The machine's version; 0 for a join.
    pub version: u32,
    /// The commitment's digests.
    pub cap: Vec<Digest>,
}

impl NodeKey {
    /// The first block of a key's hash.
    pub(super) fn head(&self) -> Digest {
        let mut head = [KoalaBear::ZERO; CELL_WORDS];
        let values = [KEY_TAG, self.role.number(), self.machine, self.version];
        for (slot, value) in head.iter_mut().zip(values) {
            *slot = KoalaBear::from_u32(value);
        }
        head
    }

    /// The key's hash: head, then the commitment's digests.
    pub fn digest(&self) -> Digest {
        let mut preimage = self.head().to_vec();
        preimage.extend(self.cap.iter().flatten());
        hash(&preimage)
    }
}

/// The keys that a tree allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedKeys {
    /// Hashes level by level, the keys' first.
    levels: Vec<Vec<Digest>>,
}

impl AllowedKeys {
    /// The set of these keys: at most `2^KEY_TREE_DEPTH`, in this order; none for more.
    #[must_use]
    pub fn new(keys: &[NodeKey]) -> Option<Self> {
        let mut level: Vec<Digest> = keys.iter().map(NodeKey::digest).collect();
        if level.len() > 1 << KEY_TREE_DEPTH {
            return None;
        }
        // An empty place holds zeros, of which no key is known to be the preimage.
        level.resize(1 << KEY_TREE_DEPTH, [KoalaBear::ZERO; CELL_WORDS]);
        let compression =
            TruncatedPermutation::<_, 2, CELL_WORDS, 16>::new(KoalaBear::poseidon2_16());
        let mut levels = vec![level];
        for depth in 0..KEY_TREE_DEPTH {
            let pairs = levels[depth].chunks_exact(2);
            let next = pairs
                .map(|pair| compression.compress([pair[0], pair[1]]))
                .collect();
            levels.push(next);
        }
        Some(Self { levels })
    }

    /// The root: a statement's `allowed_root`.
    pub fn root(&self) -> Digest {
        self.levels[KEY_TREE_DEPTH][0]
    }

    /// A key's place and the siblings on its path, from the leaf up; none for a key that is not in the set.
    #[must_use]
    pub fn path(&self, key: &NodeKey) -> Option<(usize, Vec<Digest>)> {
        let digest = key.digest();
        let place = self.levels[0].iter().position(|known| *known == digest)?;
        let siblings = (0..KEY_TREE_DEPTH).map(|depth| self.levels[depth][(place >> depth) ^ 1]);
        Some((place, siblings.collect()))
    }
}
