//! Running a suite's cases: drawn by proptest, the same ones every time, shrunk where one fails.

use std::cell::Cell;
use std::fmt::Debug;

use proptest::strategy::BoxedStrategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Run and right.
    Checked,
    /// Not offered by this device ([`Buffers::supports`](starkwright_hal::Buffers::supports) says so).
    NotOffered,
}

/// What to do with a case. Not generic over the device, so that proptest's machinery is compiled once for each suite.
pub(super) type Check<'a, T> = &'a dyn Fn(&T) -> Result<Outcome, String>;

/// Runs `cases` draws; the result is how many were checked, or the smallest one that fails.
pub(super) fn run<T: Debug>(
    suite: &str,
    cases: u32,
    strategy: &BoxedStrategy<T>,
    check: Check<'_, T>,
) -> Result<u64, String> {
    let config = Config {
        cases,
        failure_persistence: None,
        // A device may need a second for a case.
        max_shrink_iters: 3 * cases,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed(suite));
    let checked = Cell::new(0);
    let result = TestRunner::new_with_rng(config, rng).run(strategy, |case| match check(&case) {
        Ok(outcome) => {
            checked.set(checked.get() + u64::from(outcome == Outcome::Checked));
            Ok(())
        }
        Err(why) => Err(TestCaseError::fail(why)),
    });
    match result {
        Ok(()) => Ok(checked.get()),
        Err(TestError::Fail(why, case)) => {
            Err(format!("{suite}: {why}\n  smallest case: {case:?}"))
        }
        Err(TestError::Abort(why)) => Err(format!("{suite}: {why}")),
    }
}

/// The suite's name, and `STARKWRIGHT_SEED` where it is set.
fn seed(suite: &str) -> [u8; 32] {
    let chosen = std::env::var("STARKWRIGHT_SEED").unwrap_or_default();
    let mut seed = [0; 32];
    for (i, byte) in suite.bytes().chain(chosen.bytes()).enumerate() {
        seed[i % 32] ^= byte.rotate_left((i / 32) as u32);
    }
    seed
}
