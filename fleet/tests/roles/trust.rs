//! Who is believed: tokens, liars, lies about others' tasks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use starkwright_fleet::FleetError;
use starkwright_fleet::aggregator::{Delivered, Settings, Tokens};
use starkwright_fleet::blobs::Blobs;
use starkwright_fleet::client::Client;
use starkwright_fleet::link::Address;
use starkwright_fleet::protocol::wire::{self, work_client::WorkClient};
use starkwright_fleet::store::{JobState, Limits, MemoryStore, TaskState};
use starkwright_fleet::task::BlobHash;

use super::support::fleet::{Fleet, Prover, SUBMIT, WORK, file, settings, tick};
use super::support::toy::{ToyProver, Vice};
use super::{PATIENCE, PAUSE, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_liar_is_refused_kept_and_quarantined_and_the_job_is_done_by_others() {
    for vice in [Vice::Lies, Vice::RepeatsItself] {
        let folder = tempfile::tempdir().unwrap();
        let fleet = Fleet::start().await;
        let path = file(folder.path(), "input", 5_000);
        let job = fleet.submit(&path, 100).await;
        let liar = fleet.prover("liar", ToyProver::new(PAUSE, vice));
        let caught = within("the liar's end", liar.working).await.unwrap();
        assert!(
            matches!(caught, Err(FleetError::Quarantined { .. })),
            "{caught:?}"
        );
        let refusals = fleet.aggregator.store().refusals(10).await.unwrap();
        assert_eq!(refusals.len(), 3);
        for refusal in &refusals {
            assert_eq!(refusal.prover, "liar");
            let kept = fleet.aggregator.blobs().get(&refusal.blob).await.unwrap();
            assert!(kept.starts_with(b"toy proof"));
        }
        // Under its old name it is not let in again.
        let again = fleet.prover("liar", ToyProver::new(PAUSE, Vice::None));
        let again = within("the liar's second end", again.working)
            .await
            .unwrap();
        assert!(
            matches!(again, Err(FleetError::Refused { .. })),
            "{again:?}"
        );
        let honest = fleet.prover("honest", ToyProver::new(PAUSE, Vice::None));
        let client = fleet.client();
        let done = within("the job", client.wait(job, PATIENCE, |_| {})).await;
        assert_eq!(done.unwrap().state, JobState::Done);
        // Released, it may work again.
        client.release_prover("liar").await.unwrap();
        let (provers, _) = client.provers().await.unwrap();
        let liar = provers.iter().find(|prover| prover.name == "liar");
        assert_eq!(liar.unwrap().quarantined, "");
        client.release_prover("nobody").await.unwrap_err();
        honest.finish().await.unwrap();
        fleet.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_open_one_door_each() {
    let fleet = Fleet::start().await;
    let refused = |error: FleetError| {
        let text = error.to_string();
        assert!(matches!(error, FleetError::Refused { .. }), "{text}");
        assert!(text.contains("token"), "{text}");
    };
    for token in [Some(WORK), Some("guess"), None] {
        let address = Address {
            token: token.map(str::to_owned),
            ..fleet.address("")
        };
        let client = Client::new(&address).unwrap();
        refused(client.jobs(None, 1).await.unwrap_err());
    }
    for token in [SUBMIT, "guess"] {
        let prover = ToyProver::new(PAUSE, Vice::None);
        let prover = Prover::start(fleet.address(token), "p", vec![std::sync::Arc::new(prover)]);
        refused(prover.working.await.unwrap().unwrap_err());
    }
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_a_name_lets_nobody_work_or_lie_under_another() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::new(Limits::default()));
    tick(&store);
    let mut tokens = Tokens::new(Some(SUBMIT), None);
    tokens
        .add_provers("alice a-secret\nmallory m-secret")
        .unwrap();
    let settings = Settings {
        tokens,
        ..settings()
    };
    let blobs = Blobs::open("memory:").unwrap();
    let fleet = Fleet::start_on(store, blobs, &["1"], settings, "127.0.0.1:0").await;
    let path = file(folder.path(), "input", 1000);
    let job = fleet.submit(&path, 100).await;
    let start = |token: &str, name: &str, vice| {
        let prover = Arc::new(ToyProver::new(PAUSE, vice));
        Prover::start(fleet.address(token), name, vec![prover])
    };
    for name in ["alice", "alice.1", "bob"] {
        let ended = start("m-secret", name, Vice::Lies).working.await.unwrap();
        let error = ended.unwrap_err().to_string();
        assert!(error.contains("for the prover mallory"), "{error}");
    }
    let liar = start("m-secret", "mallory.7", Vice::Lies);
    let caught = within("the liar's end", liar.working).await.unwrap();
    assert!(
        matches!(caught, Err(FleetError::Quarantined { .. })),
        "{caught:?}"
    );
    let honest = ["alice", "alice.2"].map(|name| start("a-secret", name, Vice::None));
    let client = fleet.client();
    let done = within("the job", client.wait(job, PATIENCE, |_| {})).await;
    assert_eq!(done.unwrap().state, JobState::Done);
    for prover in honest {
        prover.finish().await.unwrap();
    }
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_about_tasks_that_one_does_not_have_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = Fleet::start().await;
    let path = file(folder.path(), "input", 100);
    fleet.submit(&path, 100).await;
    let slow = ToyProver::new(Duration::from_millis(400), Vice::None);
    let honest = fleet.prover("honest", slow);
    let store = fleet.aggregator.store();
    let leased = async {
        while store
            .provers()
            .await
            .unwrap()
            .iter()
            .all(|prover| prover.leased == 0)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("a lease", leased).await;
    // Somebody who shares its token, and knows its name and its task: not its lease.
    let job = store.jobs(None, 1).await.unwrap()[0].id;
    let task = starkwright_fleet::task::TaskId { job, number: 0 };
    for token in 0..10 {
        let lie = Bytes::from(format!("a lie {token}"));
        let told = fleet.aggregator.deliver("honest", (task, token), lie, 1.0);
        let told = told.await.unwrap();
        assert!(
            matches!(
                told,
                Delivered::Refused {
                    quarantined: false,
                    ..
                }
            ),
            "{told:?}"
        );
    }
    assert!(store.refusals(9).await.unwrap().is_empty());
    // The wrap waits for the leaf: nobody was asked for it yet, and nothing is looked at.
    let wrap = starkwright_fleet::task::TaskId { job, number: 1 };
    let early = Bytes::from_static(b"early");
    let early = fleet.aggregator.deliver("honest", (wrap, 1), early, 1.0);
    assert_eq!(early.await.unwrap(), Delivered::Duplicate);
    assert_eq!(store.task(wrap).await.unwrap().state, TaskState::Waiting);
    let ended = fleet.client().wait(job, PATIENCE, |_| {}).await.unwrap();
    assert_eq!(ended.state, JobState::Done);
    let report = honest.finish().await.unwrap();
    assert_eq!((report.accepted, report.refused), (2, 0));
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_longer_than_announced_is_not_held() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = Fleet::start().await;
    let path = file(folder.path(), "input", 100);
    let job = fleet.submit(&path, 100).await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", fleet.address));
    let mut work = WorkClient::new(channel.unwrap().connect().await.unwrap());
    let long = vec![7; 100];
    // In one piece, and in the second one; announced as one byte, and as more than a proof may have.
    // The last one is of a task that there is not: no error of its prover's, and none of it is read.
    for (number, pieces, bytes) in [
        (0, vec![long.clone()], 1),
        (0, vec![vec![7], long.clone()], 1),
        (0, vec![long.clone()], 1 << 20),
        (99, vec![long.clone()], 1),
    ] {
        let mut messages: Vec<wire::DeliverRequest> = pieces
            .into_iter()
            .map(|data| wire::DeliverRequest { head: None, data })
            .collect();
        messages[0].head = Some(wire::DeliverHead {
            prover: "p".to_owned(),
            lease: Some(wire::Lease {
                job: job.to_string(),
                number,
                token: 1,
            }),
            proof: Some(wire::Blob {
                sha256: BlobHash::of(&long).0.to_vec(),
                bytes,
            }),
            seconds: 1.0,
        });
        let mut request = tonic::Request::new(futures::stream::iter(messages));
        let token = format!("Bearer {WORK}").parse().unwrap();
        request.metadata_mut().insert("authorization", token);
        let answer = work.deliver(request).await;
        if number == 99 {
            let reply = answer.unwrap().into_inner();
            assert_eq!(reply.outcome(), wire::deliver_reply::Outcome::Closed);
            continue;
        }
        let refused = answer.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused}");
    }
    fleet.stop().await;
}
