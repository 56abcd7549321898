//! Every hash of the statements: its elements in order.
//!
//! The hash is p3's `PaddingFreeSponge` over Poseidon2 of width 16 (rate 8, digest 8) with the
//! parameters of `starkwright_hal::HalField::poseidon2_16`. Element 0 of each preimage is a tag that
//! no other preimage has, and a tag fixes the length; without padding that is what keeps preimages
//! apart. The first eight elements hold the tag and small values, so that digests fill whole blocks
//! of the rate.
//!
//! Numbers are four 16-bit limbs, least significant first.
//!
//! | hash | elements | of |
//! |---|---|---|
//! | state | 112 | `STAT`, machine id, version, 0, blocks (4); state (100 limbs: 25 lanes, order x + 5y); bytes (4) |
//! | segment | 24 | `SEGM`, machine id, version, first + 2·last, index (4); begin (8); end (8) |
//! | item | 24 | `ITEM`, machine id, version, 0, length (4); Keccak-256 digest (16 limbs) |
//! | accumulator | 24 | `ACCU`, 0, 0, 0, position (4); old (8); item (8) |
//! | list | 24 | `LIST`, 0 seven times; left list (8); right list (8) |
//! | statement | 56 | the encoding, [`super::layout`]; its tag is `TREE` |
//!
//! A tag is its four letters as a big-endian number.

use std::sync::LazyLock;

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use p3_symmetric::{CryptographicHasher, PaddingFreeSponge};
use starkwright_hal::HalField;

/// Elements of a digest.
pub const DIGEST_LEN: usize = 8;
/// A Poseidon2 digest.
pub type Digest = [KoalaBear; DIGEST_LEN];
/// A 64-bit number as field elements: four 16-bit limbs, least significant first.
pub type Limbs = [KoalaBear; 4];

/// Tag of [`state_preimage`].
pub const STATE_TAG: u32 = u32::from_be_bytes(*b"STAT");
/// Tag of [`segment_preimage`].
pub const SEGMENT_TAG: u32 = u32::from_be_bytes(*b"SEGM");
/// Tag of [`item_preimage`].
pub const ITEM_TAG: u32 = u32::from_be_bytes(*b"ITEM");
/// Tag of [`accumulator_preimage`].
pub const ACCUMULATOR_TAG: u32 = u32::from_be_bytes(*b"ACCU");
/// Tag of [`list_preimage`].
pub const LIST_TAG: u32 = u32::from_be_bytes(*b"LIST");
/// Tag of a statement's encoding.
pub const STATEMENT_TAG: u32 = u32::from_be_bytes(*b"TREE");

type Sponge = PaddingFreeSponge<<KoalaBear as HalField>::Perm16, 16, 8, DIGEST_LEN>;

static SPONGE: LazyLock<Sponge> = LazyLock::new(|| Sponge::new(KoalaBear::poseidon2_16()));

/// The hash of a preimage.
pub fn hash(preimage: &[KoalaBear]) -> Digest {
    SPONGE.hash_iter(preimage.iter().copied())
}

/// The limbs of a number.
pub fn limbs(number: u64) -> Limbs {
    // Truncation takes the limb.
    core::array::from_fn(|limb| KoalaBear::from_u16((number >> (16 * limb)) as u16))
}

/// A machine's identity as two elements: id, version. In every hash about segments, so that
/// segments of two machines, or of two versions, never chain.
pub type Identity = [KoalaBear; 2];

/// Of the digest of a state between two segments: a statement's `begin` or `end` at level 0.
///
/// `state` is a machine's state and `blocks`, `bytes` its counters, as in its public values.
pub fn state_preimage(
    identity: Identity,
    state: &[KoalaBear; 100],
    blocks: Limbs,
    bytes: Limbs,
) -> [KoalaBear; 112] {
    let small = [identity[0], identity[1], KoalaBear::ZERO];
    concat(STATE_TAG, &[&small, &blocks, state, &bytes])
}

/// Of a segment's list digest.
pub fn segment_preimage(
    identity: Identity,
    first: KoalaBear,
    last: KoalaBear,
    index: Limbs,
    begin: &Digest,
    end: &Digest,
) -> [KoalaBear; 24] {
    let small = [identity[0], identity[1], first + last.double()];
    concat(SEGMENT_TAG, &[&small, &index, begin, end])
}

/// Of an item's list digest: its Keccak-256 digest (the first four lanes of the final state) and its
/// length in bytes. How the item was cut into segments is not in it.
pub fn item_preimage(
    identity: Identity,
    digest: &[KoalaBear; 16],
    length: Limbs,
) -> [KoalaBear; 24] {
    let small = [identity[0], identity[1], KoalaBear::ZERO];
    concat(ITEM_TAG, &[&small, &length, digest])
}

/// Of the accumulator after an item: `old` is the one before, `item` the item's list digest,
/// `position` its index at level 1.
pub fn accumulator_preimage(position: Limbs, old: &Digest, item: &Digest) -> [KoalaBear; 24] {
    concat(
        ACCUMULATOR_TAG,
        &[&[KoalaBear::ZERO; 3], &position, old, item],
    )
}

/// Of a join's list digest.
pub fn list_preimage(left: &Digest, right: &Digest) -> [KoalaBear; 24] {
    concat(LIST_TAG, &[&[KoalaBear::ZERO; 7], left, right])
}

/// Tag and parts, one after the other; the callers' parts have the length that the type says.
fn concat<const N: usize>(tag: u32, parts: &[&[KoalaBear]]) -> [KoalaBear; N] {
    debug_assert_eq!(1 + parts.iter().map(|part| part.len()).sum::<usize>(), N);
    let mut elements = [KoalaBear::ZERO; N];
    let tag = [KoalaBear::from_u32(tag)];
    let items = tag.iter().chain(parts.iter().copied().flatten());
    for (slot, &item) in elements.iter_mut().zip(items) {
        *slot = item;
    }
    elements
}
