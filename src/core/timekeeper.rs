//! One thread that does things at their time: deadlines, tries that are paced, signals that are repeated.
//!
//! It starts when it is first needed, and stays: who waits in the kernel counts on it to be called back. While nothing is
//! due it sleeps.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::sync::{Mutex, Thread, current, now, park_until};
use super::threads;

/// When, and which of those that are due at the same time.
pub type Key = (Instant, u64);

/// Timers that carry a `T` each, and the thread that fires them.
pub struct Timekeeper<T: 'static> {
    state: Mutex<State<T>>,
    fire: fn(T),
    ends_after: Option<Duration>,
}

struct State<T> {
    timers: BTreeMap<Key, T>,
    keeper: Keeper,
}

/// The thread.
enum Keeper {
    None,
    Awake,
    /// Sleeps until then, or without end, unless it is woken.
    Asleep(Option<Instant>, Thread),
}

impl<T: Send> Timekeeper<T> {
    /// A timekeeper without timers. `fire` is called on its thread, with nothing locked.
    ///
    /// `ends_after`: the thread ends when it has had no timer for so long. `None`: it stays.
    pub fn new(fire: fn(T), ends_after: Option<Duration>) -> Self {
        Self { state: Mutex::new(State { timers: BTreeMap::new(), keeper: Keeper::None }), fire, ends_after }
    }

    /// Starts the thread, unless it is there. Returns false if the system has none to give.
    pub fn start(&'static self) -> bool {
        self.start_locked(&mut self.state.lock())
    }

    /// Adds a timer. Keys are unique. Returns false if there is no thread to fire it, and none can be started.
    pub fn add(&'static self, key: Key, timer: T) -> bool {
        let mut state = self.state.lock();
        if !self.start_locked(&mut state) {
            return false;
        }
        state.timers.insert(key, timer);
        match &state.keeper {
            Keeper::Asleep(until, thread) if until.is_none_or(|until| key.0 < until) => {
                let thread = thread.clone();
                state.keeper = Keeper::Awake;
                drop(state);
                thread.unpark();
            }
            _ => {}
        }
        true
    }

    fn start_locked(&'static self, state: &mut State<T>) -> bool {
        if matches!(state.keeper, Keeper::None) && threads::start("locket-timer", || self.run()) {
            state.keeper = Keeper::Awake;
        }
        !matches!(state.keeper, Keeper::None)
    }

    /// Takes a timer away that is not wanted any more.
    pub fn remove(&self, key: Key) {
        let mut state = self.state.lock();
        state.timers.remove(&key);
        let Some(ends) = self.ends_after.map(|time| now() + time) else { return };
        match &state.keeper {
            Keeper::Asleep(until, thread)
                if state.timers.is_empty() && until.is_none_or(|until| until > ends) =>
            {
                // Or it would stay until then, for nothing.
                let thread = thread.clone();
                state.keeper = Keeper::Awake;
                drop(state);
                thread.unpark();
            }
            _ => {}
        }
    }

    /// Fires what is due.
    fn fire_due(&self) {
        loop {
            let mut state = self.state.lock();
            let Some(first) = state.timers.first_entry().filter(|first| first.key().0 <= now()) else {
                return;
            };
            let timer = first.remove();
            drop(state);
            threads::shielded(|| (self.fire)(timer));
        }
    }

    /// The thread's life.
    fn run(&self) {
        loop {
            self.fire_due();
            let until = {
                let mut state = self.state.lock();
                let (now, next) = (now(), state.timers.first_key_value().map(|(key, _)| key.0));
                if next.is_some_and(|next| next <= now) {
                    continue;
                }
                let until = next.or_else(|| self.ends_after.map(|time| now + time));
                state.keeper = Keeper::Asleep(until, current());
                until
            };
            if !self.sleep(until) {
                return;
            }
        }
    }

    /// Sleeps until then, or until it is woken. Returns false if there has been nothing to do for a while, and the thread
    /// is to end.
    fn sleep(&self, until: Option<Instant>) -> bool {
        loop {
            park_until(until);
            let mut state = self.state.lock();
            if matches!(state.keeper, Keeper::Awake) {
                return true;
            }
            if until.is_some_and(|until| now() >= until) {
                let stays = !state.timers.is_empty();
                state.keeper = if stays { Keeper::Awake } else { Keeper::None };
                return stays;
            }
        }
    }
}
