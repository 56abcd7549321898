//! A node's proof as a child of a circuit: its public values, its key, its verification, its words.

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use starkwright_hal::Extension;
use starkwright_hal::Poseidon2Merkle;
use starkwright_prover::challenger::Protocol;
use starkwright_prover::prove::StockBatchProof;

use super::key::{AllowedKeys, KEY_TREE_DEPTH, NodeKey, Role};
use super::proof::NodeProof;
use super::statement::{Statement, assert_constant};
use super::uniform::Uniform;
use crate::AggregatorError;
use crate::circuit::layout::{CELL_WORDS, CHILDREN, POWERS};
use crate::circuit::{Base, Builder, Ext, Gate, Octet, PathIndex, Source};
use crate::statement::layout;
use crate::verify::{Cap, ProofParts, ProofShape, ProofWords, verify};

type F = KoalaBear;

/// A child in a circuit, before its verification: public values, and the commitment to its preprocessed columns.
///
/// The commitment is what says which circuit the child was proven with, so it is bound: to a key that stands in this circuit
/// ([`Self::of_key`]), or to those under the root that the child states ([`Self::allowed`]).
pub(super) struct Child {
    values: Vec<Base>,
    cap: Cap,
}

impl Child {
    /// A child of the circuit with this key; `statement` is its statement's digest ([`key_words`]).
    pub(super) fn of_key(builder: &mut Builder, key: &NodeKey, statement: Octet) -> Self {
        let values = public_values(builder, statement);
        let cap = builder.input_cap(key.cap.len());
        for ((words, _), digest) in cap.iter().zip(&key.cap) {
            for (&word, &value) in words.iter().zip(digest) {
                assert_constant(builder, word.into(), value);
            }
        }
        Self { values, cap }
    }

    /// A child of the uniform shape whose key is any of those under the root that it states; with `tops_only` a join's or a
    /// close's ([`allowed_words`]).
    pub(super) fn allowed(
        builder: &mut Builder,
        uniform: &Uniform,
        statement: &Statement,
        tops_only: bool,
    ) -> Self {
        let values = public_values(builder, statement.digest);
        let digests = 1 << uniform.parameters().cap_height;
        let root = statement.block(layout::ALLOWED_ROOT);
        let cap = builder.section("key", |builder| {
            allowed_key(builder, digests, root, tops_only)
        });
        Self { values, cap }
    }

    /// Adds the verification: `child` says with whose challenge the permutation machine sums up.
    pub(super) fn verify(
        self,
        builder: &mut Builder,
        shape: &ProofShape,
        child: usize,
    ) -> ProofParts {
        verify(builder, shape, child, &[self.values], Some(&self.cap))
    }
}

/// The public values of a child: its statement's digest, given, and the powers of its challenges, from the input
/// ([`challenge_words`]).
fn public_values(builder: &mut Builder, statement: Octet) -> Vec<Base> {
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
fn challenge_words<E: Extension<KoalaBear>>(proof: &NodeProof<E>) -> Vec<KoalaBear>
where
    Poseidon2Merkle: Protocol<KoalaBear, E>,
{
    let words = proof
        .challenges
        .iter()
        .flat_map(|challenge| challenge.as_basis_coefficients_slice());
    words.copied().collect()
}

/// A child's key from the input, proven to be one of those under `allowed_root`.
fn allowed_key(
    builder: &mut Builder,
    cap_digests: usize,
    allowed_root: Octet,
    tops_only: bool,
) -> Cap {
    let (words, head) = builder.input_words();
    if tops_only {
        assert_top(builder, words[1].into());
    }
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

/// Asserts that a role is a join's or a close's: `role² − (j + c) role + j c = 0`.
fn assert_top(builder: &mut Builder, role: Ext) {
    let [join, close] = [Role::Join, Role::Close].map(|role| F::from_u32(role.number()));
    let zero = builder.constant(F::ZERO);
    let gate = Gate {
        qa: F::ONE,
        la: -(join + close),
        k: join * close,
        ..Gate::default()
    };
    builder.assert_gate(gate, role, role, role, zero);
}

/// The words that [`Child::of_key`] reads.
pub(super) fn key_words<E: Extension<F>>(key: &NodeKey, proof: &NodeProof<E>) -> Vec<F>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    let mut words = challenge_words(proof);
    words.extend(key.cap.iter().flatten());
    words
}

/// The words that [`Child::allowed`] reads.
///
/// # Errors
/// [`AggregatorError::UnknownKey`] for a key that is not in the set.
pub(super) fn allowed_words<E: Extension<F>>(
    key: &NodeKey,
    proof: &NodeProof<E>,
    allowed: &AllowedKeys,
) -> Result<Vec<F>, AggregatorError>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    let (place, siblings) = allowed.path(key).ok_or(AggregatorError::UnknownKey)?;
    let mut cells = key.head().to_vec();
    cells.extend(key.cap.iter().flatten());
    cells.push(F::from_usize(place));
    cells.resize(cells.len().next_multiple_of(CELL_WORDS), F::ZERO);
    cells.extend(siblings.iter().flatten());
    let mut words = challenge_words(proof);
    words.extend(cells);
    Ok(words)
}

