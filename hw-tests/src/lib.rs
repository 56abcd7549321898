//! Tests that a back end is right, whatever it runs on.
//!
//! | module | holds |
//! |---|---|
//! | [`conformance`](mod@conformance) | suites that any [`Backend`](starkwright_hal::Backend) passes, and a macro that makes tests of them |
//! | [`faulty`] | back ends that are wrong on purpose: each suite must notice them |
//! | [`proofs`] | whole proofs, compared with stock Plonky3's byte for byte |
//! | [`runtimes`] | the OpenCL devices to test on this machine |
//! | [`expectations`] | what is known about drivers, as data |
//! | [`report`] | what ran where, for the table at the end of CI |
//!
//! `tests/conformance` runs all of it on the OpenCL devices of this machine: in one process, since drivers compile
//! their programs once in each.

pub mod conformance;
pub mod expectations;
pub mod faulty;
pub mod proofs;
pub mod report;
pub mod runtimes;
