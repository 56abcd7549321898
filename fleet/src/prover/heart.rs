//! Heartbeats, from a thread and over a connection of their own: what proves may take every other one.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::client;
use crate::FleetError;
use crate::link::Address;
use crate::protocol::{lease_to_wire, wire};
use crate::task::TaskId;

type Held = Arc<Mutex<BTreeMap<TaskId, i64>>>;

/// Beats while it lives.
pub(super) struct Heart {
    held: Held,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

fn lock(held: &Held) -> MutexGuard<'_, BTreeMap<TaskId, i64>> {
    // Insertions and removals leave nothing half done.
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Heart {
    /// Starts the thread.
    pub(super) fn start(
        address: &Address,
        prover: &str,
        interval: Duration,
    ) -> Result<Self, FleetError> {
        let held = Held::default();
        let (stop, stopped) = mpsc::channel();
        let (address, prover, shared) = (address.clone(), prover.to_owned(), Arc::clone(&held));
        let internal = |error: std::io::Error| FleetError::Internal {
            why: format!("cannot start the heartbeat: {error}"),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(internal)?;
        let link = {
            let _guard = runtime.enter();
            address.link()?
        };
        let beat = move || {
            let client = client(link);
            // A dropped sender ends it as well.
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(interval) {
                let leases: Vec<wire::Lease> = lock(&shared)
                    .iter()
                    .map(|(&task, &token)| lease_to_wire(task, token))
                    .collect();
                if leases.is_empty() {
                    continue;
                }
                let request = wire::HeartbeatRequest {
                    prover: prover.clone(),
                    leases: leases.clone(),
                };
                let mut client = client.clone();
                let sent = runtime.block_on(async {
                    tokio::time::timeout(
                        interval.max(Duration::from_secs(1)),
                        client.heartbeat(request),
                    )
                    .await
                });
                match sent {
                    Ok(Ok(reply)) => {
                        let lost = leases.iter().zip(reply.into_inner().holds);
                        for (lease, _) in lost.filter(|(_, holds)| !holds) {
                            // The proof is delivered all the same: it counts while its task is unproven.
                            tracing::warn!(job = lease.job, number = lease.number, "lease lost");
                        }
                    }
                    Ok(Err(status)) => tracing::debug!(%status, "no heartbeat"),
                    Err(_) => tracing::debug!("no heartbeat: timed out"),
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("heartbeat".to_owned())
            .spawn(beat)
            .map_err(internal)?;
        Ok(Self {
            held,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Beats for this lease too.
    pub(super) fn hold(&self, task: TaskId, token: i64) {
        lock(&self.held).insert(task, token);
    }

    /// No longer.
    pub(super) fn let_go(&self, task: TaskId) {
        lock(&self.held).remove(&task);
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to say; a panic in it was printed.
            let _ = thread.join();
        }
    }
}
