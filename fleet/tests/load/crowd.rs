//! Provers that wait instead of proving, and what must hold whatever they do.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use starkwright_fleet::FleetError;
use starkwright_fleet::store::{
    Claim, Completed, JobStore, Limits, Proof, ProverInfo, Submitted, open_store,
};
use starkwright_fleet::task::{Blob, BlobHash, JobId, MachineId, NewJob, Place, TaskId, TaskSpec};
use tokio::task::JoinSet;

use super::figures::{Disk, Times};
use super::support::tree::tree;

const PROVERS: usize = 200;

/// One task in so many is slow.
const SLOW: u32 = 400;

/// For so long the queue may stand still: a disk that is busy with others' work is slow.
const STUCK: Duration = Duration::from_secs(20);

/// What is asked of a queue.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// Unproven tasks in it, all the time.
    pub(crate) rows: u64,
    /// Tasks of a job: even.
    pub(crate) job: u64,
    pub(crate) time: Duration,
    pub(crate) lease: Duration,
    pub(crate) beat: Duration,
    pub(crate) task: Duration,
    pub(crate) slow_task: Duration,
}

fn machine() -> MachineId {
    MachineId {
        name: "load".to_owned(),
        version: "1".to_owned(),
    }
}

/// A tree of joins over its leaves, as the fleet's own plans are: so many leaves, as many joins less one, and a wrap.
fn job(number: u64, leaves: u64) -> NewJob {
    let task = |kind: &str, level: u32, index: u64, children: Vec<u32>| TaskSpec {
        kind: kind.to_owned(),
        place: Place {
            owner: 0,
            level,
            index,
            count: 1,
        },
        circuit: "00112233445566778899aabbccddeeff".to_owned(),
        urgency: level as u8,
        children,
        input: None,
        payload: vec![1; 200],
        memory: 1,
        work: 1,
    };
    let tasks = tree(leaves as u32, task);
    assert_eq!(tasks.len() as u64, 2 * leaves);
    NewJob {
        id: JobId::of(&[b"load", &number.to_le_bytes()]),
        machine: machine(),
        payload: Vec::new(),
        stream: String::new(),
        first: 0,
        count: leaves,
        priority: 0,
        inputs: Vec::new(),
        trace: String::new(),
        tasks,
    }
}

/// What everybody sees, and may be sure of.
#[derive(Default)]
struct Ledger {
    over: AtomicBool,
    held: Mutex<HashSet<TaskId>>,
    booked: Mutex<HashSet<TaskId>>,
    proven: AtomicU64,
    nothing: AtomicU64,
    failed: AtomicU64,
    claims: Times,
    beats: Times,
    completions: Times,
}

