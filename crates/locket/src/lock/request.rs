//! A request for a lock, from the call that makes it to the one outcome that completes it, and if that is a grant, to the
//! release.

use std::fmt;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant};

use super::entry::LockEntry;
use super::handle::Handle;
use crate::client::Client;
use crate::exec::thread::{self, ThreadNumber};
use crate::holders::Holder;
use crate::sync::{Mutex, now};
use crate::sys::{FileId, LockMode, SystemError};

/// How often a request whose file is stale is resolved again, as on a network mount whose server has forgotten the file. With
/// the pauses, that takes some seconds.
const RESOLVES_AGAIN: u32 = 256;
/// How often that is done without a pause.
const RESOLVES_AT_ONCE: u32 = 4;

/// A request's place in the order of arrival, over all threads of the process.
pub type Ticket = u64;

/// The ticket of the first request. Those that steal the lock, and come before all others, have lower ones.
pub(crate) const FIRST_TICKET: Ticket = 1 << 32;

/// How a request or a query ends.
#[derive(Debug)]
pub enum Outcome {
    /// The lock is held.
    Granted,
    /// The lock was not free, or not before the deadline. Names the processes that held it, if the request asks for them
    /// and they are known.
    TimedOut(Option<Box<[Holder]>>),
    /// The wait is over, and the path did not answer in time: it is not known whether the lock is held.
    Unanswered,
    /// The client cancelled the request.
    Aborted,
    /// The path names another file than [`RequestOptions::expected`].
    Replaced,
    /// The wait would never end: the lock, or a place ahead in the queue, belongs to the thread that would wait.
    Deadlock,
    /// The operating system refused.
    Failed(SystemError),
    /// A panic in this library, which is a defect. Its message has gone to stderr.
    Panicked,
    /// A lock that was granted before is gone, although it was not released. Goes to the client ([`Client::with_losses`]).
    Lost,
    /// Others use the semaphore with so many permits, or the file is no semaphore's.
    OtherPermits(Option<u32>),
    /// Answers [`Engine::break_lock`]: whether there was a lock entry, which has been removed.
    ///
    /// [`Engine::break_lock`]: crate::Engine::break_lock
    Broken(bool),
    /// Answers [`Engine::find_locked`]: whether any process holds the lock.
    ///
    /// [`Engine::find_locked`]: crate::Engine::find_locked
    Locked(bool),
    /// Answers [`Engine::find_holders`]: the processes that the system names. `None`: it does not tell.
    ///
    /// [`Engine::find_holders`]: crate::Engine::find_holders
    Holders(Option<Box<[Holder]>>),
}

/// Why a request is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReason {
    /// Its deadline has come.
    TimedOut,
    /// Its client does not want it any more.
    Aborted,
    /// It does not wait for the lock, and nobody can say whether the lock is held: a path or a file does not answer.
    Unanswered,
}

impl From<CancelReason> for Outcome {
    fn from(reason: CancelReason) -> Self {
        match reason {
            CancelReason::TimedOut => Self::TimedOut(None),
            CancelReason::Aborted => Self::Aborted,
            CancelReason::Unanswered => Self::Unanswered,
        }
    }
}

/// Takes the outcomes of requests and queries.
pub trait CompletionSink: Send + Sync {
    /// Takes an outcome. Called once for each request and query, on any thread, with no lock of the engine held. `token`
    /// is the one given with the request.
    fn complete(&self, token: u64, outcome: Outcome);

    /// Called when an outcome is likely to come in a moment, so that a thread that sleeps until then can be woken now.
    fn wake_early(&self) {}
}

/// The options of a request.
#[expect(missing_debug_implementations, reason = "the sink has none; a request has one")]
pub struct RequestOptions {
    /// The handle that is to hold the lock.
    pub handle: Arc<Handle>,
    /// The client that makes the request.
    pub client: Arc<Client>,
    /// The mode of the lock.
    pub mode: LockMode,
    /// The request waits for the lock. Otherwise it is refused if the lock is not free.
    pub blocking: bool,
    /// When the wait ends. `None`: never.
    pub deadline: Option<Instant>,
    /// The file that the path is expected to name. The request waits for no other: should the path name another one, now or
    /// once the lock is granted, it ends with [`Outcome::Replaced`]. `None`: it waits for whichever file the path names.
    pub expected: Option<FileId>,
    /// The client's thread is blocked until the outcome is there.
    pub blocks_client: bool,
    /// [`Outcome::TimedOut`] names the holders.
    pub names_holders: bool,
    /// Takes the outcome.
    pub sink: Arc<dyn CompletionSink>,
    /// The number by which the sink knows the request.
    pub token: u64,
}

