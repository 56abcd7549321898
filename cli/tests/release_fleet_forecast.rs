//! How well a forecast holds on real proofs, by one and by two provers of one thread each: how several of them share a host.
//!
//! `STARKWRIGHT_LONG=1 cargo test --release -p starkwright --test release_fleet_forecast -- --nocapture`
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod workbench;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use starkwright_fleet::forecast::{ForecastSettings, Snapshot, forecast};
use starkwright_fleet::store::{JobState, JobStore, Limits, Rate, TaskState, TaskView, open_store};
use starkwright_fleet::task::JobId;
use tokio::runtime::Runtime;
use workbench::QUICK;
use workbench::fleet::{Fleet, Role};

/// Bytes of a full segment.
const SEGMENT: usize = 85 * 136;

/// Seconds that a process's threads ran, and seconds that they were ready to and waited for a core.
fn cores(process: u32) -> (f64, f64) {
    let (mut ran, mut waited) = (0.0, 0.0);
    for thread in fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        // A thread may end before it is looked at.
        let text = fs::read_to_string(thread.unwrap().path().join("schedstat"));
        let text = text.unwrap_or_default();
        let mut seconds = text
            .split(' ')
            .map(|number| number.parse().unwrap_or(0.0) / 1e9);
        ran += seconds.next().unwrap_or(0.0);
        waited += seconds.next().unwrap_or(0.0);
    }
    (ran, waited)
}

/// A fleet, and its queue seen from beside it.
struct Host {
    fleet: Fleet,
    provers: Vec<Role>,
    runtime: Runtime,
    queue: Arc<dyn JobStore>,
    /// When it was looked at last: the wall's clock, what the provers ran and waited, and the time of [`Host::time`].
    last: (Instant, f64, f64, f64),
}

impl Host {
    fn new(fleet: Fleet) -> Self {
        let runtime = Runtime::new().unwrap();
        let queue = fleet.bench.path("starkwright-fleet/queue.db");
        let queue = format!("sqlite://{}", queue.display());
        let queue = runtime.block_on(open_store(&queue, Limits::default()));
        Self {
            fleet,
            provers: Vec::new(),
            runtime,
            queue: queue.unwrap(),
            last: (Instant::now(), 0.0, 0.0, 0.0),
        }
    }

    /// One thread, as where a host's cores are shared out among its provers.
    fn start_prover(&mut self, name: &str) {
        let prover = self.fleet.prover_with(name, |command| {
            command.env("RAYON_NUM_THREADS", "1");
        });
        self.provers.push(prover);
        self.time();
    }

    /// Seconds by a clock that goes slower while other programs take the provers' cores: what it would be on a host of their
    /// own. Looked at often, since such programs come and go.
    fn time(&mut self) -> f64 {
        let (mut ran, mut waited) = (0.0, 0.0);
        for prover in &self.provers {
            let of = cores(prover.0.id());
            ran += of.0;
            waited += of.1;
        }
        let now = Instant::now();
        let (then, ran_then, waited_then, time) = self.last;
        let (ran_since, waited_since) =
            ((ran - ran_then).max(0.0), (waited - waited_then).max(0.0));
        let share = if ran_since + waited_since > 0.0 {
            ran_since / (ran_since + waited_since)
        } else {
            1.0
        };
        let time = time + (now - then).as_secs_f64() * share;
        self.last = (now, ran, waited, time);
        time
    }

    /// Queues a file of so many segments, of bytes that no other has.
    fn submit(&self, name: &str, segments: usize) -> JobId {
        let bytes = vec![name.as_bytes()[0]; segments * SEGMENT - 1];
        self.fleet.bench.file(name, &bytes);
        let submit = [&["submit", "keccak", "-i", name][..], &QUICK].concat();
        let id = self.fleet.object(&submit)["id"].clone();
        id.as_str().unwrap().parse().unwrap()
    }

    /// Waits for a job, and tells of each of its tasks when it was done.
    fn wait(&mut self, id: JobId, mut done: impl FnMut(&TaskView, f64)) {
        let mut known = BTreeSet::new();
        loop {
            let now = self.time();
            let tasks = self.runtime.block_on(self.queue.tasks(id, 0, 1000));
            for task in tasks.unwrap() {
                if task.state == TaskState::Done && known.insert(task.number) {
                    done(&task, now);
                }
            }
            let job = self.runtime.block_on(self.queue.job(id)).unwrap();
            if job.state != JobState::Open {
                assert_eq!(job.state, JobState::Done, "{}", job.error);
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Seconds for a unit of work of each kind, from a job that one prover does alone: all that a task costs it, from the end of
    /// the one before it.
    fn measure(&mut self, id: JobId) -> Vec<Rate> {
        let mut kinds: BTreeMap<String, (f64, u64, u64)> = BTreeMap::new();
        let mut before = self.time();
        self.wait(id, |task, now| {
            let kind = kinds.entry(task.kind.clone()).or_default();
            kind.0 += now - before;
            kind.1 += task.work;
            kind.2 += 1;
            before = now;
        });
        let rates = self.runtime.block_on(self.queue.rates()).unwrap();
        let measured = rates.into_iter().map(|mut rate| {
            let (seconds, work, samples) = kinds[&rate.kind];
            println!(
                "{:6} {samples} tasks, {:.2} s each",
                rate.kind,
                seconds / samples as f64
            );
            rate.samples = samples;
            rate.seconds_per_work = seconds / work as f64;
            rate
        });
        measured.collect()
    }
}

#[test]
fn what_one_and_two_provers_take_is_what_was_forecast() {
    if std::env::var_os("STARKWRIGHT_LONG").is_none() {
        return;
    }
    let fleet = Fleet::new();
    let _aggregator = fleet.aggregator(&[]);
    let mut host = Host::new(fleet);
    host.start_prover("one");
    // Once without being counted: circuits are set up at their first use.
    let first = host.submit("first", 2);
    host.wait(first, |_, _| ());
    let measured = host.submit("measured", 4);
    let rates = host.measure(measured);
    for name in ["1 prover", "2 provers"] {
        if name == "2 provers" {
            host.start_prover("two");
            let warm_up = host.submit("warm-up", 3);
            host.wait(warm_up, |_, _| ());
        }
        let (begun, start) = (Instant::now(), host.time());
        let id = host.submit(name, 5);
        let snapshot = Snapshot::take(host.queue.as_ref(), None);
        let mut snapshot = host.runtime.block_on(snapshot).unwrap();
        assert_eq!(snapshot.provers.len(), host.provers.len());
        snapshot.rates.clone_from(&rates);
        let found = forecast(&snapshot, &ForecastSettings::default()).unwrap();
        let predicted = found.jobs[0].eta_s;
        host.wait(id, |_, _| ());
        let took = host.time() - start;
        let ratio = predicted / took;
        println!(
            "{name}: {predicted:.1} s predicted, {took:.1} s taken ({:.1} s with what else ran here): ratio {ratio:.3}",
            begun.elapsed().as_secs_f64()
        );
        assert!((0.85..=1.15).contains(&ratio), "{ratio}");
    }
}
