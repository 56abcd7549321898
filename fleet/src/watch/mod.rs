//! Watching a fleet: figures for Prometheus, traces for OpenTelemetry, and a page for people.
//!
//! ```text
//!   Aggregator ──► Watched (a JobStore) ──► JobStore        every operation is timed, every event counted
//!       │                  │
//!       └── proofs ──► Metrics ◄── State (the queue, asked at most once a second) ──► page: /, /events, /api
//!                          └──────────────── /metrics ◄───────────┘
//! ```

mod forecast;
mod gauges;
mod metrics;
mod page;
mod spread;
mod state;
mod store;
mod throughput;
pub mod trace;
mod tree;

pub use forecast::{DelayPoint, Forecast, Forecaster, JobForecast};
pub use metrics::Metrics;
pub use page::Page;
pub use state::{JobRow, Jobs, Oldest, ProverRow, ProverState, Provers, State, View};
pub use tree::{Level, Node, Tree};

pub(crate) use metrics::Kind;
pub(crate) use store::Watched;
