//! A failed system call, as Node reports it.

use std::io;

use super::{KernelLock, platform};

/// A system call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemError {
    /// The number that libuv has for the error. It is negative.
    pub errno: i32,
    /// The name that Node has for the call: `open`, `flock`, `stat`.
    pub syscall: &'static str,
    /// The file system does not support locks.
    pub unsupported: bool,
    /// The number of the slot of a semaphore whose file it is about, not that of the gate. The first one is 1.
    pub slot: Option<u32>,
}

/// A system call that failed, and the name that Node has for it.
#[derive(Debug)]
pub(crate) struct CallError {
    pub error: io::Error,
    pub syscall: &'static str,
    /// The file system has no such call.
    pub unsupported: bool,
}

impl CallError {
    /// Returns the error with which `syscall` failed.
    pub(crate) fn new(error: io::Error, syscall: &'static str) -> Self {
        Self { error, syscall, unsupported: false }
    }

    /// Returns true if this process may not do that, or not while another one has the file open.
    pub(crate) fn is_refusal(&self) -> bool {
        self.error.kind() == io::ErrorKind::PermissionDenied || platform::is_busy(&self.error)
    }

    /// Returns the error of a call that the file system does not have.
    pub(crate) fn unsupported(error: io::Error, syscall: &'static str) -> Self {
        Self { error, syscall, unsupported: true }
    }
}

impl From<&CallError> for SystemError {
    fn from(CallError { error, syscall, unsupported }: &CallError) -> Self {
        Self { unsupported: *unsupported, ..Self::new(error, syscall) }
    }
}

impl SystemError {
    /// Returns the error with which `syscall` failed.
    pub(crate) fn new(error: &io::Error, syscall: &'static str) -> Self {
        Self { errno: platform::uv_errno(error), syscall, unsupported: false, slot: None }
    }

    /// Returns the error with which opening a lock file failed.
    pub(crate) fn opening(error: &io::Error) -> Self {
        // One without a number is ours.
        let unsupported = error.raw_os_error().is_none() && error.kind() == io::ErrorKind::Unsupported;
        if unsupported { Self::unavailable() } else { Self::new(error, "open") }
    }

    /// Returns the error with which taking this lock failed.
    pub(crate) fn locking(error: &io::Error, lock: KernelLock) -> Self {
        Self { unsupported: platform::is_unsupported(error, lock), ..Self::new(error, lock.call()) }
    }

    /// Returns the error of a system that does not have the record lock of fcntl(2) for open files.
    fn unavailable() -> Self {
        Self { errno: platform::UV_ENOTSUP, syscall: KernelLock::Fcntl.call(), unsupported: true, slot: None }
    }

    /// Returns the error of a system that has no thread left.
    pub(crate) fn no_thread() -> Self {
        Self { errno: platform::EAGAIN, syscall: platform::THREAD_CALL, unsupported: false, slot: None }
    }

    /// Returns the error that refuses to break a lock of the kernel.
    pub(crate) fn unbreakable() -> Self {
        Self { errno: platform::UV_ENOTSUP, syscall: "unlink", unsupported: true, slot: None }
    }

    /// Returns the error that refuses to remove a lock file on release, since others might not see that it is gone. Its
    /// call, `unlink`, tells it from other errors.
    pub(crate) fn incoherent() -> Self {
        Self { errno: platform::UV_ENOTSUP, syscall: "unlink", unsupported: true, slot: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_without_the_lock_is_told_from_a_file_that_cannot_be_opened() {
        let error = SystemError::opening(&io::ErrorKind::Unsupported.into());
        assert_eq!((error.errno, error.syscall, error.unsupported), (platform::UV_ENOTSUP, "fcntl", true));
        let error = SystemError::opening(&io::ErrorKind::NotFound.into());
        assert_eq!((error.syscall, error.unsupported), ("open", false));
    }

    #[test]
    fn an_error_of_locking_names_the_call_of_the_lock() {
        let error = |lock| SystemError::locking(&io::ErrorKind::Other.into(), lock);
        assert_eq!(error(KernelLock::Flock).syscall, platform::LOCK_CALL);
        assert_eq!(error(KernelLock::Fcntl).syscall, "fcntl");
    }
}
