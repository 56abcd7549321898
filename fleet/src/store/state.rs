//! What a job and a task can be: the numbers are the databases'.

use serde::{Deserialize, Serialize};

/// A state of a job. The numbers are the databases'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Tasks are to be done.
    Open = 0,
    /// Its proof is there.
    Done = 1,
    /// A task was tried too often.
    Failed = 2,
    /// Somebody called it off.
    Cancelled = 3,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Open, Self::Done, Self::Failed, Self::Cancelled];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it ended without a proof: it can be queued again.
    #[must_use]
    pub const fn may_be_retried(self) -> bool {
        matches!(self, Self::Failed | Self::Cancelled)
    }
}

/// A state of a task. The numbers are the databases'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// A child's proof is missing.
    Waiting = 0,
    /// Anybody may claim it.
    Ready = 1,
    /// Somebody works on it.
    Leased = 2,
    /// Its proof is there.
    Done = 3,
    /// It was tried too often.
    Failed = 4,
}

impl TaskState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Ready,
        Self::Leased,
        Self::Done,
        Self::Failed,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Leased => "leased",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// Tasks by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCounts {
    /// A child's proof is missing.
    pub waiting: u64,
    /// Anybody may claim it.
    pub ready: u64,
    /// Somebody works on it.
    pub leased: u64,
    /// Its proof is there.
    pub done: u64,
    /// It was tried too often.
    pub failed: u64,
}

impl TaskCounts {
    /// The count of a state.
    pub const fn of(&mut self, state: TaskState) -> &mut u64 {
        match state {
            TaskState::Waiting => &mut self.waiting,
            TaskState::Ready => &mut self.ready,
            TaskState::Leased => &mut self.leased,
            TaskState::Done => &mut self.done,
            TaskState::Failed => &mut self.failed,
        }
    }

    /// Tasks without a proof.
    #[must_use]
    pub const fn unproven(&self) -> u64 {
        self.waiting + self.ready + self.leased + self.failed
    }

    /// All tasks.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.unproven() + self.done
    }
}
