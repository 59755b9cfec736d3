//! The operating system as the engine sees it: two traits, which models and tests implement, too.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{FileId, KernelLock, ProtocolOptions, SystemError};
use crate::exec::{Interrupts, WaitingThread};

/// The mode of a lock. The words are those of the Web Locks API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockMode {
    /// Only this holder holds the lock.
    Exclusive,
    /// Others may hold the lock in this mode, too.
    Shared,
}

/// A process that holds a lock, or waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number in the pid namespace of this process.
    pub pid: u32,
    /// The mode in which it holds the lock or requests it.
    pub mode: LockMode,
    /// Its command line, words joined by spaces. `None`: this process may not see it.
    pub command: Option<String>,
    /// The name of its host, if that is not this one or not known to be this one.
    pub host: Option<String>,
}

/// How a lock file is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenHow {
    /// The permission bits, before the umask, of a file that has to be created. `None`: a missing file is an error.
    pub create: Option<u32>,
    /// Opens a folder, too (on Unix). Otherwise a folder is EISDIR.
    #[cfg_attr(windows, expect(dead_code, reason = "a folder cannot be locked"))]
    pub allow_directory: bool,
    /// Opens it for writing, too, if this process may write it. Otherwise that is done only when locking needs it.
    #[cfg_attr(windows, expect(dead_code, reason = "no lock needs it"))]
    pub for_writing: bool,
    /// How the lock is kept.
    pub protocol: ProtocolOptions,
}

/// The operating system, as far as the engine needs it.
pub(crate) trait System: Send + Sync {
    /// Opens the lock file at `path`.
    fn open(&self, path: &Path, how: &OpenHow) -> io::Result<Box<dyn LockFile>>;

    /// Returns the id of the lock that `path` names now, or `None` if there is none.
    fn lock_id_at(&self, path: &Path, protocol: &ProtocolOptions) -> io::Result<Option<FileId>>;

    /// Returns true if processes on all machines are known to see the same files in `folder` at the same time, or if
    /// there is no way to the folder: then opening a file in it says why.
    fn is_coherent_at(&self, folder: &Path) -> bool;

    /// Has the client of a network file system forget which files `folder` does not have: another machine may have made
    /// them. Returns false if this is no such folder.
    fn refresh(&self, folder: &Path) -> bool;

    /// Returns true if the mount table of this process says that `path` is on a file system of this machine. Never
    /// blocks.
    fn is_on_local_mount(&self, path: &Path) -> bool;

    /// Returns how many files this process can keep open without need. 0: a file that is open is in the way of others.
    fn spare_descriptors(&self) -> usize;

    /// Returns the means to interrupt a thread that waits in the kernel for a lock in this mode. `None`: no thread may
    /// wait there, and waits are paced.
    fn interrupts(&self, mode: LockMode) -> Option<Interrupts>;
}

/// Called when something about a lock file has changed, on any thread.
pub(crate) type Waker = Arc<dyn Fn() + Send + Sync>;

/// How a driver learns that a lock which it was refused may be free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changes {
    /// It waits in the kernel's queue.
    InKernel,
    /// It tries again and again: nobody tells.
    Untold,
    /// It is told from now on, and has to try once more: something may have changed just before.
    LookNow,
    /// It is told, and tries again after this time at the latest.
    Within(Duration),
}

/// What a lock file tells of the processes that hold its lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FoundHolders {
    /// Nothing: the kernel's table of locks has to be read.
    InTable,
    /// There is one, which is unknown.
    Unknown,
    /// These.
    Known(Vec<Holder>),
}

/// An open lock file: what the kernel locks.
pub(crate) trait LockFile: Send + Sync {
    /// Returns the id of the file.
    fn id(&self) -> FileId;

    /// Returns true if the file is known to be on a file system of this machine: no system call on it waits for a
    /// server. The answer may be a second old.
    fn is_local(&self) -> bool;

    /// Returns true if it is a folder.
    fn is_directory(&self) -> bool {
        false
    }

    /// Returns true if it is harmless to keep it open while nobody uses its lock: it is a regular file that had no content
    /// when the system was last asked about it, and it is open for reading alone: one that is open for writing cannot be run as a
    /// program.
    fn may_stay_open(&self) -> bool {
        false
    }

