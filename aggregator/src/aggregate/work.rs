//! Workers: each takes a step that is ready, proves it, verifies it, and keeps it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use starkwright_hal::{Backend, Extension, Keccak256Merkle, Poseidon2Merkle};
use starkwright_prover::ProverError;
use starkwright_prover::challenger::Protocol;
use starkwright_prover::keccak_file::{SegmentVerifiers, Val};
use starkwright_prover::proof_file::{Segment as Record, decode};

use super::folder::{Folder, Place};
use super::plan::{Item, Plan, Tree};
use super::source::Leaves;
use super::{Interrupted, Progress, Work};
use crate::AggregatorError;
use crate::node::{Circuits, NodeKey, NodeProof, NodeVerifiers};
use crate::node_file::{Kind, NodeFile};
use crate::schedule::{Join, Schedule, Step};
use crate::statement::TreeStatement;
use crate::tree::Interval;

/// A step.
pub(super) enum Task {
    /// Lifts and shrinks a segment of a file.
    Leaf(usize, u64, Record),
    /// Joins nodes of a file, or items.
    Join(Option<usize>, Join),
    /// Closes a file.
    Close(usize),
}

impl Task {
    const fn work(&self) -> Work {
        match self {
            Self::Leaf(..) => Work::Leaf,
            Self::Join(..) => Work::Join,
            Self::Close(_) => Work::Close,
        }
    }
}

/// What workers share.
pub(super) struct State<'a> {
    /// The segments of each file; none of a file whose item is already there.
    pub(super) inner: Vec<Option<Schedule>>,
    pub(super) outer: Schedule,
    pub(super) ready: VecDeque<Task>,
    pub(super) leaves: Leaves<'a>,
    pub(super) running: usize,
    pub(super) done: u64,
    pub(super) stopped: bool,
    pub(super) error: Option<AggregatorError>,
    pub(super) progress: &'a mut dyn Progress,
}

impl State<'_> {
    /// Puts every step that can be taken into the queue: at the beginning of a run.
    pub(super) fn find_ready(&mut self, items: &[Item]) {
        for (place, (schedule, item)) in self.inner.iter().zip(items).enumerate() {
            let Some(schedule) = schedule else { continue };
            if is_whole(schedule, item) {
                self.ready.push_back(Task::Close(place));
            } else if item.segments.len() > 1 {
                let joins = schedule.ready();
                self.ready
                    .extend(joins.map(|join| Task::Join(Some(place), join)));
            }
        }
        let joins = self.outer.ready();
        self.ready.extend(joins.map(|join| Task::Join(None, join)));
    }

    /// Books a step that was taken. Returns what nothing needs any more: nodes of a file, or items.
    fn book(&mut self, items: &[Item], task: &Task) -> Result<Step, AggregatorError> {
        self.done += 1;
        let (file, step) = match task {
            Task::Leaf(file, index, _) => (Some(*file), self.inner(*file)?.leaf_done(*index)?),
            Task::Join(Some(file), join) => (Some(*file), self.inner(*file)?.node_done(join.node)?),
            Task::Join(None, join) => (None, self.outer.node_done(join.node)?),
            Task::Close(file) => {
                let index = items.get(*file).map_or(0, |item| item.closed.first_index);
                (None, self.outer.leaf_done(index)?)
            }
        };
        match file.and_then(|file| Some((file, items.get(file)?))) {
            Some((file, item)) => {
                if is_whole(self.inner(file)?, item) {
                    self.ready.push_back(Task::Close(file));
                } else {
                    let joins = step.ready.iter().cloned();
                    self.ready
                        .extend(joins.map(|join| Task::Join(Some(file), join)));
                }
            }
            None => {
                let joins = step.ready.iter().cloned();
                self.ready.extend(joins.map(|join| Task::Join(None, join)));
            }
        }
        if let Err(Interrupted) = self.progress.done(task.work()) {
            self.stopped = true;
        }
        Ok(step)
    }

    fn inner(&mut self, file: usize) -> Result<&mut Schedule, AggregatorError> {
        // Steps are only made for files that have a schedule.
        let schedule = self.inner.get_mut(file).and_then(Option::as_mut);
        schedule.ok_or(AggregatorError::NoInput)
    }
}

