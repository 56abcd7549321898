//! Whole proofs on a device, and the same proofs by stock Plonky3.
//!
//! Stock p3 takes any proof-of-work witness that passes, we the smallest; the oracle here is p3's own prover and
//! commitment scheme under a challenger that searches for the smallest. Everything else is p3's, so equal bytes say that
//! the device computed what p3 computes.

mod airs;
mod oracle;

pub use airs::{LookupAir, LookupTables, lookup_tables};
pub use oracle::{OracleAir, device_batch, device_uni, stock_batch, stock_uni};

use starkwright_prover::profile::LeafParameters;

/// Parameters of no security that use every step: caps, grinding at every place, several folds.
pub const QUICK: LeafParameters = LeafParameters {
    extension_degree: 5,
    log_blowup: 2,
    num_queries: 7,
    log_final_poly_len: 1,
    max_log_arity: 3,
    cap_height: 1,
    lookup_pow_bits: 3,
    ood_pow_bits: 2,
    batch_pow_bits: 4,
    commit_pow_bits: 2,
    query_pow_bits: 5,
};
