//! A request for a lock, from the call that makes it to the one outcome that ends it.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex as StdMutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use super::handle::Handle;
use super::holder::Holder;
use super::kernel::{LockMode, SystemError};
use super::shared_file::SharedFile;
use super::sync::Mutex;
use super::sys::{self, ThreadNumber};

/// How often a file that has gone stale is found anew, as on a network mount whose server has forgotten it.
const FIND_ANEW: u32 = 64;

/// A request's place in the order of arrival, over all threads of the process.
pub type Ticket = u64;

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The lock, and to wait for it.
    Acquire,
    /// The lock, if it is to be had at once.
    TryAcquire,
    /// To know whether anybody holds it. Never granted anything.
    Probe,
}

/// How a request ends.
pub enum Outcome {
    /// The lock is held.
    Granted,
    /// The deadline came first.
    TimedOut,
    /// The wait is over, and the path has not answered in time: it is not known whether the lock is held.
    Unanswered,
    /// Given up by its user.
    Aborted,
    /// Waiting would never end: the lock, or a place ahead in line, belongs to the thread that would wait.
    Deadlock,
    /// Answer to a probe: does anybody hold the lock?
    Probed(bool),
    /// Answer to an inquiry: the processes that the system names. `None`: it does not tell, or did not in time.
    Holders(Option<Box<[Holder]>>),
    /// The operating system refused.
    Failed(SystemError),
    /// A defect of this library. The panic's message has gone to stderr.
    Panicked,
}

/// Why a wait is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its deadline has come.
    TimedOut,
    /// Its user said so.
    Aborted,
    /// It does not wait for the lock, and nobody can say whether that is held: a path or a file does not answer.
    Unanswered,
}

impl From<Reason> for Outcome {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::TimedOut => Self::TimedOut,
            Reason::Aborted => Self::Aborted,
            Reason::Unanswered => Self::Unanswered,
        }
    }
}

/// Whoever made a request is told its outcome here, exactly once, on any thread, with no lock of the core held.
pub trait Reply: Send + Sync {
    /// `token` is the one given with the request.
    fn deliver(&self, token: u64, outcome: Outcome);

    /// An outcome is likely to be delivered in a moment: who has to be woken for it may be woken now.
    fn announce(&self) {}
}

/// One user of the core: a JavaScript environment, which lives on one thread.
pub struct Owner {
    /// The thread whose code makes the requests, and which a synchronous wait would block.
    pub thread: ThreadId,
    /// The number by which JavaScript knows that thread.
    number: AtomicU32,
    ended: AtomicBool,
}

impl Owner {
    /// An owner whose code runs on the calling thread.
    pub fn on_this_thread() -> Self {
        Self { thread: std::thread::current().id(), number: AtomicU32::new(0), ended: AtomicBool::new(false) }
    }

    /// Returns the number by which JavaScript knows its thread: 0 is the main thread.
    pub fn number(&self) -> u32 {
        self.number.load(Ordering::Relaxed)
    }

    /// Sets the number by which JavaScript knows its thread.
    pub fn set_number(&self, number: u32) {
        self.number.store(number, Ordering::Relaxed);
    }

    /// Has it ended? What it asks for then is not enqueued any more.
    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// From now on it has ended.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }
}

/// What a request is made of.
pub struct Wish {
    /// The handle that shall hold the lock.
    pub handle: Arc<Handle>,
    /// How it shall be held.
    pub mode: LockMode,
    /// What is wanted.
    pub purpose: Purpose,
    /// When the wait ends. `None`: never.
    pub deadline: Option<Instant>,
    /// Will the owner's thread be blocked until the outcome is there?
    pub blocks_owner: bool,
    /// Who asks.
    pub owner: Arc<Owner>,
    /// Who is told.
    pub reply: Arc<dyn Reply>,
    /// What the one who is told knows it by.
    pub token: u64,
}

/// A wish with its place in the order of arrival.
pub struct Request {
    /// The place.
    pub ticket: Ticket,
    wish: Wish,
    /// When it began to wait, or if it holds the lock, to hold it: in ms since [`BEGINNING`].
    since: AtomicU64,
    /// When its path has to have answered, if it does not wait.
    answers_by: OnceLock<Instant>,
    opening: StdMutex<Option<Opener>>,
    /// How often its file was stale when it was to be locked.
    found_stale: AtomicU32,
    place: Mutex<Place>,
}

impl std::ops::Deref for Request {
    type Target = Wish;

    fn deref(&self) -> &Wish {
        &self.wish
    }
}

/// What this process holds and waits for.
#[derive(Default)]
pub struct Overview {
    /// The requests that have been granted.
    pub held: Vec<Arc<Request>>,
    /// Those that wait for a lock.
    pub pending: Vec<Arc<Request>>,
}

/// The thread that finds the file of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opener {
    pub thread: ThreadNumber,
    pub since: Instant,
}

/// Where a request is. Locked after the queue's mutex, never before it.
enum Place {
    /// Its file is being opened; it is in no line yet.
    Opening,
    /// In the line of this file, or just taken from it to be settled.
    InLine(Arc<SharedFile>),
    /// It has its outcome.
    Settled,
}

