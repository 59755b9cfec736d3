//! Which thread it is.

/// Is the calling thread the one that the process began with? Windows does not tell.
pub fn is_first_thread() -> bool {
    false
}

/// Which thread it is, for [`is_asleep`].
#[derive(Clone, Copy, Debug)]
pub struct ThreadNumber();

/// Returns the number of the calling thread.
pub fn this_thread_number() -> ThreadNumber {
    ThreadNumber()
}

/// Returns true if a thread of this process waits for something other than a processor. Nobody asks the system here.
pub fn is_asleep(_: ThreadNumber) -> bool {
    true
}