/// A request for a lock. Once it is granted, it is the record of the hold.
pub struct Request {
    /// Its place in the order of arrival.
    pub ticket: Ticket,
    /// The handle that is to hold the lock.
    pub handle: Arc<Handle>,
    /// The client that makes the request.
    pub client: Arc<Client>,
    /// The mode in which the lock is held or requested.
    pub mode: LockMode,
    /// The request waits for the lock. Otherwise it is refused if the lock is not free.
    pub blocking: bool,
    /// When the wait ends. `None`: never.
    pub deadline: Option<Instant>,
    /// The number by which the sink knows the request.
    pub token: u64,
    expected: Option<FileId>,
    pub(crate) blocks_client: bool,
    pub(crate) names_holders: bool,
    pub(crate) sink: Arc<dyn CompletionSink>,
    /// When the wait began, or the hold if it holds the lock, in ms since [`BEGINNING`].
    since: AtomicU64,
    /// The time by which its path has to answer, if it does not wait.
    answers_by: OnceLock<Instant>,
    /// How often it had to be resolved again, since its file was stale.
    resolved_again: AtomicU32,
    /// The client has received the hold: it can release it.
    received: AtomicBool,
    /// The file stays when the hold is released, also where its handle deletes it on release.
    keeps_file: AtomicBool,
    state: Mutex<RequestState>,
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("Request");
        debug.field("ticket", &self.ticket).field("path", &self.handle.path).field("mode", &self.mode);
        debug.finish_non_exhaustive()
    }
}

/// Where a request is. Locked after the state of its lock and its handle, if at all.
enum RequestState {
    /// Its file is being found, by this thread. `None`: no thread has begun.
    Resolving(Option<Opener>),
    /// It is in the queue of this lock, or its outcome is about to come from there.
    Queued(Arc<LockEntry>),
    /// It holds this lock. `completed`: the outcome has been delivered.
    Granted { entry: Arc<LockEntry>, completed: bool },
    /// It has its outcome, and holds nothing.
    Completed,
}

/// The thread that finds the file of a request, and since when.
#[derive(Clone, Copy)]
pub(crate) struct Opener {
    pub thread: ThreadNumber,
    pub since: Instant,
}

impl Request {
    /// Returns a request whose file has to be found.
    pub(crate) fn new(ticket: Ticket, options: RequestOptions, now: Instant) -> Self {
        let RequestOptions {
            handle,
            client,
            mode,
            blocking,
            deadline,
            expected,
            blocks_client,
            names_holders,
            sink,
            token,
        } = options;
        Self {
            ticket,
            handle,
            client,
            mode,
            blocking,
            deadline,
            token,
            expected,
            blocks_client,
            names_holders,
            sink,
            since: AtomicU64::new(millis(now)),
            answers_by: OnceLock::new(),
            resolved_again: AtomicU32::new(0),
            received: AtomicBool::new(false),
            keeps_file: AtomicBool::new(false),
            state: Mutex::new(RequestState::Resolving(None)),
        }
    }

    /// Returns the duration of its wait, or of its hold if it holds the lock.
    pub fn age(&self) -> Duration {
        Duration::from_millis(millis(now()).saturating_sub(self.since.load(Ordering::Relaxed)))
    }

    /// Sets the time by which its path has to answer, unless it has been set.
    pub(crate) fn answer_by(&self, time: Instant) {
        let _ = self.answers_by.set(time);
    }

    /// Returns the time by which its path has to answer, if it does not wait.
    pub(crate) fn answers_by(&self) -> Option<Instant> {
        self.answers_by.get().copied()
    }

    /// Returns true if it takes the lock from whatever holds it in this process.
    pub(crate) fn steals(&self) -> bool {
        self.ticket < FIRST_TICKET
    }

