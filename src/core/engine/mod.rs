//! What holds the core together: the table of files, the threads, and what users of the core call.
//!
//! A request is opened by a worker, put into the line of its file, and from there seen to by whoever has that
//! file's turn. There is one engine a process, for all its JavaScript environments.

use std::collections::{BTreeMap, HashSet};
use std::hash::RandomState;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::handle::{Grant, Handle};
use super::pool::{Limits, Pool};
use super::queue::{FIRST_PAUSE, LONGEST_PAUSE};
use super::request::{Overview, Owner, Purpose, Reason, Reply, Request, Wish};
use super::shared_file::{self, Cancellation, SharedFile};
use super::sync;
use super::sys::{self, Identity, Interrupts};
use super::timekeeper::{Key, Timekeeper};
use super::turn::Follow;

mod inquiries;
mod opening;
mod sighting;
mod timers;
mod turns;

pub use inquiries::inquire;
use opening::{Job, OnTheWay, Way};
use timers::Timer;
use turns::Seat;

/// How long is waited for what may never answer (a dead network mount) before going on without: a rejection for the thread
/// in the kernel, who does not want to wait for the thread that has the turn, an inquiry for its path.
const GIVE_UP: Duration = Duration::from_millis(100);

static POOL: LazyLock<Pool<Job>> = LazyLock::new(|| Pool::new(Limits::default(), arm_watch));
static TIMEKEEPER: LazyLock<Timekeeper<Timer>> = LazyLock::new(|| Timekeeper::new(Timer::fire));
/// Those who are told when there is no thread to do the work.
static USERS: LazyLock<sync::Mutex<Vec<Weak<dyn Reply>>>> = LazyLock::new(|| sync::Mutex::new(Vec::new()));
static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine {
    table: Mutex::new(BTreeMap::new()),
    paused: Mutex::new(BTreeMap::new()),
    numbers: AtomicU64::new(0),
    opening: AtomicUsize::new(0),
    threadless: AtomicBool::new(false),
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
    /// The system had no thread to give for the timekeeper, when it was last asked.
    threadless: AtomicBool,
    jitter: RandomState,
    interrupts: Option<Interrupts>,
}

/// Has the pool look after its workers after this time.
fn arm_watch(after: Duration, number: u64) {
    ENGINE.after(after, Timer::Watch(number));
}

/// Starts a request. Its outcome comes by its [`Wish::reply`]; call [`conclude`] when it has.
///
/// `at_once`: may the calling thread try, where that takes no waiting? Then the outcome may be there already.
pub fn start(wish: Wish, at_once: bool) -> Arc<Request> {
    let request = ENGINE.request(wish);
    let opened = at_once && request.purpose != Purpose::Probe && ENGINE.open_at_once(&request);
    if let Some(deadline) = request.deadline
        && request.purpose == Purpose::Acquire
        && !request.is_settled()
    {
        ENGINE.add_timer((deadline, request.ticket), Timer::Deadline(request.clone()));
    }
    if !opened {
        ENGINE.opening.fetch_add(1, Ordering::SeqCst);
        POOL.submit(Job::Open(request.clone()));
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
        ENGINE.opening.fetch_add(1, Ordering::SeqCst);
        POOL.submit(Job::Open(request.clone()));
    }
    request
}

/// The outcome of `request` has come. If it was a grant, let [`Handle::receive`] know when its user hears of it.
pub fn conclude(request: &Arc<Request>) {
    if let Some(deadline) = request.deadline {
        TIMEKEEPER.remove((deadline, request.ticket));
    }
}

/// The deadline of `request` has come. However short it was, the lock is refused only if somebody has it: so a
/// file that is being opened is tried first, unless opening it takes for ever (on a dead network mount).
pub fn expire(request: &Arc<Request>) {
    if request.is_opening() {
        ENGINE.after(GIVE_UP, Timer::TimedOut(request.clone()));
    } else {
        cancel(request, Reason::TimedOut);
    }
}

/// Gives up the wait of `request`. Its outcome still comes by its reply: [`Outcome::Granted`] if the lock came
/// first.
pub fn cancel(request: &Arc<Request>, reason: Reason) {
    match shared_file::cancel(request, reason) {
        None | Some((_, Cancellation::Due)) => {}
        Some((shared, Cancellation::Out(follow))) => ENGINE.follow(&shared, follow, Seat::Leaver),
        Some((shared, Cancellation::Leaving { interrupt })) => {
            ENGINE.after(GIVE_UP, Timer::GiveUp(request.clone()));
            if interrupt {
                ENGINE.follow(&shared, Follow::Interrupt, Seat::Leaver);
            }
        }
    }
}

/// Releases what `handle` holds, or if it holds nothing the exclusive lock that this process holds on its file
/// by any other handle. `false`: there is no such lock.
pub fn release(handle: &Handle) -> bool {
    if let Some(grant) = handle.take_received(|_| true)
        && ENGINE.release(&grant)
    {
        return true;
    }
    ENGINE.find_exclusive_hold(handle).is_some_and(|grant| ENGINE.release(&grant))
}

/// Releases what `handle` itself holds, if `wanted` says so of the request that was granted. `false`: there is no such
/// lock.
pub fn release_own(handle: &Handle, wanted: impl FnOnce(&Request) -> bool) -> bool {
    handle.take_received(wanted).is_some_and(|grant| ENGINE.release(&grant))
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

/// From now on `user` is announced something whenever [`pump`] is to be called.
pub fn attend(user: &Arc<impl Reply + 'static>) {
    let user: Arc<dyn Reply> = user.clone();
    let mut users = USERS.lock();
    users.retain(|user| user.strong_count() > 0);
    users.push(Arc::downgrade(&user));
}

/// Where the system has no thread to give, those who wait do the work themselves: this is to be called now, and
/// again and again after the time that it returns, as long as they wait. `None`: there are threads. That may change at
/// any time: see [`attend`].
pub fn pump() -> Option<Duration> {
    if !ENGINE.threadless.load(Ordering::SeqCst) {
        return None;
    }
    let next = TIMEKEEPER.fire_due();
    let pause = next.map_or(LONGEST_PAUSE, |next| next.saturating_duration_since(Instant::now()));
    Some(pause.clamp(FIRST_PAUSE, LONGEST_PAUSE))
}

impl Engine {
    fn table(&self) -> MutexGuard<'_, BTreeMap<Identity, Arc<SharedFile>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn paused(&self) -> MutexGuard<'_, BTreeMap<Identity, Weak<SharedFile>>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, wish: Wish) -> Arc<Request> {
        Arc::new(Request::new(self.number(), wish))
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn after(&self, delay: Duration, timer: Timer) {
        self.add_timer((Instant::now() + delay, self.number()), timer);
    }

    fn add_timer(&self, key: Key, timer: Timer) {
        let kept = TIMEKEEPER.add(key, timer);
        self.threadless.store(!kept, Ordering::SeqCst);
        if !kept {
            // Whoever waits may be asleep, and not know that there is work that nobody does for them any more.
            for user in USERS.lock().iter().filter_map(Weak::upgrade) {
                user.announce();
            }
        }
    }

    fn release(&self, grant: &Grant) -> bool {
        let Some(follow) = grant.shared.release(&grant.request) else { return false };
        self.follow(&grant.shared, follow, Seat::Releaser);
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
