//! One thread that does things at their time: deadlines, tries that are paced, signals that are repeated.
//!
//! It starts with the first timer and ends when it has had none for a while. While nothing is due it sleeps.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::threads;

/// How long the thread waits for another timer before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// When, and which of those that are due at the same time.
pub type Key = (Instant, u64);

/// Timers that carry a `T` each, and the thread that fires them.
pub struct Timekeeper<T: 'static> {
    state: Mutex<State<T>>,
    changed: Condvar,
    fire: fn(T),
}

struct State<T> {
    timers: BTreeMap<Key, T>,
    thread: Thread,
}

#[derive(PartialEq)]
enum Thread {
    None,
    Awake,
    /// Sleeps until then, unless `changed` is notified.
    Asleep(Instant),
}

impl<T: Send> Timekeeper<T> {
    /// A timekeeper without timers. `fire` is called on its thread, with nothing locked.
    pub const fn new(fire: fn(T)) -> Self {
        Self {
            state: Mutex::new(State { timers: BTreeMap::new(), thread: Thread::None }),
            changed: Condvar::new(),
            fire,
        }
    }

    /// Adds a timer. Keys are unique. `false`: there is no thread to fire it, and none can be started.
    pub fn add(&'static self, key: Key, timer: T) -> bool {
        let mut state = self.lock();
        state.timers.insert(key, timer);
        match state.thread {
            Thread::Asleep(until) if key.0 < until => {
                state.thread = Thread::Awake;
                self.changed.notify_one();
                true
            }
            Thread::Asleep(_) | Thread::Awake => true,
            Thread::None => {
                let started = threads::start("locket-timer", || self.run());
                if started {
                    state.thread = Thread::Awake;
                }
                started
            }
        }
    }

    /// Takes a timer away that is not wanted any more.
    pub fn remove(&self, key: Key) {
        self.lock().timers.remove(&key);
    }

    /// Fires what is due, on the calling thread. Returns when the next one will be.
    pub fn fire_due(&self) -> Option<Instant> {
        loop {
            let mut state = self.lock();
            let first = state.timers.first_entry()?;
            if first.key().0 > Instant::now() {
                return Some(first.key().0);
            }
            let timer = first.remove();
            drop(state);
            threads::shielded(|| (self.fire)(timer));
        }
    }

    fn run(&self) {
        loop {
            self.fire_due();
            let state = self.lock();
            let now = Instant::now();
            let next = state.timers.first_key_value().map(|(key, _)| key.0);
            if next.is_some_and(|next| next <= now) {
                continue;
            }
            let until = next.unwrap_or(now + IDLE);
            let mut state = state;
            state.thread = Thread::Asleep(until);
            let (mut state, wait) = self
                .changed
                .wait_timeout_while(state, until - now, |state| state.thread != Thread::Awake)
                .unwrap_or_else(PoisonError::into_inner);
            if wait.timed_out() && state.timers.is_empty() {
                state.thread = Thread::None;
                return;
            }
            state.thread = Thread::Awake;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
