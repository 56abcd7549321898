//! Poseidon2 and Keccak-256 that count their permutations: what a verification costs, counted while stock p3 does it.

use std::sync::atomic::{AtomicU64, Ordering};

use p3_air::symbolic::SymbolicExpressionExt;
use p3_challenger::{DuplexChallenger, HashChallenger, SerializingChallenger32};
use p3_field::{Algebra, Field};
use p3_keccak::Keccak256Hash;
use p3_koala_bear::KoalaBear;
use p3_merkle_tree::MerkleTreeMmcs;
use p3_symmetric::{
    CompressionFunctionFromHasher, CryptographicHasher, CryptographicPermutation, MerkleCap,
    PaddingFreeSponge, Permutation, SerializingHasher, TruncatedPermutation,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use starkwright_aggregator::circuit::Circuit;
use starkwright_aggregator::node::{ByteDigest, NodeKey, NodeProof, WrapProof};
use starkwright_hal::{
    Commitment, DigestWords, Extension, HalError, HalField, HashKind, Keccak256Merkle,
    MerkleScheme, MultiProof, Poseidon2Merkle,
};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::profile::LeafParameters;
use starkwright_prover::prove::BatchVerifier;

type F = KoalaBear;
type Inner = <F as HalField>::Perm16;

/// Permutations so far, of whichever hash.
static PERMUTATIONS: AtomicU64 = AtomicU64::new(0);

#[derive(Clone, Debug)]
pub(crate) struct CountedPermutation(Inner);

impl<T: Clone> Permutation<T> for CountedPermutation
where
    Inner: Permutation<T>,
{
    fn permute_mut(&self, input: &mut T) {
        // A packed state is so many states.
        let states = size_of::<T>() / size_of::<[F; 16]>();
        PERMUTATIONS.fetch_add(states as u64, Ordering::Relaxed);
        self.0.permute_mut(input);
    }
}

impl<T: Clone> CryptographicPermutation<T> for CountedPermutation where
    Inner: CryptographicPermutation<T>
{
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct CountedKeccak;

impl CryptographicHasher<u8, ByteDigest> for CountedKeccak {
    fn hash_iter<I: IntoIterator<Item = u8>>(&self, input: I) -> ByteDigest {
        let bytes: Vec<u8> = input.into_iter().collect();
        // Padding takes a byte at least.
        PERMUTATIONS.fetch_add((bytes.len() / 136 + 1) as u64, Ordering::Relaxed);
        Keccak256Hash.hash_iter(bytes)
    }
}

/// A scheme that is another one's but for its functions; `$challenger` is a fresh verifier's.
macro_rules! counted {
    ($name:ident, $inner:ty, $mmcs:ty, $new:expr, $challenger:ty, $fresh:expr) => {
        #[derive(Clone, Copy, Debug, Default)]
        pub(crate) struct $name;

        impl MerkleScheme<F> for $name {
            const HASH: HashKind = <$inner as MerkleScheme<F>>::HASH;
            type Tree = <$inner as MerkleScheme<F>>::Tree;
            type Mmcs = $mmcs;

            fn mmcs(cap_height: usize) -> Self::Mmcs {
                $new(cap_height)
            }

            fn commitment(cap: &[DigestWords]) -> Result<Commitment<F, Self>, HalError> {
                <$inner as MerkleScheme<F>>::commitment(cap)
            }

            fn multi_proof(siblings: &[DigestWords]) -> Result<MultiProof<F, Self>, HalError> {
                <$inner as MerkleScheme<F>>::multi_proof(siblings)
            }

            fn cap_words(commitment: &Commitment<F, Self>) -> Vec<DigestWords> {
                <$inner as MerkleScheme<F>>::cap_words(commitment)
            }

            fn sibling_words(proof: &MultiProof<F, Self>) -> Vec<DigestWords> {
                <$inner as MerkleScheme<F>>::sibling_words(proof)
            }
        }

        impl<E: Extension<F>> Protocol<F, E> for $name {
            type Challenger = $challenger;
            type Transcript = <$inner as Protocol<F, E>>::Transcript;

            fn challenger() -> Self::Challenger {
                $fresh
            }

            fn transcript() -> Self::Transcript {
                <$inner as Protocol<F, E>>::transcript()
            }
        }
    };
}

type Pack = <F as Field>::Packing;

counted!(
    CountedPoseidon2,
    Poseidon2Merkle,
    MerkleTreeMmcs<
        Pack,
        Pack,
        PaddingFreeSponge<CountedPermutation, 16, 8, 8>,
        TruncatedPermutation<CountedPermutation, 2, 8, 16>,
        2,
        8,
    >,
    |cap_height| {
        let permutation = CountedPermutation(F::poseidon2_16());
        MerkleTreeMmcs::new(
            PaddingFreeSponge::new(permutation.clone()),
            TruncatedPermutation::new(permutation),
            cap_height,
        )
    },
    DuplexChallenger<F, CountedPermutation, 16, 8>,
    DuplexChallenger::new(CountedPermutation(F::poseidon2_16()))
);

counted!(
    CountedKeccak256,
    Keccak256Merkle,
    MerkleTreeMmcs<
        F,
        u8,
        SerializingHasher<CountedKeccak>,
        CompressionFunctionFromHasher<CountedKeccak, 2, 32>,
        2,
        32,
    >,
    |cap_height| MerkleTreeMmcs::new(
        SerializingHasher::new(CountedKeccak),
        CompressionFunctionFromHasher::new(CountedKeccak),
        cap_height,
    ),
    SerializingChallenger32<F, HashChallenger<u8, CountedKeccak, 32>>,
    SerializingChallenger32::from_hasher(vec![], CountedKeccak)
);

/// Verifies a proof of a circuit with this key, and counts. One at a time: there is one count.
fn counted<E, S, P>(
    circuit: &Circuit,
    parameters: &LeafParameters,
    key: Commitment<F, S>,
    proof: &P,
    values: Vec<F>,
) -> u64
where
    E: Extension<F>,
    S: Protocol<F, E>,
    P: Serialize,
    starkwright_prover::prove::StockBatchProof<F, E, S>: DeserializeOwned,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    let verifier = BatchVerifier::<F, E, S, _>::with_commitment(
        parameters,
        vec![circuit.air().clone()],
        vec![circuit.log_height()],
        key,
    )
    .unwrap();
    // The same proof under the name of the counting scheme.
    let proof = serde_json::from_value(serde_json::to_value(proof).unwrap()).unwrap();
    let before = PERMUTATIONS.load(Ordering::Relaxed);
    verifier.verify(&proof, &[values]).unwrap();
    PERMUTATIONS.load(Ordering::Relaxed) - before
}

/// Poseidon2 permutations in the verification of a node of this circuit.
pub(crate) fn of_node<E>(
    circuit: &Circuit,
    parameters: &LeafParameters,
    key: &NodeKey,
    node: &NodeProof<E>,
) -> u64
where
    E: Extension<F> + Serialize + DeserializeOwned,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    let cap = MerkleCap::new(key.cap.clone());
    let values = node.public_values();
    counted::<E, CountedPoseidon2, _>(circuit, parameters, cap, &node.proof, values)
}

/// Keccak-f permutations in the verification of a wrap of this circuit.
pub(crate) fn of_wrap<E>(
    circuit: &Circuit,
    parameters: &LeafParameters,
    key: &[ByteDigest],
    wrap: &WrapProof<E>,
) -> u64
where
    E: Extension<F> + Serialize + DeserializeOwned,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    let cap = MerkleCap::new(key.to_vec());
    let values = wrap.public_values();
    counted::<E, CountedKeccak256, _>(circuit, parameters, cap, &wrap.proof, values)
}
