//! What can go wrong on a device, and what to do about it.
//!
//! Every failure of a device is a value of [`HalError`]: nothing in a back end panics, and nothing falls back
//! silently. [`HalError::OutOfMemory`] goes up to whoever plans the work, [`HalError::DeviceLost`] fails the job
//! (another device may take it), [`HalError::Unsupported`] is what [`Fallback`](crate::Fallback) acts on.

/// The one error type of the hardware layer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HalError {
    /// An allocation did not fit. `requested` and `available` are bytes.
    #[error(
        "{device}: out of memory, {requested} bytes asked and {available} available; \
         use shorter segments (--segment-blocks), a larger device, or --backend cpu"
    )]
    OutOfMemory {
        /// The device that refused.
        device: String,
        /// Bytes asked for.
        requested: u64,
        /// Bytes left under the device's (or the configured) limit.
        available: u64,
    },

    /// The device is gone, or a kernel ran past its deadline. The device must not be used again.
    #[error("{device}: device lost ({why}); start again, on another device if it persists")]
    DeviceLost {
        /// The device that failed.
        device: String,
        /// What was seen.
        why: String,
    },

    /// The back end does not offer this operation at this shape.
    #[error("{op} is not supported here: {why}; `fallback:<device>` runs it on the CPU")]
    Unsupported {
        /// The operation.
        op: &'static str,
        /// Which limit or capability is missing.
        why: String,
    },

    /// A kernel did not build.
    #[error("{device}: kernel program {kernel} did not build; report this log:\n{log}")]
    Build {
        /// The device whose compiler refused.
        device: String,
        /// The program.
        kernel: String,
        /// The compiler's log.
        log: String,
    },

    /// A driver call failed with a code that has no better name here.
    #[error("{device}: {call} failed with code {code}{hint}")]
    Driver {
        /// The device.
        device: String,
        /// The call that failed.
        call: &'static str,
        /// The driver's code.
        code: i32,
        /// What is known about that code, starting with `: `, or empty.
        hint: String,
    },

    /// The driver's library could not be loaded.
    #[error(
        "{library} was not found; install a runtime for your device (see docs/devices.md) or use --backend cpu"
    )]
    LibraryMissing {
        /// The library looked for.
        library: String,
    },

    /// No device answers to the name given.
    #[error("no device matches {wanted:?}; known: {}", list(known))]
    NoSuchDevice {
        /// The selector as given.
        wanted: String,
        /// The selectors that would work here.
        known: Vec<String>,
    },

    /// The arguments of an operation contradict each other. A bug of the caller, reported and not panicked on.
    #[error("{op}: {why}")]
    InvalidArgument {
        /// The operation.
        op: &'static str,
        /// The contradiction.
        why: String,
    },

    /// Two back ends that must agree did not: the device computes wrongly.
    #[error(
        "{device}: {op} disagrees with the reference ({detail}); do not trust this device's proofs"
    )]
    Mismatch {
        /// The device under suspicion.
        device: String,
        /// The operation that differed.
        op: &'static str,
        /// First difference, and where the failing input was kept.
        detail: String,
    },
}

/// The known names, or a word saying that there are none.
fn list(known: &[String]) -> String {
    if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    }
}

impl HalError {
    /// Shorthand for a caller's mistake.
    pub fn invalid(op: &'static str, why: impl Into<String>) -> Self {
        Self::InvalidArgument {
            op,
            why: why.into(),
        }
    }

    /// Shorthand for a missing capability.
    pub fn unsupported(op: &'static str, why: impl Into<String>) -> Self {
        Self::Unsupported {
            op,
            why: why.into(),
        }
    }
}
