//! Which thread it is.

/// Is the calling thread the one that the process began with?
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn is_first_thread() -> bool {
    rustix::thread::gettid() == rustix::process::getpid()
}

/// Is the calling thread the one that the process began with?
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn is_first_thread() -> bool {
    // SAFETY: pthread_main_np has no preconditions.
    unsafe { libc::pthread_main_np() == 1 }
}
