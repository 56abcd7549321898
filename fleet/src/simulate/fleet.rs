//! The simulated provers: what each of them does, and which of them may be idle while something is ready.

use std::collections::{HashMap, VecDeque};

use super::{Scenario, Template};
use crate::store::{Claim, ProverInfo};
use crate::task::MachineId;

/// A task in work.
pub(super) struct Work {
    pub(super) claim: Claim,
    /// How long it is proven, by the prover's clock.
    pub(super) seconds: f64,
    pub(super) since: u64,
}

/// A prover.
pub(super) struct Prover {
    pub(super) name: String,
    pub(super) device: String,
    pub(super) slowdown: f64,
    pub(super) class: usize,
    pub(super) lies: bool,
    pub(super) work: Option<Work>,
    /// Counts its tasks: events of an earlier one are void.
    pub(super) run: u64,
    /// Microseconds in which it had a task.
    pub(super) busy: u64,
}

/// Provers among which the queue sees no difference: what one is not handed, none of them is.
pub(super) struct Class {
    memory: u64,
    machines: Vec<MachineId>,
    /// Those without a task, the longest idle first.
    pub(super) idle: VecDeque<usize>,
    /// Whether something may be ready for them. The queue looks through everything that is ready for a prover that can do
    /// none of it: only what has become ready since is worth asking for.
    pub(super) awake: bool,
}

impl Class {
    fn can(&self, template: &Template, task: u32) -> bool {
        self.memory >= template.tasks()[task as usize].memory
            && self.machines.contains(template.machine())
    }
}

/// All of them.
pub(super) struct Fleet {
    pub(super) provers: Vec<Prover>,
    pub(super) classes: Vec<Class>,
    by_name: HashMap<String, usize>,
}

impl Fleet {
    pub(super) fn new(scenario: &Scenario) -> (Self, Vec<ProverInfo>) {
        let mut fleet = Self {
            provers: Vec::new(),
            classes: Vec::new(),
            by_name: HashMap::new(),
        };
        let mut infos = Vec::new();
        for group in &scenario.provers {
            let known = fleet
                .classes
                .iter()
                .position(|class| class.memory == group.memory && class.machines == group.machines);
            let class = known.unwrap_or(fleet.classes.len());
            if known.is_none() {
                fleet.classes.push(Class {
                    memory: group.memory,
                    machines: group.machines.clone(),
                    idle: VecDeque::new(),
                    awake: true,
                });
            }
            for _ in 0..group.count {
                let number = fleet.provers.len();
                let name = format!("p{number}");
                fleet.classes[class].idle.push_back(number);
                fleet.by_name.insert(name.clone(), number);
                infos.push(ProverInfo {
                    name: name.clone(),
                    device: group.device.clone(),
                    memory: group.memory,
                    machines: group.machines.clone(),
                });
                fleet.provers.push(Prover {
                    name,
                    device: group.device.clone(),
                    slowdown: group.slowdown,
                    class,
                    lies: number < scenario.faults.liars as usize,
                    work: None,
                    run: 0,
                    busy: 0,
                });
            }
        }
        (fleet, infos)
    }

    /// A prover's number; the number of provers where it is none of them.
    pub(super) fn number(&self, name: &str) -> usize {
        let number = self.by_name.get(name).copied();
        number.unwrap_or(self.provers.len())
    }

    /// A task may be ready.
    pub(super) fn wake(&mut self, template: &Template, task: u32) {
        for class in self.classes.iter_mut().filter(|class| !class.awake) {
            class.awake = class.can(template, task);
        }
    }

    /// A job was submitted.
    pub(super) fn wake_for_all(&mut self, template: &Template) {
        let ready = |number: &u32| template.tasks()[*number as usize].children.is_empty();
        for number in (0..template.tasks().len() as u32).filter(ready) {
            if self.classes.iter().all(|class| class.awake) {
                break;
            }
            self.wake(template, number);
        }
    }

    /// A prover has nothing to do.
    pub(super) fn rest(&mut self, prover: usize) {
        let class = self.provers[prover].class;
        self.classes[class].idle.push_back(prover);
    }
}
