//! What every queue keeps to, rule by rule.

use starkwright_fleet::FleetError;
use starkwright_fleet::store::{
    Completed, Failed, JobState, JobStore, Limits, Proof, ProverInfo, Submitted,
};
use starkwright_fleet::task::{NewJob, TaskId};

use super::{LEASE, LIMITS, Tested, blob, machine, tree};

pub(crate) fn info(name: &str, memory: u64) -> ProverInfo {
    ProverInfo {
        name: name.to_owned(),
        device: "device".to_owned(),
        memory,
        machines: vec![machine(1)],
    }
}

pub(crate) fn proof(name: &str) -> Proof {
    Proof {
        blob: blob(name),
        prover: "a".to_owned(),
        device: "device".to_owned(),
        seconds: 1.0,
    }
}

pub(crate) async fn with_provers(store: &dyn JobStore) {
    store.register(&info("a", u64::MAX)).await.unwrap();
    store.register(&info("b", u64::MAX)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_come_by_priority_urgency_range_and_age() {
    let limits = Limits {
        max_open: 1000,
        ..LIMITS
    };
    let (all, _server) = Tested::all(limits).await;
    for tested in &all {
        let store = &*tested.store;
        with_provers(store).await;
        let jobs = [
            ("late", 0, 9),
            ("early", 0, u64::MAX),
            ("first", 0, 3),
            ("urgent", 1, u64::MAX),
        ];
        for (name, priority, first) in jobs {
            let job = NewJob {
                priority,
                first,
                ..tree(name, 1)
            };
            assert_eq!(store.submit(&job).await.unwrap(), Submitted::New);
        }
        let name_of = |id| {
            let mut jobs = jobs.iter().map(|&(name, ..)| (name, tree(name, 1).id));
            jobs.find(|job| job.1 == id).unwrap().0
        };
        let mut order = Vec::new();
        while let Some(claim) = store.claim("a", LEASE).await.unwrap() {
            order.push(format!("{} {}", name_of(claim.task.job), claim.spec.kind));
            let done = proof(&claim.task.to_string());
            store.complete(claim.task, &done).await.unwrap();
        }
        // Wraps before leaves of the same priority, whatever their range.
        let expected = [
            "urgent leaf",
            "urgent wrap",
            "first leaf",
            "first wrap",
            "late leaf",
            "late wrap",
            "early leaf",
            "early wrap",
        ];
        assert_eq!(order, expected, "{}", tested.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_task_goes_elsewhere_first_and_attempts_end() {
    let (all, _server) = Tested::all(LIMITS).await;
    for tested in &all {
        let store = &*tested.store;
        with_provers(store).await;
        store.submit(&tree("job", 2)).await.unwrap();
        let first = store.claim("a", LEASE).await.unwrap().unwrap();
        let failed = store.fail(first.task, first.token, "hot").await.unwrap();
        assert_eq!(failed, Failed::Again { left: 2 });
        // Another task comes before the one that it failed, for it alone.
        let other = store.claim("a", LEASE).await.unwrap().unwrap();
        assert_ne!(other.task, first.task);
        let again = store.claim("b", LEASE).await.unwrap().unwrap();
        assert_eq!(again.task, first.task);
        assert_eq!(
            store.fail(again.task, again.token, "hot").await.unwrap(),
            Failed::Again { left: 1 }
        );
        // Better it than nobody.
        let last = store.claim("b", LEASE).await.unwrap().unwrap();
        assert_eq!(last.task, first.task);
        assert_eq!(
            store.fail(last.task, last.token, "hot").await.unwrap(),
            Failed::JobFailed
        );
        let job = store.job(first.task.job).await.unwrap();
        assert_eq!(job.state, JobState::Failed, "{}", tested.name);
        assert!(job.error.contains("hot"), "{}", job.error);
        assert_eq!(store.claim("a", LEASE).await.unwrap(), None);
        let late = store.complete(other.task, &proof("late")).await.unwrap();
        assert_eq!(late, Completed::Closed(JobState::Failed));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_go_to_devices_that_hold_them_and_machines_that_serve_them() {
    let (all, _server) = Tested::all(LIMITS).await;
    for tested in &all {
        let store = &*tested.store;
        store.register(&info("small", 1 << 20)).await.unwrap();
        store.register(&info("large", 1 << 50)).await.unwrap();
        let mut other = info("other", u64::MAX);
        other.machines = vec![machine(2)];
        store.register(&other).await.unwrap();
        store.submit(&tree("job", 2)).await.unwrap();
        for _ in 0..2 {
            let leaf = store.claim("small", LEASE).await.unwrap().unwrap();
            store.complete(leaf.task, &proof("leaf")).await.unwrap();
        }
        // The join needs a tebibyte.
        assert_eq!(store.claim("small", LEASE).await.unwrap(), None);
        assert_eq!(store.claim("other", LEASE).await.unwrap(), None);
        let join = store.claim("large", LEASE).await.unwrap().unwrap();
        assert_eq!((join.spec.kind.as_str(), join.children.len()), ("join", 2));
        assert!(matches!(
            store.claim("nobody", LEASE).await,
            Err(FleetError::UnknownProver { .. })
        ));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cap_holds_and_nothing_of_a_refused_job_is_there() {
    let limits = Limits {
        max_open: 10,
        ..LIMITS
    };
    let (all, _server) = Tested::all(limits).await;
    for tested in &all {
        let store = &*tested.store;
        // 4 + 3 + 1 tasks.
        store.submit(&tree("first", 4)).await.unwrap();
        let error = store.submit(&tree("second", 2)).await.unwrap_err();
        assert!(
            matches!(
                error,
                FleetError::Full {
                    open: 8,
                    more: 4,
                    cap: 10
                }
            ),
            "{error}"
        );
        assert!(store.job(tree("second", 2).id).await.is_err());
        assert!(matches!(
            store.submit(&tree("first", 4)).await.unwrap(),
            Submitted::Known(JobState::Open)
        ));
        store.cancel(tree("first", 4).id).await.unwrap();
        store.submit(&tree("second", 2)).await.unwrap();
        let error = store.retry(tree("first", 4).id).await.unwrap_err();
        assert!(
            matches!(error, FleetError::Full { .. }),
            "{}: {error}",
            tested.name
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_that_are_none_are_refused() {
    let (all, _server) = Tested::all(LIMITS).await;
    let good = tree("job", 2);
    let mut empty = good.clone();
    empty.tasks.clear();
    let mut forward = good.clone();
    forward.tasks[0].children = vec![3];
    let mut loose = good.clone();
    loose.tasks[2].children = vec![0, 0];
    let mut unwritable = good.clone();
    unwritable.stream = "a\0b".to_owned();
    let mut twice = good.clone();
    twice.tasks[1].place = twice.tasks[0].place;
    for tested in &all {
        for bad in [&empty, &forward, &loose, &unwritable, &twice] {
            let error = tested.store.submit(bad).await.unwrap_err();
            assert!(matches!(error, FleetError::Plan { .. }), "{error}");
        }
        assert_eq!(tested.store.submit(&good).await.unwrap(), Submitted::New);
        let beyond = TaskId {
            job: good.id,
            number: 4,
        };
        assert!(matches!(
            tested.store.task(beyond).await,
            Err(FleetError::UnknownTask { .. })
        ));
    }
}
