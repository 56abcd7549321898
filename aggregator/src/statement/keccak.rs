//! Leaves of the tree from Keccak-256 proofs: segments, and items closed over them.

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use starkwright_prover::machine::Machine;
use starkwright_prover::machine::keccak::public_values as pv;
use starkwright_prover::machine::keccak::{KeccakMachine, SegmentStatement, State};

use super::hash::{
    Identity, accumulator_preimage, hash, item_preimage, limbs, segment_preimage, state_preimage,
};
use super::{Digest, Level, Rule, TreeStatement};
use crate::AggregatorError;

/// The statement of a leaf of level 0: of one segment, whose proof a lift verifies.
///
/// Begin and end are digests of state and counters before and after, the list digest is the
/// segment's ([`segment_preimage`]), the first index is the segment's, the count is 1; context,
/// `first` and `last` are the segment's.
///
/// A circuit computes it from the proof's public values, whose own constraints keep all that is
/// checked here but one thing: that the segment with index 0 is `first`. If it is not, its statement
/// can be joined, and never closed.
///
/// # Errors
/// [`AggregatorError::Segment`]: the segment's statement contradicts itself, or an element of its
/// context is not below the field's modulus.
pub fn leaf_of_keccak(
    segment: &SegmentStatement,
    allowed_root: &Digest,
) -> Result<TreeStatement, AggregatorError> {
    let wrong = |source| AggregatorError::Segment {
        index: segment.index,
        source,
    };
    segment.validate().map_err(wrong)?;
    let values: Vec<KoalaBear> = segment.to_public_values().map_err(wrong)?;
    let identity = part(&values, pv::ID);
    let state_digest = |state, blocks, bytes| {
        hash(&state_preimage(
            identity,
            &part(&values, state),
            part(&values, blocks),
            part(&values, bytes),
        ))
    };
    let begin = state_digest(pv::STATE_BEFORE, pv::BLOCKS_BEFORE, pv::BYTES_BEFORE);
    let end = state_digest(pv::STATE_AFTER, pv::BLOCKS_AFTER, pv::BYTES_AFTER);
    let list = segment_preimage(
        identity,
        values[pv::FIRST],
        values[pv::LAST],
        part(&values, pv::INDEX),
        &begin,
        &end,
    );
    Ok(TreeStatement {
        level: Level::Segments,
        context: part(&values, pv::CONTEXT),
        begin,
        end,
        list: hash(&list),
        first_index: segment.index,
        count: 1,
        first: segment.first,
        last: segment.last,
        allowed_root: *allowed_root,
    })
}

/// The state in which a Keccak-256 job ends: what a statement's `end` is the digest of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeccakOpening {
    /// The sponge's state; its first four lanes are the digest of the file.
    pub state: State,
    /// Blocks absorbed.
    pub blocks: u64,
    /// Bytes absorbed: the length of the file.
    pub bytes: u64,
}

impl KeccakOpening {
    /// The state after a segment.
    #[must_use]
    pub const fn after(segment: &SegmentStatement) -> Self {
        Self {
            state: segment.state_after,
            blocks: segment.blocks_after,
            bytes: segment.bytes_after,
        }
    }

    /// Its digest: the `end` of a statement that leads to it.
    pub fn digest(&self) -> Digest {
        hash(&self.preimage())
    }

    /// What [`Self::digest`] hashes: [`state_preimage`].
    pub fn preimage(&self) -> [KoalaBear; 112] {
        let (blocks, bytes) = (limbs(self.blocks), limbs(self.bytes));
        state_preimage(identity(), &self.limbs(), blocks, bytes)
    }

    /// The list digest of the item that ends here: its Keccak-256 digest and its length.
    pub fn item(&self) -> Digest {
        let digest = part(&self.limbs(), 0);
        hash(&item_preimage(identity(), &digest, limbs(self.bytes)))
    }

    fn limbs(&self) -> [KoalaBear; 100] {
        core::array::from_fn(|limb| limbs(self.state[limb / 4])[limb % 4])
    }
}

/// The statement of a leaf of level 1: of one item, a complete range of segments, closed.
///
/// `opening` is the state in which the item ends, `old` the accumulator before the item and
/// `position` its index among the items. The result leads from `old` to
/// `hash(accumulator_preimage(position, old, item))` where `item` is [`KeccakOpening::item`], which
/// is also its list digest; its count is 1, `first` and `last` are 0; context and root are the
/// segments'.
///
/// That the state before the item is zero needs no opening: the leaf with `first` begins with it. Nor
/// does a circuit range-check the opening's limbs: they have the digest of limbs that were checked.
///
/// # Errors
/// [`AggregatorError::Statement`] for a statement that is none, then [`AggregatorError::Close`] with
/// the first rule broken, in the order in which [`Rule`] lists them.
pub fn close_keccak(
    inner: &TreeStatement,
    opening: &KeccakOpening,
    position: u64,
    old: &Digest,
) -> Result<TreeStatement, AggregatorError> {
    let leaves = inner.leaves()?;
    let rules = [
        (Rule::InnerLevel, inner.level == Level::Segments),
        (Rule::InnerIndex, inner.first_index == 0),
        (Rule::InnerFirst, inner.first),
        (Rule::InnerLast, inner.last),
        (Rule::Opening, opening.digest() == inner.end),
    ];
    if let Some((rule, _)) = rules.into_iter().find(|(_, holds)| !holds) {
        return Err(AggregatorError::Close {
            inner: leaves,
            rule,
        });
    }
    let item = opening.item();
    Ok(TreeStatement {
        level: Level::Items,
        context: inner.context,
        begin: *old,
        end: accumulate(position, old, &item),
        list: item,
        first_index: position,
        count: 1,
        first: false,
        last: false,
        allowed_root: inner.allowed_root,
    })
}

/// The list digest of the item that is a file with this Keccak-256 digest and length: [`KeccakOpening::item`].
pub fn item_of(digest: &[u8; 32], length: u64) -> Digest {
    // Lanes are little-endian, limbs and bytes of a lane alike.
    let limbs_of_digest: [KoalaBear; 16] = core::array::from_fn(|i| {
        KoalaBear::from_u16(u16::from_le_bytes([digest[2 * i], digest[2 * i + 1]]))
    });
    hash(&item_preimage(identity(), &limbs_of_digest, limbs(length)))
}

/// The accumulator after an item at `position`.
pub fn accumulate(position: u64, old: &Digest, item: &Digest) -> Digest {
    hash(&accumulator_preimage(limbs(position), old, item))
}

/// The machine's id and version.
fn identity() -> Identity {
    [KeccakMachine::ID, KeccakMachine::VERSION].map(KoalaBear::from_u32)
}

/// `N` elements from `start`; the callers' ranges are constants inside the layout.
fn part<const N: usize>(elements: &[KoalaBear], start: usize) -> [KoalaBear; N] {
    core::array::from_fn(|i| elements[start + i])
}
