//! Where a synchronous wait hears its outcome.

use std::thread::{self, Thread};
use std::time::Instant;

use crate::core::request::{Outcome, Reply};
use crate::core::sync::Mutex;

/// Room for one outcome, for the thread that waits for it. That thread is parked, not kept waiting on a condition
/// variable: that would cost a system call to notify even where, as mostly, nobody waits yet.
pub struct Answer {
    outcome: Mutex<Option<Outcome>>,
    thread: Thread,
}

impl Answer {
    /// An answer for the calling thread.
    pub fn on_this_thread() -> Self {
        Self { outcome: Mutex::new(None), thread: thread::current() }
    }

    /// The outcome, if it is there.
    pub fn take(&self) -> Option<Outcome> {
        self.outcome.lock().take()
    }

    /// Waits for the outcome, however long it takes.
    pub fn wait(&self) -> Outcome {
        loop {
            if let Some(outcome) = self.wait_until(None) {
                return outcome;
            }
        }
    }

    /// Waits for the outcome, until then at the longest, or until something else is announced.
    pub fn wait_until(&self, until: Option<Instant>) -> Option<Outcome> {
        let outcome = self.take();
        if outcome.is_some() {
            return outcome;
        }
        match until {
            None => thread::park(),
            Some(until) => thread::park_timeout(until.saturating_duration_since(Instant::now())),
        }
        self.take()
    }
}

impl Reply for Answer {
    fn deliver(&self, _: u64, outcome: Outcome) {
        *self.outcome.lock() = Some(outcome);
        self.announce();
    }

    fn announce(&self) {
        if thread::current().id() != self.thread.id() {
            self.thread.unpark();
        }
    }
}
