//! How long a task takes: the measured rates, looked up.

use std::collections::BTreeMap;

use crate::store::Rate;

/// Seconds for a unit of work, by machine, kind and device.
#[derive(Clone, Debug, Default)]
pub struct Paces {
    by_machine: BTreeMap<String, BTreeMap<String, Kind>>,
}

/// What is known of a kind of task.
#[derive(Clone, Debug, Default)]
struct Kind {
    by_device: BTreeMap<String, f64>,
    /// The mean of the devices, for those that were never measured at it.
    mean: f64,
}

impl Paces {
    /// The paces that were measured. What no clock can have measured (negative, infinite) is left out.
    #[must_use]
    pub fn new(rates: &[Rate]) -> Self {
        let mut paces = Self::default();
        for rate in rates {
            let pace = rate.seconds_per_work;
            if pace.is_finite() && pace >= 0.0 {
                let kinds = paces.by_machine.entry(rate.machine.clone()).or_default();
                let kind = kinds.entry(rate.kind.clone()).or_default();
                kind.by_device.insert(rate.device.clone(), pace);
                kind.mean = kind.by_device.values().sum::<f64>() / kind.by_device.len() as f64;
            }
        }
        paces
    }

    /// Seconds that a device needs for so much work of a kind. A device that was not measured at it is taken to be like the
    /// mean of those that were; none where nobody was.
    #[must_use]
    pub fn seconds(&self, device: &str, machine: &str, kind: &str, work: u64) -> Option<f64> {
        let kind = self.by_machine.get(machine)?.get(kind)?;
        let pace = kind.by_device.get(device).unwrap_or(&kind.mean);
        // As the store counts it: a task without work is one of one unit.
        Some(pace * work.max(1) as f64)
    }
}
