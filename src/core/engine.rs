//! What holds the core together: the table of files, the threads, and what users of the core call.
//!
//! A request is opened by a worker, put into the line of its file, and from there seen to by whoever has that
//! file's turn. There is one engine a process, for all its JavaScript environments.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::handle::{Grant, Handle};
use super::kernel::{LockMode, SystemError};
use super::pool::{self, Need, Pool, STALL};
use super::queue::{Entered, Follow};
use super::request::{Outcome, Owner, Purpose, Reason, Request, Whereabouts, Wish};
use super::shared_file::{Cancellation, FIRST_PAUSE, LONGEST_PAUSE, Rest, SharedFile};
use super::sys::{self, Identity, Interrupts, OpenFile};
use super::timekeeper::{Key, Timekeeper};

/// How often a thread that is wanted back from the kernel is signalled again.
const INTERRUPT_AGAIN: Duration = Duration::from_millis(1);
/// How long a rejection waits for a thread that cannot be interrupted (on a dead network mount).
const GIVE_UP: Duration = Duration::from_millis(100);

static POOL: Pool<Job> = Pool::new(ask_for);
static TIMEKEEPER: Timekeeper<Timer> = Timekeeper::new(Timer::fire);
static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine {
    table: Mutex::new(HashMap::new()),
    numbers: AtomicU64::new(0),
    opening: AtomicUsize::new(0),
    threadless: AtomicBool::new(false),
    lanes: RandomState::new(),
    // `paced` makes every wait the paced one, as where the kernel's cannot be had; for tests.
    interrupts: match std::env::var_os("LOCKET_WAIT") {
        Some(way) if way == "paced" => None,
        _ => Interrupts::claim(),
    },
});

struct Engine {
    /// Every file that this process holds or waits for. Locked before any queue.
    table: Mutex<HashMap<Identity, Arc<SharedFile>>>,
    /// Tickets, and the keys of timers.
    numbers: AtomicU64,
    /// How many requests are on their way to a line.
    opening: AtomicUsize,
    /// The system had no thread to give for the timekeeper, when it was last asked.
    threadless: AtomicBool,
    lanes: RandomState,
    interrupts: Option<Interrupts>,
}

/// Which thread takes a turn, and so what it may do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seat {
    /// A worker: anything.
    Worker,
    /// The timekeeper, where there are no workers: it may try, but not block.
    Timekeeper,
    /// A user's thread that asks for itself: it may try.
    Caller,
    /// A user's thread that passes the lock on: it may look and unlock.
    Releaser,
}

enum Job {
    /// Find the file of a request and put it in line.
    Open(Arc<Request>),
    /// Take the turn, which begins with a question to the kernel.
    Ask(Arc<SharedFile>),
}

impl pool::Job for Job {
    fn run(self, on_worker: bool) {
        let seat = if on_worker { Seat::Worker } else { Seat::Timekeeper };
        match self {
            Self::Open(request) => {
                let on_the_way = OnTheWay { lane: Some(ENGINE.lane(&request)) };
                ENGINE.open(&request, seat, on_the_way);
            }
            Self::Ask(shared) => ENGINE.take_turn(&shared, None, seat),
        }
    }

    /// Requests by one path keep their order, also when a worker is stuck.
    fn lane(&self) -> Option<u64> {
        match self {
            Self::Open(request) => Some(ENGINE.lane(request)),
            Self::Ask(_) => None,
        }
    }
}

/// A request on its way to a line. Dropped when it is there, or when a panic has ended it.
struct OnTheWay {
    /// What a job has entered, and leaves then.
    lane: Option<u64>,
}

impl Drop for OnTheWay {
    fn drop(&mut self) {
        ENGINE.opening.fetch_sub(1, Ordering::SeqCst);
        if let Some(lane) = self.lane {
            POOL.leave_lane(lane);
        }
    }
}

enum Timer {
    /// The wait of this request is over.
    Deadline(Arc<Request>),
    /// It was over before the file had been opened.
    StillOpening(Arc<Request>),
    /// The thread that was called back has not answered.
    GiveUp(Arc<Request>),
    /// Signal the thread again: the last signal may have come too early.
    Interrupt(Weak<SharedFile>),
    /// Ask the kernel again.
    Retry(Weak<SharedFile>),
    /// Has the worker been stuck since?
    Watch(u64),
    /// Do the jobs, since there is nobody else.
    RunJobs,
}

