//! Files become one wrap through a fleet, at tiny parameters: every kind of task, over sockets of this host.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use starkwright_aggregator::node_file::{Kind, NodeFile};
use starkwright_fleet::FleetError;
use starkwright_fleet::aggregator::{Settings, Submission};
use starkwright_fleet::blobs::Blobs;
use starkwright_fleet::keccak::KeccakJob;
use starkwright_fleet::machine::{Machine, MachineError, TaskProver};
use starkwright_fleet::store::{JobState, Limits, MemoryStore};
use starkwright_fleet::task::{JobId, MachineId, TaskId, TaskSpec};
use starkwright_prover::profile::Profile;
use support::fleet::{Fleet, Prover, WORK, file, settings, tick};
use support::tiny::{self, BLOCKS};

const PATIENCE: Duration = Duration::from_secs(60);

fn job(first: u64) -> KeccakJob {
    KeccakJob {
        profile: Profile::Conjectured100,
        segment_blocks: BLOCKS,
        context: [7; 8],
        first,
        old: [3; 8],
    }
}

async fn start() -> Fleet {
    let store = Arc::new(MemoryStore::new(Limits::default()));
    tick(&store);
    let settings = Settings {
        lease: Duration::from_secs(60),
        heartbeat: Duration::from_secs(5),
        ..settings()
    };
    let machine: Arc<dyn Machine> = Arc::new(tiny::machine());
    let blobs = Blobs::open("memory:").unwrap();
    Fleet::start_with(store, blobs, vec![machine], settings, "127.0.0.1:0").await
}

async fn submit(
    fleet: &Fleet,
    payload: Vec<u8>,
    files: &[std::path::PathBuf],
) -> Result<JobId, FleetError> {
    let client = fleet.client();
    let mut inputs = Vec::new();
    for path in files {
        inputs.push(client.upload(path, |_| {}).await?);
    }
    let submission = Submission {
        machine: MachineId {
            version: String::new(),
            ..tiny::id()
        },
        payload,
        inputs,
        stream: String::new(),
        priority: 0,
        trace: String::new(),
    };
    Ok(client.submit(submission).await?.job)
}

/// Hands on the proof of the task before of this kind: valid, and not what is asked for.
struct Neighbour {
    prover: Arc<dyn TaskProver>,
    last: std::sync::Mutex<BTreeMap<String, Vec<u8>>>,
}

impl TaskProver for Neighbour {
    fn id(&self) -> MachineId {
        self.prover.id()
    }
    fn device(&self) -> String {
        self.prover.device()
    }
    fn memory(&self) -> u64 {
        self.prover.memory()
    }
    fn prove(
        &self,
        task: &TaskSpec,
        input: Option<&[u8]>,
        children: &[Vec<u8>],
    ) -> Result<Vec<u8>, MachineError> {
        let proof = self.prover.prove(task, input, children)?;
        let mut last = self.last.lock().unwrap();
        let before = last.insert(task.kind.clone(), proof.clone());
        Ok(before.unwrap_or(proof))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_become_one_wrap_and_a_neighbours_proof_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    // One segment, and two.
    let files = [
        file(folder.path(), "short", 1000),
        file(folder.path(), "long", 2 * BLOCKS * 136 - 17),
    ];
    let prover: Arc<dyn TaskProver> = Arc::new(tiny::prover());
    let payload = job(5).to_payload().unwrap();

    // Alone.
    let fleet = start().await;
    let id = submit(&fleet, payload.clone(), &files).await.unwrap();
    let single = Prover::start(fleet.address(WORK), "single", vec![Arc::clone(&prover)]);
    let client = fleet.client();
    let done = client.wait(id, PATIENCE, |_| {}).await.unwrap();
    assert_eq!(
        (done.state, done.tasks.done),
        (JobState::Done, 3 * 3 + 1 + 2 + 1 + 1)
    );
    assert_eq!((done.first, done.count), (5, 2));
    single.finish().await.unwrap();
    let output = folder.path().join("all.wrap");
    client.fetch(id, &output).await.unwrap();
    let alone = std::fs::read(&output).unwrap();
    let wrap = NodeFile::from_bytes(&alone).unwrap();
    assert_eq!(wrap.kind, Kind::Wrap);
    assert_eq!((wrap.statement.first_index, wrap.statement.count), (5, 2));
    fleet.stop().await;

    // Two, of which one hands on its neighbour's proofs until it is quarantined.
    let fleet = start().await;
    assert_eq!(submit(&fleet, payload, &files).await.unwrap(), id);
    let liar = Neighbour {
        prover: Arc::clone(&prover),
        last: std::sync::Mutex::default(),
    };
    let liar = Prover::start(fleet.address(WORK), "liar", vec![Arc::new(liar)]);
    let liar = tokio::time::timeout(5 * PATIENCE, liar.working).await;
    let liar = liar.unwrap().unwrap();
    assert!(
        matches!(liar, Err(FleetError::Quarantined { .. })),
        "{liar:?}"
    );
    for refusal in fleet.aggregator.store().refusals(9).await.unwrap() {
        assert!(!refusal.why.is_empty());
    }
    let honest = Prover::start(fleet.address(WORK), "honest", vec![prover]);
    let client = fleet.client();
    let done = client.wait(id, PATIENCE, |_| {}).await.unwrap();
    assert_eq!(done.state, JobState::Done, "{}", done.error);
    honest.finish().await.unwrap();
    client.fetch(id, &output).await.unwrap();
    assert_eq!(std::fs::read(&output).unwrap(), alone);

    // What is submitted wrongly is refused, and says why.
    let wrong = [
        b"{}".to_vec(),
        b"\xff".to_vec(),
        KeccakJob {
            segment_blocks: 86,
            ..job(0)
        }
        .to_payload()
        .unwrap(),
        KeccakJob {
            context: [u32::MAX; 8],
            ..job(0)
        }
        .to_payload()
        .unwrap(),
        KeccakJob {
            first: u64::MAX,
            ..job(0)
        }
        .to_payload()
        .unwrap(),
    ];
    for payload in wrong {
        let error = submit(&fleet, payload, &files)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("the job cannot be proven"), "{error}");
    }
    let error = submit(&fleet, job(0).to_payload().unwrap(), &[]).await;
    assert!(
        matches!(error, Err(FleetError::Refused { .. })),
        "{error:?}"
    );

    // Every task's proof is for that task alone.
    let mut specs = Vec::new();
    for number in 0..14 {
        let task = TaskId { job: id, number };
        let spec = fleet.aggregator.store().task(task).await.unwrap().spec;
        specs.push(spec);
    }
    let tasks = fleet.aggregator.store().tasks(id, 0, 100).await.unwrap();
    let machine = tiny::machine();
    for (task, spec) in tasks.iter().zip(&specs) {
        let proof = fleet
            .aggregator
            .blobs()
            .get(&task.proof.unwrap())
            .await
            .unwrap();
        machine.verify(spec, &proof).unwrap();
        let other = &specs[(task.number as usize + 1) % specs.len()];
        machine.verify(other, &proof).unwrap_err();
    }
    fleet.stop().await;
}
