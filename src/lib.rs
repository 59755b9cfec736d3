//! The addon: the crate `locket` for Node.js.
//!
//! | module | subject |
//! |---|---|
//! | `api` | the functions that JavaScript calls |
//! | `environment` | one JavaScript environment: its handles, its promises, its end |
//! | `completion_queue`, `sync_waiter` | outcomes, on their way to the thread of an environment |
//! | `handles` | handles by their numbers |
//! | `convert` | values of JavaScript |
//! | `raw` | Node-API |
//!
//! `lib/` has checked the arguments.

mod api;
mod completion_queue;
mod convert;
mod environment;
mod handles;
mod raw;
mod sync_waiter;

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, Once, PoisonError};

use locket::Engine;

/// The engine of this process.
static ENGINE: LazyLock<Arc<Engine>> = LazyLock::new(|| {
    #[cfg(feature = "tracing")]
    trace_to_stderr();
    if cfg!(feature = "paced") { Engine::paced() } else { Engine::new() }
});

/// Has the lock entries that this process still holds when it exits removed. Node tells the addon of the end of an environment,
/// but not of `process.exit()` on the main thread, nor of an exception that nobody catches.
fn remove_entries_at_exit() {
    extern "C" fn remove() {
        // The engine reports a panic. It must not unwind into the C library.
        let _ = std::panic::catch_unwind(|| ENGINE.remove_entries());
    }
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| locket::at_exit(remove));
}

/// Writes the events of the engine to stderr.
#[cfg(feature = "tracing")]
fn trace_to_stderr() {
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::TRACE);
    // Fails if another copy of the package has done so.
    let _ = subscriber.with_writer(std::io::stderr).try_init();
}

/// Locks `mutex`, also after a panic of a thread that had locked it: what it guards is whole at each point.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
