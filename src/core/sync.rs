//! The mutex and the clock of the parts that are modelled with loom: std's, or others under `cfg(loom)`.
//!
//! A panic while it is locked does not poison it. Every critical section of the core leaves the data whole
//! at each point where it could panic, and a lock that refuses for ever after would be the greater harm.

use std::time::Instant;

#[cfg(not(loom))]
use std::sync::{Mutex as Inner, MutexGuard, PoisonError};

#[cfg(loom)]
use loom::sync::{Mutex as Inner, MutexGuard};
#[cfg(loom)]
use std::sync::PoisonError;

/// A mutex that is never poisoned.
pub struct Mutex<T>(Inner<T>);

impl<T> Mutex<T> {
    /// A new, unlocked mutex.
    #[cfg(not(loom))]
    pub const fn new(value: T) -> Self {
        Self(Inner::new(value))
    }

    /// A new, unlocked mutex.
    #[cfg(loom)]
    pub fn new(value: T) -> Self {
        Self(Inner::new(value))
    }

    /// Locks it, for as long as the guard lives.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time.
#[cfg(not(any(loom, miri)))]
pub fn now() -> Instant {
    Instant::now()
}

/// The time, which stands still: loom goes through a model again and again, and each way must come out the same when it
/// is gone once more, however busy the machine is; and Miri is so slow that each turn would be too long.
#[cfg(any(loom, miri))]
pub fn now() -> Instant {
    static BEGINNING: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *BEGINNING.get_or_init(Instant::now)
}
