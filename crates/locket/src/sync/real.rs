//! The primitives of the standard library.

use std::sync::{Mutex as Inner, PoisonError};
use std::time::Instant;

pub(crate) use std::hash::RandomState;
pub(crate) use std::sync::MutexGuard;
pub(crate) use std::thread::{Thread, ThreadId, current};

/// A mutex that is never poisoned.
pub(crate) struct Mutex<T>(Inner<T>);

impl<T> Mutex<T> {
    /// Returns a new, unlocked mutex.
    pub(crate) const fn new(value: T) -> Self {
        Self(Inner::new(value))
    }

    /// Locks it, for as long as the guard lives.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the time.
#[cfg(not(miri))]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns the time, which stands still: Miri is so slow that each process would have spent its budget at once.
#[cfg(miri)]
pub(crate) fn now() -> Instant {
    static BEGINNING: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *BEGINNING.get_or_init(Instant::now)
}

/// Puts the calling thread to sleep until it is unparked, or until `until`. It may wake for no reason.
pub(crate) fn park_until(until: Option<Instant>) {
    match until {
        Some(until) => std::thread::park_timeout(until.saturating_duration_since(now())),
        None => std::thread::park(),
    }
}
