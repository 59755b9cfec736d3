//! Threads of our own: small, named, deaf to the host's signals, and not to be brought down by a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Enough for a path that is PATH_MAX long, for the standard library and for a panic's message.
#[cfg(not(loom))]
const STACK: usize = 128 * 1024;

/// Starts a thread. `false`: the system has none to give (EAGAIN: containers cap them).
#[cfg(not(loom))]
pub fn start(name: &'static str, body: impl FnOnce() + Send + 'static) -> bool {
    use std::sync::Once;

    use super::sys::{self, Interrupts};

    static PIN: Once = Once::new();
    PIN.call_once(sys::pin_library);
    std::thread::Builder::new()
        .name(name.into())
        .stack_size(STACK)
        .spawn(|| {
            if let Some(interrupts) = Interrupts::claim() {
                interrupts.prepare_thread();
            }
            body();
        })
        .is_ok()
}

/// Starts a thread of the model.
#[cfg(loom)]
pub fn start(_: &'static str, body: impl FnOnce() + Send + 'static) -> bool {
    super::sync::spawn(body)
}

/// Runs `task`; a panic in it has been reported on stderr by then, and ends here.
pub fn shielded(task: impl FnOnce()) {
    // What the task was working on is behind mutexes that are never poisoned and left whole at every point.
    let _ = catch_unwind(AssertUnwindSafe(task));
}
