//! One thread that does things at their time: deadlines, tries that are paced, signals that are repeated.
//!
//! It starts with the first timer and ends when it has had none for a while. While nothing is due it sleeps.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::sync::{Mutex, Thread, current, now, park_until};
use super::threads;

/// How long the thread waits for another timer before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// When, and which of those that are due at the same time.
pub type Key = (Instant, u64);

/// Timers that carry a `T` each, and the thread that fires them.
pub struct Timekeeper<T: 'static> {
    state: Mutex<State<T>>,
    fire: fn(T),
}

struct State<T> {
    timers: BTreeMap<Key, T>,
    keeper: Keeper,
}

/// The thread.
enum Keeper {
    None,
    Awake,
    /// Sleeps until then, unless it is woken.
    Asleep(Instant, Thread),
}

impl<T: Send> Timekeeper<T> {
    /// A timekeeper without timers. `fire` is called on its thread, with nothing locked.
    pub fn new(fire: fn(T)) -> Self {
        Self { state: Mutex::new(State { timers: BTreeMap::new(), keeper: Keeper::None }), fire }
    }

    /// Adds a timer. Keys are unique. `false`: there is no thread to fire it, and none can be started.
    pub fn add(&'static self, key: Key, timer: T) -> bool {
        let mut state = self.state.lock();
        state.timers.insert(key, timer);
        match &state.keeper {
            Keeper::Asleep(until, thread) if key.0 < *until => {
                let thread = thread.clone();
                state.keeper = Keeper::Awake;
                drop(state);
                thread.unpark();
                true
            }
            Keeper::Asleep(..) | Keeper::Awake => true,
            Keeper::None => {
                let started = threads::start("locket-timer", || self.run());
                if started {
                    state.keeper = Keeper::Awake;
                }
                started
            }
        }
    }

    /// Takes a timer away that is not wanted any more.
    pub fn remove(&self, key: Key) {
        let mut state = self.state.lock();
        state.timers.remove(&key);
        let ends = now() + IDLE;
        match &state.keeper {
            Keeper::Asleep(until, thread) if state.timers.is_empty() && *until > ends => {
                // Or it would stay until then, for nothing.
                let thread = thread.clone();
                state.keeper = Keeper::Awake;
                drop(state);
                thread.unpark();
            }
            _ => {}
        }
    }

    /// Fires what is due, on the calling thread. Returns when the next one will be.
    pub fn fire_due(&self) -> Option<Instant> {
        loop {
            let mut state = self.state.lock();
            let first = state.timers.first_entry()?;
            if first.key().0 > now() {
                return Some(first.key().0);
            }
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
                let until = next.unwrap_or(now + IDLE);
                state.keeper = Keeper::Asleep(until, current());
                until
            };
            if !self.sleep(until) {
                return;
            }
        }
    }

    /// Sleeps until then, or until it is woken. `false`: there has been nothing to do for a while, and the thread is to
    /// end.
    fn sleep(&self, until: Instant) -> bool {
        loop {
            park_until(until);
            let mut state = self.state.lock();
            if matches!(state.keeper, Keeper::Awake) {
                return true;
            }
            if now() >= until {
                let stays = !state.timers.is_empty();
                state.keeper = if stays { Keeper::Awake } else { Keeper::None };
                return stays;
            }
        }
    }
}