impl Timer {
    fn fire(self) {
        match self {
            Self::Deadline(request) => expire(&request),
            Self::StillOpening(request) => cancel(&request, Reason::TimedOut),
            Self::GiveUp(request) => {
                if let Whereabouts::InLine(shared) = request.settle_or_locate(Reason::TimedOut) {
                    shared.abandon(&request);
                }
            }
            Self::Interrupt(shared) => {
                if let Some(shared) = shared.upgrade()
                    && shared.interrupt_again()
                {
                    ENGINE.after(INTERRUPT_AGAIN, Self::Interrupt(Arc::downgrade(&shared)));
                }
            }
            Self::Retry(shared) => {
                if let Some(shared) = shared.upgrade()
                    && shared.resume()
                {
                    POOL.submit(Job::Ask(shared));
                }
            }
            Self::Watch(begun) => POOL.watch(begun),
            Self::RunJobs => POOL.run_here(),
        }
    }
}

/// What the pool cannot see to alone, the timekeeper does.
fn ask_for(need: Need) {
    match need {
        Need::Watch(begun) => ENGINE.after(STALL, Timer::Watch(begun)),
        Need::Thread => ENGINE.after(Duration::ZERO, Timer::RunJobs),
    }
}

/// Starts a request. Its outcome comes by its [`Wish::reply`]; call [`conclude`] when it has.
pub fn start(wish: Wish) -> Arc<Request> {
    let request = ENGINE.request(wish);
    if let Some(deadline) = request.deadline
        && request.purpose == Purpose::Acquire
    {
        ENGINE.add_timer((deadline, request.ticket), Timer::Deadline(request.clone()));
    }
    ENGINE.opening.fetch_add(1, Ordering::SeqCst);
    POOL.submit(Job::Open(request.clone()));
    request
}

/// Starts a request on the calling thread, as far as that can be done without blocking. The caller waits for the
/// outcome, and cancels the request when its deadline has come.
pub fn start_here(wish: Wish) -> Arc<Request> {
    let request = ENGINE.request(wish);
    // Those that were there first are put in line first.
    if ENGINE.opening.fetch_add(1, Ordering::SeqCst) == 0 {
        ENGINE.open(&request, Seat::Caller, OnTheWay { lane: None });
    } else {
        POOL.submit(Job::Open(request.clone()));
    }
    request
}

/// The outcome of `request` has come to its user.
pub fn conclude(request: &Arc<Request>, granted: bool) {
    if granted {
        request.receive();
    }
    if let Some(deadline) = request.deadline {
        TIMEKEEPER.remove((deadline, request.ticket));
    }
}

/// The deadline of `request` has come. However short it was, the lock is refused only if somebody has it: so a
/// file that is being opened is tried first, unless opening it takes for ever (on a dead network mount).
pub fn expire(request: &Arc<Request>) {
    if request.is_opening() {
        ENGINE.after(GIVE_UP, Timer::StillOpening(request.clone()));
    } else {
        cancel(request, Reason::TimedOut);
    }
}

/// Gives up the wait of `request`. Its outcome still comes by its reply: [`Outcome::Granted`] if the lock came
/// first.
pub fn cancel(request: &Arc<Request>, reason: Reason) {
    while let Whereabouts::InLine(shared) = request.settle_or_locate(reason) {
        match shared.cancel(request, reason) {
            Cancellation::Out(follow) => return ENGINE.follow(&shared, follow),
            Cancellation::Leaving { interrupt } => {
                ENGINE.after(GIVE_UP, Timer::GiveUp(request.clone()));
                if interrupt {
                    ENGINE.follow(&shared, Follow::Interrupt);
                }
                return;
            }
            // Taken out of line meanwhile: to be settled, which is as good, or to have its file opened anew.
            Cancellation::NotHere => match request.settle_or_locate(reason) {
                Whereabouts::InLine(elsewhere) if !Arc::ptr_eq(&elsewhere, &shared) => {}
                _ => return,
            },
        }
    }
}

