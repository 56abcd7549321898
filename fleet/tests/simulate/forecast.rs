//! Forecasts of a queue that the test works off itself, with its clock in its hands.

use std::time::Duration;

use futures::executor::block_on;
use starkwright_fleet::forecast::{
    Demand, Forecast, ForecastSettings, NeedSettings, Snapshot, forecast, measured_arrivals,
    measured_overhead, needed, newest_done,
};
use starkwright_fleet::store::{JobState, JobStore, Limits, MemoryStore, Proof, ProverInfo};
use starkwright_fleet::task::{Blob, BlobHash, JobId, NewJob};

use super::*;

const LEASE: Duration = Duration::from_secs(1000);

fn job(name: &str, template: &Template) -> NewJob {
    NewJob {
        id: JobId::of(&[name.as_bytes()]),
        machine: template.machine().clone(),
        payload: Vec::new(),
        stream: String::new(),
        first: 0,
        count: 1,
        priority: 0,
        inputs: Vec::new(),
        trace: String::new(),
        tasks: template.tasks().to_vec(),
    }
}

fn seconds_of(kind: &str) -> f64 {
    let rates = rates();
    rates
        .iter()
        .find(|rate| rate.kind == kind)
        .unwrap()
        .seconds_per_work
}

/// Provers that work as the rates say, and `overhead` seconds more for a task.
struct Real {
    store: MemoryStore,
    now_ms: i64,
    overhead: f64,
    /// When each prover delivers which claim.
    busy: Vec<Option<(i64, starkwright_fleet::store::Claim)>>,
}

impl Real {
    fn new(provers: usize, overhead: f64) -> Self {
        let store = MemoryStore::new(Limits::default());
        for number in 0..provers {
            let info = ProverInfo {
                name: number.to_string(),
                device: "cpu".to_owned(),
                memory: u64::MAX,
                machines: vec![machine()],
            };
            block_on(store.register(&info)).unwrap();
        }
        Self {
            store,
            now_ms: 0,
            overhead,
            busy: vec![None; provers],
        }
    }

    fn submit(&self, job: &NewJob) {
        block_on(self.store.submit(job)).unwrap();
    }

    fn claim(&mut self) {
        for (number, busy) in self.busy.iter_mut().enumerate() {
            if busy.is_none()
                && let Some(claim) = block_on(self.store.claim(&number.to_string(), LEASE)).unwrap()
            {
                let takes = seconds_of(&claim.spec.kind) + self.overhead;
                *busy = Some((self.now_ms + (takes * 1e3).round() as i64, claim));
            }
        }
    }

    /// To the next proof. Says whether there was one.
    fn step(&mut self) -> bool {
        self.claim();
        let next = self.busy.iter().enumerate();
        let next = next
            .filter_map(|(number, busy)| Some((busy.as_ref()?.0, number)))
            .min();
        let Some((at, number)) = next else {
            return false;
        };
        self.now_ms = at;
        self.store.set_now(at);
        let (_, claim) = self.busy[number].take().unwrap();
        let proof = Proof {
            blob: Blob {
                hash: BlobHash::of(b""),
                bytes: 0,
            },
            prover: number.to_string(),
            device: "cpu".to_owned(),
            seconds: seconds_of(&claim.spec.kind),
        };
        block_on(self.store.complete(claim.task, &proof)).unwrap();
        self.claim();
        // Idle ones ask as well, and busy ones say that they live.
        for number in 0..self.busy.len() {
            block_on(self.store.heartbeat(&number.to_string(), &[], LEASE)).unwrap();
        }
        true
    }

    fn run(&mut self) {
        while self.step() {}
    }

    fn snapshot(&self, before: Option<&Snapshot>) -> Snapshot {
        block_on(Snapshot::take(&self.store, before)).unwrap()
    }
}

fn eta(forecast: &Forecast, id: JobId) -> Option<f64> {
    let job = forecast.jobs.iter().find(|job| job.job == id)?;
    Some(job.eta_s)
}

#[test]
fn a_forecast_is_right_at_every_step() {
    for provers in [1, 2, 3, 7] {
        let mut real = Real::new(provers, 0.0);
        // Rates are measured first.
        real.submit(&job("warm-up", &tree(4)));
        real.run();
        let jobs = [job("a", &tree(13)), job("b", &tree(6))];
        jobs.iter().for_each(|job| real.submit(job));
        let mut seen: Vec<(i64, JobId, f64)> = Vec::new();
        let mut before = None;
        loop {
            real.claim();
            let snapshot = real.snapshot(before.as_ref());
            let forecast = forecast(&snapshot, &ForecastSettings::default()).unwrap();
            assert!(forecast.unmeasured.is_empty() && !forecast.rough);
            for job in &jobs {
                if let Some(eta) = eta(&forecast, job.id) {
                    seen.push((real.now_ms, job.id, eta));
                }
            }
            before = Some(snapshot);
            if !real.step() {
                break;
            }
        }
        assert!(seen.len() > 50);
        for (at, id, eta) in seen {
            let ended = block_on(real.store.job(id)).unwrap().ended.unwrap();
            let took = (ended - at) as f64 / 1e3;
            // Milliseconds are rounded at each task, which may swap two of them.
            assert!(
                (eta - took).abs() <= 0.05 * took + 2.5,
                "{provers} provers at {at}: {eta} against {took}"
            );
        }
    }
}

