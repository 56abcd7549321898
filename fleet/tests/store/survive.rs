//! Restarts, transactions of callers, other versions, backups.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, Executor};
use starkwright_fleet::FleetError;
use starkwright_fleet::store::{
    JobState, JobStore, Proof, ProverInfo, SqlStore, Submitted, open_store,
};

use super::{LEASE, LIMITS, blob, machine, tree};
use crate::support::postgres::Postgres;

async fn work(store: &dyn JobStore, tasks: usize) {
    let info = ProverInfo {
        name: "p".to_owned(),
        device: "device".to_owned(),
        memory: u64::MAX,
        machines: vec![machine(1)],
    };
    store.register(&info).await.unwrap();
    for _ in 0..tasks {
        let claim = store.claim("p", LEASE).await.unwrap().unwrap();
        let proof = Proof {
            blob: blob(&claim.task.to_string()),
            prover: "p".to_owned(),
            device: "device".to_owned(),
            seconds: 1.0,
        };
        store.complete(claim.task, &proof).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_opened_again_where_it_was_left_and_a_backup_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let url = format!("sqlite://{}", path.display());
    let job = tree("job", 2);
    let store = open_store(&url, LIMITS).await.unwrap();
    assert_eq!(store.submit(&job).await.unwrap(), Submitted::New);
    work(&*store, 2).await;
    // A backup while it runs (docs/fleet.md).
    let copy = folder.path().join("copy.db");
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let sql = format!("VACUUM INTO '{}'", copy.display());
    connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    drop(store);
    for path in [&path, &copy] {
        let store = open_store(&format!("sqlite://{}", path.display()), LIMITS)
            .await
            .unwrap();
        assert!(matches!(
            store.submit(&job).await.unwrap(),
            Submitted::Known(JobState::Open)
        ));
        assert_eq!(store.job(job.id).await.unwrap().tasks.done, 2);
        work(&*store, 2).await;
        assert_eq!(store.job(job.id).await.unwrap().state, JobState::Done);
    }
    // Of a newer version.
    let newer = "UPDATE schema_version SET version = 1000";
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    connection.execute(newer).await.unwrap();
    let error = open_store(&url, LIMITS).await.err().unwrap();
    assert!(matches!(error, FleetError::Settings { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_none_are_refused_without_their_secrets() {
    for url in [
        "",
        "mysql://root:hush@host/db",
        "queue.db",
        "sqlite://",
        "sqlite:///no/such/folder/x.db",
        "sqlite://a?mode=ro",
    ] {
        let error = open_store(url, LIMITS).await.err().unwrap().to_string();
        assert!(!error.contains("hush"), "{error}");
    }
    let error = open_store("mysql://x", LIMITS)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("postgres://") && error.contains("sqlite://"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_queued_with_its_callers_transaction_or_not_at_all() {
    let server = Postgres::start();
    let folder = tempfile::tempdir().unwrap();
    let mut urls = vec![format!(
        "sqlite://{}",
        folder.path().join("queue.db").display()
    )];
    urls.extend(server.as_ref().map(Postgres::database));
    for url in urls {
        let store = SqlStore::open(&url, LIMITS).await.unwrap();
        let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
        connection
            .execute("CREATE TABLE batches (number BIGINT)")
            .await
            .unwrap();
        for commit in [false, true] {
            let job = tree("batch", 2);
            let mut transaction = connection.begin().await.unwrap();
            transaction
                .execute("INSERT INTO batches VALUES (1)")
                .await
                .unwrap();
            assert_eq!(
                store.submit_in(&mut transaction, &job).await.unwrap(),
                Submitted::New
            );
            if commit {
                transaction.commit().await.unwrap();
                assert_eq!(store.job(job.id).await.unwrap().tasks.all(), 4);
            } else {
                transaction.rollback().await.unwrap();
                assert!(matches!(
                    store.job(job.id).await,
                    Err(FleetError::UnknownJob { .. })
                ));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_restarts_is_waited_for() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let server = Arc::new(server);
    let store = open_store(&server.database(), LIMITS).await.unwrap();
    let job = tree("job", 4);
    store.submit(&job).await.unwrap();
    work(&*store, 2).await;
    let down = Arc::clone(&server);
    tokio::task::spawn_blocking(move || down.down())
        .await
        .unwrap();
    let up = tokio::task::spawn_blocking({
        let server = Arc::clone(&server);
        move || {
            std::thread::sleep(Duration::from_secs(1));
            server.up();
        }
    });
    // Asked while it is down.
    work(&*store, 6).await;
    up.await.unwrap();
    assert_eq!(store.job(job.id).await.unwrap().state, JobState::Done);
}
