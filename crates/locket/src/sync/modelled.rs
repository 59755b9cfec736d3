//! Under loom: the same names, made of what loom knows, and a clock that a model moves.
//!
//! The time is what the model says, since each way through it must come out the same when it is gone once more, however
//! busy the machine is.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use loom::sync::{Condvar, Mutex as Inner};

pub(crate) use loom::sync::MutexGuard;

/// A mutex that is never poisoned.
pub(crate) struct Mutex<T>(Inner<T>);

impl<T> Mutex<T> {
    /// A new, unlocked mutex.
    pub(crate) fn new(value: T) -> Self {
        Self(Inner::new(value))
    }

    /// Locks it, for as long as the guard lives.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread, to be woken. (Loom's own can be unparked only while it is parked: one that waits for a mutex just then
/// would be let into it.)
#[derive(Clone)]
pub(crate) struct Thread(Arc<Parker>);

struct Parker {
    woken: Mutex<bool>,
    changed: Condvar,
}

/// What a thread is known by, as long as it lives.
pub(crate) type ThreadId = usize;

impl Thread {
    /// What it is known by.
    pub(crate) fn id(&self) -> ThreadId {
        Arc::as_ptr(&self.0).addr()
    }

    /// Wakes it, or lets it not fall asleep the next time.
    pub(crate) fn unpark(&self) {
        *self.0.woken.lock() = true;
        self.0.changed.notify_one();
    }
}

loom::thread_local! {
    static CURRENT: Thread = Thread(Arc::new(Parker { woken: Mutex::new(false), changed: Condvar::new() }));
}

loom::lazy_static! {
    static ref CLOCK: Mutex<Clock> = Mutex::new(Clock::default());
    static ref ENDED: Condvar = Condvar::new();
}

#[derive(Default)]
struct Clock {
    passed: Duration,
    sleepers: Vec<(Option<Instant>, Thread)>,
    /// Threads that have been spawned, and have not ended.
    threads: usize,
    /// How many threads more the system has to give. `None`: any number.
    left: Option<usize>,
    /// A thread that would sleep ends instead.
    ending: bool,
}

/// What ends a thread that would sleep.
struct End;

fn beginning() -> Instant {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    *BEGINNING.get_or_init(Instant::now)
}

/// The calling thread.
pub(crate) fn current() -> Thread {
    CURRENT.with(Clone::clone)
}

/// The time. It stands still until [`pass`] is called.
pub(crate) fn now() -> Instant {
    beginning() + CLOCK.lock().passed
}

/// The calling thread sleeps until it is unparked, or until then if that is given.
pub(crate) fn park_until(until: Option<Instant>) {
    let Thread(parker) = current();
    {
        let mut clock = CLOCK.lock();
        if !clock.ending {
            if until.is_some_and(|until| beginning() + clock.passed >= until) {
                return;
            }
            clock.sleepers.push((until, Thread(parker.clone())));
        }
    }
    end_if_asked();
    let mut woken = parker.woken.lock();
    while !*woken {
        woken = parker.changed.wait(woken).unwrap_or_else(PoisonError::into_inner);
    }
    *woken = false;
    drop(woken);
    CLOCK.lock().sleepers.retain(|(_, Thread(sleeper))| !Arc::ptr_eq(sleeper, &parker));
    end_if_asked();
}

fn end_if_asked() {
    let ending = CLOCK.lock().ending;
    if ending {
        resume_unwind(Box::new(End));
    }
}

/// Starts a thread. Returns false if the system has none to give.
pub(crate) fn spawn(body: impl FnOnce() + 'static) -> bool {
    let mut clock = CLOCK.lock();
    match &mut clock.left {
        Some(0) => return false,
        Some(left) => *left -= 1,
        None => {}
    }
    clock.threads += 1;
    drop(clock);
    loom::thread::spawn(|| {
        let ended = catch_unwind(AssertUnwindSafe(body));
        CLOCK.lock().threads -= 1;
        ENDED.notify_one();
        if let Err(panic) = ended
            && !panic.is::<End>()
        {
            resume_unwind(panic);
        }
    });
    true
}

/// From now on the system has so many threads more to give.
pub(crate) fn limit_threads(left: usize) {
    CLOCK.lock().left = Some(left);
}

/// Ends the threads that were started here, each as soon as it sleeps or would, and waits until they have: those that stay
/// would keep the model from ending.
pub(crate) fn end_threads() {
    let sleepers = {
        let mut clock = CLOCK.lock();
        clock.ending = true;
        std::mem::take(&mut clock.sleepers)
    };
    for (_, thread) in sleepers {
        thread.unpark();
    }
    pass_until_threads_end();
}

/// Lets time pass.
pub(crate) fn pass(time: Duration) {
    let mut clock = CLOCK.lock();
    clock.passed += time;
    let now = beginning() + clock.passed;
    let due: Vec<_> =
        clock.sleepers.extract_if(.., |(until, _)| until.is_some_and(|until| until <= now)).collect();
    drop(clock);
    for (_, thread) in due {
        thread.unpark();
    }
}

/// Waits until all threads that were started here have ended, as a model must before it ends.
pub(crate) fn join_threads() {
    let mut clock = CLOCK.lock();
    while clock.threads > 0 {
        clock = ENDED.wait(clock).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Lets time pass until all threads that were started here have ended: they end when they have had nothing to do for a
/// while.
pub(crate) fn pass_until_threads_end() {
    while CLOCK.lock().threads > 0 {
        pass(Duration::from_secs(60));
        loom::thread::yield_now();
    }
}