#[test]
fn overhead_is_measured_and_counts() {
    let mut real = Real::new(1, 0.5);
    let warm = job("warm-up", &tree(4));
    real.submit(&warm);
    real.run();
    let view = block_on(real.store.job(warm.id)).unwrap();
    let tasks = block_on(real.store.tasks(warm.id, 0, 1000)).unwrap();
    let overhead = measured_overhead(&view, &tasks).unwrap();
    assert!((overhead - 0.5).abs() < 0.01, "{overhead}");
    let next = job("a", &tree(9));
    real.submit(&next);
    let settings = ForecastSettings {
        overhead_s: overhead,
        ..ForecastSettings::default()
    };
    let forecast = forecast(&real.snapshot(None), &settings).unwrap();
    let begun = real.now_ms;
    real.run();
    let took = (real.now_ms - begun) as f64 / 1e3;
    let eta = eta(&forecast, next.id).unwrap();
    assert!((eta - took).abs() < 0.01 * took, "{eta} against {took}");
    // The curve has the provers of now, and falls.
    let delays: Vec<f64> = forecast.curve.iter().map(|point| point.delay_s).collect();
    assert_eq!(forecast.provers, 1);
    assert!(delays.is_sorted_by(|a, b| a >= b), "{delays:?}");
    let template = block_on(newest_done(&real.store)).unwrap().unwrap();
    assert_eq!(template.tasks().len(), tree(9).tasks().len());
    let jobs = block_on(real.store.jobs(None, 10)).unwrap();
    assert_eq!(measured_arrivals(&jobs, real.now_ms, 1e6), Some(2e-6));
    assert_eq!(measured_arrivals(&jobs, real.now_ms + 2_000_000, 1.0), None);
}

#[test]
fn what_nobody_was_measured_at_is_not_forecast() {
    let real = Real::new(2, 0.0);
    let new = job("a", &tree(2));
    real.submit(&new);
    let made = forecast(&real.snapshot(None), &ForecastSettings::default()).unwrap();
    assert!(made.jobs.is_empty() && made.curve.is_empty());
    assert!(made.unmeasured.contains("wrap"));
    // Provers that are gone make no forecast.
    real.store.set_now(10_000_000);
    let made = forecast(&real.snapshot(None), &ForecastSettings::default()).unwrap();
    assert_eq!((made.provers, made.jobs.len()), (0, 0));
}

#[test]
fn a_large_backlog_is_bounded() {
    let mut real = Real::new(2, 0.0);
    real.submit(&job("warm-up", &tree(4)));
    real.run();
    let large = [job("a", &tree(3000)), job("b", &tree(3000))];
    large.iter().for_each(|job| real.submit(job));
    let made = forecast(&real.snapshot(None), &ForecastSettings::default()).unwrap();
    assert!(made.rough);
    let begun = real.now_ms;
    real.run();
    for job in &large {
        let view = block_on(real.store.job(job.id)).unwrap();
        assert_eq!(view.state, JobState::Done);
        let took = (view.ended.unwrap() - begun) as f64 / 1e3;
        let eta = eta(&made, job.id).unwrap();
        assert!(eta <= took + 1.0, "{eta} against {took}");
        println!("rough: {eta} against {took}");
    }
    let all = made.curve.iter().find(|point| point.provers == 2).unwrap();
    let took = (real.now_ms - begun) as f64 / 1e3;
    assert!(
        (all.delay_s - took).abs() < 0.05 * took,
        "{} against {took}",
        all.delay_s
    );
}

#[test]
fn the_number_needed_follows_the_queue() {
    let settings = NeedSettings {
        target_delay_s: 200.0,
        window_s: 3600.0,
        min_provers: 0,
        forecast: ForecastSettings::default(),
    };
    let mut real = Real::new(2, 0.0);
    let take = |real: &Real| {
        let demand = block_on(Demand::take(&real.store, None, settings.window_s)).unwrap();
        needed(&demand, &settings).unwrap()
    };
    // Nothing is measured: whoever works is all that is known.
    assert_eq!(take(&real), Some(0));
    real.submit(&job("warm-up", &tree(8)));
    // Somebody has to begin.
    assert_eq!(take(&real), Some(1));
    real.run();
    let quiet = take(&real).unwrap();
    assert_eq!(quiet, 1);
    for number in 0..6 {
        real.submit(&job(&number.to_string(), &tree(16)));
    }
    let loaded = take(&real).unwrap();
    let made = forecast(&real.snapshot(None), &settings.forecast).unwrap();
    let meets = |point: &&starkwright_fleet::forecast::DelayPoint| point.delay_s <= 200.0;
    let first = made.curve.iter().find(meets).unwrap().provers;
    assert!(first / 2 < loaded && loaded <= first, "{loaded}, {first}");
    // All provers are gone: still as many are needed, of the device that was measured.
    real.now_ms += 3_000_000;
    real.store.set_now(real.now_ms);
    assert!(real.snapshot(None).provers.is_empty());
    assert_eq!(take(&real), Some(loaded));
}
