//! What every queue keeps to about leases: whose they are, when they end, what counts under them.

use starkwright_fleet::FleetError;
use starkwright_fleet::store::{Completed, Failed, Limits, Refusal, Refused};
use starkwright_fleet::task::TaskId;

use super::rules::{proof, with_provers};
use super::{LEASE, LIMITS, Tested, blob, tree};

#[tokio::test(flavor = "multi_thread")]
async fn a_late_proof_counts_while_its_task_is_unproven() {
    let (all, _server) = Tested::all(LIMITS).await;
    for tested in &all {
        let store = &*tested.store;
        with_provers(store).await;
        store.submit(&tree("job", 1)).await.unwrap();
        tested.set_clock(0);
        let first = store.claim("a", LEASE).await.unwrap().unwrap();
        tested.set_clock(60_000);
        assert_eq!(
            store.expire(LEASE * 2).await.unwrap().len(),
            1,
            "{}",
            tested.name
        );
        let second = store.claim("b", LEASE).await.unwrap().unwrap();
        assert_eq!(second.task, first.task);
        assert_ne!(second.token, first.token);
        // The old token opens nothing.
        assert_eq!(
            store.fail(first.task, first.token, "").await.unwrap(),
            Failed::NotYours
        );
        assert!(!store.release(first.task, first.token).await.unwrap());
        let held = [(first.task, first.token), (second.task, second.token)];
        let holds = store.heartbeat("b", &held, LEASE).await.unwrap();
        assert_eq!(holds, [false, true]);
        // The proof does.
        let accepted = Completed::Accepted {
            ready: 1,
            job_done: false,
        };
        assert_eq!(
            store.complete(first.task, &proof("late")).await.unwrap(),
            accepted
        );
        assert_eq!(
            store.complete(second.task, &proof("later")).await.unwrap(),
            Completed::Duplicate
        );
        let tasks = store.tasks(first.task.job, 0, 9).await.unwrap();
        assert_eq!(tasks[0].proof, Some(blob("late")));
        let holds = store.heartbeat("b", &held, LEASE).await.unwrap();
        assert_eq!(holds, [false, false]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_counts_once_and_only_under_its_senders_own_lease() {
    let (all, _server) = Tested::all(LIMITS).await;
    for tested in &all {
        let store = &*tested.store;
        with_provers(store).await;
        store.submit(&tree("job", 4)).await.unwrap();
        let refused = |prover: &str, task, why: &str| Refusal {
            task,
            prover: prover.to_owned(),
            blob: blob(why),
            why: why.to_owned(),
            at: 0,
        };
        let (counted, last) = (
            Refused::Counted { quarantined: false },
            Refused::Counted { quarantined: true },
        );
        let claim = store.claim("a", LEASE).await.unwrap().unwrap();
        let other = store.claim("b", LEASE).await.unwrap().unwrap();
        // In another's name, under another's lease, under a guessed one, of a task that is nobody's.
        for (prover, task, token) in [
            ("b", claim.task, claim.token),
            ("a", other.task, claim.token),
            ("a", other.task, other.token),
            ("a", claim.task, claim.token + 1),
            (
                "a",
                TaskId {
                    number: 3,
                    ..claim.task
                },
                claim.token,
            ),
        ] {
            let answer = store.refuse(&refused(prover, task, "no"), token).await;
            assert_eq!(answer.unwrap(), Refused::NotYours, "{}", tested.name);
        }
        assert!(store.refusals(9).await.unwrap().is_empty());
        // Its own, sent twice.
        let lie = refused("a", claim.task, "a lie");
        assert_eq!(store.refuse(&lie, claim.token).await.unwrap(), counted);
        let again = store.refuse(&lie, claim.token).await.unwrap();
        assert_eq!(again, Refused::NotYours);
        assert_eq!(store.refusals(9).await.unwrap().len(), 1);
        // Nobody's before somebody else has tried it.
        let next = store.claim("a", LEASE).await.unwrap().unwrap();
        assert_ne!(next.task, claim.task);
        let second = store.claim("a", LEASE).await.unwrap().unwrap();
        let lie = refused("a", next.task, "another lie");
        assert_eq!(store.refuse(&lie, next.token).await.unwrap(), last);
        // It loses what else it has, and gets nothing more. Nobody prolongs another's lease.
        let held = [(other.task, other.token)];
        assert_eq!(store.heartbeat("a", &held, LEASE).await.unwrap(), [false]);
        assert_eq!(store.heartbeat("b", &held, LEASE).await.unwrap(), [true]);
        let held = [(second.task, second.token)];
        assert_eq!(store.heartbeat("a", &held, LEASE).await.unwrap(), [false]);
        let error = store.claim("a", LEASE).await.unwrap_err();
        assert!(matches!(error, FleetError::Quarantined { .. }), "{error}");
        // No attempt was used up, and `b` is what it was.
        let provers = store.provers().await.unwrap();
        let b = provers.iter().find(|prover| prover.info.name == "b");
        assert_eq!(b.unwrap().refused, 0);
        let tasks = store.tasks(claim.task.job, 0, 9).await.unwrap();
        assert!(tasks.iter().all(|task| task.attempts == 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_costs_an_attempt_at_most_and_holds_nothing_up() {
    let (all, _server) = Tested::all(LIMITS).await;
    for tested in &all {
        let store = &*tested.store;
        with_provers(store).await;
        let hour = 3_600_000;
        tested.set_clock(2 * hour);
        store.submit(&tree("job", 1)).await.unwrap();
        store.claim("a", LEASE).await.unwrap().unwrap();
        // Back: whoever has the lease is not waited for an hour longer.
        tested.set_clock(hour);
        let taken = store.expire(LEASE * 2).await.unwrap();
        assert_eq!(taken[0].outcome, Failed::Again { left: 3 });
        let claim = store.claim("b", LEASE).await.unwrap().unwrap();
        assert_eq!(store.expire(LEASE * 2).await.unwrap(), []);
        // Forward: it is taken back, and its proof counts all the same.
        tested.set_clock(2 * hour);
        assert_eq!(store.expire(LEASE * 2).await.unwrap().len(), 1);
        let late = store.complete(claim.task, &proof("late")).await.unwrap();
        let accepted = Completed::Accepted {
            ready: 1,
            job_done: false,
        };
        assert_eq!(late, accepted, "{}", tested.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_holds_more_leases_than_the_cap() {
    let limits = Limits {
        max_open: 1000,
        ..LIMITS
    };
    let (all, _server) = Tested::all(limits).await;
    for tested in &all {
        let store = &*tested.store;
        with_provers(store).await;
        store.submit(&tree("job", 100)).await.unwrap();
        let mut first = None;
        for _ in 0..64 {
            let claim = store.claim("a", LEASE).await.unwrap();
            first = first.or(claim);
        }
        assert_eq!(store.claim("a", LEASE).await.unwrap(), None);
        assert!(store.claim("b", LEASE).await.unwrap().is_some());
        let first = first.unwrap();
        assert!(store.release(first.task, first.token).await.unwrap());
        assert!(store.claim("a", LEASE).await.unwrap().is_some());
    }
}
