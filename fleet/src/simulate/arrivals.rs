//! When jobs come: drawn from a seed, or read from a file.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::FleetError;

/// Most arrivals that are read.
pub const MAX_ARRIVALS: usize = 1 << 20;

/// Times in seconds of `count` arrivals that do not know of each other, `rate` a second: a Poisson process.
#[must_use]
pub fn poisson(rate: f64, count: usize, seed: u64) -> Vec<f64> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut now = 0.0;
    (0..count)
        .map(|_| {
            // The time between two is exponential: −ln(u)/rate for u uniform in (0, 1].
            let uniform = 1.0 - rng.random::<f64>();
            now -= uniform.ln() / rate;
            now
        })
        .collect()
}

/// Arrivals from text: a line each, seconds from the beginning and bytes of the job's file, with a comma between. Lines that
/// are empty or begin with `#` are passed over.
///
/// # Errors
/// [`FleetError::Malformed`], naming the line.
pub fn read_arrivals(text: &str) -> Result<Vec<(f64, u64)>, FleetError> {
    let mut arrivals = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |why: &str| FleetError::Malformed {
            what: "arrivals",
            why: format!("line {}: {why}", at + 1),
        };
        let (time, bytes) = line
            .split_once(',')
            .ok_or_else(|| wrong("write SECONDS,BYTES"))?;
        let time: f64 = time
            .trim()
            .parse()
            .map_err(|_| wrong("no number of seconds"))?;
        let bytes = bytes
            .trim()
            .parse()
            .map_err(|_| wrong("no number of bytes"))?;
        if !time.is_finite() || time < 0.0 {
            return Err(wrong("seconds count from 0"));
        }
        if arrivals.len() == MAX_ARRIVALS {
            return Err(wrong("too many arrivals"));
        }
        arrivals.push((time, bytes));
    }
    Ok(arrivals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_read_or_their_line_is_named() {
        let read = read_arrivals("# at,bytes\n0,10\n\n 2.5 , 7\n").unwrap();
        assert_eq!(read, [(0.0, 10), (2.5, 7)]);
        for wrong in ["1", "x,1", "1,x", "-1,1", "inf,1", "1,-1"] {
            let error = read_arrivals(&format!("0,1\n{wrong}")).unwrap_err();
            assert!(error.to_string().contains("line 2"), "{error}");
        }
    }

    #[test]
    fn poisson_arrivals_come_at_their_rate() {
        let times = poisson(2.0, 20_000, 1);
        let rate = times.len() as f64 / times[times.len() - 1];
        assert!((rate - 2.0).abs() < 0.1, "{rate}");
        assert!(times.is_sorted());
        assert_eq!(poisson(2.0, 9, 1), times[..9]);
    }
}