/// The input of a circuit that verifies proofs: words of its own, then each proof's parts.
pub(super) struct Input<'a, E: Extension<F>>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    head: Vec<F>,
    children: Vec<(ProofParts, ProofWords<'a, E>)>,
}

impl<'a, E: Extension<F>> Input<'a, E>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    /// The input with these words of its own, for children of this shape.
    pub(super) fn new<const N: usize>(
        head: Vec<F>,
        shape: &'a ProofShape,
        children: [(ProofParts, &'a StockBatchProof<F, E, Poseidon2Merkle>); N],
    ) -> Self {
        let words = |(parts, proof)| (parts, ProofWords::new(shape, proof));
        Self {
            head,
            children: children.map(words).into(),
        }
    }
}

impl<E: Extension<F>> Source for Input<'_, E>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    fn part(&mut self, part: usize, known: &[[F; CELL_WORDS]]) -> Result<Vec<F>, AggregatorError> {
        for (parts, words) in &mut self.children {
            if let Some(part) = part
                .checked_sub(parts.first)
                .filter(|&part| part < parts.count)
            {
                return words.part(part, known);
            }
        }
        Ok(core::mem::take(&mut self.head))
    }
}

#[cfg(test)]
mod tests {
    use super::super::statement::harness::{Run, circuit};
    use super::*;
    use crate::circuit::Circuit;
    use crate::statement::Digest;

    const CAP: usize = 2;

    fn key(role: Role, at: u32) -> NodeKey {
        let digest = |i: u32| [F::from_u32(100 * at + i); CELL_WORDS];
        NodeKey {
            role,
            machine: 7,
            version: 1,
            cap: vec![digest(0), digest(1)],
        }
    }

    /// Publishes the root under which a key stands.
    fn membership(tops_only: bool) -> Circuit {
        circuit(6, |builder| {
            let (_, root) = builder.input_words();
            allowed_key(builder, CAP, root, tops_only);
            root
        })
    }

    fn words(
        root: &Digest,
        head: Digest,
        cap: &[Digest],
        place: u32,
        siblings: &[Digest],
    ) -> Vec<F> {
        let mut words = root.to_vec();
        words.extend(head);
        words.extend(cap.iter().flatten());
        words.push(F::from_u32(place));
        words.resize(words.len().next_multiple_of(CELL_WORDS), F::ZERO);
        words.extend(siblings.iter().flatten());
        words
    }

    #[test]
    fn only_members_are_allowed_and_only_tops_where_tops_are_wanted() {
        let roles = [Role::Shrink, Role::Join, Role::Close, Role::Shrink];
        let keys: Vec<NodeKey> = (1..).zip(roles).map(|(at, role)| key(role, at)).collect();
        let allowed = AllowedKeys::new(&keys).unwrap();
        let root = allowed.root();
        for tops_only in [false, true] {
            let circuit = membership(tops_only);
            for key in &keys {
                let (place, siblings) = allowed.path(key).unwrap();
                let honest = words(&root, key.head(), &key.cap, place as u32, &siblings);
                let top = matches!(key.role, Role::Join | Role::Close);
                assert_eq!(Run(&circuit).on(&honest).is_ok(), top || !tops_only);
                // Every word of key, place and path is bound to the root, and the root to them.
                for at in 0..honest.len() {
                    let mut other = honest.clone();
                    other[at] += F::ONE;
                    // Seven words beside the place are nothing.
                    let free = (4 * CELL_WORDS + 1..5 * CELL_WORDS).contains(&at);
                    let accepted = Run(&circuit).on(&other).is_ok();
                    assert_eq!(
                        accepted,
                        free && (top || !tops_only),
                        "{:?} word {at}",
                        key.role
                    );
                }
            }
            // A key that was never among them, on the path of one that was.
            let (place, siblings) = allowed.path(&keys[1]).unwrap();
            let stranger = key(Role::Join, 9);
            let false_words = words(
                &root,
                stranger.head(),
                &stranger.cap,
                place as u32,
                &siblings,
            );
            Run(&circuit).on(&false_words).unwrap_err();
        }
    }
}
