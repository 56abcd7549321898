//! Proofs that are no longer there: their tasks are done again.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt, TryStreamExt};

use super::Aggregator;
use crate::FleetError;
use crate::store::{TaskState, all_tasks};
use crate::task::{Blob, JobId, TaskId};

/// Proofs that are looked for at a time.
const LOOKED_FOR: usize = 32;

impl Aggregator {
    /// Has the tasks done again whose proofs are lost or damaged and are still to be taken by others. Returns how many.
    ///
    /// # Errors
    /// [`FleetError::UnknownJob`], the stores'.
    pub(super) async fn restore(&self, id: JobId) -> Result<u64, FleetError> {
        let tasks = all_tasks(&*self.store, id).await?;
        let unproven = tasks.iter().filter(|task| task.state != TaskState::Done);
        let mut taken: BTreeSet<u32> = unproven
            .flat_map(|task| task.children.iter().copied())
            .collect();
        let mut restored = 0;
        while !taken.is_empty() {
            let proven = std::mem::take(&mut taken).into_iter();
            let proven = proven.filter_map(|number| {
                let proof = tasks.get(number as usize)?.proof?;
                Some((number, proof))
            });
            for (number, proof) in self.lost(proven.collect()).await? {
                let id = TaskId { job: id, number };
                if self.store.unprove(id, &proof).await? {
                    tracing::warn!(task = %id, "its proof is lost: it is to be done again");
                    restored += 1;
                    taken.extend(&tasks[number as usize].children);
                }
            }
        }
        Ok(restored)
    }

    /// Those of the proofs that are not there.
    async fn lost(&self, proofs: Vec<(u32, Blob)>) -> Result<Vec<(u32, Blob)>, FleetError> {
        let looking = proofs.into_iter().map(|(number, proof)| {
            let blobs = self.blobs.clone();
            async move { Ok::<_, FleetError>((number, proof, blobs.have(&proof).await?)) }
        });
        let mut looking = stream::iter(looking).buffer_unordered(LOOKED_FOR);
        let mut lost = Vec::new();
        while let Some((number, proof, there)) = looking.try_next().await? {
            if !there {
                lost.push((number, proof));
            }
        }
        Ok(lost)
    }
}
