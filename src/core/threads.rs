//! Threads of our own: small, named, deaf to the host's signals, and not to be brought down by a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::thread::Builder;

use super::sys::{self, Interrupts};

/// Enough for a path that is PATH_MAX long, for the standard library and for a panic's message.
const STACK: usize = 128 * 1024;

/// Starts a thread. `false`: the system has none to give (EAGAIN: containers cap them).
pub fn start(name: &'static str, body: impl FnOnce() + Send + 'static) -> bool {
    static PIN: Once = Once::new();
    PIN.call_once(sys::pin_library);
    Builder::new()
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

/// Runs `task`; a panic in it has been reported on stderr by then, and ends here.
pub fn shielded(task: impl FnOnce()) {
    // What the task was working on is behind mutexes that are never poisoned and left whole at every point.
    let _ = catch_unwind(AssertUnwindSafe(task));
}
