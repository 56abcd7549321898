//! Faults: every scenario ends with the bytes of the run without faults, nothing lost, exactly one proof a task, or with an
//! error that says what to do.
//!
//! ```text
//!  test ── starts, kills, stops, freezes ──► aggregator, prover, prover: processes of their own (this very test binary)
//!    │                                            ▲
//!    └── submits, waits, looks into the queue ────┘ sockets of this host, through a proxy that cuts and slows
//! ```
//!
//! | fault | where |
//! |---|---|
//! | SIGKILL of each role at random moments | `kills` |
//! | a crash at every `Point` between blob, row and acknowledgement | `kills` |
//! | the same with real proofs at tiny parameters | `real` |
//! | network cut, slow, silent | `network` |
//! | a prover that freezes longer than its lease; a liar; a device lost | `provers` |
//! | submits twice and out of order, at a time | `queue` |
//! | the database gone and back; the disk full; the clock set; a restart with many jobs; two aggregators | `queue` |
//!
//! `STARKWRIGHT_SEED` repeats a run; each test prints its seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod host;
mod kills;
mod network;
mod provers;
mod proxy;
mod queue;
mod real;
mod role;
#[path = "../support/mod.rs"]
mod support;

use rand::SeedableRng;
use rand::rngs::StdRng;

/// In `make test-long`, the second number; else the first.
fn scale(short: usize, long: usize) -> usize {
    match std::env::var_os("STARKWRIGHT_LONG") {
        Some(_) => long,
        None => short,
    }
}

/// Random numbers of this run.
fn dice(what: &str) -> StdRng {
    let seed = std::env::var("STARKWRIGHT_SEED").ok();
    let seed = seed.map_or_else(
        || rand::random::<u32>().into(),
        |seed| seed.parse().unwrap(),
    );
    println!("{what}: STARKWRIGHT_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
