//! Proofs that are no longer there: their tasks are done again.

use std::collections::BTreeSet;

use super::Aggregator;
use crate::FleetError;
use crate::store::{TaskState, TaskView};
use crate::task::{JobId, TaskId};

/// Tasks that are read at a time.
const PAGE: u32 = 1000;

impl Aggregator {
    /// Has the tasks done again whose proofs are lost or damaged and are still to be taken by others. Returns how many.
    ///
    /// # Errors
    /// [`FleetError::UnknownJob`], the stores'.
    pub(super) async fn restore(&self, id: JobId) -> Result<u64, FleetError> {
        let mut tasks: Vec<TaskView> = Vec::new();
        loop {
            let page = self.store.tasks(id, tasks.len() as u32, PAGE).await?;
            let last = page.len() < PAGE as usize;
            tasks.extend(page);
            if last {
                break;
            }
        }
        let unproven = tasks.iter().filter(|task| task.state != TaskState::Done);
        let mut taken: BTreeSet<u32> = unproven
            .flat_map(|task| task.children.iter().copied())
            .collect();
        let mut lost = 0;
        // Children have lower numbers than what takes them: from the top, each is met after all that may need it.
        while let Some(number) = taken.pop_last() {
            let task = tasks.get(number as usize);
            let Some((task, proof)) = task.and_then(|task| Some((task, task.proof?))) else {
                continue;
            };
            if self.blobs.have(&proof).await? {
                continue;
            }
            let id = TaskId { job: id, number };
            if self.store.unprove(id, &proof).await? {
                tracing::warn!(task = %id, "its proof is lost: it is to be done again");
                lost += 1;
                taken.extend(&task.children);
            }
        }
        Ok(lost)
    }
}
