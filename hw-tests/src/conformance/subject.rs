//! What a suite runs on.

use std::time::Instant;

use super::Effort;
use crate::report::Row;

/// A device under test, how hard to test it, and where to say what ran.
#[derive(Clone, Debug)]
pub struct Subject<B> {
    /// The device.
    pub device: B,
    /// The device as one whose largest allocation is at most [`SMALL_ALLOC_BYTES`](super::SMALL_ALLOC_BYTES); without
    /// it, [`small_alloc`](super::small_alloc) is given `device`.
    pub small: Option<B>,
    /// How much to draw.
    pub effort: Effort,
    /// The place in the table of what ran, if this is a test run that makes one.
    pub row: Option<Row>,
}

/// Some devices under test.
#[derive(Clone, Debug)]
pub struct Subjects<B>(pub Vec<Subject<B>>);

impl<B> Subjects<B> {
    /// One device, tested as hard as CI does.
    #[must_use]
    pub fn one(device: B) -> Self {
        Self(vec![Subject {
            device,
            small: None,
            effort: Effort::Normal,
            row: None,
        }])
    }

    /// Runs a suite on every device.
    ///
    /// # Panics
    /// Where it fails on one of them, after it ran on all: this is the body of a test.
    pub fn run(&self, suite: &str, check: impl Fn(&B, Effort) -> Result<u64, String>) {
        let mut failures = Vec::new();
        for subject in self.0.iter().filter(|subject| subject.effort.runs(suite)) {
            let device = match &subject.small {
                Some(small) if suite == "small-alloc" => small,
                _ => &subject.device,
            };
            let start = Instant::now();
            let result = check(device, subject.effort).and_then(|cases| {
                subject
                    .row
                    .as_ref()
                    .map_or(Ok(()), |row| row.ran(suite, cases, start.elapsed()))
            });
            if let Err(why) = result {
                let place = subject
                    .row
                    .as_ref()
                    .map_or_else(String::new, |row| format!("{row}: "));
                failures.push(format!("{place}{why}"));
            }
        }
        assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    }
}
