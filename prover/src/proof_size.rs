//! How large a proof will be, before it is made.
//!
//! Openings dominate: every query opens one row of every committed matrix. The queries of one tree share their
//! authentication paths (p3's pruned multi-proofs), so the number of digests is random; we take its expectation.

use p3_fri::fold_schedule;

use crate::profile::LeafParameters;
use crate::security::{CommitmentHash, TableShape};

/// Bytes of one base field element in postcard: p3 writes the Montgomery word as four bytes.
const ELEMENT_BYTES: f64 = 4.0;

/// Expected bytes of the postcard encoding of a `BatchProof` over a 31-bit field.
///
/// The true size differs by a few per cent, since it depends on which queries collide.
pub fn expected_proof_bytes(
    params: &LeafParameters,
    hash: CommitmentHash,
    tables: &[TableShape],
) -> f64 {
    let size = Size::new(params, hash);
    let extension = size.extension_bytes;
    let log_max = tables
        .iter()
        .map(|table| table.log_height)
        .max()
        .unwrap_or(0)
        + params.log_blowup;
    let sum = |width: &dyn Fn(&TableShape) -> usize| tables.iter().map(width).sum::<usize>() as f64;
    let columns = |used: bool, n: usize| if used { 2 * n } else { n };

    // Values at the out-of-domain points, all in the extension field.
    let claimed = sum(&|t| {
        columns(t.next_row, t.width)
            + columns(t.preprocessed_next_row, t.preprocessed_width)
            + 2 * permutation_width(params, t)
            + quotient_width(params, t)
    });
    let mut bytes = extension * claimed;

    // One tree each for main, permutation and quotient (and preprocessed) columns; a row of each per query.
    let committed = [
        sum(&|t| t.width),
        sum(&|t| t.preprocessed_width),
        sum(&|t| permutation_width(params, t)),
        sum(&|t| quotient_width(params, t)),
    ];
    for width in committed.into_iter().filter(|&width| width > 0.0) {
        bytes += size.cap() + size.paths(log_max) + size.queries * ELEMENT_BYTES * width;
    }

    // A commitment, `arity - 1` siblings per query and a multi-proof for each folding round.
    let mut heights: Vec<usize> = tables
        .iter()
        .map(|t| t.log_height + params.log_blowup)
        .collect();
    heights.sort_unstable_by(|a, b| b.cmp(a));
    heights.dedup();
    let mut log_height = log_max;
    for log_arity in fold_schedule(
        &heights,
        params.log_blowup + params.log_final_poly_len,
        params.max_log_arity.max(1),
    ) {
        log_height -= log_arity;
        let siblings = ((1u64 << log_arity) - 1) as f64;
        bytes += size.cap() + size.paths(log_height) + size.queries * (extension * siblings + 1.0);
    }
    bytes + extension * (1u64 << params.log_final_poly_len) as f64
}

/// Base field columns of a table's lookup argument: an accumulator and a fraction per lookup, all in the extension.
fn permutation_width(params: &LeafParameters, table: &TableShape) -> usize {
    if table.num_lookups == 0 {
        0
    } else {
        (table.num_lookups + 1) * params.extension_degree
    }
}

/// Base field columns of a table's quotient chunks.
fn quotient_width(params: &LeafParameters, table: &TableShape) -> usize {
    table.num_quotient_chunks * params.extension_degree
}

struct Size {
    extension_bytes: f64,
    digest_bytes: f64,
    queries: f64,
    cap_height: usize,
}

impl Size {
    fn new(params: &LeafParameters, hash: CommitmentHash) -> Self {
        Self {
            extension_bytes: ELEMENT_BYTES * params.extension_degree as f64,
            digest_bytes: match hash {
                CommitmentHash::Poseidon2 => 32.0,
                // Four 64-bit words as varints: nearly always ten bytes (nine for words below 2^63).
                CommitmentHash::Keccak256 => 4.0 * 9.5,
            },
            queries: params.num_queries as f64,
            cap_height: params.cap_height,
        }
    }

    fn cap(&self) -> f64 {
        self.digest_bytes * (1u64 << self.cap_height) as f64
    }

    /// Expected bytes of the pruned paths of all queries in a tree of `2^log_height` leaves.
    ///
    /// On a level of `n` nodes a digest is sent for each pair of which exactly one node is on a queried path:
    /// `n/2 · 2 ((1 - 1/n)^q - (1 - 2/n)^q)`.
    fn paths(&self, log_height: usize) -> f64 {
        let levels = (self.cap_height + 1)..=log_height;
        let digests: f64 = levels
            .map(|level| {
                let nodes = (1u64 << level) as f64;
                nodes
                    * ((1.0 - 1.0 / nodes).powf(self.queries)
                        - (1.0 - 2.0 / nodes).powf(self.queries))
            })
            .sum();
        digests * self.digest_bytes
    }
}
