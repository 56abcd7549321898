//! Interrupts: the first one asks a run to stop where nothing is lost, the second one ends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::{Failure, INVALID};

/// A flag that the first interrupt sets; `when` says when the run will look at it.
pub(crate) fn watch(when: &'static str) -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    ctrlc::set_handler(move || {
        // The second time, at once: what is on disk is whole in any case.
        if asked.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(INVALID));
        }
        eprintln!("starkwright: stopping {when} (again: at once)");
    })
    .map_err(|error| Failure::usage(format!("cannot watch for interrupts: {error}")))?;
    Ok(stop)
}
