//! What a runtime has done so far.

use std::collections::HashMap;

/// Counters of one [`Runtime`](super::Runtime), from its opening.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Bytes copied from the host to the device. Zero-copy adoption moves nothing.
    pub bytes_up: u64,
    /// Bytes copied from the device to the host. Zero-copy maps move nothing.
    pub bytes_down: u64,
    /// Bytes of buffers alive.
    pub live_bytes: u64,
    /// Most bytes of buffers alive at one time.
    pub peak_bytes: u64,
    /// Bytes kept for reuse after their buffers were dropped. Never raises the sum of live and kept above the peak.
    pub kept_bytes: u64,
    /// Bytes of host memory under buffers, alive, kept, or waiting for the device to be done with them.
    pub host_bytes: u64,
    /// Allocations served from kept memory.
    pub reused: u64,
    /// Seconds spent building programs, whatever they came from.
    pub build_seconds: f64,
    /// Programs compiled from source.
    pub programs_compiled: u64,
    /// Programs loaded from the disk cache.
    pub programs_cached: u64,
    /// Programs loaded from [`Options::programs`](super::Options::programs).
    pub programs_loaded: u64,
    /// Files in the disk cache that were damaged or refused by the driver, and rebuilt.
    pub cache_rejected: u64,
    /// Every kind of command: kernels by name; `read`, `write`, `map`, `copy`, `fill` for transfers,
    /// `wait` for one queue's waits for another. By name.
    pub commands: Vec<CommandStatistics>,
}

/// Counters of one kind of command.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandStatistics {
    /// The kernel's name, or the kind of transfer.
    pub name: &'static str,
    /// Commands enqueued.
    pub count: u64,
    /// Seconds on the device, of the commands known to be complete; 0 where the driver does not profile.
    pub seconds: f64,
}

impl Statistics {
    /// The counters of a kernel or transfer.
    #[must_use]
    pub fn command(&self, name: &str) -> Option<&CommandStatistics> {
        self.commands.iter().find(|c| c.name == name)
    }
}

/// Index of a kind of command in [`CommandTable`].
#[derive(Clone, Copy, Debug)]
pub(super) struct CommandId(usize);

/// Counters by kind of command, found by name once and by index afterwards.
#[derive(Debug, Default)]
pub(super) struct CommandTable {
    ids: HashMap<&'static str, CommandId>,
    rows: Vec<CommandStatistics>,
}

impl CommandTable {
    pub(super) fn enqueued(&mut self, name: &'static str) -> CommandId {
        let rows = &mut self.rows;
        let id = *self.ids.entry(name).or_insert_with(|| {
            rows.push(CommandStatistics {
                name,
                count: 0,
                seconds: 0.0,
            });
            CommandId(rows.len() - 1)
        });
        self.rows[id.0].count += 1;
        id
    }

    pub(super) fn ran(&mut self, id: CommandId, nanoseconds: u64) {
        self.rows[id.0].seconds += nanoseconds as f64 * 1e-9;
    }

    pub(super) fn rows(&self) -> Vec<CommandStatistics> {
        let mut rows = self.rows.clone();
        rows.sort_by_key(|row| row.name);
        rows
    }
}
