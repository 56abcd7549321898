//! The simulator, the forecast and the plan: against theory, against each other, and against the queue they are about.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod faults;
mod forecast;
mod graham;
mod plan;
mod real;
mod routing;
mod scenario;
mod speed;

use std::sync::Arc;

use starkwright_fleet::simulate::{Arrival, ProverGroup, Scenario, Step, Template, TreeJob};
use starkwright_fleet::store::Rate;
use starkwright_fleet::task::{MachineId, Place, TaskSpec};

fn machine() -> MachineId {
    MachineId {
        name: "toy".to_owned(),
        version: "1".to_owned(),
    }
}

fn rate(device: &str, kind: &str, seconds_per_work: f64) -> Rate {
    Rate {
        device: device.to_owned(),
        machine: "toy".to_owned(),
        kind: kind.to_owned(),
        samples: 1,
        seconds_per_work,
    }
}

/// The aggregator's steps on two cores, in seconds (docs/recursion.md), and a leaf of five.
fn rates() -> Vec<Rate> {
    let seconds = [
        ("leaf", 5.0),
        ("lift", 4.4),
        ("shrink", 2.2),
        ("join", 2.3),
        ("close", 2.3),
        ("wrap", 4.5),
    ];
    let rates = seconds.map(|(kind, seconds)| rate("cpu", kind, seconds));
    rates.to_vec()
}

fn tree(leaves: u32) -> Arc<Template> {
    Arc::new(TreeJob::recursion(machine()).template(leaves).unwrap())
}

fn step(kind: &str, work: u64, memory: u64) -> Step {
    Step {
        kind: kind.to_owned(),
        work,
        memory,
    }
}

fn at(at_s: f64, job: &Arc<Template>) -> Arrival {
    Arrival {
        at_s,
        job: Arc::clone(job),
        priority: 0,
    }
}

/// Equal provers and no faults.
fn plain(provers: u32, jobs: Vec<Arrival>) -> Scenario {
    Scenario {
        rates: rates(),
        provers: vec![ProverGroup::equal(provers, "cpu", &machine())],
        arrivals: jobs,
        ..Scenario::default()
    }
}

fn task(number: usize, kind: &str, work: u64, children: Vec<u32>) -> TaskSpec {
    TaskSpec {
        kind: kind.to_owned(),
        place: Place {
            index: number as u64,
            ..Place::default()
        },
        circuit: kind.to_owned(),
        urgency: (number % 7) as u8,
        children,
        input: None,
        payload: Vec::new(),
        memory: 0,
        work,
    }
}
