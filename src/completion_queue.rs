//! The way of outcomes from any thread to the one thread of an environment, in batches.

use std::cell::Cell;
use std::mem;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use locket::{CompletionSink, Outcome};

use crate::lock;
use crate::raw::Notifier;

thread_local! {
    /// The queue that the calling thread drains before it returns to JavaScript.
    static DRAINED: Cell<*const CompletionQueue> = const { Cell::new(ptr::null()) };
}

/// The outcomes of an environment that have not been delivered yet. The environment is notified once, however many there
/// are.
pub(crate) struct CompletionQueue {
    /// Set if there may be outcomes to deliver. Usually there are none, and this shows it without locking `items`.
    filled: AtomicBool,
    items: Mutex<Items>,
    notifier: Notifier,
}

#[derive(Default)]
struct Items {
    outcomes: Vec<(u64, Outcome)>,
    /// The environment has been notified, and has not drained the queue since.
    notified: bool,
    closed: bool,
}

impl CompletionQueue {
    /// Returns an empty queue. `notifier` has the environment drain it.
    pub(crate) fn new(notifier: Notifier) -> Self {
        Self { filled: AtomicBool::new(false), items: Mutex::default(), notifier }
    }

    /// Does `work`, after which the calling thread drains this queue: the environment need not be notified of what the work
    /// completes. A thread may have several environments, so the queue matters, not the thread.
    pub(crate) fn drained_after<T>(&self, work: impl FnOnce() -> T) -> T {
        /// Also after a panic.
        struct Restore(*const CompletionQueue);
        impl Drop for Restore {
            fn drop(&mut self) {
                DRAINED.set(self.0);
            }
        }
        let _restore = Restore(DRAINED.replace(self));
        work()
    }

    /// Takes all outcomes.
    pub(crate) fn drain(&self) -> Vec<(u64, Outcome)> {
        if !self.filled.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut items = lock(&self.items);
        self.filled.store(false, Ordering::Relaxed);
        items.notified = false;
        mem::take(&mut items.outcomes)
    }

    /// Takes the outcome for `token`, if it is there.
    pub(crate) fn take(&self, token: u64) -> Option<Outcome> {
        if !self.filled.load(Ordering::Acquire) {
            return None;
        }
        let outcomes = &mut lock(&self.items).outcomes;
        // From the end: an outcome that is there has just come.
        let index = outcomes.iter().rposition(|&(other, _)| other == token)?;
        Some(outcomes.remove(index).1)
    }

    /// Drops all outcomes, from now on: the environment has ended.
    pub(crate) fn close(&self) {
        let mut items = lock(&self.items);
        items.closed = true;
        items.outcomes.clear();
    }

    /// Has the environment drain the queue.
    fn notify(&self, items: &mut Items) {
        self.filled.store(true, Ordering::Release);
        if !items.closed && !items.notified && !ptr::eq(DRAINED.get(), self) {
            items.notified = true;
            self.notifier.notify();
        }
    }
}

impl CompletionSink for CompletionQueue {
    fn complete(&self, token: u64, outcome: Outcome) {
        let mut items = lock(&self.items);
        if !items.closed {
            items.outcomes.push((token, outcome));
            self.notify(&mut items);
        }
    }

    fn wake_early(&self) {
        self.notify(&mut lock(&self.items));
    }
}
