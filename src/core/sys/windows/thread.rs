//! Which thread it is.

/// Is the calling thread the one that the process began with? Windows does not tell.
pub fn is_first_thread() -> bool {
    false
}
