//! The locks that a kernel has for a whole file.

use super::{LockMode, Protocol, platform};

/// One of the kernel's locks for a whole file. Both of one file can be held at the same time, except on some network file
/// systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KernelLock {
    /// That of flock(2), or of LockFileEx on Windows.
    Flock,
    /// The record lock of fcntl(2), taken for an open file description.
    Fcntl,
}

impl KernelLock {
    /// Returns the lock of this protocol, one that is kept by the kernel.
    pub(crate) const fn of(protocol: Protocol) -> Self {
        if matches!(protocol, Protocol::Fcntl) { Self::Fcntl } else { Self::Flock }
    }

    /// Returns the system call that takes it.
    pub(crate) const fn call(self) -> &'static str {
        match self {
            Self::Flock => platform::LOCK_CALL,
            Self::Fcntl => "fcntl",
        }
    }

    /// Returns true if only a file that is open for writing can be locked in this mode.
    pub(crate) const fn needs_writing(self, mode: LockMode) -> bool {
        matches!((self, mode), (Self::Fcntl, LockMode::Exclusive))
    }

    /// Returns true if this system has it.
    pub(crate) const fn is_available(self) -> bool {
        /// The record locks of other systems belong to processes: threads would not exclude each other.
        const FOR_OPEN_FILES: bool =
            cfg!(any(target_os = "linux", target_os = "android", target_vendor = "apple"));
        matches!(self, Self::Flock) || FOR_OPEN_FILES
    }
}
