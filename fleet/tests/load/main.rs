//! Two hundred provers on one queue: how fast tasks are handed out, and that no lease is lost on the way.
//!
//! It fails where a lease is lost, a task is leased to two at a time, a proof is booked twice, or nothing is claimed for twenty
//! seconds although tasks are ready. It prints what it measures (`--nocapture`), and beside it how long this disk takes to
//! sync 4 KiB, alone and under the load. For ten minutes on one store alone:
//!
//! ```text
//! STARKWRIGHT_LONG=1 cargo test -p starkwright-fleet --test load -- --nocapture lose_no_lease_on_sqlite
//! ```
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod crowd;
mod figures;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use support::postgres::Postgres;
use tokio::sync::{Mutex, MutexGuard};

use crowd::{Load, run};

/// One load at a time: they measure.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

fn is_long() -> bool {
    std::env::var_os("STARKWRIGHT_LONG").is_some()
}

/// A task of half a second, one in a few hundred longer than its lease: that one is kept by heartbeats alone.
fn proving() -> Load {
    if is_long() {
        Load {
            rows: 100_000,
            job: 1000,
            time: Duration::from_secs(600),
            lease: Duration::from_secs(15),
            beat: Duration::from_secs(5),
            task: Duration::from_millis(500),
            slow_task: Duration::from_secs(20),
        }
    } else {
        Load {
            rows: 10_000,
            job: 1000,
            time: Duration::from_secs(18),
            lease: Duration::from_secs(12),
            beat: Duration::from_secs(2),
            task: Duration::from_millis(500),
            slow_task: Duration::from_secs(14),
        }
    }
}

/// Nothing but the queue's own work, on one job: all proofs are booked in the same one.
fn no_time() -> Load {
    Load {
        job: proving().rows,
        time: Duration::from_secs(if is_long() { 60 } else { 5 }),
        task: Duration::ZERO,
        slow_task: Duration::ZERO,
        ..proving()
    }
}

async fn on_sqlite(load: Load) {
    let _alone = alone().await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("queue.db").display());
    run("sqlite", &url, folder.path(), load).await;
}

async fn on_postgres(load: Load) {
    let _alone = alone().await;
    let Some(server) = Postgres::start() else {
        return;
    };
    // On the disk that the server has its own folder on.
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    run("postgres", &server.database(), folder.path(), load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_provers_lose_no_lease_on_sqlite() {
    on_sqlite(proving()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_provers_lose_no_lease_on_postgres() {
    on_postgres(proving()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_take_no_time_are_handed_out_on_sqlite() {
    on_sqlite(no_time()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_take_no_time_are_handed_out_on_postgres() {
    on_postgres(no_time()).await;
}
