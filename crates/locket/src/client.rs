//! Clients of the engine.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, ThreadId};

/// A client of the engine: one JavaScript environment, which lives on one thread.
#[derive(Debug)]
pub struct Client {
    /// The thread whose code makes the requests, and which a synchronous wait blocks.
    pub(crate) thread: ThreadId,
    /// The number by which JavaScript knows that thread.
    thread_id: AtomicU32,
    ended: AtomicBool,
    /// How many requests have tried the fast path since its event loop last ran.
    tries: AtomicU32,
}

impl Client {
    /// Returns a client whose code runs on the calling thread.
    pub fn on_this_thread() -> Self {
        Self {
            thread: thread::current().id(),
            thread_id: AtomicU32::new(0),
            ended: AtomicBool::new(false),
            tries: AtomicU32::new(0),
        }
    }

    /// Returns the number by which JavaScript knows its thread: 0 is the main thread.
    pub fn thread_id(&self) -> u32 {
        self.thread_id.load(Ordering::Relaxed)
    }

    /// Sets the number by which JavaScript knows its thread.
    pub fn set_thread_id(&self, number: u32) {
        self.thread_id.store(number, Ordering::Relaxed);
    }

    /// Lets the client take the fast path again. Called when its event loop runs.
    pub fn replenish(&self) {
        self.tries.store(0, Ordering::Relaxed);
    }

    /// Counts a try of the fast path. Returns how many there were before, since the event loop last ran.
    pub(crate) fn count_try(&self) -> u32 {
        self.tries.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns true if it has ended. Its requests are not queued any more then.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Marks it as ended.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }
}
