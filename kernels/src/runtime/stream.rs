//! The in-order queue, its pending commands, and waiting for them with a deadline.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use starkwright_hal::HalError;

use super::cl::{ClError, ClResult, Context, DeviceHandle, Event, Queue, Signal};
use super::statistics::{CommandId, CommandStatistics, CommandTable};

/// A command that was enqueued and not yet seen to end.
#[derive(Debug)]
struct Pending {
    event: Event,
    id: CommandId,
}

#[derive(Debug, Default)]
struct State {
    pending: VecDeque<Pending>,
    /// Commands that ended, over the stream's life.
    ended: u64,
    unflushed: usize,
    staged_words: usize,
    table: CommandTable,
    /// The first error that a command ended with, until a wait reports it.
    failed: Option<i32>,
    /// Set by fault injection: no wait succeeds any more.
    hung: bool,
}

/// Why a command was not enqueued.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The driver's reason.
    Driver(ClError),
    /// Ours.
    Caller(HalError),
}

impl From<ClError> for Refusal {
    fn from(error: ClError) -> Self {
        Self::Driver(error)
    }
}

impl From<HalError> for Refusal {
    fn from(error: HalError) -> Self {
        Self::Caller(error)
    }
}

/// Why a wait ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stuck {
    /// A driver call failed.
    Driver(ClError),
    /// A command ended with this error.
    Command(i32),
    /// Nothing ended for as long as the deadline allows.
    Deadline,
}

impl From<ClError> for Stuck {
    fn from(error: ClError) -> Self {
        Self::Driver(error)
    }
}

/// The queue of one runtime.
#[derive(Debug)]
pub(super) struct Stream {
    queue: Queue,
    state: Mutex<State>,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
}

/// So many commands are handed to the device together: some drivers start only then.
const FLUSH_EVERY: usize = 8;
/// Above so many pending commands, those that ended are forgotten on the way.
const MOST_PENDING: usize = 4096;
/// So many deadlines for a kernel's first launch, which waits for some drivers' compilers.
const FIRST_LAUNCH: u32 = 10;
/// Between two looks at a command whose driver might have lost our callback.
pub(super) const POLL: Duration = Duration::from_millis(100);

