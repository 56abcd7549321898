//! Opening rows of committed matrices: one gather, one pruned proof for all of them.

use starkwright_hal::{DigestWords, HalError};

use super::Tree;
use super::digests::DIGEST;
use super::kernels::work_group;
use crate::{Arg, Buffer, Matrix, ProgramSource, Runtime, Word};

/// Opened rows, `rows[query][matrix]`, and the sibling digests of their pruned proof.
pub type Opening<T> = (Vec<Vec<Vec<T>>>, Vec<DigestWords>);

/// Opens row `index >> (log height of the tree - log height of the matrix)` of every matrix, for every index: p3's
/// `open_multi_batch`.
///
/// `matrices` are those the tree was built over, in any height order, as given to [`build`](super::build). The digests
/// are those of p3's `PrunedMerklePaths::sibling_hashes`, in its order. Waits for the one transfer.
///
/// # Errors
/// [`HalError::InvalidArgument`] for an index beyond the tallest matrix or for matrices that are not the tree's;
/// driver failures.
pub fn open<T: Word>(
    rt: &Runtime,
    tree: &Tree,
    matrices: &[&Matrix],
    indices: &[usize],
    cap_height: usize,
) -> Result<Opening<T>, HalError> {
    let log_height = tree.log_height;
    let tallest = matrices.iter().map(|m| m.height).max().unwrap_or(0);
    if tallest != 1 << log_height {
        let why = format!("a tree of 2^{log_height} leaves, a tallest matrix of {tallest} rows");
        return Err(HalError::invalid("open", why));
    }
    matrices
        .iter()
        .try_for_each(|matrix| super::check(matrix))?;
    if let Some(index) = indices.iter().find(|&&i| i >= tallest) {
        return Err(HalError::invalid(
            "open",
            format!("row {index} of {tallest}"),
        ));
    }

    let mut entries = Vec::with_capacity(indices.len() * matrices.len());
    for &index in indices {
        for matrix in matrices {
            let row = index >> (log_height - matrix.height.ilog2());
            entries.push(Entry {
                buffer: &matrix.chunks[row / matrix.rows_per_chunk],
                width: matrix.width,
                row: row % matrix.rows_per_chunk,
            });
        }
    }
    let rows = entries.len();
    for (layer, node) in frontier(indices, tree.cap_layer(cap_height)) {
        let (buffer, at, _) = tree.digests.run(tree.layer_start(layer) + node, 1)?;
        entries.push(Entry {
            buffer,
            width: DIGEST,
            row: at / DIGEST,
        });
    }

    let (words, digests) = gather::<T>(rt, &entries, rows)?;
    let mut words = words.into_iter();
    let opened = indices
        .iter()
        .map(|_| {
            matrices
                .iter()
                .map(|m| words.by_ref().take(m.width).collect())
                .collect()
        })
        .collect();
    Ok((opened, digests.as_chunks::<DIGEST>().0.to_vec()))
}

/// The nodes below layer `cap` whose digests a verifier cannot compute from the rows at `indices`, as (layer, node), in
/// the order of p3's `walk_frontier`: layer by layer, ascending.
fn frontier(indices: &[usize], cap: u32) -> Vec<(u32, usize)> {
    let mut nodes = indices.to_vec();
    nodes.sort_unstable();
    nodes.dedup();
    let mut missing = Vec::new();
    for layer in 0..cap {
        // Both children of a parent stand side by side where both are known.
        for siblings in nodes.chunk_by(|a, b| a / 2 == b / 2) {
            if let [node] = siblings {
                missing.push((layer, node ^ 1));
            }
        }
        nodes.iter_mut().for_each(|node| *node /= 2);
        nodes.dedup();
    }
    missing
}

/// One row to fetch.
struct Entry<'a> {
    buffer: &'a Buffer,
    width: usize,
    /// The row's number in this buffer.
    row: usize,
}

/// Fetches rows: the words of the first `split` entries, and those of the others. One transfer unless the rows exceed
/// the largest allocation.
fn gather<T: Word>(
    rt: &Runtime,
    entries: &[Entry<'_>],
    split: usize,
) -> Result<(Vec<T>, Vec<u32>), HalError> {
    let program =
        ProgramSource::source("gather", [include_str!("../../../cl/merkle_gather.cl")], "");
    let kernel = rt.kernel(&rt.program(&program)?, "gather_rows")?;
    // An entry takes its row in the result and two words in the table.
    let most = rt.max_alloc_words().min(u32::MAX as usize);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut first = 0;
    while first < entries.len() {
        let (mut words, mut end) = (0, first);
        while end < entries.len()
            && (end == first || words + entries[end].width <= most && 2 * (end + 1 - first) <= most)
        {
            words += entries[end].width;
            end += 1;
        }
        let batch = &entries[first..end];
        let out = rt.alloc(words)?;
        let mut to = 0;
        let mut placed: Vec<(&Entry<'_>, usize)> = batch
            .iter()
            .map(|entry| {
                to += entry.width;
                (entry, to - entry.width)
            })
            .collect();
        let source = |entry: &Entry<'_>| (std::ptr::from_ref(entry.buffer) as usize, entry.width);
        placed.sort_by_key(|&(entry, _)| source(entry));
        let mut table = Vec::with_capacity(2 * batch.len());
        for &(entry, to) in &placed {
            let Ok(row) = u32::try_from(entry.row) else {
                return Err(HalError::invalid(
                    "open",
                    format!("row {} of a buffer", entry.row),
                ));
            };
            table.extend([row, to as u32]);
        }
        let table = rt.upload(&table)?;
        let mut start = 0;
        for group in placed.chunk_by(|a, b| source(a.0) == source(b.0)) {
            let (entry, items) = (group[0].0, work_group(rt));
            if entry.width > 0 {
                let args = [
                    Arg::Buffer(entry.buffer),
                    Arg::U32(entry.width as u32),
                    Arg::Buffer(&table),
                    Arg::U32(start),
                    Arg::Buffer(&out),
                ];
                let global = [group.len() * items, 1, 1];
                rt.launch(&kernel, global, Some([items, 1, 1]), &args)?;
            }
            start += group.len() as u32;
        }
        let rows = split.saturating_sub(first).min(batch.len());
        let row_words: usize = batch[..rows].iter().map(|entry| entry.width).sum();
        if row_words > 0 {
            before.extend(rt.read_vec::<T>(&out, 0, row_words)?);
        }
        if row_words < words {
            after.extend(rt.read_vec::<u32>(&out, row_words, words - row_words)?);
        }
        first = end;
    }
    Ok((before, after))
}
