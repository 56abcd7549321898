//! One measurement, as a row of the table and an object of the JSON array.

use std::collections::BTreeMap;

use serde::Serialize;
use starkwright_hal::Caps;
use starkwright_prover::phases::{Phase, PhaseSeconds};

use super::timing::Comparison;

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// The device's name.
    device: String,
    /// Its driver and version.
    driver: String,
    /// The form of its kernels.
    variant: String,
    /// What was measured.
    pub(crate) kernel: &'static str,
    /// The field.
    field: &'static str,
    /// Rows and columns, as `2^18x64`.
    pub(crate) shape: String,
    /// Units of work each second on the device, wall time.
    throughput: f64,
    /// The unit.
    unit: &'static str,
    /// The least bytes that have to move, over the time, in GB/s; null where arithmetic is what counts.
    gb_per_s: Option<f64>,
    /// CPU time of p3 over CPU time of this device's process, median over the repetitions.
    cpu_ratio: f64,
    /// The same of wall time.
    wall_ratio: f64,
    /// Counted repetitions, each of both.
    repetitions: usize,
    /// Largest less smallest CPU ratio, over the median.
    spread: f64,
    /// Share of this machine's memory bandwidth that the least possible traffic would take; null where traffic is not
    /// what bounds the kernel, or the device has memory of its own.
    roof_share: Option<f64>,
    /// Seconds moving bytes, each repetition.
    transfer_s: f64,
    /// Seconds building kernels, once.
    build_s: f64,
    /// Share of the proof's wall time by phase, from a proof of its own that waits between phases; for whole proofs.
    #[serde(skip_serializing_if = "Option::is_none")]
    shares: Option<PhaseShares>,
    /// Features the binary was compiled with.
    features: Vec<&'static str>,
}

/// Shares of a whole, by phase: they sum to 1.
pub(crate) type PhaseShares = BTreeMap<Phase, f64>;

/// What a row says about the work.
pub(crate) struct Work {
    pub(crate) kernel: &'static str,
    pub(crate) field: &'static str,
    pub(crate) shape: String,
    /// Units of work in one run.
    pub(crate) amount: f64,
    pub(crate) unit: &'static str,
    /// The least bytes that have to move.
    pub(crate) bytes: Option<f64>,
    pub(crate) roof_share: Option<f64>,
    /// Seconds by phase.
    pub(crate) shares: Option<PhaseSeconds>,
}

impl Row {
    pub(crate) fn new(caps: &Caps, work: Work, measured: &Comparison) -> Self {
        Self {
            device: caps.name.clone(),
            driver: caps.driver.clone(),
            variant: caps.variant.clone(),
            kernel: work.kernel,
            field: work.field,
            shape: work.shape,
            throughput: work.amount / measured.wall_seconds,
            unit: work.unit,
            gb_per_s: work.bytes.map(|bytes| bytes / measured.wall_seconds / 1e9),
            cpu_ratio: measured.cpu_ratio,
            wall_ratio: measured.wall_ratio,
            repetitions: measured.repetitions,
            spread: measured.spread,
            roof_share: work.roof_share,
            transfer_s: measured.transfer_seconds,
            build_s: measured.build_seconds,
            shares: work.shares.map(shares),
            features: crate::cpu_features::compiled(),
        }
    }

    pub(crate) fn print(&self) {
        say!(
            "{:<24.24} {:<18} {:<10} {:<10} {:>9} {:<14} {:>8.2} {:>8.2} {:>6.2}",
            self.driver,
            self.kernel,
            self.field,
            self.shape,
            scaled(self.throughput),
            self.unit,
            self.cpu_ratio,
            self.wall_ratio,
            self.spread,
        );
        if let Some(shares) = &self.shares {
            let parts: Vec<String> = shares
                .iter()
                .map(|(phase, share)| format!("{phase} {:.0} %", 100.0 * share))
                .collect();
            say!("{:24} {}", "", parts.join(", "));
        }
    }
}

/// Seconds by phase as shares of their sum.
fn shares(seconds: PhaseSeconds) -> PhaseShares {
    let total: f64 = seconds.values().sum();
    seconds
        .into_iter()
        .map(|(phase, seconds)| (phase, seconds / total))
        .collect()
}

/// The line above the rows.
pub(crate) fn header() {
    say!(
        "{:<24} {:<18} {:<10} {:<10} {:>9} {:<14} {:>8} {:>8} {:>6}",
        "driver",
        "kernel",
        "field",
        "shape",
        "rate",
        "unit",
        "cpu x",
        "wall x",
        "spread"
    );
}

/// A rate with a decimal prefix.
fn scaled(rate: f64) -> String {
    let steps = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    steps
        .into_iter()
        .find(|(unit, _)| rate >= *unit)
        .map_or_else(
            || format!("{rate:.2}"),
            |(unit, prefix)| format!("{:.2} {prefix}", rate / unit),
        )
}