/// Releases what `handle` holds, or if it holds nothing the exclusive lock that this process holds on its file
/// by any other handle. `false`: there is no such lock.
pub fn release(handle: &Handle) -> bool {
    if let Some(grant) = handle.received()
        && ENGINE.release(&grant)
    {
        return true;
    }
    ENGINE.find_exclusive_hold(handle).is_some_and(|grant| ENGINE.release(&grant))
}

/// Releases what `handle` itself holds, if `wanted` says so of the request that was granted.
pub fn release_own(handle: &Handle, wanted: impl FnOnce(&Request) -> bool) {
    if let Some(grant) = handle.received()
        && wanted(&grant.request)
    {
        ENGINE.release(&grant);
    }
}

/// Ends all that `owner` holds and waits for, in every file. It is told no outcome after that which it could
/// still be told.
pub fn end(owner: &Arc<Owner>) {
    owner.end();
    // Whoever enters a line from now on sees that the owner has ended.
    let files: Vec<_> = ENGINE.table().values().cloned().collect();
    for shared in files {
        let follow = shared.end(owner);
        ENGINE.follow(&shared, follow);
    }
}

/// Where the system has no thread to give, those who wait do the work themselves: this is to be called now, and
/// again and again after the time that it returns, as long as they wait. `None`: there are threads.
pub fn pump() -> Option<Duration> {
    if !ENGINE.threadless.load(Ordering::Relaxed) {
        return None;
    }
    let next = TIMEKEEPER.fire_due();
    let pause = next.map_or(LONGEST_PAUSE, |next| next.saturating_duration_since(Instant::now()));
    Some(pause.clamp(FIRST_PAUSE, LONGEST_PAUSE))
}

impl Engine {
    fn table(&self) -> MutexGuard<'_, HashMap<Identity, Arc<SharedFile>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, wish: Wish) -> Arc<Request> {
        Arc::new(Request::new(self.number(), wish))
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn lane(&self, request: &Request) -> u64 {
        self.lanes.hash_one(&request.handle.path)
    }

    fn after(&self, delay: Duration, timer: Timer) {
        self.add_timer((Instant::now() + delay, self.number()), timer);
    }

    fn add_timer(&self, key: Key, timer: Timer) {
        let kept = TIMEKEEPER.add(key, timer);
        self.threadless.store(!kept, Ordering::Relaxed);
    }

