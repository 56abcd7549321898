//! A histogram with what it cannot tell exactly beside it: the last value, the mean and the largest.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// A gauge of a real number.
pub(super) type Real = Gauge<f64, AtomicU64>;

/// Bounds of a histogram's buckets.
#[derive(Clone, Copy)]
pub(super) struct Buckets(pub(super) &'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// From a message over a socket to a long task.
pub(super) const SECONDS: Buckets = Buckets(&[
    0.001, 0.004, 0.016, 0.06, 0.25, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0,
]);

/// Operations of a database.
pub(super) const SHORT: Buckets = Buckets(&[0.0001, 0.0005, 0.002, 0.01, 0.05, 0.25, 1.0, 5.0]);

/// Jobs: from a second to a day.
pub(super) const LONG: Buckets = Buckets(&[
    1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 3600.0, 10_800.0, 43_200.0, 86_400.0,
]);

/// Proofs: from a kilobyte to 64 MiB.
pub(super) const BYTES: Buckets = Buckets(&[
    1024.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
]);

/// See the module.
pub(super) struct Spread<L> {
    histogram: Family<L, Histogram, Buckets>,
    last: Family<L, Real>,
    mean: Family<L, Real>,
    max: Family<L, Real>,
    /// Values, their sum, the largest.
    seen: Mutex<HashMap<L, (u64, f64, f64)>>,
}

impl<L: Clone + Debug + Eq + Hash + EncodeLabelSet + Send + Sync + 'static> Spread<L> {
    /// Registers `name`, and `name_last`, `name_mean`, `name_max`.
    pub(super) fn register(
        registry: &mut Registry,
        name: &str,
        help: &str,
        bounds: Buckets,
    ) -> Self {
        let spread = Self {
            histogram: Family::new_with_constructor(bounds),
            last: Family::default(),
            mean: Family::default(),
            max: Family::default(),
            seen: Mutex::default(),
        };
        registry.register(name, help, spread.histogram.clone());
        let mut beside = |suffix: &str, what: &str, gauge: &Family<L, Real>| {
            registry.register(
                format!("{name}_{suffix}"),
                format!("{help}: {what}"),
                gauge.clone(),
            );
        };
        beside("last", "the last one", &spread.last);
        beside("mean", "mean since the start", &spread.mean);
        beside("max", "largest since the start", &spread.max);
        spread
    }

    /// Takes a value in.
    pub(super) fn observe(&self, labels: &L, value: f64) {
        // Sums leave nothing half done.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, sum, max) = seen.entry(labels.clone()).or_insert((0, 0.0, value));
        *count += 1;
        *sum += value;
        *max = max.max(value);
        self.histogram.get_or_create(labels).observe(value);
        self.last.get_or_create(labels).set(value);
        self.mean.get_or_create(labels).set(*sum / *count as f64);
        self.max.get_or_create(labels).set(*max);
    }
}
