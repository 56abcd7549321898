//! Random operations: a database answers as the model does.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use starkwright_fleet::FleetError;
use starkwright_fleet::store::{JobState, Limits, Proof, ProverInfo, Refusal};
use starkwright_fleet::task::{JobId, TaskId};

use super::{LEASE, LIMITS, Tested, blob, machine, tree};
use crate::support::postgres::Postgres;

#[derive(Clone, Debug)]
enum Step {
    Submit {
        job: u8,
        leaves: u8,
        priority: i8,
        first: u64,
    },
    Register {
        prover: u8,
        large: bool,
    },
    Claim {
        prover: u8,
    },
    /// Of the claims so far, one; with its token, or a stale one.
    Heartbeat {
        prover: u8,
        claim: usize,
    },
    Complete {
        claim: usize,
        prover: u8,
    },
    CompleteAny {
        job: u8,
        number: u8,
    },
    Fail {
        claim: usize,
    },
    Release {
        claim: usize,
    },
    /// From whoever claimed it, or from another prover.
    Refuse {
        claim: usize,
        own: bool,
    },
    Expire,
    Wait {
        milliseconds: u32,
    },
    /// The clock is set back.
    SetBack {
        milliseconds: u32,
    },
    Cancel {
        job: u8,
    },
    CancelSuffix {
        from: u64,
    },
    Retry {
        job: u8,
    },
    ReleaseProver {
        prover: u8,
    },
    Archive {
        age: u32,
    },
    Forget {
        age: u32,
    },
    /// The proof that it has is lost, or another one.
    Unprove {
        job: u8,
        number: u8,
        own: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let job = 0..5u8;
    let prover = 0..3u8;
    let claim = 0..200usize;
    let edges = prop_oneof![Just(0u64), Just(7), Just(u64::MAX), Just(1 << 63)];
    prop_oneof![
        3 => (job.clone(), 1..8u8, -1..2i8, edges.clone())
            .prop_map(|(job, leaves, priority, first)| Step::Submit { job, leaves, priority, first }),
        2 => (prover.clone(), any::<bool>()).prop_map(|(prover, large)| Step::Register { prover, large }),
        12 => prover.clone().prop_map(|prover| Step::Claim { prover }),
        2 => (prover.clone(), claim.clone()).prop_map(|(prover, claim)| Step::Heartbeat { prover, claim }),
        10 => (claim.clone(), prover.clone()).prop_map(|(claim, prover)| Step::Complete { claim, prover }),
        1 => (job.clone(), 0..16u8).prop_map(|(job, number)| Step::CompleteAny { job, number }),
        3 => claim.clone().prop_map(|claim| Step::Fail { claim }),
        2 => claim.clone().prop_map(|claim| Step::Release { claim }),
        3 => (claim, any::<bool>()).prop_map(|(claim, own)| Step::Refuse { claim, own }),
        2 => Just(Step::Expire),
        2 => (0..20_000u32).prop_map(|milliseconds| Step::Wait { milliseconds }),
        1 => (0..60_000u32).prop_map(|milliseconds| Step::SetBack { milliseconds }),
        1 => job.clone().prop_map(|job| Step::Cancel { job }),
        1 => edges.prop_map(|from| Step::CancelSuffix { from }),
        2 => job.clone().prop_map(|job| Step::Retry { job }),
        2 => (job, 0..16u8, prop::bool::weighted(0.8))
            .prop_map(|(job, number, own)| Step::Unprove { job, number, own }),
        1 => prover.prop_map(|prover| Step::ReleaseProver { prover }),
        1 => (0..60_000u32).prop_map(|age| Step::Archive { age }),
        1 => (0..60_000u32).prop_map(|age| Step::Forget { age }),
    ]
}

/// What is seen of a store after a step, without the times that its clock gave.
async fn taken(tested: &Tested, steps: &[Step]) -> Vec<String> {
    let store = &tested.store;
    let name = |prover: u8| format!("prover-{prover}");
    let id = |job: u8| JobId::of(&[format!("job {job}").as_bytes()]);
    let mut claims: Vec<(TaskId, i64, u8)> = Vec::new();
    let mut seen = Vec::new();
    let mut clock = 0;
    tested.set_clock(clock);
    for (number, step) in steps.iter().enumerate() {
        let nth = |claim: usize| match claims.len() {
            0 => (
                TaskId {
                    job: id(9),
                    number: 3,
                },
                1,
                0,
            ),
            len => claims[claim % len],
        };
        let held = |claim: usize| (nth(claim).0, nth(claim).1);
        let what: String = match step.clone() {
            Step::Submit {
                job,
                leaves,
                priority,
                first,
            } => {
                let mut new = tree(&format!("job {job}"), u32::from(leaves));
                new.priority = i32::from(priority);
                new.first = first;
                new.stream = "stream".to_owned();
                new.machine = machine(u32::from(job % 2));
                format!("{:?}", store.submit(&new).await.map_err(say))
            }
            Step::Register { prover, large } => {
                let info = ProverInfo {
                    name: name(prover),
                    device: format!("device {}", prover % 2),
                    memory: if large { u64::MAX } else { 1 << 20 },
                    machines: (0..=u32::from(prover % 2)).map(machine).collect(),
                };
                format!("{:?}", store.register(&info).await.map_err(say))
            }
            Step::Claim { prover } => {
                let claim = store.claim(&name(prover), LEASE).await.map_err(say);
                if let Ok(Some(claim)) = &claim {
                    claims.push((claim.task, claim.token, prover));
                }
                // The token is drawn, and a database does not keep the urgency as it is.
                let comparable = claim.map(|claim| {
                    claim.map(|mut claim| {
                        claim.spec.urgency = 0;
                        claim.token = 0;
                        claim
                    })
                });
                format!("{comparable:?}")
            }
            Step::Heartbeat { prover, claim } => {
                let mut held = vec![held(claim), held(claim + 1)];
                held.dedup();
                format!(
                    "{:?}",
                    store
                        .heartbeat(&name(prover), &held, LEASE)
                        .await
                        .map_err(say)
                )
            }
            Step::Complete { claim, prover } => {
                let (task, ..) = nth(claim);
                let proof = Proof {
                    blob: blob(&format!("proof of {task} by {prover}")),
                    prover: name(prover),
                    device: format!("device {}", prover % 2),
                    seconds: f64::from(number as u32),
                };
                format!("{:?}", store.complete(task, &proof).await.map_err(say))
            }
            Step::CompleteAny { job, number } => {
                let task = TaskId {
                    job: id(job),
                    number: u32::from(number),
                };
                let proof = Proof {
                    blob: blob("an unasked one"),
                    prover: "nobody".to_owned(),
                    device: "device 0".to_owned(),
                    seconds: 0.5,
                };
                format!("{:?}", store.complete(task, &proof).await.map_err(say))
            }
            Step::Fail { claim } => {
                let (task, token) = held(claim);
                format!(
                    "{:?}",
                    store.fail(task, token, "it broke").await.map_err(say)
                )
            }
            Step::Release { claim } => {
                let (task, token) = held(claim);
                format!("{:?}", store.release(task, token).await.map_err(say))
            }
            Step::Refuse { claim, own } => {
                let (task, token, holder) = nth(claim);
                let prover = if own { holder } else { (holder + 1) % 3 };
                let refusal = Refusal {
                    task,
                    prover: name(prover),
                    blob: blob("a lie"),
                    why: "no proof".to_owned(),
                    at: 0,
                };
                format!("{:?}", store.refuse(&refusal, token).await.map_err(say))
            }
            Step::Expire => {
                let mut expired = store.expire(2 * LEASE).await.unwrap();
                expired.sort_by_key(|lease| lease.task);
                format!("{expired:?}")
            }
            Step::Wait { milliseconds } => {
                clock += i64::from(milliseconds);
                tested.set_clock(clock);
                String::new()
            }
            Step::SetBack { milliseconds } => {
                clock -= i64::from(milliseconds);
                tested.set_clock(clock);
                String::new()
            }
            Step::Cancel { job } => format!("{:?}", store.cancel(id(job)).await.map_err(say)),
            Step::CancelSuffix { from } => {
                format!(
                    "{:?}",
                    store.cancel_suffix("stream", from).await.map_err(say)
                )
            }
            Step::Retry { job } => format!("{:?}", store.retry(id(job)).await.map_err(say)),
            Step::ReleaseProver { prover } => {
                format!(
                    "{:?}",
                    store.release_prover(&name(prover)).await.map_err(say)
                )
            }
            Step::Archive { age } => {
                let age = std::time::Duration::from_millis(u64::from(age));
                format!("{:?}", store.archive(age).await.map_err(say))
            }
            Step::Unprove { job, number, own } => {
                let task = TaskId {
                    job: id(job),
                    number: number.into(),
                };
                let found = store.tasks(task.job, task.number, 1).await;
                let proof = found.ok().and_then(|found| found.first()?.proof);
                let proof = proof.filter(|_| own).unwrap_or(blob("nothing"));
                format!("{:?}", store.unprove(task, &proof).await.map_err(say))
            }
            Step::Forget { age } => {
                let age = std::time::Duration::from_millis(u64::from(age));
                format!("{:?}", store.forget(age).await.map_err(say))
            }
        };
        seen.push(format!("{step:?}: {what}"));
    }
    seen.extend(state(tested).await);
    seen
}

async fn state(tested: &Tested) -> Vec<String> {
    let store = &tested.store;
    let mut seen = Vec::new();
    for mut job in store.jobs(None, 100).await.unwrap() {
        job.submitted = 0;
        job.ended = job.ended.map(|_| 0);
        assert_eq!(store.job(job.id).await.unwrap().tasks, job.tasks);
        seen.push(format!("{job:?}"));
        for task in store.tasks(job.id, 1, 9).await.unwrap() {
            seen.push(format!("{task:?}"));
        }
        if !job.archived {
            let task = TaskId {
                job: job.id,
                number: 1,
            };
            seen.push(format!("{:?}", store.task(task).await.map_err(say)));
        }
    }
    for state in JobState::ALL {
        seen.push(format!(
            "{state:?}: {}",
            store.jobs(Some(state), 3).await.unwrap().len()
        ));
    }
    for mut prover in store.provers().await.unwrap() {
        prover.seen = 0;
        seen.push(format!("{prover:?}"));
    }
    for mut refusal in store.refusals(5).await.unwrap() {
        refusal.at = 0;
        seen.push(format!("{refusal:?}"));
    }
    seen.push(format!("{:?}", store.backlog().await.unwrap()));
    for rate in store.rates().await.unwrap() {
        seen.push(format!(
            "{} {} {} {} {:.9}",
            rate.device, rate.machine, rate.kind, rate.samples, rate.seconds_per_work
        ));
    }
    let names = [
        "a lie",
        "an unasked one",
        "job 0",
        "job 1",
        "job 4",
        "nothing",
    ];
    let blobs: Vec<_> = names.iter().map(|name| blob(name).hash).collect();
    seen.push(format!("{:?}", store.referenced(&blobs).await.unwrap()));
    seen
}

fn say(error: FleetError) -> String {
    error.to_string()
}

fn cases(default: u32) -> u32 {
    match std::env::var_os("STARKWRIGHT_LONG") {
        Some(_) => 20 * default,
        None => default,
    }
}

fn compare(runtime: &tokio::runtime::Runtime, cases: u32, open: impl Fn(Limits) -> Tested) {
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let strategy = prop::collection::vec(step(), 1..120);
    runner
        .run(&strategy, |steps| {
            let model = Tested::memory(LIMITS);
            let other = open(LIMITS);
            let expected = runtime.block_on(taken(&model, &steps));
            let found = runtime.block_on(taken(&other, &steps));
            for (expected, found) in expected.iter().zip(&found) {
                prop_assert_eq!(found, expected, "{}", other.name);
            }
            prop_assert_eq!(found.len(), expected.len());
            Ok(())
        })
        .unwrap();
}

#[test]
fn sqlite_answers_as_the_model_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    compare(&runtime, cases(24), |limits| {
        runtime.block_on(Tested::sqlite(limits))
    });
}

#[test]
fn postgres_answers_as_the_model_does() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    compare(&runtime, cases(24), |limits| {
        runtime.block_on(Tested::postgres(&server, limits))
    });
}