    /// Finds the file of `request`, puts it in line there, and sees to it.
    fn open(&self, request: &Arc<Request>, seat: Seat, on_the_way: OnTheWay) {
        let Some((shared, entered)) = self.find_line(request) else { return };
        drop(on_the_way);
        match entered {
            Entered::Granted => request.settle(Outcome::Granted),
            Entered::Refused(outcome) => request.settle(outcome),
            Entered::Gone => request.settle(Outcome::Aborted),
            Entered::Elsewhere => {}
            Entered::Turn | Entered::Waits => {
                if request.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                    cancel(request, Reason::TimedOut);
                }
                if matches!(entered, Entered::Turn) {
                    self.take_turn(&shared, None, seat);
                } else if request.purpose != Purpose::Acquire {
                    // It hears from the thread that has the turn, at once, unless that one is stuck.
                    self.after(GIVE_UP, Timer::Deadline(request.clone()));
                }
            }
        }
    }

    /// Puts `request` in the line of its file. `None`: it has been settled.
    fn find_line(&self, request: &Arc<Request>) -> Option<(Arc<SharedFile>, Entered)> {
        while !request.is_settled() {
            // A handle holds one acquisition at a time: its next one waits where it holds the last, even if
            // its path names another file by now. That is seen when the turn comes.
            let held = request.handle.granted_file();
            let place = match held.and_then(|held| held.enter_if_busy(request).map(|entered| (held, entered)))
            {
                Some(place) => place,
                None => match self.open_file(request) {
                    Ok(file) => self.enter_line_of(file, request),
                    Err(outcome) => {
                        request.settle(outcome);
                        return None;
                    }
                },
            };
            if !matches!(place.1, Entered::Elsewhere) {
                return Some(place);
            }
        }
        None
    }

    fn open_file(&self, request: &Request) -> Result<OpenFile, Outcome> {
        let probe = request.purpose == Purpose::Probe;
        let create = (!probe).then_some(request.handle.file_mode);
        sys::open(&request.handle.path, create).map_err(|error| match error.kind() {
            ErrorKind::NotFound if probe => Outcome::Probed(false),
            _ => Outcome::Failed(SystemError::new(&error, "open")),
        })
    }

    /// Puts `request` in the line of `file`, or of the same file as this process has it already.
    fn enter_line_of(&self, file: OpenFile, request: &Arc<Request>) -> (Arc<SharedFile>, Entered) {
        let identity = file.identity();
        // Entered while the table is locked: so no file with somebody in line is ever out of the table. The file
        // that is not needed is closed after that.
        let mut table = self.table();
        match table.entry(identity) {
            Entry::Occupied(entry) => {
                let entered = entry.get().enter(request);
                (entry.get().clone(), entered)
            }
            Entry::Vacant(entry) => {
                let shared = Arc::new(SharedFile::new(Box::new(file), identity));
                let entered = shared.enter(request);
                if matches!(entered, Entered::Turn) {
                    entry.insert(shared.clone());
                }
                (shared, entered)
            }
        }
    }

    /// Works on the turn of `shared`, which the caller has, until it is over or somebody else's.
    fn take_turn(&self, shared: &Arc<SharedFile>, mut had: Option<LockMode>, seat: Seat) {
        let mut moved = Vec::new();
        loop {
            let rest = shared.work(had, seat != Seat::Releaser, &mut moved);
            if !moved.is_empty() {
                self.opening.fetch_add(moved.len(), Ordering::SeqCst);
                POOL.submit_first(std::mem::take(&mut moved).into_iter().map(Job::Open));
            }
            had = match (rest, seat) {
                (Rest::Held, _) => return,
                (Rest::Idle, _) => return self.retire(shared),
                (Rest::Ask, _) | (Rest::Wait(..), Seat::Caller | Seat::Releaser) => {
                    return POOL.submit(Job::Ask(shared.clone()));
                }
                (Rest::Wait(mode, ticket), _) => {
                    let waited = match self.interrupts.filter(|_| seat == Seat::Worker) {
                        Some(interrupts) => POOL.blocking(|| shared.wait(mode, ticket, interrupts)),
                        None => None,
                    };
                    match waited {
                        Some(had) => had,
                        None if self.pause(shared, mode) => return,
                        None => None,
                    }
                }
            };
        }
    }

    /// Has the kernel asked again in a while, with jitter, lest many processes ask in step.
    fn pause(&self, shared: &Arc<SharedFile>, mode: LockMode) -> bool {
        let Some(pause) = shared.pause(mode) else { return false };
        let jitter = self.lanes.hash_one(Instant::now()) % 512;
        let delay = pause * u32::try_from(768 + jitter).expect("below 1280") / 1024;
        self.after(delay, Timer::Retry(Arc::downgrade(shared)));
        true
    }

    /// Lets go of a file that nobody holds or waits for, unless somebody has come meanwhile.
    fn retire(&self, shared: &Arc<SharedFile>) {
        let mut table = self.table();
        if shared.is_idle() {
            let identity = shared.identity();
            if table.get(&identity).is_some_and(|entry| Arc::ptr_eq(entry, shared)) {
                table.remove(&identity);
            }
        }
    }

    fn follow(&self, shared: &Arc<SharedFile>, follow: Follow) {
        match follow {
            Follow::Nothing => {}
            Follow::Turn(had) => self.take_turn(shared, had, Seat::Releaser),
            Follow::Interrupt => self.after(INTERRUPT_AGAIN, Timer::Interrupt(Arc::downgrade(shared))),
        }
    }

    fn release(&self, grant: &Grant) -> bool {
        let Some(follow) = grant.shared.release(&grant.request) else { return false };
        self.follow(&grant.shared, follow);
        true
    }

    /// The exclusive lock that this process holds on the file of `handle`.
    ///
    /// If the path names another file by now, or none, the lock that was taken by this path is meant.
    fn find_exclusive_hold(&self, handle: &Handle) -> Option<Grant> {
        let identity = sys::identity_at(&handle.path).ok().flatten();
        let table = self.table();
        let hold_of = |shared: &Arc<SharedFile>| {
            shared.exclusive_hold().map(|request| Grant { shared: shared.clone(), request, received: true })
        };
        identity.and_then(|identity| table.get(&identity)).and_then(hold_of).or_else(|| {
            table.values().filter_map(hold_of).find(|grant| grant.request.handle.path == handle.path)
        })
    }
}
