//! Jobs and tasks: what they are called and what is known of them before they run.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::FleetError;

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Exactly `N` bytes from lower-case hexadecimal digits.
fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let lower = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() != 2 * N || !digits.bytes().all(lower) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// A job's name: 32 hexadecimal digits. It follows from what the job is about, so that the same submission, sent twice,
/// is one job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId([u8; 16]);

impl JobId {
    /// The first half of SHA-256 over the parts, each behind its length.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        Self(id)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for JobId {
    type Err = FleetError;

    fn from_str(text: &str) -> Result<Self, FleetError> {
        unhex(text).map(Self).ok_or_else(|| FleetError::Malformed {
            what: "job id",
            why: format!(
                "{text:?} is not 32 hexadecimal digits; `starkwright status` lists the jobs"
            ),
        })
    }
}

impl TryFrom<String> for JobId {
    type Error = FleetError;

    fn try_from(text: String) -> Result<Self, FleetError> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.to_string()
    }
}

/// SHA-256 of a blob's bytes: its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlobHash(pub [u8; 32]);

impl BlobHash {
    /// The hash of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for BlobHash {
    type Err = FleetError;

    fn from_str(text: &str) -> Result<Self, FleetError> {
        unhex(text).map(Self).ok_or_else(|| FleetError::Malformed {
            what: "blob hash",
            why: format!("{text:?} is not 64 hexadecimal digits"),
        })
    }
}

impl TryFrom<String> for BlobHash {
    type Error = FleetError;

    fn try_from(text: String) -> Result<Self, FleetError> {
        text.parse()
    }
}

impl From<BlobHash> for String {
    fn from(hash: BlobHash) -> Self {
        hash.to_string()
    }
}

/// Bytes that are kept under their hash: a job's input, or a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// Its name.
    pub hash: BlobHash,
    /// Its length.
    pub bytes: u64,
}

/// Part of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRange {
    /// The blob.
    pub blob: Blob,
    /// First byte.
    pub offset: u64,
    /// Bytes from there.
    pub bytes: u64,
}

/// Which machine a job is for, and in which version of its circuits: work goes to provers that have both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MachineId {
    /// The machine's name.
    pub name: String,
    /// The version of its circuits: proofs of two versions never meet in a job.
    pub version: String,
}

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// A task of a job, by its number in the job's plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// The job.
    pub job: JobId,
    /// Its place in the plan.
    pub number: u32,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.job, self.number)
    }
}

/// Where a task's node stands in its job's tree. With the circuit's key it is unique within the job.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Place {
    /// Which of the job's trees, where it has several.
    pub owner: u64,
    /// Height above the leaves.
    pub level: u32,
    /// Index of the first leaf below it.
    pub index: u64,
    /// Leaves below it.
    pub count: u64,
}

/// A task as it is planned: everything that a prover must know, and what a verifier compares its proof with.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskSpec {
    /// Its kind, in a word: `leaf`, `join`, … Rates are measured by it.
    pub kind: String,
    /// Where it stands.
    pub place: Place,
    /// The circuit's key, as the machine writes it.
    pub circuit: String,
    /// How soon it should be done once it can be: larger first, joins before leaves.
    pub urgency: u8,
    /// Tasks whose proofs it takes, in order: numbers below its own.
    pub children: Vec<u32>,
    /// The part of the job's inputs that it reads.
    pub input: Option<BlobRange>,
    /// What the machine itself has to know, the expected statement above all. Opaque here.
    pub payload: Vec<u8>,
    /// Device memory that it needs, in bytes.
    pub memory: u64,
    /// Amount of work, in a unit of the machine's: time is proportional to it within a kind.
    pub work: u64,
}

/// A job as it is submitted, planned.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its name.
    pub id: JobId,
    /// Whose it is.
    pub machine: MachineId,
    /// What is to be proven, in the machine's encoding. Opaque here.
    pub payload: Vec<u8>,
    /// The chain of ranges that it belongs to; empty: none.
    pub stream: String,
    /// The range that it is about.
    pub first: u64,
    /// Items of the range.
    pub count: u64,
    /// Larger first.
    pub priority: i32,
    /// The blobs that it reads.
    pub inputs: Vec<Blob>,
    /// The caller's trace, as W3C's `traceparent`; empty: none.
    pub trace: String,
    /// Its tasks, children first. The last one's proof is the job's.
    pub tasks: Vec<TaskSpec>,
}

/// Most tasks of one job.
pub const MAX_TASKS: usize = 1 << 22;

impl NewJob {
    /// Checks what the queue relies on.
    ///
    /// # Errors
    /// [`FleetError::Plan`]: a text with a NUL, no task, too many, a child that is not planned before its parent, a task before the last one
    /// whose proof nothing takes, two tasks in one place.
    pub fn check(&self) -> Result<(), FleetError> {
        let wrong = |why: String| FleetError::Plan { job: self.id, why };
        if self.tasks.is_empty() || self.tasks.len() > MAX_TASKS {
            return Err(wrong(format!(
                "{} tasks: one to {MAX_TASKS} are possible",
                self.tasks.len()
            )));
        }
        // PostgreSQL's texts take any character but this one.
        if [&self.stream, &self.trace]
            .iter()
            .any(|text| text.contains('\0'))
        {
            return Err(wrong("a NUL in its stream or trace".to_owned()));
        }
        let mut taken = vec![false; self.tasks.len()];
        let mut places = std::collections::BTreeSet::new();
        for (number, task) in self.tasks.iter().enumerate() {
            for &child in &task.children {
                match taken.get_mut(child as usize) {
                    Some(taken) if (child as usize) < number => *taken = true,
                    _ => {
                        return Err(wrong(format!(
                            "task {number} takes task {child}, which is not before it"
                        )));
                    }
                }
            }
            if [&task.kind, &task.circuit]
                .iter()
                .any(|text| text.contains('\0'))
            {
                return Err(wrong(format!("task {number} has a NUL in its texts")));
            }
            if !places.insert((task.place, &task.circuit)) {
                return Err(wrong(format!(
                    "task {number} stands where another one does"
                )));
            }
        }
        taken.pop();
        match taken.iter().position(|taken| !taken) {
            Some(number) => Err(wrong(format!("nothing takes task {number}'s proof"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_nothing_else_is() {
        let id = JobId::of(&[b"a", b"bc"]);
        assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
        assert_ne!(id, JobId::of(&[b"ab", b"c"]));
        for wrong in ["", "00", &"g".repeat(32), &"A".repeat(32), &"é".repeat(16)] {
            wrong.parse::<JobId>().unwrap_err();
        }
    }
}
