//! Many provers, one queue, one proof out.
//!
//! ```text
//!  client ── Jobs ──► aggregator ◄── Work ── prover, prover, …
//!                      │   │  │
//!               store ─┘   │  └─ machine: plans jobs into tasks, verifies their proofs
//!  (the queue)        blobs│       keccak: files become one wrap
//!                          └─ inputs and proofs by hash
//!
//!  simulate: the same queue in virtual time ──► forecast: when, and with how many provers ──► hook
//!  watch: figures, traces, a page             private: all of it in one process, for one job
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`task`] | jobs and tasks: what they are called, what is known of them before they run |
//! | [`machine`] | what a fleet must be told of a machine; [`keccak`] is one |
//! | [`store`] | the queue: one trait, in memory, SQLite and PostgreSQL |
//! | [`blobs`] | inputs and proofs, each under its hash, in a folder or a bucket |
//! | [`protocol`] | gRPC: `proto/starkwright/fleet.proto` |
//! | [`aggregator`], [`prover`], [`client`] | the roles; [`link`] is how the latter two reach the first |
//! | [`private`] | a fleet of one host, for one job |
//! | [`simulate`], [`forecast`], [`hook`] | delay against the number of provers |
//! | [`watch`] | Prometheus, OpenTelemetry, the status page |
//! | [`point`] | moments at which a crash matters, for tests |
//!
//! Nothing here knows what is proven but [`keccak`], and nothing knows of rollups.
//!
//! # A queue by hand
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! use std::time::Duration;
//!
//! use starkwright_fleet::store::{Completed, JobStore, Limits, MemoryStore, Proof, ProverInfo};
//! use starkwright_fleet::task::{Blob, BlobHash, JobId, MachineId, NewJob, Place, TaskSpec};
//!
//! let machine = MachineId { name: "toy".into(), version: "1".into() };
//! let task = TaskSpec {
//!     kind: "leaf".into(),
//!     place: Place::default(),
//!     circuit: "toy".into(),
//!     urgency: 0,
//!     children: Vec::new(),
//!     input: None,
//!     payload: b"what is to be proven".to_vec(),
//!     memory: 0,
//!     work: 1,
//! };
//! let job = NewJob {
//!     id: JobId::of(&[b"a job"]),
//!     machine: machine.clone(),
//!     payload: Vec::new(),
//!     stream: String::new(),
//!     first: 0,
//!     count: 1,
//!     priority: 0,
//!     inputs: Vec::new(),
//!     trace: String::new(),
//!     tasks: vec![task],
//! };
//! let queue = MemoryStore::new(Limits::default());
//! queue.submit(&job).await?;
//! queue
//!     .register(&ProverInfo { name: "p".into(), device: "cpu".into(), memory: 1 << 30, machines: vec![machine] })
//!     .await?;
//! let claim = queue.claim("p", Duration::from_secs(30)).await?.ok_or("nothing to do")?;
//! let proof = Proof {
//!     blob: Blob { hash: BlobHash::of(b"its proof"), bytes: 9 },
//!     prover: "p".into(),
//!     device: "cpu".into(),
//!     seconds: 1.5,
//! };
//! let completed = queue.complete(claim.task, &proof).await?;
//! assert_eq!(completed, Completed::Accepted { ready: 0, job_done: true });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })
//! # }
//! ```

pub mod aggregator;
pub mod blobs;
pub mod client;
mod error;
pub mod forecast;
pub mod hook;
pub mod keccak;
pub mod link;
pub mod machine;
pub mod point;
pub mod private;
pub mod protocol;
pub mod prover;
pub mod simulate;
pub mod store;
pub mod task;
pub mod watch;

pub use error::FleetError;
