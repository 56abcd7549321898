//! The protocol: the messages of `proto/starkwright/fleet.proto`, and what they are here.

mod convert;
mod status;

pub(crate) use convert::{
    Wire, job_state, lease, lease_to_wire, name, prover_to_wire, required, task_to_wire, text,
    unprovable,
};
pub(crate) use status::{from_status, is_passing, to_status};

/// The protocol's version: peers that speak another one are refused.
pub const PROTOCOL: u32 = 1;

/// Longest piece of a blob in one message, in bytes.
pub const CHUNK: usize = 256 << 10;

/// Longest message that is read, in bytes.
pub const MAX_MESSAGE: usize = 16 << 20;

/// Longest payload of a job or a task, in bytes.
pub const MAX_PAYLOAD: usize = 4 << 20;

/// Most inputs of a job.
pub const MAX_INPUTS: usize = 1 << 16;

/// Generated from the protocol's description; its comments are the documentation.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    reason = "generated code"
)]
pub mod wire {
    tonic::include_proto!("starkwright.fleet.v1");
}
