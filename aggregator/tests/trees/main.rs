//! Whole trees at tiny parameters that exist only in tests: node by node, and step by step through bytes alone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod nodes;
mod steps;
mod tiny;
