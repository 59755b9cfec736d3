//! A client of the engine: a JavaScript environment.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, ThreadId};

/// One user of the engine: a JavaScript environment, which lives on one thread.
#[derive(Debug)]
pub struct Client {
    /// The thread whose code makes the requests, and which a synchronous wait blocks.
    pub(crate) thread: ThreadId,
    /// The number by which JavaScript knows that thread.
    thread_id: AtomicU32,
    ended: AtomicBool,
    /// How often it has tried for a lock on its own thread since its event loop last ran.
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

    /// Its event loop runs: it may try on its own thread again, as often as it likes to.
    pub fn replenish(&self) {
        self.tries.store(0, Ordering::Relaxed);
    }

    /// Counts a try on the client's own thread. Returns how many there were before, since the event loop last ran.
    pub(crate) fn count_try(&self) -> u32 {
        self.tries.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns true if it has ended. What it asks for then is not queued any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Notes that it has ended.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }
}
