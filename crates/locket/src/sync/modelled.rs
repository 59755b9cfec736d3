//! Under loom: the same names, made of what loom knows, and a clock that a model moves.
//!
//! The time is what the model says: each way through a model has to come out the same when it is taken again, however busy
//! the machine is.
//!
//! Loom runs one thread at a time, and another one only at an operation of its own. So what is behind a mutex of std here
//! changes at once with the operation of loom before it, and that mutex is never locked across another one.
#![cfg_attr(not(test), allow(dead_code, reason = "models alone move the clock"))]

use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;
use std::sync::{Arc, LazyLock, Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError};
use std::time::{Duration, Instant};

use loom::sync::{Condvar, Mutex as Inner};
use loom::thread::JoinHandle;

pub(crate) use loom::sync::MutexGuard;

/// Hashes without chance, so that a run of a model can be repeated.
pub(crate) type RandomState = BuildHasherDefault<DefaultHasher>;

/// A mutex that is never poisoned.
pub(crate) struct Mutex<T>(Inner<T>);

impl<T> Mutex<T> {
    /// Returns a new, unlocked mutex.
    pub(crate) fn new(value: T) -> Self {
        Self(Inner::new(value))
    }

    /// Locks it, for as long as the guard lives.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that can be woken. Not loom's own: that may be unparked only while it is parked, since one that waits for a
/// mutex would be let into it.
#[derive(Clone)]
pub(crate) struct Thread(Arc<Parker>);

struct Parker {
    woken: Mutex<bool>,
    changed: Condvar,
}

/// Identifies a thread as long as it lives.
pub(crate) type ThreadId = usize;

impl Thread {
    /// Returns its id.
    pub(crate) fn id(&self) -> ThreadId {
        Arc::as_ptr(&self.0).addr()
    }

    /// Wakes it, or keeps it from falling asleep the next time.
    pub(crate) fn unpark(&self) {
        let mut woken = self.0.woken.lock();
        *woken = true;
        let was_asleep = {
            let mut threads = threads();
            let before = threads.sleepers.len();
            threads.sleepers.retain(|(_, sleeper)| sleeper.id() != self.id());
            threads.sleepers.len() < before
        };
        drop(woken);
        if was_asleep {
            self.0.changed.notify_one();
        }
    }
}

loom::thread_local! {
    static CURRENT: Thread = Thread(Arc::new(Parker { woken: Mutex::new(false), changed: Condvar::new() }));
}

loom::lazy_static! {
    /// Locked by a thread that is about to sleep, and by the model before time passes: loom lets each come first.
    static ref CLOCK: Mutex<()> = Mutex::new(());
    static ref THREADS: StdMutex<Threads> = StdMutex::default();
}

#[derive(Default)]
struct Threads {
    /// The time that has passed.
    passed: Duration,
    /// Those that sleep, each until then.
    sleepers: Vec<(Option<Instant>, Thread)>,
    /// The thread of the model that waits for something to change.
    watcher: Option<Thread>,
    /// Those that were started, and have not been joined.
    started: Vec<JoinHandle<()>>,
    /// How many more threads can be started. `None`: any number.
    left: Option<usize>,
}

fn threads() -> StdMutexGuard<'static, Threads> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the calling thread.
pub(crate) fn current() -> Thread {
    CURRENT.with(Clone::clone)
}

/// Returns the time. It stands still until [`pass`] is called.
pub(crate) fn now() -> Instant {
    threads().now()
}

/// Puts the calling thread to sleep until it is unparked, or until `until`.
pub(crate) fn park_until(until: Option<Instant>) {
    let this = current();
    let Parker { woken, changed } = &*this.0;
    let mut woken = woken.lock();
    if !*woken {
        drop(CLOCK.lock());
        if until.is_some_and(|until| now() >= until) {
            return;
        }
        let is_watched = {
            let mut threads = threads();
            threads.sleepers.push((until, this.clone()));
            threads.watcher.as_ref().is_some_and(|watcher| watcher.id() != this.id())
        };
        if is_watched {
            notify_watcher();
        }
        while !*woken {
            woken = changed.wait(woken).unwrap_or_else(PoisonError::into_inner);
        }
    }
    *woken = false;
}

/// Starts a thread. Returns false if there are no more, by [`limit_threads`].
pub(crate) fn spawn(body: impl FnOnce() + 'static) -> bool {
    {
        let mut threads = threads();
        match &mut threads.left {
            Some(0) => return false,
            Some(left) => *left -= 1,
            None => {}
        }
    }
    let thread = loom::thread::spawn(body);
    threads().started.push(thread);
    true
}

/// Sets how many more threads can be started from now on.
pub(crate) fn limit_threads(left: usize) {
    threads().left = Some(left);
}

/// Waits until all threads that were started here have ended.
pub(crate) fn join_threads() {
    loop {
        let Some(thread) = threads().started.pop() else { return };
        thread.join().expect("a thread of ours does not panic");
    }
}

/// Lets time pass.
pub(crate) fn pass(time: Duration) {
    drop(CLOCK.lock());
    let due: Vec<_> = {
        let mut threads = threads();
        threads.passed += time;
        let now = threads.now();
        let is_due = |until: Option<Instant>| until.is_some_and(|until| until <= now);
        threads
            .sleepers
            .iter()
            .filter(|(until, _)| is_due(*until))
            .map(|(_, thread)| thread.clone())
            .collect()
    };
    for thread in due {
        thread.unpark();
    }
}

/// Waits until `is_so` returns true. It must not use loom. It is called again when a thread falls asleep, and by
/// [`notify_watcher`]. One thread of a model may wait.
pub(crate) fn wait_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        threads().watcher = Some(current());
        park_until(None);
    }
}

/// Lets [`wait_until`] check again.
pub(crate) fn notify_watcher() {
    let watcher = threads().watcher.take();
    if let Some(watcher) = watcher {
        watcher.unpark();
    }
}

/// Waits until a thread sleeps until a time at most `limit` ahead, and lets time pass until then.
pub(crate) fn pass_to_next(limit: Duration) {
    wait_until(|| sleeps(limit));
    let pause = threads().next_time(limit);
    pass(pause.unwrap_or_default());
}

/// Returns true if a thread sleeps until a time at most `limit` ahead. It does not use loom.
pub(crate) fn sleeps(limit: Duration) -> bool {
    threads().next_time(limit).is_some()
}

impl Threads {
    fn now(&self) -> Instant {
        /// The same for all runs of a model.
        static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
        *BEGINNING + self.passed
    }

    /// Returns how long it is until a thread has slept for long enough, if that is at most `limit`.
    fn next_time(&self, limit: Duration) -> Option<Duration> {
        let now = self.now();
        let pauses = self.sleepers.iter().filter_map(|(until, _)| *until).map(|until| until - now);
        pauses.filter(|pause| *pause <= limit).min()
    }
}
