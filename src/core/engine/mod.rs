//! What holds the core together: the table of files, the threads, and what users of the core call.
//!
//! A request is opened by a worker, put into the line of its file, and from there seen to by whoever has that
//! file's turn. There is one engine a process, for all its JavaScript environments.

use std::collections::{BTreeMap, HashSet};
use std::hash::RandomState;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::handle::{Grant, Handle};
use super::pool::{self, Limits, Pool};
use super::request::{Overview, Owner, Purpose, Reason, Request, Ticket, Wish};
use super::shared_file::{self, Cancellation, Released, SharedFile};
use super::sys::{self, Identity, Interrupts};
use super::timekeeper::{Key, Timekeeper};

mod inquiries;
mod opening;
mod sighting;
mod timers;
mod turns;

pub use inquiries::inquire;
use opening::{Arriving, Job, OnTheWay, Sight, Way};
use timers::Timer;
use turns::Seat;

/// Grace period before giving up on something that may never respond, such as a dead network mount.
const GIVE_UP: Duration = Duration::from_millis(100);
/// The same for a request that does not wait, where its path may be on a network: a slow server is not a dead one.
const GIVE_UP_ELSEWHERE: Duration = Duration::from_secs(5);

static POOL: LazyLock<Pool<Job>> = LazyLock::new(|| Pool::new(Limits::default(), arm_watch));
static TIMEKEEPER: LazyLock<Timekeeper<Timer>> = LazyLock::new(|| Timekeeper::new(Timer::fire, None));
static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine {
    table: Mutex::new(BTreeMap::new()),
    paused: Mutex::new(BTreeMap::new()),
    numbers: AtomicU64::new(1),
    opening: AtomicUsize::new(0),
    jitter: RandomState::new(),
    // `paced` makes every wait the paced one, as where the kernel's cannot be had; for tests.
    interrupts: match std::env::var_os("LOCKET_WAIT") {
        Some(way) if way == "paced" => None,
        _ => Interrupts::claim(),
    },
});

struct Engine {
    /// Every file that this process holds or waits for. Locked before any queue.
    table: Mutex<BTreeMap<Identity, Arc<SharedFile>>>,
    /// Those of them whose turn was laid down since nobody more could block in the kernel. Locked last.
    paused: Mutex<BTreeMap<Identity, Weak<SharedFile>>>,
    /// Tickets, and the keys of timers.
    numbers: AtomicU64,
    /// How many requests are on their way to a line.
    opening: AtomicUsize,
    jitter: RandomState,
    interrupts: Option<Interrupts>,
}

/// Makes the pool check its workers after this time.
fn arm_watch(after: Duration, number: u64) {
    ENGINE.after(after, Timer::Watch(number));
}

/// Starts a request. Its outcome comes by its [`Wish::reply`]; call [`conclude`] when it has.
///
/// `at_once`: may the calling thread try, where that takes no waiting? Then the outcome may be there already.
pub fn start(wish: Wish, at_once: bool) -> Arc<Request> {
    let request = ENGINE.request(wish);
    let opened = at_once && request.purpose != Purpose::Probe && ENGINE.open_at_once(&request);
    ENGINE.watch_deadline(&request);
    if !opened {
        ENGINE.watch_path(&request);
        ENGINE.submit(Job::Open(Arriving::new(request.clone())));
    }
    request
}

/// Starts a request on the calling thread, as far as that can be done without blocking. The caller waits for the
/// outcome, and cancels the request when its deadline has come.
pub fn start_here(wish: Wish) -> Arc<Request> {
    let request = ENGINE.request(wish);
    // Those that were there first are put in line first.
    if ENGINE.opening.load(Ordering::SeqCst) == 0 {
        ENGINE.open(&request, Seat::Caller, Way::Long, OnTheWay::by_itself(&request));
    } else {
        ENGINE.watch_path(&request);
        ENGINE.submit(Job::Open(Arriving::new(request.clone())));
    }
    request
}

/// The outcome of `request` has come. If it was a grant, let [`Handle::receive`] know when its user hears of it.
pub fn conclude(request: &Arc<Request>) {
    for time in [request.deadline, request.answers_by()].into_iter().flatten() {
        TIMEKEEPER.remove((time, request.ticket));
    }
}

/// The deadline of `request` has come. However short it was, the lock is refused only if somebody has it: so a
/// file that is being found is tried first, unless finding it takes for ever (on a dead network mount).
pub fn expire(request: &Arc<Request>) {
    cancel(request, Reason::TimedOut);
    if request.is_opening() {
        ENGINE.after(GIVE_UP, Timer::Unanswered(request.clone(), Sight::default()));
    }
}

/// Gives up the wait of `request`. Its outcome still comes by its reply: [`Outcome::Granted`] if the lock came
/// first.
pub fn cancel(request: &Arc<Request>, reason: Reason) {
    match shared_file::cancel(request, reason) {
        None | Some((_, Cancellation::Due)) => {}
        Some((shared, Cancellation::Out(follow))) => ENGINE.follow(&shared, follow, Seat::Leaver),
        Some((shared, Cancellation::Leaving(follow))) => {
            ENGINE.after(GIVE_UP, Timer::GiveUp(request.clone()));
            ENGINE.follow(&shared, follow, Seat::Leaver);
        }
    }
}