/// Where to cancel a request.
pub(super) enum Whereabouts {
    /// In the line of this file.
    InLine(Arc<SharedFile>),
    /// Its file is being found. A deadline does not end that: who is late is refused by the line, if somebody has the lock.
    Opening,
    /// It has its outcome: from before, or by this look, since it was in no line.
    Settled,
}

impl Request {
    /// A request that is in no line yet.
    pub fn new(ticket: Ticket, wish: Wish) -> Self {
        Self {
            ticket,
            wish,
            since: AtomicU64::new(uptime()),
            answers_by: OnceLock::new(),
            opening: StdMutex::new(None),
            found_stale: AtomicU32::new(0),
            place: Mutex::new(Place::Opening),
        }
    }

    /// Returns for how long it has waited, or if it holds the lock, has held it.
    pub fn age(&self) -> Duration {
        Duration::from_millis(uptime().saturating_sub(self.since.load(Ordering::Relaxed)))
    }

    /// It holds the lock from now on.
    pub(super) fn begin_to_hold(&self) {
        self.since.store(uptime(), Ordering::Relaxed);
    }

    /// Sets the time by which its path has to answer.
    pub(super) fn answer_by(&self, time: Instant) {
        // Once: the first time counts.
        let _ = self.answers_by.set(time);
    }

    /// Returns when its path has to have answered, if it does not wait.
    pub(super) fn answers_by(&self) -> Option<Instant> {
        self.answers_by.get().copied()
    }

    /// The calling thread begins to find its file.
    pub(super) fn begin_opening(&self) {
        *self.opener() = Some(Opener { thread: sys::this_thread_number(), since: Instant::now() });
    }

    /// Returns the thread that is finding its file, and since when. `None`: none has begun.
    pub(super) fn opening(&self) -> Option<Opener> {
        *self.opener()
    }

    fn opener(&self) -> MutexGuard<'_, Option<Opener>> {
        self.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts that its file has gone stale. Returns whether it may be found anew, which is limited.
    pub(super) fn may_find_anew(&self) -> bool {
        self.found_stale.fetch_add(1, Ordering::Relaxed) < FIND_ANEW
    }

    /// Would the owner's thread be blocked for ever, if the lock were never let go?
    pub(super) fn blocks_for_ever(&self) -> bool {
        self.blocks_owner && self.deadline.is_none() && self.purpose == Purpose::Acquire
    }

    /// Is it on its way to a line?
    pub fn is_opening(&self) -> bool {
        matches!(*self.place.lock(), Place::Opening)
    }

    /// Has it its outcome?
    pub fn is_settled(&self) -> bool {
        matches!(*self.place.lock(), Place::Settled)
    }

    /// Returns the file in whose line it is.
    pub(super) fn line(&self) -> Option<Arc<SharedFile>> {
        match &*self.place.lock() {
            Place::InLine(shared) => Some(shared.clone()),
            Place::Opening | Place::Settled => None,
        }
    }

    /// Enters the line of `shared`, whose queue the caller has locked. `false`: it was cancelled before.
    pub(super) fn enter(&self, shared: &Arc<SharedFile>) -> bool {
        let mut place = self.place.lock();
        let waiting = !matches!(*place, Place::Settled) && !self.owner.ended();
        if waiting {
            *place = Place::InLine(shared.clone());
        }
        waiting
    }

    /// Is it in the line of `shared`, or just taken from it to be settled? The caller has locked the queue.
    pub(super) fn is_in_line_of(&self, shared: &Arc<SharedFile>) -> bool {
        matches!(&*self.place.lock(), Place::InLine(line) if Arc::ptr_eq(line, shared))
    }

    /// Leaves a line to have its file opened anew. The caller has locked the queue.
    pub(super) fn leave(&self) {
        let mut place = self.place.lock();
        if let Place::InLine(_) = *place {
            *place = Place::Opening;
            *self.opener() = None;
        }
    }

    /// Gives it its outcome, unless it has one.
    pub fn settle(&self, outcome: Outcome) {
        if !matches!(std::mem::replace(&mut *self.place.lock(), Place::Settled), Place::Settled) {
            self.reply.deliver(self.token, outcome);
        }
    }

    /// Settles it if it is in no line; otherwise says in which.
    pub(super) fn settle_or_locate(&self, reason: Reason) -> Whereabouts {
        let mut place = self.place.lock();
        match &*place {
            Place::Settled => Whereabouts::Settled,
            Place::InLine(shared) => Whereabouts::InLine(shared.clone()),
            Place::Opening if reason == Reason::TimedOut => Whereabouts::Opening,
            Place::Opening => {
                *place = Place::Settled;
                drop(place);
                self.reply.deliver(self.token, reason.into());
                Whereabouts::Settled
            }
        }
    }
}

/// What ages are measured from. A monotonic clock: the wall clock may be set while somebody waits.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Returns the time since [`BEGINNING`], in ms.
fn uptime() -> u64 {
    BEGINNING.elapsed().as_millis() as u64
}
