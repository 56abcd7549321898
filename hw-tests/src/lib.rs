//! Tests that a back end is right, whatever it runs on.
//!
//! ```text
//!   cases drawn from a seed ──┬──► device under test ──┐
//!                             │    (OpenCL, or Faulty)  ├──► equal, word for word? ──► report ──► CI's table
//!                             └──► Cpu: p3's own code ──┘    a Faulty device must fail
//!   whole proofs ─── device ──► bytes equal those of stock p3, and stock p3 verifies them
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`conformance`](mod@conformance) | suites that any [`Backend`](starkwright_hal::Backend) passes, and a macro that makes tests of them |
//! | [`faulty`] | back ends that are wrong on purpose: each suite must notice them |
//! | [`planted`] | kernels that are wrong on purpose, and memory as they leave it |
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
pub mod planted;
pub mod proofs;
pub mod report;
pub mod runtimes;