impl Ledger {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Asks until the queue answers, as provers do where the database is slow or away. Says whether it had to ask again.
async fn ask<T, A>(ledger: &Ledger, call: impl Fn() -> A) -> (T, bool)
where
    A: Future<Output = Result<T, FleetError>>,
{
    let mut again = false;
    loop {
        match call().await {
            Ok(answer) => return (answer, again),
            Err(FleetError::Database { .. }) => again = true,
            Err(error) => panic!("{error}"),
        }
        ledger.failed.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn prover(store: Arc<dyn JobStore>, name: String, load: Load, ledger: Arc<Ledger>) {
    let info = ProverInfo {
        name: name.clone(),
        device: "waits".to_owned(),
        memory: u64::MAX,
        machines: vec![machine()],
    };
    ask(&ledger, || store.register(&info)).await;
    while !ledger.is_over() {
        let start = Instant::now();
        let (claim, _) = ask(&ledger, || store.claim(&name, load.lease)).await;
        let Some(claim) = claim else {
            ledger.nothing.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        ledger.claims.note(start.elapsed());
        let task = claim.task;
        let free = ledger.held.lock().unwrap().insert(task);
        assert!(free, "{task} is leased to two at a time");
        work(&*store, &name, &claim, load, &ledger).await;
        let proof = Proof {
            blob: Blob {
                hash: BlobHash::of(task.to_string().as_bytes()),
                bytes: 300_000,
            },
            prover: name.clone(),
            device: "waits".to_owned(),
            seconds: load.task.as_secs_f64(),
        };
        let start = Instant::now();
        let (completed, again) = ask(&ledger, || store.complete(task, &proof)).await;
        ledger.completions.note(start.elapsed());
        match completed {
            Completed::Accepted { .. } => {}
            // It was booked before its answer was lost.
            Completed::Duplicate if again => {}
            other => panic!("{task}: {other:?}"),
        }
        let first = ledger.booked.lock().unwrap().insert(task);
        assert!(first, "{task} is booked twice");
        ledger.held.lock().unwrap().remove(&task);
        ledger.proven.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits as long as the task takes, with heartbeats.
async fn work(store: &dyn JobStore, name: &str, claim: &Claim, load: Load, ledger: &Ledger) {
    let takes = match claim.task.number % SLOW {
        7 => load.slow_task,
        _ => load.task,
    };
    let start = Instant::now();
    loop {
        let left = takes.saturating_sub(start.elapsed());
        if left <= load.beat {
            tokio::time::sleep(left).await;
            return;
        }
        tokio::time::sleep(load.beat).await;
        let beat = Instant::now();
        let held = [(claim.task, claim.token)];
        let (holds, _) = ask(ledger, || store.heartbeat(name, &held, load.lease)).await;
        ledger.beats.note(beat.elapsed());
        assert_eq!(holds, [true], "{name} lost its lease of {}", claim.task);
    }
}

/// Keeps as many rows unproven, whatever is proven.
async fn feed(store: Arc<dyn JobStore>, load: Load, mut jobs: u64, ledger: Arc<Ledger>) {
    while !ledger.is_over() {
        if jobs * load.job - ledger.proven.load(Ordering::Relaxed) < load.rows {
            let job = job(jobs, load.job / 2);
            ask(&ledger, || store.submit(&job)).await;
            jobs += 1;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sweeps as an aggregator does, and sees to it that something moves.
async fn sweep(store: Arc<dyn JobStore>, ledger: Arc<Ledger>, load: Load) {
    let (mut claims, mut moved) = (0, Instant::now());
    while !ledger.is_over() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (expired, _) = ask(&ledger, || store.expire(2 * load.lease)).await;
        assert!(expired.is_empty(), "leases ran out: {expired:?}");
        if ledger.claims.len() > claims {
            (claims, moved) = (ledger.claims.len(), Instant::now());
        }
        assert!(
            moved.elapsed() < STUCK,
            "nothing was claimed for {STUCK:?}, and there always are ready tasks"
        );
    }
}

/// Puts the load on a queue for a time, and prints what came of it.
pub(crate) async fn run(name: &str, url: &str, folder: &Path, load: Load) {
    let limits = Limits {
        max_open: 2 * load.rows,
        ..Limits::default()
    };
    let alone = Disk::alone(folder);
    let store = open_store(url, limits).await.unwrap();
    let start = Instant::now();
    let jobs = load.rows / load.job;
    for number in 0..jobs {
        let submitted = store.submit(&job(number, load.job / 2)).await.unwrap();
        assert_eq!(submitted, Submitted::New);
    }
    let queued = load.rows as f64 / start.elapsed().as_secs_f64();
    let (disk, start) = (Disk::start(folder), Instant::now());
    let ledger = Arc::new(Ledger::default());
    let mut crowd = JoinSet::new();
    for number in 0..PROVERS {
        let (store, ledger) = (Arc::clone(&store), Arc::clone(&ledger));
        crowd.spawn(prover(store, format!("p{number}"), load, ledger));
    }
    crowd.spawn(feed(Arc::clone(&store), load, jobs, Arc::clone(&ledger)));
    crowd.spawn(sweep(Arc::clone(&store), Arc::clone(&ledger), load));
    let timed = Arc::clone(&ledger);
    crowd.spawn(async move {
        tokio::time::sleep(load.time).await;
        timed.over.store(true, Ordering::Relaxed);
    });
    // The first one that finds something wrong ends the test.
    while let Some(ended) = crowd.join_next().await {
        ended.unwrap();
    }
    let seconds = start.elapsed().as_secs_f64();
    let proven = ledger.proven.load(Ordering::Relaxed);
    let booked: u64 = (store.provers().await.unwrap().iter())
        .map(|prover| prover.done)
        .sum();
    assert_eq!(booked, proven);
    println!(
        "{name}, {PROVERS} provers, tasks of {:?}, {} rows in jobs of {}, {seconds:.0} s, asked again {} times\n  \
         queued     {queued:.0} rows/s\n  \
         claims     {:.1}/s, {}; found nothing {} times\n  \
         completed  {}\n  \
         heartbeats {}\n  \
         disk sync  alone {}\n             under the load {}",
        load.task,
        load.rows,
        load.job,
        ledger.failed.load(Ordering::Relaxed),
        ledger.claims.len() as f64 / seconds,
        ledger.claims.line(),
        ledger.nothing.load(Ordering::Relaxed),
        ledger.completions.line(),
        ledger.beats.line(),
        alone.line(),
        disk.end().line(),
    );
}
