//! Merkle trees over matrices of mixed heights, as p3's `MerkleTreeMmcs` of arity 2 builds them.
//!
//! ```text
//!                      root
//!                  /          \
//!          C(C(··,··),R)     C(C(··,··),R)      R: digests of the rows of a matrix of half the height
//!            /      \          /      \
//!           H       H         H       H         digests of the rows of the tallest matrices
//! ```
//!
//! The rows with one index of all matrices of one height are hashed as one message. A layer as long as a shorter
//! matrix takes up its rows. Heights are powers of two.
//!
//! A digest is eight words: Montgomery words for the Poseidon2 schemes, the 32 bytes in little-endian words for
//! Keccak-256. Sources: `merkle_tree.rs`, `pruning.rs` and `mmcs/` of p3-merkle-tree 0.8.

mod digests;
pub(super) mod kernels;
mod open;
mod permute;
mod rows;

use std::cmp::Reverse;

use starkwright_hal::{DigestWords, HalError, HalField, HashKind};

use self::digests::Digests;
use self::kernels::Kernels;
use crate::{Arg, Matrix, Runtime};

pub use self::open::{Opening, open};
pub use self::permute::{keccak_f, poseidon2};

/// The digests of a Merkle tree, on a device.
#[derive(Debug)]
pub struct Tree {
    hash: HashKind,
    log_height: u32,
    /// All layers one behind the other, the leaves first: layer `l` begins at digest `2^(h+1) - 2^(h+1-l)`, a multiple
    /// of its length.
    digests: Digests,
}

impl Tree {
    /// The functions it was built with.
    #[must_use]
    pub const fn hash(&self) -> HashKind {
        self.hash
    }

    /// Log2 of the number of leaves; layers are numbered from 0, the leaves, to this, the root.
    #[must_use]
    pub const fn log_height(&self) -> u32 {
        self.log_height
    }

    /// Number of digests of a layer.
    const fn layer_len(&self, layer: u32) -> usize {
        1 << (self.log_height - layer)
    }

    /// Where a layer begins among the digests.
    const fn layer_start(&self, layer: u32) -> usize {
        (2 << self.log_height) - (2 << (self.log_height - layer))
    }

    /// Waits, and returns the layer `cap_height` below the root, or the leaves where the tree is lower than that.
    ///
    /// # Errors
    /// As [`Runtime::read`].
    pub fn cap(&self, rt: &Runtime, cap_height: usize) -> Result<Vec<DigestWords>, HalError> {
        let layer = self.cap_layer(cap_height);
        let (start, mut left) = (self.layer_start(layer), self.layer_len(layer));
        let mut cap = Vec::with_capacity(left);
        while left > 0 {
            let (buffer, at, run) = self.digests.run(start + cap.len(), left)?;
            let words = rt.read_vec::<u32>(buffer, at, run * 8)?;
            cap.extend(words.as_chunks::<8>().0);
            left -= run;
        }
        Ok(cap)
    }

    fn cap_layer(&self, cap_height: usize) -> u32 {
        let cap_height = u32::try_from(cap_height).unwrap_or(u32::MAX);
        self.log_height.saturating_sub(cap_height)
    }
}

/// The tree over the given matrices. Enqueues only.
///
/// # Errors
/// [`HalError::InvalidArgument`] for no matrix, a height that is not a power of two, or a matrix whose buffers are too
/// small for it; [`HalError::OutOfMemory`]; [`HalError::Unsupported`] for a field without this Poseidon2; driver
/// failures.
pub fn build<F: HalField>(
    rt: &Runtime,
    hash: HashKind,
    matrices: &[&Matrix],
) -> Result<Tree, HalError> {
    for matrix in matrices {
        check(matrix)?;
    }
    let mut tallest_first = matrices.to_vec();
    // Stable: matrices of one height keep their order.
    tallest_first.sort_by_key(|m| Reverse(m.height));
    let mut heights = tallest_first.chunk_by(|a, b| a.height == b.height);
    let leaves = heights
        .next()
        .ok_or_else(|| HalError::invalid("commit", "no matrices"))?;
    let height = leaves[0].height;

    let kernels = Kernels::new::<F>(rt, hash)?;
    let tree = Tree {
        hash,
        log_height: height.ilog2(),
        digests: Digests::alloc(rt, 2 * height, 1)?,
    };
    rows::hash(rt, &kernels, leaves, &tree.digests)?;
    let mut injected = heights.peekable();
    for layer in 1..=tree.log_height {
        let rows = injected.next_if(|m| m[0].height == tree.layer_len(layer));
        let below = tree.layer_len(layer - 1);
        if rows.is_none() && injected.peek().is_none() && below <= kernels.top_len {
            // Layers this short lie in one buffer with all that is above them, unless buffers are shorter still.
            let (buffer, at, run) = tree
                .digests
                .run(tree.layer_start(layer - 1), 2 * below - 1)?;
            if run == 2 * below - 1 {
                kernels.top(rt, buffer, at, below)?;
                break;
            }
        }
        let rows = match rows {
            Some(matrices) => {
                let digests = Digests::alloc(rt, tree.layer_len(layer), 0)?;
                rows::hash(rt, &kernels, matrices, &digests)?;
                Some(digests)
            }
            None => None,
        };
        compress(rt, &kernels, &tree, layer, rows.as_ref())?;
    }
    Ok(tree)
}

/// Computes a layer from the one below it, and the digests of the rows that enter there.
fn compress(
    rt: &Runtime,
    kernels: &Kernels,
    tree: &Tree,
    layer: u32,
    rows: Option<&Digests>,
) -> Result<(), HalError> {
    let (len, prev_start, start) = (
        tree.layer_len(layer),
        tree.layer_start(layer - 1),
        tree.layer_start(layer),
    );
    let mut done = 0;
    while done < len {
        // Both runs begin at multiples of their lengths, powers of two: half the lower one fits the upper.
        let (prev, prev_at, run) = tree.digests.run(prev_start + 2 * done, 2 * (len - done))?;
        let (next, next_at, room) = tree.digests.run(start + done, run / 2)?;
        let (injected, injected_at, room) = match rows {
            Some(rows) => rows.run(done, room)?,
            None => (prev, 0, room),
        };
        let args = [
            Arg::Buffer(prev),
            Arg::U64(prev_at as u64),
            Arg::Buffer(injected),
            Arg::U64(injected_at as u64),
            Arg::U32(u32::from(rows.is_some())),
            Arg::Buffer(next),
            Arg::U64(next_at as u64),
            Arg::U64(room as u64),
        ];
        kernels.launch(rt, &kernels.compress, room, &args)?;
        done += room;
    }
    Ok(())
}

/// That a matrix is one the kernels can read.
fn check(matrix: &Matrix) -> Result<(), HalError> {
    let (height, width) = (matrix.height, matrix.width);
    let invalid = |why: String| Err(HalError::invalid("commit", why));
    if !height.is_power_of_two() {
        return invalid(format!("height {height} is not a power of two"));
    }
    if u32::try_from(width).is_err() {
        return invalid(format!("a width of {width}"));
    }
    let rows = matrix.rows_per_chunk;
    let fits = rows.is_power_of_two()
        && matrix.chunks.len() == height.div_ceil(rows)
        && matrix.chunks.iter().all(|chunk| {
            rows.min(height)
                .checked_mul(width)
                .is_some_and(|words| words <= chunk.words())
        });
    if fits {
        Ok(())
    } else {
        invalid(format!(
            "the buffers of a matrix of {height} rows of {width} words do not hold it"
        ))
    }
}