    /// Says whether the lock, when it is unlocked, will probably be locked again in a moment.
    fn set_warm(&self, warm: bool) {
        let _ = warm;
    }

    /// Returns true if closing the file could drop fcntl(2) locks of this process. A process loses them when it closes any
    /// descriptor of the file.
    fn may_have_fcntl_locks(&self) -> bool {
        false
    }

    /// Returns true if all processes that use the file, on whatever machine, are known to see at once when its path
    /// names another file. Otherwise a file that is removed while it is locked may be held by two.
    fn is_coherent(&self) -> bool {
        self.is_local()
    }

    /// Tries the lock once. Returns false if the lock is held elsewhere. A file that is locked already changes its mode; where
    /// that fails, the lock it had is gone.
    fn try_lock(&self, mode: LockMode) -> io::Result<bool>;

    /// Waits for the lock in the kernel's queue. Fails with [`io::ErrorKind::Interrupted`] when the thread is interrupted. Called only
    /// where [`System::interrupts`] are available.
    fn lock(&self, mode: LockMode) -> io::Result<()>;

    /// Returns how the driver learns that the lock, which it has just been refused, may be free. `waker` is called then.
    fn await_change(&self, waker: &dyn Fn() -> Waker) -> Changes {
        let _ = waker;
        Changes::InKernel
    }

    /// Takes the error with which the last unlocking has failed, if it has left something behind.
    fn take_release_error(&self) -> Option<SystemError> {
        None
    }

    /// Returns true if the lock is kept by the existence of a directory entry: it outlives the process, unless it is unlocked.
    fn is_entry(&self) -> bool {
        false
    }

    /// Returns the time after which the lock, if it is held, has to be renewed. `None`: never.
    fn renewal(&self) -> Option<Duration> {
        None
    }

    /// Renews the lock, so that others do not take it for abandoned. Returns false if it is lost.
    fn renew(&self) -> bool {
        true
    }

    /// Returns the processes that hold the lock, as the file itself tells.
    fn holders(&self) -> FoundHolders {
        FoundHolders::InTable
    }

    /// Returns whether anybody holds the lock, as the file itself tells, or `None` if the lock has to be tried.
    fn is_held(&self) -> Option<io::Result<bool>> {
        None
    }

    /// Describes the error with which trying the lock, or [`LockFile::is_held`], has just failed.
    fn describe(&self, error: &io::Error) -> SystemError {
        SystemError::locking(error, KernelLock::Flock)
    }

    /// Makes [`LockFile::lock`] fail on `thread`, which is in it or about to call it. An interrupt that comes too early is
    /// lost, so it has to be repeated until the thread is known to be out.
    ///
    /// # Safety
    /// The thread must not have ended.
    unsafe fn interrupt(&self, thread: WaitingThread) {
        // SAFETY: the caller vouches for the thread.
        unsafe { thread.interrupt() };
    }

    /// Reads the beginning of the file into `buffer`. Returns how many bytes that are.
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let _ = buffer;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Replaces what is in the file, which is open for writing.
    fn write(&self, content: &[u8]) -> io::Result<()> {
        let _ = content;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Unlocks the file.
    fn unlock(&self);

    /// Returns true if `path` names this very file now.
    fn is_at(&self, path: &Path) -> io::Result<bool>;

    /// Deletes the directory entry `path`, if it is a name of this very file: neither another file nor a symbolic link,
    /// which would leave its target behind as another lock.
    fn unlink(&self, path: &Path) -> io::Result<()>;

    /// Removes the lock entry, whoever holds the lock. Returns true if there was one. The locks of the kernel cannot be
    /// broken.
    fn break_entry(&self) -> Result<bool, SystemError> {
        Err(SystemError::unbreakable())
    }

    /// Returns the number of its descriptor, if a child can inherit the lock by it.
    fn descriptor(&self) -> Option<i32> {
        None
    }

    /// Returns false if the descriptor is not this file's any more: other code in this process has closed it, and its
    /// number may belong to another file by now.
    fn is_intact(&self) -> bool {
        true
    }

    /// Gives up a descriptor that is not this file's any more: it is neither used nor closed from now on.
    fn disown(&self) {}
}
