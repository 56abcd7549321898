//! Provers that are slower than their leases, that lie, that lose their devices.

use starkwright_fleet::store::JobStore as _;

use super::host::{Host, Process};
use super::role::{Kind, Role};

/// The prover's role, with a vice.
fn with(role: Role, change: impl FnOnce(&mut bool, &mut bool, &mut u64)) -> Role {
    let Kind::Prover {
        connect,
        name,
        mut pause_ms,
        mut lies,
        mut loses_device,
    } = role.kind
    else {
        panic!("not a prover");
    };
    change(&mut lies, &mut loses_device, &mut pause_ms);
    Role {
        kind: Kind::Prover {
            connect,
            name,
            pause_ms,
            lies,
            loses_device,
        },
        ..role
    }
}

/// Frozen with all its threads, it sends no heartbeats: its task goes to another, and what it delivers afterwards is late.
#[tokio::test(flavor = "multi_thread")]
async fn a_prover_that_freezes_longer_than_its_lease_is_late_and_nothing_else() {
    let host = Host::new();
    let _aggregator = Process::start(host.aggregator());
    let slow = with(host.prover("slow"), |_, _, pause| *pause = 200);
    let slow = Process::start(slow);
    let job = host.submit("job", 12).await;
    host.until(job, "the slow one works", |tasks| tasks.leased > 0)
        .await;
    slow.signal("STOP");
    // Whatever it has goes to the other, once its lease has run out.
    let _fast = Process::start(host.prover("fast"));
    host.until(job, "the other has done all of it", |tasks| {
        tasks.unproven() == 0
    })
    .await;
    slow.signal("CONT");
    host.settle(&[("job".to_owned(), job)]).await;
    let store = host.store().await;
    let tasks = store.tasks(job, 0, 100).await.unwrap();
    assert!(
        tasks.iter().any(|task| task.attempts > 0),
        "no lease ran out"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_liar_is_sent_away_and_the_others_make_the_same_proof() {
    let host = Host::new();
    let _aggregator = Process::start(host.aggregator());
    let mut liar = Process::start(with(host.prover("liar"), |lies, _, _| *lies = true));
    let job = host.submit("job", 24).await;
    assert!(liar.end().await.success());
    let store = host.store().await;
    assert_eq!(store.refusals(9).await.unwrap().len(), 3);
    let provers = store.provers().await.unwrap();
    assert!(!provers[0].quarantined.is_empty());
    let _honest = Process::start(host.prover("honest"));
    host.settle(&[("job".to_owned(), job)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_lost_in_the_middle_of_a_task_ends_its_prover_and_no_job() {
    let host = Host::new();
    let _aggregator = Process::start(host.aggregator());
    let loser = with(host.prover("loser"), |_, loses, _| *loses = true);
    let mut loser = Process::start(loser);
    let job = host.submit("job", 24).await;
    assert!(loser.end().await.success());
    let tasks = host.store().await.tasks(job, 0, 100).await.unwrap();
    assert_eq!(tasks.iter().filter(|task| task.attempts > 0).count(), 1);
    let _other = Process::start(host.prover("other"));
    host.settle(&[("job".to_owned(), job)]).await;
}
