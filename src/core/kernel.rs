//! What the core asks of the kernel, as a trait, so that the loom models can stand in for it.

use std::io;
use std::path::Path;

use super::sys::{self, WaitingThread};

/// How a lock is held: by one alone, or by many that all share it. The words of the Web Locks API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockMode {
    /// Nobody else holds the lock in any mode.
    Exclusive,
    /// Others may hold it too, in this mode.
    Shared,
}

/// An open lock file: what the kernel locks.
pub trait LockFile: Send + Sync {
    /// Tries once. `false`: somebody else holds the lock. A file that is locked already changes its mode,
    /// and where that fails the lock it had is gone.
    fn try_lock(&self, mode: LockMode) -> io::Result<bool>;

    /// Waits in the kernel's queue. Fails with [`io::ErrorKind::Interrupted`] when the thread is
    /// interrupted. Called only where [`sys::Interrupts`] are to be had.
    fn lock(&self, mode: LockMode) -> io::Result<()>;

    /// Makes [`LockFile::lock`] fail on `thread`, which is in it or about to call it. That may be lost if it comes too
    /// early, so it has to be done again until the thread says that it is out.
    ///
    /// # Safety
    /// The thread must not have ended.
    unsafe fn call_back(&self, thread: WaitingThread) {
        // SAFETY: the caller vouches for the thread.
        unsafe { thread.interrupt() };
    }

    /// Lets go.
    fn unlock(&self);

    /// Does `path` name this very file now? A path that names nothing does not.
    fn is_at(&self, path: &Path) -> io::Result<bool>;

    /// Deletes the directory entry `path`, if it is a name of this very file: neither another file nor a symbolic link,
    /// which would leave its target behind as another lock.
    fn unlink(&self, path: &Path) -> io::Result<()>;

    /// The number of its descriptor, where a child can inherit the lock by it.
    fn descriptor(&self) -> Option<i32> {
        None
    }

    /// Returns false if the descriptor is not this file's any more: somebody else in this process has closed it, and
    /// its number may belong to another file by now.
    fn is_intact(&self) -> bool {
        true
    }

    /// Gives the descriptor up, which is not this file's any more: from now on it is neither used nor closed.
    fn disown(&self) {}
}

/// A system call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemError {
    /// The error's number as libuv has it: negative, and on Windows libuv's own.
    pub errno: i32,
    /// The name of the call, as Node names it: `open`, `flock`, `stat`.
    pub syscall: &'static str,
    /// The file system has no such locks.
    pub unsupported: bool,
}

impl SystemError {
    /// What `syscall` failed with.
    pub fn new(error: &io::Error, syscall: &'static str) -> Self {
        Self { errno: sys::uv_errno(error), syscall, unsupported: false }
    }

    /// The system had no thread to give.
    pub fn no_thread() -> Self {
        Self { errno: sys::EAGAIN, syscall: sys::THREAD_CALL, unsupported: false }
    }

    /// Refuses to remove a lock file on release, since others might not see that it is gone. Told from other refusals by
    /// its call, `unlink`.
    pub fn incoherent() -> Self {
        Self { errno: sys::UV_ENOTSUP, syscall: "unlink", unsupported: true }
    }

    /// What locking failed with.
    pub fn locking(error: &io::Error) -> Self {
        Self { unsupported: sys::is_unsupported(error), ..Self::new(error, sys::LOCK_CALL) }
    }
}
