//! When jobs come: drawn, or from a file.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::Template;
use crate::FleetError;

/// A job that comes.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Seconds from the beginning.
    pub at_s: f64,
    /// What comes.
    pub job: Arc<Template>,
    /// Larger first.
    pub priority: i32,
}

/// Longest file of arrivals, in bytes.
pub const MAX_FILE: u64 = 16 << 20;

/// Most arrivals.
pub const MAX_ARRIVALS: usize = 1_000_000;

/// Times of a Poisson process: gaps are drawn from the exponential distribution of mean `1 / per_second`. The same seed draws
/// the same gaps at every rate, only shorter or longer: what is compared at two rates differs by the rate alone.
#[must_use]
pub fn poisson(seed: u64, per_second: f64, count: usize) -> Vec<f64> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut at = 0.0;
    let mut next = || {
        // 1 - u lies in (0, 1].
        at -= (1.0 - rng.random::<f64>()).ln() / per_second;
        at
    };
    (0..count.min(MAX_ARRIVALS)).map(|_| next()).collect()
}

/// Arrivals from a file: lines of `seconds,leaves`, in any order. Empty lines and lines that begin with `#` are skipped.
///
/// # Errors
/// [`FleetError::Io`]; [`FleetError::Malformed`] with the line, or where it is longer than [`MAX_FILE`].
pub fn read_arrivals(path: &Path) -> Result<Vec<(f64, u32)>, FleetError> {
    let io = |source| FleetError::Io {
        what: "read the arrivals",
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(io)?;
    file.take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(io)?;
    parse_arrivals(&text)
}

/// The same from the file's text.
///
/// # Errors
/// [`FleetError::Malformed`].
pub fn parse_arrivals(text: &str) -> Result<Vec<(f64, u32)>, FleetError> {
    let malformed = |why: String| FleetError::Malformed {
        what: "arrivals",
        why,
    };
    if text.len() as u64 > MAX_FILE {
        return Err(malformed(format!("longer than {MAX_FILE} bytes")));
    }
    let mut arrivals = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = || {
            let number = number + 1;
            malformed(format!(
                "line {number}: {line:?} is not `seconds,leaves`, as in `12.5,64`"
            ))
        };
        let (at, leaves) = line.split_once(',').ok_or_else(wrong)?;
        let at: f64 = at.trim().parse().map_err(|_| wrong())?;
        let leaves: u32 = leaves.trim().parse().map_err(|_| wrong())?;
        if !(0.0..=super::MAX_SECONDS).contains(&at) || leaves == 0 {
            return Err(wrong());
        }
        if arrivals.len() == MAX_ARRIVALS {
            return Err(malformed(format!("more than {MAX_ARRIVALS} lines")));
        }
        arrivals.push((at, leaves));
    }
    Ok(arrivals)
}
