//! What is done when the process exits.

/// Has `action` called when the process calls exit(3), on the thread that does so, while all others still run.
#[cfg(unix)]
pub fn at_exit(action: extern "C" fn()) {
    // SAFETY: the function is there until the end: this library is never unloaded. Without memory for it, it is not called.
    unsafe { libc::atexit(action) };
}

/// Does nothing: when a library is told of the end here, the other threads have been ended, whatever they had locked.
#[cfg(not(unix))]
pub fn at_exit(_: extern "C" fn()) {}
