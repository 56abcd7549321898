//! What a simulated job consists of.

use serde::{Deserialize, Serialize};

use crate::FleetError;
use crate::task::{JobId, MachineId, NewJob, Place, TaskSpec};

/// A job's tasks, to be submitted as often as wanted.
#[derive(Clone, Debug)]
pub struct Template {
    machine: MachineId,
    tasks: Vec<TaskSpec>,
    parents: Vec<Vec<u32>>,
}

impl Template {
    /// A job of these tasks, children first.
    ///
    /// # Errors
    /// [`FleetError::Plan`] where the queue would refuse them.
    pub fn new(machine: MachineId, tasks: Vec<TaskSpec>) -> Result<Self, FleetError> {
        let mut template = Self {
            machine,
            tasks,
            parents: Vec::new(),
        };
        template.job(0, 0).check()?;
        template.parents = vec![Vec::new(); template.tasks.len()];
        for (number, task) in template.tasks.iter().enumerate() {
            for &child in &task.children {
                template.parents[child as usize].push(number as u32);
            }
        }
        Ok(template)
    }

    /// Whose job it is.
    #[must_use]
    pub const fn machine(&self) -> &MachineId {
        &self.machine
    }

    /// Its tasks.
    #[must_use]
    pub fn tasks(&self) -> &[TaskSpec] {
        &self.tasks
    }

    /// The tasks that take this one's proof.
    pub(super) fn parents(&self, task: u32) -> &[u32] {
        &self.parents[task as usize]
    }

    /// The job, submitted as the `number`th: of equal priority, the first comes first.
    pub(super) fn job(&self, number: u64, priority: i32) -> NewJob {
        NewJob {
            id: JobId::of(&[b"simulated", &number.to_le_bytes()]),
            machine: self.machine.clone(),
            payload: Vec::new(),
            stream: String::new(),
            first: number,
            count: 1,
            priority,
            inputs: Vec::new(),
            trace: String::new(),
            tasks: self.tasks.clone(),
        }
    }
}

/// A kind of task within a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name, as rates have it.
    pub kind: String,
    /// Its work, in the machine's unit.
    #[serde(default = "one")]
    pub work: u64,
    /// Device memory that it needs, in bytes.
    #[serde(default)]
    pub memory: u64,
}

const fn one() -> u64 {
    1
}

/// Jobs that are trees: a chain of tasks for each leaf, joins of two, and a chain above the last join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeJob {
    /// Whose jobs they are.
    pub machine: MachineId,
    /// The tasks of a leaf, the first one first: at least one.
    pub leaf: Vec<Step>,
    /// What two nodes become one by.
    pub join: Step,
    /// The tasks above the last join, the first one first.
    pub root: Vec<Step>,
}

/// Most leaves of a tree.
pub const MAX_LEAVES: u32 = 1 << 20;

impl TreeJob {
    /// The steps of the Keccak machine's jobs, each of one unit of work: their rates are then seconds per task. (A wrap's is
    /// that of the seal below it too.)
    #[must_use]
    pub fn recursion(machine: MachineId) -> Self {
        let step = |kind: &str| Step {
            kind: kind.to_owned(),
            work: 1,
            memory: 0,
        };
        Self {
            machine,
            leaf: ["leaf", "lift", "shrink"].map(step).to_vec(),
            join: step("join"),
            root: ["close", "wrap"].map(step).to_vec(),
        }
    }

    /// A job of so many leaves. What is nearer to the root is more urgent: it is what shortens the job.
    ///
    /// # Errors
    /// [`FleetError::Settings`] for no leaf, more than [`MAX_LEAVES`], or a leaf without tasks; [`FleetError::Plan`] where
    /// that is more than a job may have.
    pub fn template(&self, leaves: u32) -> Result<Template, FleetError> {
        if leaves == 0 || leaves > MAX_LEAVES || self.leaf.is_empty() {
            return Err(FleetError::Settings {
                why: format!(
                    "a job of {leaves} leaves with {} tasks each: give 1 to {MAX_LEAVES} leaves of at least one task",
                    self.leaf.len()
                ),
            });
        }
        let mut tasks = Vec::new();
        let mut level: Vec<u32> = Vec::new();
        let mut add = |step: &Step, height: usize, index: usize, children: Vec<u32>| {
            tasks.push(TaskSpec {
                kind: step.kind.clone(),
                place: Place {
                    owner: 0,
                    level: height as u32,
                    index: index as u64,
                    count: 1,
                },
                circuit: step.kind.clone(),
                urgency: height.min(usize::from(u8::MAX)) as u8,
                children,
                input: None,
                payload: Vec::new(),
                memory: step.memory,
                work: step.work,
            });
            tasks.len() as u32 - 1
        };
        for leaf in 0..leaves as usize {
            let mut last = Vec::new();
            for (height, step) in self.leaf.iter().enumerate() {
                last = vec![add(step, height, leaf, last)];
            }
            level.extend(last);
        }
        let mut height = self.leaf.len();
        while level.len() > 1 {
            let pairs = level.chunks(2).enumerate();
            level = pairs
                .map(|(index, pair)| match *pair {
                    // An odd one out goes up as it is.
                    [single] => single,
                    _ => add(&self.join, height, index, pair.to_vec()),
                })
                .collect();
            height += 1;
        }
        for step in &self.root {
            level = vec![add(step, height, 0, level)];
            height += 1;
        }
        Template::new(self.machine.clone(), tasks)
    }
}
