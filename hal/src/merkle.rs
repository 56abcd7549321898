//! The Merkle schemes a device can build: which hash, and p3's own types for what it yields.
//!
//! A digest is 32 bytes on every device, kept as eight 32-bit words: eight Montgomery words for Poseidon2, the bytes
//! of the digest in little-endian words for Keccak-256.

use std::fmt::Debug;

use p3_commit::Mmcs;
use p3_field::Field;
use p3_keccak::Keccak256Hash;
use p3_matrix::dense::RowMajorMatrix;
use p3_merkle_tree::{MerkleTree, MerkleTreeMmcs, PrunedMerklePaths};
use p3_symmetric::{
    CompressionFunctionFromHasher, MerkleCap, PaddingFreeSponge, SerializingHasher,
    TruncatedPermutation,
};

use crate::{HalError, HalField};

/// A digest as it lies in device memory.
pub type DigestWords = [u32; 8];

/// Which functions hash rows and compress digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashKind {
    /// Rows by the Poseidon2 sponge of width 16 and rate 8; digests by the width-16 permutation, truncated.
    Poseidon2,
    /// Rows by the Poseidon2 sponge of width 24 and rate 16; digests by the width-16 permutation, truncated.
    Poseidon2Wide,
    /// Rows by Keccak-256 over their serialized elements (Montgomery form, little endian); digests by Keccak-256 of
    /// left and right.
    Keccak256,
}

/// One way to commit to matrices: the hash, and the p3 types that stock code verifies with.
///
/// Trees are binary; `cap_height` digest layers below the root are sent instead of the root.
pub trait MerkleScheme<F: HalField>: Copy + Default + Debug + Send + Sync + 'static {
    /// The functions a device must compute.
    const HASH: HashKind;

    /// p3's tree over row-major matrices, as the CPU reference keeps it.
    type Tree: Send + Sync;

    /// p3's commitment scheme: what the verifier runs, and the CPU reference commits with.
    type Mmcs: Mmcs<
            F,
            ProverData<RowMajorMatrix<F>> = Self::Tree,
            Commitment: Send + Sync + Debug + PartialEq,
            MultiProof: Send + Sync,
            Error: Send + Sync,
        > + Debug
        + Send
        + Sync
        + 'static;

    /// The scheme with the given cap height.
    fn mmcs(cap_height: usize) -> Self::Mmcs;

    /// A commitment from the digests of the cap, left to right.
    ///
    /// # Errors
    /// [`HalError::Mismatch`] where a word is not canonical or the count is not a power of two: a device's fault.
    fn commitment(cap: &[DigestWords]) -> Result<Commitment<F, Self>, HalError>;

    /// A pruned multi-proof from its sibling digests, in p3's frontier order.
    ///
    /// # Errors
    /// [`HalError::Mismatch`] where a word is not canonical.
    fn multi_proof(siblings: &[DigestWords]) -> Result<MultiProof<F, Self>, HalError>;

    /// The words of a commitment's digests, left to right: undoes [`Self::commitment`], without reducing anything.
    fn cap_words(commitment: &Commitment<F, Self>) -> Vec<DigestWords>;

    /// The words of a multi-proof's digests: undoes [`Self::multi_proof`], without reducing anything.
    fn sibling_words(proof: &MultiProof<F, Self>) -> Vec<DigestWords>;
}

/// What every back end asks of its input before it commits: matrices, of heights that are powers of two, none of them
/// shorter than the cap.
///
/// p3 cuts a tree off at its cap, and a matrix is hashed into the layer that has its height. The rows of a matrix
/// shorter than the cap are in no digest below it: p3 commits to such matrices and opens them, and its verifier then
/// accepts any rows for them. (A cap above the leaves of the tallest matrix is lowered to its leaves, as p3 does.)
///
/// # Errors
/// [`HalError::InvalidArgument`] with the rule that is broken.
pub fn check_commit(
    heights: impl IntoIterator<Item = usize>,
    cap_height: usize,
) -> Result<(), HalError> {
    const OP: &str = "commit";
    let (mut tallest, mut shortest) = (0, usize::MAX);
    for height in heights {
        if !height.is_power_of_two() {
            return Err(HalError::invalid(
                OP,
                format!("height {height} is not a power of two"),
            ));
        }
        (tallest, shortest) = (tallest.max(height), shortest.min(height));
    }
    if tallest == 0 {
        return Err(HalError::invalid(OP, "no matrix given"));
    }
    let cap_height = cap_height.min(tallest.ilog2() as usize);
    if (shortest.ilog2() as usize) < cap_height {
        return Err(HalError::invalid(
            OP,
            format!("a cap of 2^{cap_height} digests does not bind a matrix of {shortest} rows"),
        ));
    }
    Ok(())
}

/// What a scheme sends to the verifier.
pub type Commitment<F, S> = <<S as MerkleScheme<F>>::Mmcs as Mmcs<F>>::Commitment;
/// What a scheme proves openings with.
pub type MultiProof<F, S> = <<S as MerkleScheme<F>>::Mmcs as Mmcs<F>>::MultiProof;

/// [`HashKind::Poseidon2`]: the scheme inside the tower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Poseidon2Merkle;

/// [`HashKind::Poseidon2Wide`]: half the permutations for wide rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Poseidon2WideMerkle;

/// [`HashKind::Keccak256`]: for the last proof, which L1 reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keccak256Merkle;

type Pack<F> = <F as Field>::Packing;
type Narrow<F> = PaddingFreeSponge<<F as HalField>::Perm16, 16, 8, 8>;
type Wide<F> = PaddingFreeSponge<<F as HalField>::Perm24, 24, 16, 8>;
type Compress<F> = TruncatedPermutation<<F as HalField>::Perm16, 2, 8, 16>;
type KeccakCompress = CompressionFunctionFromHasher<Keccak256Hash, 2, 32>;
type Tree<F, W, const N: usize> = MerkleTree<F, W, RowMajorMatrix<F>, 2, N>;

