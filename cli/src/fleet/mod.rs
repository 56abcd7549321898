//! The fleet's commands: roles that run for long, and requests to them.

mod foresee;
mod private;
mod request;
mod roles;
mod settings;
mod submit;

pub(crate) use foresee::{forecast, plan, simulate};
pub(crate) use private::prove;
pub(crate) use request::{cancel, fetch, provers, retry, status};
pub(crate) use roles::{aggregator, prover};
pub(crate) use submit::submit;