    /// Returns true if its deadline has come.
    pub(crate) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now())
    }

    /// Counts that its file was stale. Returns true if it may be resolved again, which is limited.
    pub(crate) fn may_resolve_again(&self) -> bool {
        self.resolved_again.fetch_add(1, Ordering::Relaxed) < RESOLVES_AGAIN
    }

    /// Returns true if it is resolved again only after a pause. A network client may remember for a while, GlusterFS for a
    /// second, which file the path named.
    pub(crate) fn resolves_later(&self) -> bool {
        self.resolved_again.load(Ordering::Relaxed) > RESOLVES_AT_ONCE
    }

    /// Returns true if it would block its client's thread for ever, should the lock never be released.
    pub(super) fn blocks_for_ever(&self) -> bool {
        self.blocks_client && self.blocking && self.deadline.is_none()
    }

    /// Returns true if it may wait for the lock of this file.
    pub(crate) fn is_for(&self, file: FileId) -> bool {
        self.expected.is_none_or(|expected| expected == file)
    }

    /// Returns true if its path is that of `other`.
    pub(crate) fn is_by_path_of(&self, other: &Handle) -> bool {
        self.handle.is_alike(other)
    }

    /// Notes that the calling thread begins to resolve it.
    pub(crate) fn begin_resolving(&self) {
        if let RequestState::Resolving(opener) = &mut *self.state.lock() {
            *opener = Some(Opener { thread: thread::current_number(), since: Instant::now() });
        }
    }

    /// Returns the thread that is finding its file. `None`: no thread has begun, or the file has been found.
    pub(crate) fn opener(&self) -> Option<Opener> {
        match &*self.state.lock() {
            RequestState::Resolving(opener) => *opener,
            _ => None,
        }
    }

    /// Returns true if its file is being found, or it waits for that.
    pub(crate) fn is_resolving(&self) -> bool {
        matches!(*self.state.lock(), RequestState::Resolving(_))
    }

    /// Returns true if it has its outcome.
    pub(crate) fn is_completed(&self) -> bool {
        matches!(*self.state.lock(), RequestState::Completed | RequestState::Granted { completed: true, .. })
    }

    /// Returns the entry of the lock that it waits for or holds.
    pub(crate) fn entry(&self) -> Option<Arc<LockEntry>> {
        match &*self.state.lock() {
            RequestState::Queued(entry) | RequestState::Granted { entry, .. } => Some(entry.clone()),
            RequestState::Resolving(_) | RequestState::Completed => None,
        }
    }

    /// Enters the queue of `entry`, whose state the caller has locked. Returns false if it was cancelled before.
    pub(super) fn enqueue(&self, entry: &Arc<LockEntry>) -> bool {
        let mut state = self.state.lock();
        let waiting = matches!(*state, RequestState::Resolving(_)) && !self.client.has_ended();
        if waiting {
            *state = RequestState::Queued(entry.clone());
        }
        waiting
    }

    /// Leaves the queue, to be resolved again. The caller has locked the state of the lock.
    pub(super) fn dequeue(&self) {
        let mut state = self.state.lock();
        if let RequestState::Queued(_) = *state {
            *state = RequestState::Resolving(None);
        }
    }

    /// Notes that it holds the lock of `entry` from `now` on. Returns false if it was cancelled before it entered a queue.
    pub(super) fn grant(&self, entry: &Arc<LockEntry>, now: Instant) -> bool {
        let mut state = self.state.lock();
        let granted = match *state {
            RequestState::Queued(_) => true,
            RequestState::Resolving(_) => !self.client.has_ended(),
            RequestState::Granted { .. } | RequestState::Completed => false,
        };
        if granted {
            self.since.store(millis(now), Ordering::Relaxed);
            let before =
                mem::replace(&mut *state, RequestState::Granted { entry: entry.clone(), completed: false });
            drop(state);
            drop(before);
        }
        granted
    }

    /// Ends the hold. If the outcome has not been delivered, the driver that has granted the lock still delivers it.
    pub(super) fn end_hold(&self) {
        let mut state = self.state.lock();
        if let RequestState::Granted { entry, completed } = &*state {
            let after =
                if *completed { RequestState::Completed } else { RequestState::Queued(entry.clone()) };
            let before = mem::replace(&mut *state, after);
            drop(state);
            drop(before);
        }
    }

    /// Returns true if the client has received the hold.
    pub(super) fn is_received(&self) -> bool {
        self.received.load(Ordering::Relaxed)
    }

    /// Marks the hold as received by the client.
    pub(super) fn set_received(&self) {
        self.received.store(true, Ordering::Relaxed);
    }

    /// Returns true if the file stays when the hold is released.
    pub(super) fn keeps_file(&self) -> bool {
        self.keeps_file.load(Ordering::Relaxed)
    }

    /// Keeps the file when the hold is released, also where its handle deletes it on release.
    pub(crate) fn keep_file(&self) {
        self.keeps_file.store(true, Ordering::Relaxed);
    }

    /// Marks it as completed. The caller delivers the outcome if this returns true.
    pub(crate) fn finish(&self) -> bool {
        let mut state = self.state.lock();
        match &mut *state {
            RequestState::Completed => false,
            RequestState::Granted { completed, .. } => !mem::replace(completed, true),
            RequestState::Resolving(_) | RequestState::Queued(_) => {
                let before = mem::replace(&mut *state, RequestState::Completed);
                drop(state);
                // It may be the last that keeps the entry's file open.
                drop(before);
                true
            }
        }
    }

    /// Marks it as completed, if it is being resolved. Returns true if the caller has to deliver the outcome.
    pub(crate) fn finish_resolving(&self) -> bool {
        let mut state = self.state.lock();
        let resolving = matches!(*state, RequestState::Resolving(_));
        if resolving {
            *state = RequestState::Completed;
        }
        resolving
    }

    /// Returns true if it is in the queue of `entry`, or has just left it to be completed.
    pub(super) fn is_queued_at(&self, entry: &LockEntry) -> bool {
        matches!(&*self.state.lock(), RequestState::Queued(queued) if ptr::eq(Arc::as_ptr(queued), entry))
    }

    /// Returns the entry in whose queue it is, or which it has just left to be completed.
    pub(crate) fn queued_at(&self) -> Option<Arc<LockEntry>> {
        match &*self.state.lock() {
            RequestState::Queued(entry) => Some(entry.clone()),
            _ => None,
        }
    }
}

/// The time from which ages are measured. By a monotonic clock: the wall clock may be set during a wait.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Returns how many ms after [`BEGINNING`] `time` is.
#[expect(clippy::cast_possible_truncation, reason = "half a billion years fit")]
pub(super) fn millis(time: Instant) -> u64 {
    time.saturating_duration_since(*BEGINNING).as_millis() as u64
}
