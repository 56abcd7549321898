//! What ran where: a line for each suite that passed, which CI adds up to a table and compares with what it expects.

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

/// The variable that names the file to append to.
pub const FILE: &str = "STARKWRIGHT_TEST_REPORT";

/// A runtime with a kernel variant: a column of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Short name of the runtime, as `pocl`.
    pub runtime: String,
    /// `vector` or `scalar`.
    pub variant: String,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.runtime, self.variant)
    }
}

impl Row {
    /// Says that a suite passed with so many cases: prints it, and appends it to the report where one is wanted.
    ///
    /// # Errors
    /// No case was run, or the report cannot be written.
    pub fn ran(&self, suite: &str, cases: u64, time: Duration) -> Result<(), String> {
        println!(
            "{self}: {suite}: {cases} cases in {:.1} s",
            time.as_secs_f64()
        );
        if cases == 0 {
            return Err(format!("{suite}: no case was run"));
        }
        let Some(path) = std::env::var_os(FILE) else {
            return Ok(());
        };
        let line = format!("{}\t{}\t{suite}\t{cases}\n", self.runtime, self.variant);
        // One write, so that lines of several processes do not mix.
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .map_err(|error| format!("{FILE}={}: {error}", path.display()))
    }
}