/// Whether a file's range is complete and can be closed. A single segment is closed as it is.
fn is_whole(schedule: &Schedule, item: &Item) -> bool {
    match item.segments.len() {
        1 => schedule.finished().next().is_some(),
        _ => schedule.root().is_some(),
    }
}

/// A run's workers.
pub(super) struct Run<'a, E: Extension<Val>, B: Backend<Val>>
where
    Poseidon2Merkle: Protocol<Val, E>,
    Keccak256Merkle: Protocol<Val, E>,
{
    pub(super) circuits: &'a Circuits<E, B>,
    pub(super) plan: &'a Plan,
    pub(super) folder: &'a Folder,
    pub(super) segments: Mutex<SegmentVerifiers<E>>,
    pub(super) nodes: &'a NodeVerifiers<E>,
    pub(super) state: Mutex<State<'a>>,
    pub(super) changed: Condvar,
}

impl<'a, E: Extension<Val>, B: Backend<Val>> Run<'a, E, B>
where
    Poseidon2Merkle: Protocol<Val, E>,
    Keccak256Merkle: Protocol<Val, E>,
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    /// Takes steps until there are none left, something failed, or the run was stopped.
    pub(super) fn work(&self) {
        while let Some(task) = self.next() {
            // A panic must not leave the others waiting for this step.
            let running = Running(self);
            let taken = self.take(&task);
            drop(running);
            let mut state = self.state();
            state.running -= 1;
            let booked = taken.and_then(|()| state.book(&self.plan.items, &task));
            match booked {
                Ok(step) => self.drop_unneeded(&task, &step),
                Err(error) => {
                    state.error.get_or_insert(error);
                }
            }
            self.changed.notify_all();
        }
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State<'a>> {
        // A worker's panic ends the run (see `Running`), and the scope hands it on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next step, joins before leaves; waits where others may still make one ready.
    fn next(&self) -> Option<Task> {
        let mut state = self.state();
        loop {
            if state.error.is_some() || state.stopped {
                return None;
            }
            let task = match state.ready.pop_front() {
                Some(task) => Some(task),
                None => match state.leaves.next() {
                    Ok(leaf) => leaf.map(|(file, index, record)| Task::Leaf(file, index, record)),
                    Err(error) => {
                        state.error = Some(error);
                        return None;
                    }
                },
            };
            if task.is_some() {
                state.running += 1;
                return task;
            }
            if state.running == 0 {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn take(&self, task: &Task) -> Result<(), AggregatorError> {
        match task {
            Task::Leaf(file, index, record) => self.leaf(&self.plan.items[*file], *index, record),
            Task::Join(Some(file), join) => {
                let item = &self.plan.items[*file];
                self.join(join, &item.tree, |node| item.place(node))
            }
            Task::Join(None, join) => self.join(join, &self.plan.outer, Place::of_items),
            Task::Close(file) => self.close(&self.plan.items[*file]),
        }
    }

    fn leaf(&self, item: &Item, index: u64, record: &Record) -> Result<(), AggregatorError> {
        let place = usize::try_from(index).ok();
        let Some((shape, segment)) = place.and_then(|place| item.segments.get(place)) else {
            return Err(item.changed());
        };
        let same = usize::from(record.log_height) == shape.log_height()
            && record.statement == segment.to_bytes();
        if !same {
            return Err(item.changed());
        }
        // A false segment is its file's fault and is said to be; what fails behind it is the device's.
        self.segments
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .verify(*shape, segment, &record.proof)
            .map_err(|error| item.false_segment(index, &error))?;
        let proof = decode(&record.proof).map_err(ProverError::from)?;
        let entrance = self.circuits.entrance(shape.log_height())?;
        let root = self.circuits.allowed().root();
        let lifted = entrance.lift.prove(segment, &proof, &root)?;
        lifted
            .verify(&entrance.lift.node().verifier())
            .map_err(|error| self.wrong("a lift", &lifted.statement, &error))?;
        let shrunk = entrance.shrink.prove(entrance.lift.node(), &lifted)?;
        self.keep(item.place(Interval::leaf(index)), &shrunk)
    }

    fn join(
        &self,
        join: &Join,
        tree: &Tree,
        place: impl Fn(Interval) -> Place,
    ) -> Result<(), AggregatorError> {
        let child = |node: Interval| self.load(place(node), tree.statement(node)?);
        let mut children = Vec::new();
        for &node in &join.children {
            children.push(child(node)?);
        }
        let circuit = self.circuits.join()?;
        let (left, right) = match children.as_slice() {
            [left] => (left, None),
            [left, right] => (left, Some(right)),
            // Trees here are of arity 2.
            _ => {
                return Err(AggregatorError::Arity {
                    arity: children.len() as u8,
                });
            }
        };
        let right = right.map(|(key, proof)| (*key, proof));
        let joined = circuit.prove((left.0, &left.1), right, self.circuits.allowed())?;
        let made = Place {
            kind: Kind::Join,
            ..place(join.node)
        };
        self.keep(made, &joined)
    }

    fn close(&self, item: &Item) -> Result<(), AggregatorError> {
        let root = item.tree.shape.root();
        let (key, inner) = self.load(item.place(root), item.tree.statement(root)?)?;
        let position = (item.closed.first_index, &item.closed.begin);
        let circuit = self.circuits.close()?;
        let closed = circuit.prove(
            (key, &inner),
            &item.opening,
            position,
            self.circuits.allowed(),
        )?;
        self.keep(Place::ITEM, &closed)
    }

    /// A kept node with its key.
    fn load(
        &self,
        place: Place,
        statement: &TreeStatement,
    ) -> Result<(&NodeKey, NodeProof<E>), AggregatorError> {
        let key = self.circuits.keys().of_kind(place.kind)?;
        Ok((key, self.folder.find(place, statement)?.node::<E>()?))
    }

    /// Verifies a node and writes it down.
    fn keep(&self, place: Place, node: &NodeProof<E>) -> Result<(), AggregatorError> {
        let kind = place.kind;
        self.nodes
            .verify(kind, node)
            .map_err(|error| self.wrong(kind.name(), &node.statement, &error))?;
        let file = NodeFile::of_node(self.plan.profile, kind, node)?;
        file.write(&self.folder.path_of(place, &node.statement))?;
        Ok(())
    }

    fn wrong(
        &self,
        what: &str,
        statement: &TreeStatement,
        error: &AggregatorError,
    ) -> AggregatorError {
        AggregatorError::WrongProof {
            device: self.circuits.device().caps().selector,
            node: format!(
                "{what} of {} leaves from {}",
                statement.count, statement.first_index
            ),
            why: error.to_string(),
        }
    }

    /// Removes the nodes that a step has made superfluous, now that its own is on disk.
    fn drop_unneeded(&self, task: &Task, step: &Step) {
        match task {
            Task::Leaf(file, ..) | Task::Join(Some(file), _) => {
                let item = &self.plan.items[*file];
                for &node in &step.dropped {
                    if let Ok(statement) = item.tree.statement(node) {
                        self.folder.remove(item.place(node), statement);
                    }
                }
            }
            Task::Close(file) => {
                let item = &self.plan.items[*file];
                let root = item.tree.shape.root();
                if let Ok(statement) = item.tree.statement(root) {
                    self.folder.remove(item.place(root), statement);
                }
            }
            // The last step's children go with the folder.
            Task::Join(None, join) if join.node == self.plan.outer.shape.root() => {}
            Task::Join(None, _) => {
                for &node in &step.dropped {
                    if let Ok(statement) = self.plan.outer.statement(node) {
                        self.folder.remove(Place::of_items(node), statement);
                    }
                }
            }
        }
    }
}

/// A step that is running. Dropped by a panic, it stops the run.
struct Running<'r, 'a, E: Extension<Val>, B: Backend<Val>>(&'r Run<'a, E, B>)
where
    Poseidon2Merkle: Protocol<Val, E>,
    Keccak256Merkle: Protocol<Val, E>;

impl<E: Extension<Val>, B: Backend<Val>> Drop for Running<'_, '_, E, B>
where
    Poseidon2Merkle: Protocol<Val, E>,
    Keccak256Merkle: Protocol<Val, E>,
{
    fn drop(&mut self) {
        if std::thread::panicking() {
            let run = self.0;
            let mut state = run.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.running -= 1;
            state.stopped = true;
            run.changed.notify_all();
        }
    }
}