impl<F: HalField> MerkleScheme<F> for Poseidon2Merkle {
    const HASH: HashKind = HashKind::Poseidon2;
    type Tree = Tree<F, F, 8>;
    type Mmcs = MerkleTreeMmcs<Pack<F>, Pack<F>, Narrow<F>, Compress<F>, 2, 8>;

    fn mmcs(cap_height: usize) -> Self::Mmcs {
        let perm = F::poseidon2_16();
        Self::Mmcs::new(
            Narrow::<F>::new(perm.clone()),
            Compress::<F>::new(perm),
            cap_height,
        )
    }

    fn commitment(cap: &[DigestWords]) -> Result<Commitment<F, Self>, HalError> {
        cap_of(field_digests(cap)?)
    }

    fn multi_proof(siblings: &[DigestWords]) -> Result<MultiProof<F, Self>, HalError> {
        Ok(PrunedMerklePaths {
            sibling_hashes: field_digests(siblings)?,
        })
    }

    fn cap_words(commitment: &Commitment<F, Self>) -> Vec<DigestWords> {
        field_words(commitment.roots())
    }

    fn sibling_words(proof: &MultiProof<F, Self>) -> Vec<DigestWords> {
        field_words(&proof.sibling_hashes)
    }
}

impl<F: HalField> MerkleScheme<F> for Poseidon2WideMerkle {
    const HASH: HashKind = HashKind::Poseidon2Wide;
    type Tree = Tree<F, F, 8>;
    type Mmcs = MerkleTreeMmcs<Pack<F>, Pack<F>, Wide<F>, Compress<F>, 2, 8>;

    fn mmcs(cap_height: usize) -> Self::Mmcs {
        Self::Mmcs::new(
            Wide::<F>::new(F::poseidon2_24()),
            Compress::<F>::new(F::poseidon2_16()),
            cap_height,
        )
    }

    fn commitment(cap: &[DigestWords]) -> Result<Commitment<F, Self>, HalError> {
        cap_of(field_digests(cap)?)
    }

    fn multi_proof(siblings: &[DigestWords]) -> Result<MultiProof<F, Self>, HalError> {
        Ok(PrunedMerklePaths {
            sibling_hashes: field_digests(siblings)?,
        })
    }

    fn cap_words(commitment: &Commitment<F, Self>) -> Vec<DigestWords> {
        field_words(commitment.roots())
    }

    fn sibling_words(proof: &MultiProof<F, Self>) -> Vec<DigestWords> {
        field_words(&proof.sibling_hashes)
    }
}

impl<F: HalField> MerkleScheme<F> for Keccak256Merkle {
    const HASH: HashKind = HashKind::Keccak256;
    type Tree = Tree<F, u8, 32>;
    type Mmcs = MerkleTreeMmcs<F, u8, SerializingHasher<Keccak256Hash>, KeccakCompress, 2, 32>;

    fn mmcs(cap_height: usize) -> Self::Mmcs {
        Self::Mmcs::new(
            SerializingHasher::new(Keccak256Hash),
            KeccakCompress::new(Keccak256Hash),
            cap_height,
        )
    }

    fn commitment(cap: &[DigestWords]) -> Result<Commitment<F, Self>, HalError> {
        cap_of(byte_digests(cap))
    }

    fn multi_proof(siblings: &[DigestWords]) -> Result<MultiProof<F, Self>, HalError> {
        Ok(PrunedMerklePaths {
            sibling_hashes: byte_digests(siblings),
        })
    }

    fn cap_words(commitment: &Commitment<F, Self>) -> Vec<DigestWords> {
        byte_words(commitment.roots())
    }

    fn sibling_words(proof: &MultiProof<F, Self>) -> Vec<DigestWords> {
        byte_words(&proof.sibling_hashes)
    }
}

/// p3's cap, which exists only for a power of two of digests.
fn cap_of<F, D>(digests: Vec<D>) -> Result<MerkleCap<F, D>, HalError> {
    if digests.len().is_power_of_two() {
        Ok(MerkleCap::new(digests))
    } else {
        Err(wrong_words(format!("a cap of {} digests", digests.len())))
    }
}

fn field_words<F: HalField>(digests: &[[F; 8]]) -> Vec<DigestWords> {
    digests
        .iter()
        .map(|digest| digest.map(|element| element.to_unique_u32()))
        .collect()
}

fn byte_words(digests: &[[u8; 32]]) -> Vec<DigestWords> {
    digests
        .iter()
        .map(|digest| {
            std::array::from_fn(|i| {
                u32::from_le_bytes(std::array::from_fn(|byte| digest[4 * i + byte]))
            })
        })
        .collect()
}

fn field_digests<F: HalField>(digests: &[DigestWords]) -> Result<Vec<[F; 8]>, HalError> {
    digests
        .iter()
        .map(|words| {
            let mut digest = [F::ZERO; 8];
            for (element, &word) in digest.iter_mut().zip(words) {
                *element = F::from_montgomery_word(word).ok_or_else(|| {
                    wrong_words(format!("word {word:#010x} is not below the prime"))
                })?;
            }
            Ok(digest)
        })
        .collect()
}

fn byte_digests(digests: &[DigestWords]) -> Vec<[u8; 32]> {
    digests
        .iter()
        .map(|words| {
            let mut digest = [0; 32];
            for (bytes, word) in digest.chunks_exact_mut(4).zip(words) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
            digest
        })
        .collect()
}

fn wrong_words(detail: String) -> HalError {
    HalError::Mismatch {
        device: "device".to_owned(),
        op: "digest",
        detail,
    }
}
