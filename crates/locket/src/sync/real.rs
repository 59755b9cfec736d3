//! What the system has.

use std::sync::{Mutex as Inner, PoisonError};
use std::time::Instant;

pub(crate) use std::hash::RandomState;
pub(crate) use std::sync::MutexGuard;
pub(crate) use std::thread::{Thread, ThreadId, current};

/// A mutex that is never poisoned.
pub(crate) struct Mutex<T>(Inner<T>);

impl<T> Mutex<T> {
    /// A new, unlocked mutex.
    pub(crate) const fn new(value: T) -> Self {
        Self(Inner::new(value))
    }

    /// Locks it, for as long as the guard lives.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time.
#[cfg(not(miri))]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time, which stands still: Miri is so slow that each turn would be too long.
#[cfg(miri)]
pub(crate) fn now() -> Instant {
    static BEGINNING: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *BEGINNING.get_or_init(Instant::now)
}

/// The calling thread sleeps until it is unparked, or until then if that is given. It may wake for no reason.
pub(crate) fn park_until(until: Option<Instant>) {
    match until {
        Some(until) => std::thread::park_timeout(until.saturating_duration_since(now())),
        None => std::thread::park(),
    }
}