impl Stream {
    pub(super) fn new(context: &Context, device: DeviceHandle) -> ClResult<Self> {
        Ok(Self {
            queue: Queue::new(context, device)?,
            state: Mutex::default(),
            bytes_up: AtomicU64::new(0),
            bytes_down: AtomicU64::new(0),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enqueues one command under the stream's lock, which also guards the arguments of kernels and the check that a
    /// mapped buffer is not written.
    pub(super) fn enqueue(
        &self,
        name: &'static str,
        command: impl FnOnce(&Queue) -> Result<Event, Refusal>,
    ) -> Result<(), Refusal> {
        let mut state = self.state();
        let event = command(&self.queue)?;
        let id = state.table.enqueued(name);
        state.staged_words += event.staged();
        state.pending.push_back(Pending { event, id });
        state.unflushed += 1;
        if state.unflushed >= FLUSH_EVERY {
            state.unflushed = 0;
            self.queue.flush()?;
        }
        if state.pending.len() > MOST_PENDING {
            state.forget_ended()?;
        }
        Ok(())
    }

    /// Runs a read, which waits for itself, without holding the lock.
    pub(super) fn run(
        &self,
        name: &'static str,
        command: impl FnOnce(&Queue) -> ClResult<Event>,
    ) -> ClResult<()> {
        let event = command(&self.queue)?;
        self.count(name, &event);
        Ok(())
    }

    /// How many commands were enqueued so far: the number of the last one.
    pub(super) fn position(&self) -> u64 {
        let state = self.state();
        state.ended + state.pending.len() as u64
    }

    /// The command of that number, handed to the device, for another queue to wait for; `None` where it has ended.
    pub(super) fn command(&self, number: u64) -> ClResult<Option<Event>> {
        let mut state = self.state();
        let before = number.checked_sub(state.ended + 1);
        let index = before.and_then(|before| usize::try_from(before).ok());
        let Some(event) = index.and_then(|index| Some(state.pending.get(index)?.event.share()))
        else {
            return Ok(None);
        };
        state.unflushed = 0;
        self.queue.flush()?;
        Ok(Some(event))
    }

    /// How many commands have ended.
    pub(super) fn ended(&self) -> ClResult<u64> {
        let mut state = self.state();
        state.forget_ended()?;
        Ok(state.ended)
    }

    /// Counts a command of another queue that has ended.
    pub(super) fn count(&self, name: &'static str, event: &Event) {
        let mut state = self.state();
        let id = state.table.enqueued(name);
        if let Some(time) = event.nanoseconds() {
            state.table.ran(id, time);
        }
    }

    /// Hands all enqueued commands to the device.
    pub(super) fn flush(&self) -> ClResult<()> {
        self.state().unflushed = 0;
        self.queue.flush()
    }

    /// Whether everything enqueued has ended well.
    pub(super) fn is_idle(&self) -> bool {
        let mut state = self.state();
        let last = state.pending.back().map(|p| p.event.outcome());
        if matches!(last, Some(Ok(Some(_)))) {
            let all = state.pending.len();
            state.forget(all);
        }
        state.pending.is_empty() && state.failed.is_none() && !state.hung
    }

    /// Words held for writes that have not ended.
    pub(super) fn staged_words(&self) -> usize {
        self.state().staged_words
    }

    /// Waits until every command enqueued so far has ended.
    ///
    /// The deadline is for progress: as long as some command ends within each `deadline`, the wait goes on. While a
    /// kernel's first launch is among them, each may take [`FIRST_LAUNCH`] deadlines.
    pub(super) fn wait(&self, deadline: Duration) -> Result<(), Stuck> {
        let signal = Arc::new(Signal::default());
        let (last, hung, target, mut seen) = {
            let mut state = self.state();
            let last = state.pending.back().map(|p| p.event.share());
            if let (Some(event), false) = (&last, state.hung) {
                event.notify(&signal)?;
                state.unflushed = 0;
                self.queue.flush()?;
            }
            let target = state.ended + state.pending.len() as u64;
            (last, state.hung, target, state.ended)
        };
        if last.is_none() && !hung {
            return self.state().report();
        }
        let mut start = Instant::now();
        loop {
            let left = deadline.saturating_sub(start.elapsed());
            let pause = if left.is_zero() { POLL } else { left.min(POLL) };
            let outcome = match (signal.wait(pause), &last) {
                // Some driver might have lost our callback.
                (None, Some(event)) if !hung => event.outcome()?,
                (outcome, _) => outcome,
            };
            let mut state = self.state();
            if outcome.is_some() {
                let ended = target.saturating_sub(state.ended);
                state.forget(usize::try_from(ended).unwrap_or(usize::MAX));
                return state.report();
            }
            if start.elapsed() >= deadline {
                state.forget_ended()?;
                if state.ended != seen && !hung {
                    seen = state.ended;
                    start = Instant::now();
                } else if hung || start.elapsed() >= state.patience(deadline) {
                    return Err(Stuck::Deadline);
                }
            }
        }
    }

    /// Makes every later wait run into its deadline.
    pub(super) fn hang(&self) {
        self.state().hung = true;
    }

    /// Waits for what was enqueued, before the memory under it goes. False where the wait ends without it.
    pub(super) fn drain(&self, deadline: Duration) -> bool {
        let (pending, hung) = {
            let state = self.state();
            (!state.pending.is_empty(), state.hung)
        };
        // A command that ended in an error has ended.
        !pending || !hung && matches!(self.wait(deadline), Ok(()) | Err(Stuck::Command(_)))
    }

    /// Gives the queue up while commands may still run: nothing that they use may be freed, so it is leaked.
    pub(super) fn abandon(&self) {
        self.queue.leak();
        std::mem::forget(std::mem::take(&mut self.state().pending));
    }

    /// Counts words copied to the device.
    pub(super) fn count_up(&self, words: usize) {
        self.bytes_up.fetch_add(4 * words as u64, Ordering::Relaxed);
    }

    /// Counts words copied from the device.
    pub(super) fn count_down(&self, words: usize) {
        self.bytes_down
            .fetch_add(4 * words as u64, Ordering::Relaxed);
    }

    /// Bytes copied to and from the device.
    pub(super) fn moved(&self) -> (u64, u64) {
        let [up, down] = [&self.bytes_up, &self.bytes_down];
        (up.load(Ordering::Relaxed), down.load(Ordering::Relaxed))
    }

    pub(super) fn commands(&self) -> Vec<CommandStatistics> {
        self.state().table.rows()
    }
}

impl State {
    /// Folds the first `count` pending commands, which have ended, into the statistics.
    fn forget(&mut self, count: usize) {
        let count = count.min(self.pending.len());
        for command in self.pending.drain(..count) {
            self.ended += 1;
            self.staged_words -= command.event.staged();
            if let Ok(Some(error @ ..=-1)) = command.event.outcome() {
                self.failed.get_or_insert(error);
            }
            if let Some(time) = command.event.nanoseconds() {
                self.table.ran(command.id, time);
            }
        }
    }

    /// How long no command may end, with those that are pending.
    fn patience(&self, deadline: Duration) -> Duration {
        let compiles = self.pending.iter().any(|command| command.event.compiles());
        deadline.saturating_mul(if compiles { FIRST_LAUNCH } else { 1 })
    }

    /// The first error since the last report.
    fn report(&mut self) -> Result<(), Stuck> {
        self.failed
            .take()
            .map_or(Ok(()), |code| Err(Stuck::Command(code)))
    }

    /// Folds the pending commands that have ended; the queue runs them in order.
    fn forget_ended(&mut self) -> ClResult<()> {
        let mut ended = 0;
        for command in &self.pending {
            if command.event.outcome()?.is_none() {
                break;
            }
            ended += 1;
        }
        self.forget(ended);
        Ok(())
    }
}
