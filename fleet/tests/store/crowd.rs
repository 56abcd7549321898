//! Many at a time: no task is leased twice, every one is done once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use starkwright_fleet::store::{
    Completed, JobState, JobStore, Limits, Proof, ProverInfo, SqlStore,
};
use starkwright_fleet::task::TaskId;

use super::{Tested, blob, machine, tree};
use crate::support::postgres::Postgres;

const LIMITS: Limits = Limits {
    max_open: 10_000,
    max_attempts: 5,
    max_refused: 3,
};

/// Each of `stores` is another aggregator's on the same queue.
async fn crowd(stores: Vec<Arc<dyn JobStore>>) {
    let jobs: Vec<_> = (0..6).map(|job| tree(&format!("job {job}"), 12)).collect();
    for job in &jobs {
        stores[0].submit(job).await.unwrap();
    }
    let held: Arc<Mutex<BTreeSet<TaskId>>> = Arc::default();
    let mut working = Vec::new();
    for number in 0..16 {
        let store = Arc::clone(&stores[number % stores.len()]);
        let held = Arc::clone(&held);
        working.push(tokio::spawn(async move {
            let name = format!("p{number}");
            let info = ProverInfo {
                name: name.clone(),
                device: "device".to_owned(),
                memory: u64::MAX,
                machines: vec![machine(1)],
            };
            store.register(&info).await.unwrap();
            let (mut accepted, mut idle) = (0, 0);
            while idle < 40 {
                let Some(claim) = store.claim(&name, Duration::from_secs(60)).await.unwrap() else {
                    idle += 1;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                };
                idle = 0;
                assert!(
                    held.lock().unwrap().insert(claim.task),
                    "{} is leased twice",
                    claim.task
                );
                let beat = [(claim.task, claim.token)];
                assert_eq!(
                    store
                        .heartbeat(&name, &beat, Duration::from_secs(60))
                        .await
                        .unwrap(),
                    [true]
                );
                if claim.task.number % 7 == number as u32 % 7 {
                    held.lock().unwrap().remove(&claim.task);
                    assert!(store.release(claim.task, claim.token).await.unwrap());
                    continue;
                }
                let proof = Proof {
                    blob: blob(&claim.task.to_string()),
                    prover: name.clone(),
                    device: "device".to_owned(),
                    seconds: 0.1,
                };
                match store.complete(claim.task, &proof).await.unwrap() {
                    Completed::Accepted { .. } => accepted += 1,
                    other => panic!("{other:?}"),
                }
            }
            accepted
        }));
    }
    let mut accepted = 0;
    for worker in working {
        accepted += worker.await.unwrap();
    }
    let tasks: usize = jobs.iter().map(|job| job.tasks.len()).sum();
    assert_eq!(accepted, tasks);
    for job in &jobs {
        assert_eq!(stores[0].job(job.id).await.unwrap().state, JobState::Done);
    }
    let done: u64 = stores[0]
        .provers()
        .await
        .unwrap()
        .iter()
        .map(|prover| prover.done)
        .sum();
    assert_eq!(done, tasks as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_on_sqlite() {
    let tested = Tested::sqlite(LIMITS).await;
    crowd(vec![Arc::clone(&tested.store)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_on_two_aggregators_and_one_postgres() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let url = server.database();
    let mut stores: Vec<Arc<dyn JobStore>> = Vec::new();
    for _ in 0..2 {
        stores.push(Arc::new(SqlStore::open(&url, LIMITS).await.unwrap()));
    }
    crowd(stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cap_holds_against_many_submitters() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let url = server.database();
    let limits = Limits {
        max_open: 20,
        ..LIMITS
    };
    let store = Arc::new(SqlStore::open(&url, limits).await.unwrap());
    let submits = (0..12).map(|job| {
        let store = Arc::clone(&store);
        // Four tasks each.
        tokio::spawn(async move { store.submit(&tree(&format!("job {job}"), 2)).await.is_ok() })
    });
    let mut queued = 0;
    for submit in submits.collect::<Vec<_>>() {
        queued += u32::from(submit.await.unwrap());
    }
    assert_eq!(queued, 5);
}
