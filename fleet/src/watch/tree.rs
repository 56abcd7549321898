//! A job's tree, small enough to be drawn: single tasks where there are few, counts by level where there are many.

use std::collections::BTreeMap;

use serde::Serialize;

use super::state::JobRow;
use crate::FleetError;
use crate::protocol::text;
use crate::store::{JobStore, TaskCounts, TaskState, TaskView};
use crate::task::JobId;

/// Tasks that are drawn one by one.
const MAX_NODES: u64 = 500;
/// Tasks that are read and counted by level; of larger jobs only the counts of all their tasks are shown.
const MAX_READ: u64 = 20_000;
/// Tasks read at a time.
const PAGE: u32 = 5000;
/// Levels that are shown.
const MAX_LEVELS: usize = 100;

/// See the module. At most one of the lists has anything in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tree {
    /// The job.
    pub job: JobRow,
    /// Its tasks, children first.
    pub nodes: Vec<Node>,
    /// Its levels, leaves first.
    pub levels: Vec<Level>,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Node {
    /// Its number in the plan.
    pub number: u32,
    /// Its kind.
    pub kind: String,
    /// Tasks on the longest way down from it.
    pub height: u32,
    /// Its children.
    pub children: Vec<u32>,
    /// Its state.
    pub state: TaskState,
    /// Failed attempts.
    pub attempts: u32,
    /// Who works on it, or has done it.
    pub prover: String,
    /// How long it took, in seconds.
    pub seconds: Option<f64>,
}

/// The tasks of one kind and height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Level {
    /// Tasks on the longest way down from them.
    pub height: u32,
    /// Their kind.
    pub kind: String,
    /// How many are in which state.
    pub tasks: TaskCounts,
}

impl Tree {
    /// Asks the queue.
    ///
    /// # Errors
    /// [`FleetError::UnknownJob`], the queue's.
    pub(super) async fn of(store: &dyn JobStore, id: JobId) -> Result<Self, FleetError> {
        let job = store.job(id).await?;
        let total = job.tasks.all();
        let mut tree = Self {
            job: JobRow::of(job, None),
            nodes: Vec::new(),
            levels: Vec::new(),
        };
        if total > MAX_READ {
            return Ok(tree);
        }
        let mut heights: Vec<u32> = Vec::new();
        let mut levels: BTreeMap<(u32, String), TaskCounts> = BTreeMap::new();
        loop {
            let tasks = store.tasks(id, heights.len() as u32, PAGE).await?;
            if tasks.is_empty() {
                break;
            }
            for task in tasks {
                let below = task.children.iter();
                let below = below.filter_map(|&child| heights.get(child as usize));
                let height = below.max().map_or(0, |height| height + 1);
                heights.push(height);
                let level = levels.entry((height, text(&task.kind, 40))).or_default();
                *level.of(task.state) += 1;
                if total <= MAX_NODES {
                    tree.nodes.push(Node::of(task, height));
                }
            }
        }
        if tree.nodes.is_empty() {
            let levels = levels.into_iter().take(MAX_LEVELS);
            let level = |((height, kind), tasks)| Level {
                height,
                kind,
                tasks,
            };
            tree.levels = levels.map(level).collect();
        }
        Ok(tree)
    }
}

impl Node {
    fn of(task: TaskView, height: u32) -> Self {
        Self {
            number: task.number,
            kind: text(&task.kind, 40),
            height,
            children: task.children,
            state: task.state,
            attempts: task.attempts,
            prover: task.prover,
            seconds: task.seconds,
        }
    }
}
