//! One thread that fires timers.
//!
//! It starts when it is first needed, and sleeps while nothing is due. It ends when the [`TimerThread`] is dropped, and no
//! sooner: a thread that blocks relies on being interrupted, also where the system has no thread left by then.

#[cfg(all(test, loom))]
mod model;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::thread;
use crate::sync::{Mutex, Thread, current, now, park_until};

/// When a timer fires, and a number that tells it from others that fire at the same time.
pub(crate) type TimerKey = (Instant, u64);

/// What the timer thread does.
pub(crate) trait Due: Send + 'static {
    /// Called on the timer thread at its time, with nothing locked. Must not block: other timers would be late.
    fn fire(self);
}

/// Timers, and the thread that fires them.
///
/// Timers that are left when it is dropped are dropped, too. Any thread may drop it, also its own.
pub(crate) struct TimerThread<T: Due>(Arc<Shared<T>>);

/// What the [`TimerThread`] and its thread share.
struct Shared<T>(Mutex<State<T>>);

struct State<T> {
    timers: BTreeMap<TimerKey, T>,
    thread: Phase,
    /// The [`TimerThread`] has been dropped.
    closed: bool,
}

/// State of the thread.
enum Phase {
    NotStarted,
    Awake,
    /// Sleeps until it is woken, or until this time.
    Asleep(Option<Instant>, Thread),
}

impl<T: Due> TimerThread<T> {
    /// Returns a timer thread that has not been started, without timers.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared(Mutex::new(State {
            timers: BTreeMap::new(),
            thread: Phase::NotStarted,
            closed: false,
        }))))
    }

    /// Starts the thread, unless it runs. Returns false if the system has no thread left.
    pub(crate) fn start(&self) -> bool {
        self.start_locked(&mut self.0.0.lock())
    }

    /// Adds a timer, with a key that no other timer has. Returns false if the system has no thread left to fire it.
    pub(crate) fn add(&self, key: TimerKey, timer: T) -> bool {
        let mut state = self.0.0.lock();
        if !self.start_locked(&mut state) {
            return false;
        }
        state.timers.insert(key, timer);
        let sleeper = state.wake(|until| until.is_none_or(|until| key.0 < until));
        drop(state);
        if let Some(thread) = sleeper {
            thread.unpark();
        }
        true
    }

    /// Removes a timer, unless it has been fired or is just being fired.
    pub(crate) fn remove(&self, key: TimerKey) {
        let timer = self.0.0.lock().timers.remove(&key);
        drop(timer);
    }

    fn start_locked(&self, state: &mut State<T>) -> bool {
        if matches!(state.thread, Phase::NotStarted) {
            let shared = self.0.clone();
            if !thread::start("locket-timer", move || shared.run()) {
                return false;
            }
            state.thread = Phase::Awake;
        }
        true
    }
}

impl<T: Due> Drop for TimerThread<T> {
    fn drop(&mut self) {
        let (timers, sleeper) = {
            let mut state = self.0.0.lock();
            state.closed = true;
            (std::mem::take(&mut state.timers), state.wake(|_| true))
        };
        drop(timers);
        if let Some(thread) = sleeper {
            thread.unpark();
        }
    }
}

impl<T> State<T> {
    /// Marks the thread as awake if it sleeps and `is_too_long` is true of its time. Returns it, to be unparked.
    fn wake(&mut self, is_too_long: impl FnOnce(Option<Instant>) -> bool) -> Option<Thread> {
        match &self.thread {
            Phase::Asleep(until, thread) if is_too_long(*until) => {
                let thread = thread.clone();
                self.thread = Phase::Awake;
                Some(thread)
            }
            _ => None,
        }
    }
}

impl<T: Due> Shared<T> {
    /// Fires timers until the [`TimerThread`] has been dropped.
    fn run(&self) {
        loop {
            let mut state = self.0.lock();
            if state.closed {
                return;
            }
            let next = state.timers.first_key_value().map(|(&(time, _), _)| time);
            if next.is_some_and(|time| time <= now()) {
                let due = state.timers.pop_first();
                drop(state);
                if let Some((_, timer)) = due {
                    thread::catch_panic(|| timer.fire());
                }
                continue;
            }
            state.thread = Phase::Asleep(next, current());
            drop(state);
            self.sleep(next);
        }
    }

    /// Sleeps until the thread is woken, or until this time.
    fn sleep(&self, until: Option<Instant>) {
        loop {
            park_until(until);
            let mut state = self.0.lock();
            if matches!(state.thread, Phase::Awake) {
                return;
            }
            if until.is_some_and(|until| now() >= until) {
                state.thread = Phase::Awake;
                return;
            }
        }
    }
}
