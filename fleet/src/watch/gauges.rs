//! Gauges of the queue's state, made anew at every scrape: what is gone leaves no label behind.

use std::fmt;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::metrics::{Kind, Metrics, PREFIX};
use super::spread::Real;
use super::state::{Provers, State, View};
use crate::store::TaskState;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindInState {
    machine: String,
    kind: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OnDevice {
    machine: String,
    kind: String,
    device: String,
}

/// Everything, in OpenMetrics' text form. Without a state, the queue could not be asked: its gauges are absent, and
/// `store_up` says why.
pub(super) fn render(metrics: &Metrics, state: Option<&State>) -> Result<String, fmt::Error> {
    let mut text = String::new();
    encode_registry(&mut text, metrics.registry())?;
    let mut registry = Registry::with_prefix(PREFIX);
    let up = Gauge::<i64>::default();
    up.set(i64::from(state.is_some()));
    registry.register("store_up", "Whether the queue answers", up);
    let release = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("release", "The software", release);
    if let Some(state) = state {
        jobs(&mut registry, state);
        tasks(&mut registry, &state.view);
        provers(&mut registry, &state.view.provers);
        rates(&mut registry, &state.view);
    }
    encode_registry(&mut text, &registry)?;
    encode_eof(&mut text)?;
    Ok(text)
}

fn jobs(registry: &mut Registry, state: &State) {
    let open = Gauge::<i64>::default();
    open.set(state.view.jobs.open.cast_signed());
    registry.register("jobs_open", "Open jobs, counted up to 1000", open);
    let age = Real::default();
    let since = |oldest: &super::state::Oldest| (state.now - oldest.submitted).max(0) as f64 / 1e3;
    age.set(state.view.oldest.as_ref().map_or(0.0, since));
    let help = "Age of the oldest open job in seconds, 0 where none is open";
    registry.register("oldest_job_age_seconds", help, age);
    if let Some(delay) = state
        .view
        .forecast
        .as_ref()
        .and_then(super::Forecast::delay)
    {
        let gauge = Real::default();
        gauge.set(delay);
        let help = "Until all that is queued is done, in seconds, by the rates measured";
        registry.register("forecast_delay_seconds", help, gauge);
    }
}

fn tasks(registry: &mut Registry, view: &View) {
    let tasks = Family::<KindInState, Gauge>::default();
    let work = Family::<Kind, Gauge>::default();
    for backlog in &view.kinds {
        let mut counts = backlog.tasks;
        let (machine, kind) = (backlog.machine.clone(), backlog.kind.clone());
        for state in TaskState::ALL {
            let labels = KindInState {
                machine: machine.clone(),
                kind: kind.clone(),
                state: state.name(),
            };
            let count = counts.of(state).cast_signed();
            tasks.get_or_create(&labels).set(count);
        }
        let kind = Kind { machine, kind };
        work.get_or_create(&kind).set(backlog.work.cast_signed());
    }
    registry.register("tasks", "Tasks of open jobs", tasks);
    let help = "Unproven work of open jobs, in the machine's unit";
    registry.register("work", help, work);
}

fn provers(registry: &mut Registry, counts: &Provers) {
    let provers = Family::<InState, Gauge>::default();
    for (state, count) in [
        ("working", counts.working),
        ("idle", counts.idle),
        ("gone", counts.gone),
        ("quarantined", counts.quarantined),
    ] {
        let labels = InState { state };
        provers.get_or_create(&labels).set(count.cast_signed());
    }
    registry.register("provers", "Provers that ever registered", provers);
}

fn rates(registry: &mut Registry, view: &View) {
    let rates = Family::<OnDevice, Real>::default();
    for rate in &view.rates {
        let labels = OnDevice {
            machine: rate.machine.clone(),
            kind: rate.kind.clone(),
            device: rate.device.clone(),
        };
        rates.get_or_create(&labels).set(rate.seconds_per_work);
    }
    let help = "Seconds for a unit of the machine's work, a mean that forgets";
    registry.register("work_seconds", help, rates);
}
