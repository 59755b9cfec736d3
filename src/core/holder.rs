//! Who holds a lock, as far as the system tells.

use super::kernel::LockMode;

/// A process that holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number, as this process would see it.
    pub pid: u32,
    /// How it holds the lock.
    pub mode: LockMode,
    /// Its command line, words joined by spaces. `None`: this process may not see it.
    pub command: Option<String>,
}
