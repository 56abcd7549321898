//! A node's proof as a child: its public values, its key, its verification.

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use starkwright_hal::Extension;
use starkwright_hal::Poseidon2Merkle;
use starkwright_prover::challenger::Protocol;

use super::key::{AllowedKeys, KEY_TREE_DEPTH, NodeKey};
use super::proof::NodeProof;
use crate::AggregatorError;
use crate::circuit::layout::{CELL_WORDS, CHILDREN, POWERS};
use crate::circuit::{Base, Builder, Ext, Octet, PathIndex};
use crate::verify::Cap;

/// The public values of a child: its statement's digest, given, and the powers of its challenges, from the input
/// ([`challenge_words`]).
pub(super) fn public_values(builder: &mut Builder, statement: Octet) -> Vec<Base> {
    let (challenges, _) = builder.input_elements(CHILDREN);
    let mut powers: Vec<Ext> = Vec::new();
    for challenge in challenges {
        let mut power = challenge;
        powers.push(power);
        for _ in 1..POWERS {
            power = builder.mul(power, challenge);
            powers.push(power);
        }
    }
    let mut words = builder.spell(statement).to_vec();
    let octets = builder.pack_elements(&powers);
    let spelled: Vec<Base> = octets
        .into_iter()
        .flat_map(|octet| builder.spell(octet))
        .collect();
    words.extend(&spelled[..powers.len() * builder.degree()]);
    words
}

/// The words that [`public_values`] reads.
pub(super) fn challenge_words<E: Extension<KoalaBear>>(proof: &NodeProof<E>) -> Vec<KoalaBear>
where
    Poseidon2Merkle: Protocol<KoalaBear, E>,
{
    let words = proof
        .challenges
        .iter()
        .flat_map(|challenge| challenge.as_basis_coefficients_slice());
    words.copied().collect()
}

/// A child's key from the input, proven to be one of those under `allowed_root` ([`key_words`]).
pub(super) fn allowed_key(builder: &mut Builder, cap_digests: usize, allowed_root: Octet) -> Cap {
    let (_, head) = builder.input_words();
    let cap = builder.input_cap(cap_digests);
    let (place, _) = builder.input_words();
    let mut blocks = vec![head];
    blocks.extend(cap.iter().map(|&(_, octet)| octet));
    builder.hash_cells(&blocks);
    let leaf = builder.last_row();
    // The place is free: any allowed key will do. Its bits are those of the path, whatever they are.
    let index = PathIndex {
        number: place[0],
        first_bit: 0,
        end: place[0].into(),
    };
    let root = builder.climb(leaf, KEY_TREE_DEPTH, index);
    builder.assert_digest(root, allowed_root);
    cap
}

/// The words that [`allowed_key`] reads.
///
/// # Errors
/// [`AggregatorError::UnknownKey`] for a key that is not in the set.
pub(super) fn key_words(
    key: &NodeKey,
    allowed: &AllowedKeys,
) -> Result<Vec<KoalaBear>, AggregatorError> {
    let (place, siblings) = allowed.path(key).ok_or(AggregatorError::UnknownKey)?;
    let mut words = key.head().to_vec();
    words.extend(key.cap.iter().flatten());
    words.push(KoalaBear::from_usize(place));
    words.resize(words.len().next_multiple_of(CELL_WORDS), KoalaBear::ZERO);
    words.extend(siblings.iter().flatten());
    Ok(words)
}
