//! What is left of jobs that have ended, and how they begin again.

use std::time::Duration;

use starkwright_fleet::FleetError;
use starkwright_fleet::store::{Completed, JobState, Limits, Refusal, Submitted, TaskState};
use starkwright_fleet::task::TaskId;

use super::rules::{info, proof, with_provers};
use super::{LEASE, LIMITS, Tested, blob, tree};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_tried_again_starts_attempts_anew_but_where_a_proof_is_there() {
    let (all, _server) = Tested::all(LIMITS).await;
    for tested in &all {
        let store = &*tested.store;
        with_provers(store).await;
        let job = tree("job", 2);
        store.submit(&job).await.unwrap();
        for _ in 0..2 {
            let leaf = store.claim("a", LEASE).await.unwrap().unwrap();
            store.fail(leaf.task, leaf.token, "hot").await.unwrap();
        }
        let proven = store.claim("b", LEASE).await.unwrap().unwrap();
        store.complete(proven.task, &proof("leaf")).await.unwrap();
        let attempts = async || -> Vec<u32> {
            let tasks = store.tasks(job.id, 0, 9).await.unwrap();
            tasks.iter().map(|task| task.attempts).collect()
        };
        assert_eq!(attempts().await, [1, 1, 0, 0], "{}", tested.name);
        store.cancel(job.id).await.unwrap();
        store.retry(job.id).await.unwrap();
        let mut expected = [0; 4];
        expected[proven.task.number as usize] = 1;
        assert_eq!(attempts().await, expected, "{}", tested.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn archived_jobs_keep_their_results_and_nothing_else() {
    let (all, _server) = Tested::all(LIMITS).await;
    for tested in &all {
        let store = &*tested.store;
        with_provers(store).await;
        let job = tree("job", 1);
        store.submit(&job).await.unwrap();
        tested.set_clock(0);
        while let Some(claim) = store.claim("a", LEASE).await.unwrap() {
            let done = proof(&claim.spec.kind);
            store.complete(claim.task, &done).await.unwrap();
        }
        let hashes = [blob("leaf").hash, blob("wrap").hash, blob("job").hash];
        assert_eq!(store.referenced(&hashes).await.unwrap(), [true; 3]);
        assert_eq!(store.archive(Duration::from_secs(3600)).await.unwrap(), 0);
        tested.set_clock(4_000_000);
        assert_eq!(store.archive(Duration::from_secs(3600)).await.unwrap(), 1);
        let view = store.job(job.id).await.unwrap();
        assert_eq!(
            (view.state, view.archived, view.tasks.done),
            (JobState::Done, true, 2)
        );
        assert_eq!(view.result, Some(blob("wrap")));
        assert_eq!(
            store.referenced(&hashes).await.unwrap(),
            [false, true, false],
            "{}",
            tested.name
        );
        assert!(store.tasks(job.id, 0, 9).await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_job_without_a_proof_is_a_new_one_when_it_is_submitted_again() {
    let (all, _server) = Tested::all(LIMITS).await;
    for tested in &all {
        let store = &*tested.store;
        tested.set_clock(0);
        with_provers(store).await;
        let job = tree("job", 2);
        store.submit(&job).await.unwrap();
        store.cancel(job.id).await.unwrap();
        let again = store.submit(&job).await.unwrap();
        assert_eq!(again, Submitted::Known(JobState::Cancelled));
        assert_eq!(store.archive(Duration::ZERO).await.unwrap(), 1);
        assert!(store.retry(job.id).await.is_err());
        let again = store.submit(&job).await.unwrap();
        assert_eq!(again, Submitted::New, "{}", tested.name);
        while let Some(claim) = store.claim("a", LEASE).await.unwrap() {
            let done = proof(&claim.spec.kind);
            store.complete(claim.task, &done).await.unwrap();
        }
        assert_eq!(store.job(job.id).await.unwrap().state, JobState::Done);
        assert_eq!(store.jobs(None, 9).await.unwrap().len(), 1);
        // With its proof it stays what it is.
        assert_eq!(store.archive(Duration::ZERO).await.unwrap(), 1);
        let again = store.submit(&job).await.unwrap();
        assert_eq!(again, Submitted::Known(JobState::Done));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn provers_are_forgotten_unless_they_work_or_are_quarantined() {
    let limits = Limits {
        max_refused: 1,
        ..LIMITS
    };
    let (all, _server) = Tested::all(limits).await;
    for tested in &all {
        let store = &*tested.store;
        tested.set_clock(0);
        for name in ["liar", "works", "gone"] {
            store.register(&info(name, u64::MAX)).await.unwrap();
        }
        store.submit(&tree("job", 2)).await.unwrap();
        let lie = store.claim("liar", LEASE).await.unwrap().unwrap();
        let refusal = Refusal {
            task: lie.task,
            prover: "liar".to_owned(),
            blob: blob("a lie"),
            why: "no proof".to_owned(),
            at: 0,
        };
        store.refuse(&refusal, lie.token).await.unwrap();
        store.claim("works", LEASE).await.unwrap().unwrap();
        tested.set_clock(1000);
        store.register(&info("new", u64::MAX)).await.unwrap();
        let second = Duration::from_secs(1);
        assert_eq!(store.forget(second * 2).await.unwrap(), 0);
        assert_eq!(store.forget(second).await.unwrap(), 1, "{}", tested.name);
        let left = store.provers().await.unwrap();
        let left: Vec<_> = left.iter().map(|view| view.info.name.as_str()).collect();
        assert_eq!(left, ["liar", "new", "works"]);
        // Whoever is forgotten says who it is again.
        let unknown = store.claim("gone", LEASE).await;
        assert!(matches!(unknown, Err(FleetError::UnknownProver { .. })));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_proof_is_to_be_made_again_and_what_takes_it_waits() {
    let (all, _server) = Tested::all(LIMITS).await;
    for tested in &all {
        let store = &*tested.store;
        with_provers(store).await;
        let job = tree("job", 2);
        store.submit(&job).await.unwrap();
        let task = |number| TaskId {
            job: job.id,
            number,
        };
        // Two leaves and their join; the wrap is left.
        for _ in 0..3 {
            let claim = store.claim("a", LEASE).await.unwrap().unwrap();
            let done = proof(&claim.task.number.to_string());
            store.complete(claim.task, &done).await.unwrap();
        }
        let unprove =
            async |number: u32, name: &str| store.unprove(task(number), &blob(name)).await;
        // Open, it goes on: whoever takes the proof has it, or fails.
        assert!(!unprove(2, "2").await.unwrap());
        let last = store.claim("a", LEASE).await.unwrap().unwrap();
        for _ in 0..LIMITS.max_attempts {
            let held = store
                .claim("a", LEASE)
                .await
                .unwrap()
                .unwrap_or_else(|| last.clone());
            store.fail(held.task, held.token, "no proof").await.unwrap();
        }
        assert_eq!(store.job(job.id).await.unwrap().state, JobState::Failed);
        assert!(!unprove(2, "another").await.unwrap());
        assert!(!unprove(3, "3").await.unwrap());
        assert!(unprove(9, "9").await.is_err());
        assert!(unprove(2, "2").await.unwrap());
        assert!(unprove(0, "0").await.unwrap());
        assert!(!unprove(0, "0").await.unwrap());
        let states = async || -> Vec<TaskState> {
            let tasks = store.tasks(job.id, 0, 9).await.unwrap();
            tasks.iter().map(|task| task.state).collect()
        };
        let lost = [
            TaskState::Ready,
            TaskState::Done,
            TaskState::Waiting,
            TaskState::Waiting,
        ];
        assert_eq!(states().await, lost, "{}", tested.name);
        store.retry(job.id).await.unwrap();
        assert_eq!(states().await, lost, "{}", tested.name);
        for number in [0, 2, 3] {
            let claim = store.claim("b", LEASE).await.unwrap().unwrap();
            assert_eq!(claim.task, task(number), "{}", tested.name);
            let done = proof("again");
            let completed = store.complete(claim.task, &done).await.unwrap();
            let ready = u32::from(number < 3);
            let job_done = number == 3;
            assert_eq!(completed, Completed::Accepted { ready, job_done });
        }
        let view = store.job(job.id).await.unwrap();
        assert_eq!((view.state, view.tasks.done), (JobState::Done, 4));
        // With its proof nothing of it is needed any more.
        assert!(!unprove(0, "again").await.unwrap());
    }
}
