//! Circuits: what the machines compute is what p3 computes, and what their constraints exclude.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod columns;
mod machines;
mod needed;
mod refused;

use p3_air::BaseAir;
use p3_koala_bear::KoalaBear;
use starkwright_aggregator::circuit::{Assignment, Circuit};
use starkwright_prover::machine::check::{TableWitness, Violation, check_tables};

/// Checks every constraint and the memory's balance.
fn check(circuit: &Circuit, assignment: &Assignment) -> Result<(), Violation> {
    let preprocessed = circuit.air().preprocessed_trace();
    check_tables::<KoalaBear, _>(&[TableWitness {
        air: circuit.air(),
        preprocessed: preprocessed.as_ref(),
        trace: &assignment.trace,
        public_values: &assignment.public_values,
    }])
}
