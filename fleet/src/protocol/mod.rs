//! The protocol: the messages of `proto/starkwright/fleet.proto`, and what they are here.

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
