//! Who holds a lock, or waits for it, as far as the system tells.

use super::kernel::LockMode;

/// A process that holds a lock, or waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number, as this process would see it.
    pub pid: u32,
    /// The mode in which it holds the lock, or asks for it.
    pub mode: LockMode,
    /// Its command line, words joined by spaces. `None`: this process may not see it.
    pub command: Option<String>,
}

/// Which processes an inquiry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// Those that hold the lock.
    Holders,
    /// Those that wait for it in the kernel.
    Waiters,
}
