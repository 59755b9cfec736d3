//! One thread that does things at their time: deadlines, paced tries, repeated interrupts.
//!
//! It starts when it is first needed, and stays: who waits in the kernel counts on being interrupted. While nothing is due
//! it sleeps. It ends when the [`TimerThread`] is dropped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::thread;
use crate::sync::{Mutex, Thread, current, now, park_until};

/// When a timer fires, and which of those that fire at the same time.
pub(crate) type TimerKey = (Instant, u64);

/// What happens at its time.
pub(crate) trait Due: Send + 'static {
    /// Called on the timer thread, with nothing locked. It must not block: no other deadline would be kept.
    fn fire(self);
}

/// Timers, and the thread that fires them.
pub(crate) struct TimerThread<T: Due>(Arc<Shared<T>>);

/// What both sides share.
struct Shared<T>(Mutex<State<T>>);

struct State<T> {
    timers: BTreeMap<TimerKey, T>,
    thread: Phase,
    /// The [`TimerThread`] has been dropped.
    closed: bool,
}

/// What the thread does.
enum Phase {
    NotStarted,
    Awake,
    /// Sleeps until then, or without end, unless it is woken.
    Asleep(Option<Instant>, Thread),
}

impl<T: Due> TimerThread<T> {
    /// Returns one without timers, and without a thread.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared(Mutex::new(State {
            timers: BTreeMap::new(),
            thread: Phase::NotStarted,
            closed: false,
        }))))
    }

    /// Starts the thread, unless it runs. Returns false if the system has none left.
    pub(crate) fn start(&self) -> bool {
        self.start_locked(&mut self.0.0.lock())
    }

    /// Adds a timer. Keys are unique. Returns false if there is no thread to fire it, and none can be started.
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

    /// Removes a timer that is not wanted any more.
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
    /// Returns the thread, to be unparked, if it sleeps and `is_wanted` says so of the time until which it does.
    fn wake(&mut self, is_wanted: impl FnOnce(Option<Instant>) -> bool) -> Option<Thread> {
        match &self.thread {
            Phase::Asleep(until, thread) if is_wanted(*until) => {
                let thread = thread.clone();
                self.thread = Phase::Awake;
                Some(thread)
            }
            _ => None,
        }
    }
}

impl<T: Due> Shared<T> {
    /// The thread's life.
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

    /// Sleeps until then, or until the thread is woken.
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
