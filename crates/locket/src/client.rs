//! Clients of the engine.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use crate::lock::CompletionSink;
use crate::sync::Mutex;

/// For how long the requests of a client may be granted on its thread before one has to go by a worker, and so by the event
/// loop. Otherwise a loop that acquires and releases would keep everything else from running.
pub(crate) const TIME_ON_THREAD: Duration = Duration::from_millis(2);

/// A client of the engine: one JavaScript environment, which lives on one thread.
pub struct Client {
    /// The thread whose code makes the requests, and which a synchronous wait blocks.
    pub(crate) thread: ThreadId,
    /// The number by which JavaScript knows that thread.
    thread_id: AtomicU32,
    ended: AtomicBool,
    /// When its first request came since its event loop last ran.
    on_thread_since: Mutex<Option<Instant>>,
    /// Takes the news that a hold was lost.
    losses: Option<Arc<dyn CompletionSink>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("thread", &self.thread).finish_non_exhaustive()
    }
}

impl Client {
    /// Returns a client whose code runs on the calling thread.
    pub fn on_this_thread() -> Self {
        Self {
            losses: None,
            thread: thread::current().id(),
            thread_id: AtomicU32::new(0),
            ended: AtomicBool::new(false),
            on_thread_since: Mutex::new(None),
        }
    }

    /// Returns the same client, which is told by an [`Outcome::Lost`] when one of its holds is lost. The token is that of the
    /// request.
    ///
    /// [`Outcome::Lost`]: crate::Outcome::Lost
    #[must_use]
    pub fn with_losses(self, losses: Arc<dyn CompletionSink>) -> Self {
        Self { losses: Some(losses), ..self }
    }

    /// Returns what takes the news that a hold was lost.
    pub(crate) fn losses(&self) -> Option<&Arc<dyn CompletionSink>> {
        self.losses.as_ref()
    }

    /// Returns the number by which JavaScript knows its thread: 0 is the main thread.
    pub fn thread_id(&self) -> u32 {
        self.thread_id.load(Ordering::Relaxed)
    }

    /// Sets the number by which JavaScript knows its thread.
    pub fn set_thread_id(&self, number: u32) {
        self.thread_id.store(number, Ordering::Relaxed);
    }

    /// Notes that its event loop runs.
    pub fn on_event_loop(&self) {
        *self.on_thread_since.lock() = None;
    }

    /// Returns true if its next request may be granted on its thread, although its event loop does not run.
    pub(crate) fn may_stay_on_thread(&self, now: Instant) -> bool {
        let since = *self.on_thread_since.lock().get_or_insert(now);
        now.saturating_duration_since(since) < TIME_ON_THREAD
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
