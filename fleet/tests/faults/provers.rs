//! Provers that are slower than their leases, that lie, that lose their devices.

use std::time::Duration;

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
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        slow.signal("STOP");
        tokio::time::sleep(host.lease * 2).await;
        slow.signal("CONT");
    }
    let _fast = Process::start(host.prover("fast"));
    host.settle(&[("job".to_owned(), job)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_liar_is_sent_away_and_the_others_make_the_same_proof() {
    let host = Host::new();
    let _aggregator = Process::start(host.aggregator());
    let mut liar = Process::start(with(host.prover("liar"), |lies, _, _| *lies = true));
    let job = host.submit("job", 24).await;
    while !liar.has_ended() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
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
    while !loser.has_ended() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let _other = Process::start(host.prover("other"));
    host.settle(&[("job".to_owned(), job)]).await;
}
