//! What an interrupted run has finished.

use starkwright_hal::{Extension, Poseidon2Merkle};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::keccak_file::Val;

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;

use super::folder::{Folder, Place};
use super::plan::{Plan, Tree};
use crate::AggregatorError;
use crate::node::NodeVerifiers;
use crate::schedule::Schedule;
use crate::tree::Interval;

/// Schedules of each file, none of one whose item is there; of the items; and how many steps are done.
type Kept = (Vec<Option<Schedule>>, Schedule, u64);

/// Takes up every node that is needed, kept, and true. What is damaged or false is as if it were not there.
pub(super) fn kept<E>(
    plan: &Plan,
    folder: &Folder,
    nodes: &NodeVerifiers<E>,
) -> Result<Kept, AggregatorError>
where
    E: Extension<Val>,
    Poseidon2Merkle: Protocol<Val, E>,
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    let take_up = |tree: &Tree, place: &dyn Fn(Interval) -> Place| {
        let mut schedule = Schedule::new(tree.shape);
        let mut found: Vec<Interval> = Vec::new();
        let mut all: Vec<Interval> = tree.shape.nodes().collect();
        // Parents first: what is below a node that is there is not looked for.
        all.reverse();
        for node in all {
            let (Ok(statement), place) = (tree.statement(node), place(node)) else {
                continue;
            };
            if found.iter().any(|known| known.contains(node)) {
                // A run that was killed between a step and this.
                folder.remove(place, statement);
                continue;
            }
            let usable = folder
                .find(place, statement)
                .and_then(|file| nodes.verify(place.kind, &file.node::<E>()?));
            if usable.is_ok() {
                found.push(node);
            }
        }
        schedule.resume(found.iter().copied());
        (schedule, found)
    };
    let (outer, found) = take_up(&plan.outer, &Place::of_items);
    // The joins of each node found.
    let mut steps: u64 = found.iter().map(|node| node.count() - 1).sum();
    let mut inner = Vec::new();
    for item in &plan.items {
        let leaf = Interval::leaf(item.closed.first_index);
        if found.iter().any(|known| known.contains(leaf)) {
            steps += 2 * item.segments.len() as u64;
            inner.push(None);
            for node in item.tree.shape.nodes() {
                folder.remove(item.place(node), item.tree.statement(node)?);
            }
            continue;
        }
        let (schedule, found) = take_up(&item.tree, &|node| item.place(node));
        // The leaves and joins of each.
        steps += found.iter().map(|node| 2 * node.count() - 1).sum::<u64>();
        inner.push(Some(schedule));
    }
    Ok((inner, outer, steps))
}
