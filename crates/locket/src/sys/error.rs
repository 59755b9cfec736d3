//! A failed system call, as Node reports it.

use std::io;

use super::platform;

/// A system call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemError {
    /// The number that libuv has for the error. It is negative.
    pub errno: i32,
    /// The name that Node has for the call: `open`, `flock`, `stat`.
    pub syscall: &'static str,
    /// The file system does not support locks.
    pub unsupported: bool,
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

    /// Returns true if this process may not do that.
    pub(crate) fn is_refusal(&self) -> bool {
        self.error.kind() == io::ErrorKind::PermissionDenied
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
        Self { errno: platform::uv_errno(error), syscall, unsupported: false }
    }

    /// Returns the error with which locking failed.
    pub(crate) fn locking(error: &io::Error) -> Self {
        Self { unsupported: platform::is_unsupported(error), ..Self::new(error, platform::LOCK_CALL) }
    }

    /// Returns the error of a system that has no thread left.
    pub(crate) fn no_thread() -> Self {
        Self { errno: platform::EAGAIN, syscall: platform::THREAD_CALL, unsupported: false }
    }

    /// Returns the error that refuses to break a lock of the kernel.
    pub(crate) fn unbreakable() -> Self {
        Self { errno: platform::UV_ENOTSUP, syscall: "unlink", unsupported: true }
    }

    /// Returns the error that refuses to remove a lock file on release, since others might not see that it is gone. Its
    /// call, `unlink`, tells it from other errors.
    pub(crate) fn incoherent() -> Self {
        Self { errno: platform::UV_ENOTSUP, syscall: "unlink", unsupported: true }
    }
}
