//! The in-order queue, its pending commands, and waiting for them with a deadline.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use starkwright_hal::HalError;

use super::cl::{ClError, ClResult, Context, Event, Queue};
use super::device::DeviceInfo;
use super::lent::Lent;
use super::statistics::{CommandId, CommandStatistics, CommandTable};

/// A command that was enqueued and not yet seen to end.
#[derive(Debug)]
struct Pending {
    event: Event,
    id: CommandId,
}

/// The first error that a command ended with. Every wait reports it, until the last buffer is gone that the command
/// should have written, or that was made from one: nobody here knows which those are, so until no buffer is alive.
#[derive(Clone, Copy, Debug)]
struct Failure {
    code: i32,
    /// Whether a caller was told.
    reported: bool,
}

#[derive(Debug, Default)]
struct State {
    pending: VecDeque<Pending>,
    /// Commands that ended, over the stream's life.
    ended: u64,
    unflushed: usize,
    staged_words: usize,
    table: CommandTable,
    failed: Option<Failure>,
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
    /// Where the driver computes in whoever waits. Ends before the queue does.
    lent: Option<Lent>,
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
/// Between two looks at whether commands go on, once the deadline is over.
const POLL: Duration = Duration::from_millis(100);

impl Stream {
    pub(super) fn new(context: &Context, device: &DeviceInfo) -> ClResult<Self> {
        // Without it the device is slower, and no less right.
        let lent = device.computes_in_waiting_threads();
        Ok(Self {
            queue: Queue::new(context, device.handle)?,
            lent: lent.then(Lent::start).and_then(Result::ok),
            state: Mutex::default(),
            bytes_up: AtomicU64::new(0),
            bytes_down: AtomicU64::new(0),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enqueues one command under the stream's lock, which also guards the arguments of kernels and the check that a
    /// mapped buffer is not written. An error means that nothing was enqueued.
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
        // A flush that fails is tried again, at the latest by the next wait, which reports it.
        if state.unflushed >= FLUSH_EVERY && self.queue.flush().is_ok() {
            state.unflushed = 0;
        }
        if state.pending.len() > MOST_PENDING {
            state.forget_ended();
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
    pub(super) fn ended(&self) -> u64 {
        let mut state = self.state();
        state.forget_ended();
        state.ended
    }

    /// Counts a command that has ended, other than the pending ones.
    pub(super) fn count(&self, name: &'static str, event: &Event) {
        let mut state = self.state();
        let id = state.table.enqueued(name);
        state.record(id, event);
    }

    /// Hands all enqueued commands to the device.
    pub(super) fn flush(&self) -> ClResult<()> {
        self.state().unflushed = 0;
        self.queue.flush()
    }

    /// Whether everything enqueued has ended well.
    pub(super) fn is_idle(&self) -> bool {
        let mut state = self.state();
        let last = state.pending.back().and_then(|p| p.event.outcome());
        if last.is_some() {
            let all = state.pending.len();
            state.forget(all);
        }
        state.pending.is_empty() && state.failed.is_none() && !state.hung
    }

    /// Words held for writes that have not ended.
    pub(super) fn staged_words(&self) -> usize {
        self.state().staged_words
    }

    /// Waits until every command enqueued so far has ended. Reports a command's error, also one of an earlier command, and
    /// keeps it: see [`Self::reported`].
    ///
    /// The deadline is for progress: as long as some command ends within each `deadline`, the wait goes on. While a
    /// kernel's first launch is among them, each may take [`FIRST_LAUNCH`] deadlines.
    pub(super) fn wait(&self, deadline: Duration) -> Result<(), Stuck> {
        let (last, hung, target, mut seen) = {
            let mut state = self.state();
            let last = state.pending.back().map(|p| p.event.share());
            if last.is_some() && !state.hung {
                state.unflushed = 0;
                self.queue.flush()?;
            }
            let target = state.ended + state.pending.len() as u64;
            (last, state.hung, target, state.ended)
        };
        if last.is_none() && !hung {
            return self.state().report();
        }
        if let (Some(lent), Some(event), false) = (&self.lent, &last, hung) {
            lent.until(event.share());
        }
        let mut start = Instant::now();
        loop {
            let left = deadline.saturating_sub(start.elapsed());
            let pause = if left.is_zero() { POLL } else { left };
            let outcome = match &last {
                Some(event) if !hung => event.wait(pause),
                _ => {
                    std::thread::sleep(pause);
                    None
                }
            };
            let mut state = self.state();
            if outcome.is_some() {
                let ended = target.saturating_sub(state.ended);
                state.forget(usize::try_from(ended).unwrap_or(usize::MAX));
                return state.report();
            }
            if start.elapsed() >= deadline {
                state.forget_ended();
                if state.ended != seen && !hung {
                    seen = state.ended;
                    start = Instant::now();
                } else if hung || start.elapsed() >= state.patience(deadline) {
                    return Err(Stuck::Deadline);
                }
            }
        }
    }

    /// Success, unless a command failed; see [`Self::reported`].
    pub(super) fn report(&self) -> Result<(), Stuck> {
        self.state().report()
    }

    /// Notes that a caller was told of a command's error, which is forgotten once no buffer is alive.
    pub(super) fn reported(&self, none_alive: bool) {
        let mut state = self.state();
        if let Some(failure) = &mut state.failed {
            failure.reported = true;
        }
        if none_alive {
            state.failed = None;
        }
    }

    /// Forgets an error that was reported: the last buffer is gone.
    pub(super) fn none_alive(&self) {
        self.state().failed.take_if(|failure| failure.reported);
    }

    /// Behaves as if a command had ended in an error.
    pub(super) fn fail(&self, code: i32) {
        self.state().fail(code);
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
        if let Some(lent) = &self.lent {
            lent.abandon();
        }
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
        let ended: Vec<Pending> = self.pending.drain(..count).collect();
        for command in ended {
            self.ended += 1;
            self.staged_words -= command.event.staged();
            self.record(command.id, &command.event);
        }
    }

    /// Records how a command ended, and how long it ran.
    fn record(&mut self, id: CommandId, event: &Event) {
        match event.settle() {
            Ok(Some(code @ ..=-1)) => self.fail(code),
            Err(error) => self.fail(error.code),
            _ => {}
        }
        if let Some(time) = event.nanoseconds() {
            self.table.ran(id, time);
        }
    }

    /// The first error stays.
    fn fail(&mut self, code: i32) {
        let reported = false;
        self.failed.get_or_insert(Failure { code, reported });
    }

    /// How long no command may end, with those that are pending.
    fn patience(&self, deadline: Duration) -> Duration {
        let compiles = self.pending.iter().any(|command| command.event.compiles());
        deadline.saturating_mul(if compiles { FIRST_LAUNCH } else { 1 })
    }

    /// Success, unless a command failed.
    fn report(&self) -> Result<(), Stuck> {
        self.failed
            .map_or(Ok(()), |failure| Err(Stuck::Command(failure.code)))
    }

    /// Folds the pending commands that have ended; the queue runs them in order.
    fn forget_ended(&mut self) {
        let ended = |command: &&Pending| command.event.outcome().is_some();
        let count = self.pending.iter().take_while(ended).count();
        self.forget(count);
    }
}