/// The result of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It has ended. This is the ticket of its request.
    Released(Ticket),
    /// It had been lost before: somebody has closed the descriptor by which the file was locked.
    Lost,
}

/// Releases what `handle` holds. If it has never asked for a lock, releases the exclusive lock that this process holds on
/// its file by any other handle. `None`: there is no such lock.
pub fn release(handle: &Handle) -> Option<Ended> {
    if handle.has_asked() {
        return release_own(handle, |_| true);
    }
    ENGINE.find_exclusive_hold(handle).and_then(|grant| ENGINE.release(grant))
}

/// Releases what `handle` itself holds, if `wanted` says so of the request that was granted. `None`: there is no such
/// lock.
pub fn release_own(handle: &Handle, wanted: impl FnOnce(&Request) -> bool) -> Option<Ended> {
    handle.take_received(wanted).and_then(|grant| ENGINE.release(grant))
}

/// Ends all that `owner` holds and waits for, in every file. It need not listen
/// for outcomes any more.
pub fn end(owner: &Arc<Owner>) {
    owner.end();
    // Whoever enters a line from now on sees that the owner has ended.
    let files: Vec<_> = ENGINE.table().values().cloned().collect();
    for shared in files {
        let follow = shared.end(owner);
        ENGINE.follow(&shared, follow, Seat::Leaver);
    }
}

/// What this process holds and waits for, in the order of arrival.
///
/// `asked`: requests of the caller. Those whose file is still being opened are in no line yet, but pending all the
/// same. (Other threads' are missed until they are in line: it is as if they came an instant later.)
pub fn overview(mut asked: Vec<Arc<Request>>) -> Overview {
    asked.retain(|request| request.purpose != Purpose::Probe && !request.is_settled());
    let mut overview = Overview::default();
    for shared in ENGINE.table().values() {
        shared.list(&mut overview);
    }
    let known: HashSet<_> =
        overview.held.iter().chain(&overview.pending).map(|request| request.ticket).collect();
    asked.retain(|request| !known.contains(&request.ticket));
    overview.pending.append(&mut asked);
    overview.held.sort_by_key(|request| request.ticket);
    overview.pending.sort_by_key(|request| request.ticket);
    overview
}

impl Engine {
    fn table(&self) -> MutexGuard<'_, BTreeMap<Identity, Arc<SharedFile>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn paused(&self) -> MutexGuard<'_, BTreeMap<Identity, Weak<SharedFile>>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, wish: Wish) -> Arc<Request> {
        if wish.purpose != Purpose::Probe {
            wish.handle.ask();
        }
        Arc::new(Request::new(self.number(), wish))
    }

    /// Ends the wait of `request` at its deadline.
    fn watch_deadline(&self, request: &Arc<Request>) {
        if let Some(deadline) = request.deadline
            && request.purpose == Purpose::Acquire
            && !request.is_settled()
        {
            self.add_timer((deadline, request.ticket), Timer::Deadline(request.clone()));
        }
    }

    /// Limits how long `request` waits for its path, if it does not wait for the lock.
    fn watch_path(&self, request: &Arc<Request>) {
        if request.purpose != Purpose::Acquire && request.answers_by().is_none() {
            let time = Instant::now() + GIVE_UP;
            request.answer_by(time);
            self.add_timer((time, request.ticket), Timer::Unanswered(request.clone(), Sight::default()));
        }
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Fires `timer` after `delay`. Returns false if there is no thread to fire it, and none can be started. Then
    /// nothing waits in the kernel or for a worker either.
    fn after(&self, delay: Duration, timer: Timer) -> bool {
        self.add_timer((Instant::now() + delay, self.number()), timer)
    }

    fn add_timer(&self, key: Key, timer: Timer) -> bool {
        TIMEKEEPER.add(key, timer)
    }

    /// Submits `job` to the workers. The timekeeper watches them, so it is started first.
    fn submit(&self, job: Job) {
        if TIMEKEEPER.start() { POOL.submit(job) } else { pool::Job::refuse(job) }
    }

    /// Submits `jobs` to the workers, in their order, before all others.
    fn submit_first(&self, jobs: impl DoubleEndedIterator<Item = Job>) {
        if TIMEKEEPER.start() { POOL.submit_first(jobs) } else { jobs.for_each(pool::Job::refuse) }
    }

    fn release(&self, grant: Grant) -> Option<Ended> {
        let Grant { shared, request, .. } = grant;
        match shared.release(&request)? {
            Released::Follow(follow) => {
                self.follow(&shared, follow, Seat::Releaser);
                Some(Ended::Released(request.ticket))
            }
            Released::Lost(follow) => {
                self.retire(&shared);
                self.follow(&shared, follow, Seat::Releaser);
                Some(Ended::Lost)
            }
        }
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
