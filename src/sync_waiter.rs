//! Where a synchronous wait gets its outcome.

use std::sync::Mutex;
use std::thread::{self, Thread};
use std::time::Instant;

use locket::{CompletionSink, Outcome};

use crate::lock;

/// Holds one outcome for the thread that waits for it. That thread is parked: notifying a condition variable would cost a
/// system call even if, as usual, nobody waits yet.
pub(crate) struct SyncWaiter {
    state: Mutex<State>,
    thread: Thread,
}

#[derive(Default)]
struct State {
    outcome: Option<Outcome>,
    /// The thread is parked, or about to be.
    is_parked: bool,
}

impl SyncWaiter {
    /// Returns a waiter for the calling thread.
    pub(crate) fn on_this_thread() -> Self {
        Self { state: Mutex::default(), thread: thread::current() }
    }

    /// Takes the outcome, if it is there.
    pub(crate) fn take(&self) -> Option<Outcome> {
        lock(&self.state).outcome.take()
    }

    /// Waits for the outcome. May return without it, and does so at `until`.
    pub(crate) fn wait_until(&self, until: Option<Instant>) -> Option<Outcome> {
        {
            let mut state = lock(&self.state);
            if state.outcome.is_some() {
                return state.outcome.take();
            }
            state.is_parked = true;
        }
        match until {
            None => thread::park(),
            Some(until) => thread::park_timeout(until.saturating_duration_since(Instant::now())),
        }
        let mut state = lock(&self.state);
        state.is_parked = false;
        state.outcome.take()
    }
}

impl CompletionSink for SyncWaiter {
    fn complete(&self, _: u64, outcome: Outcome) {
        lock(&self.state).outcome = Some(outcome);
        self.wake_early();
    }

    fn wake_early(&self) {
        if lock(&self.state).is_parked {
            self.thread.unpark();
        }
    }
}
