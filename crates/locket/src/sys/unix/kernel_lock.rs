//! Takes the kernel's locks: that of flock(2), and the record lock of fcntl(2).
//!
//! The record lock is taken for an open file description. lockf(3) takes the same lock for a process: the two exclude each
//! other, but that of a process does not exclude its own threads, and goes as soon as the process closes any descriptor of
//! the file.

use std::fs::File;
use std::io;

use fs4::{FileExt, TryLockError};

use super::file_system::is_smb;
use crate::sys::{KernelLock, LockMode};

impl KernelLock {
    /// Tries once to lock `file`. Returns false if the lock is held elsewhere.
    pub(super) fn try_lock(self, file: &File, mode: LockMode) -> io::Result<bool> {
        loop {
            let result = match (self, mode) {
                (Self::Flock, LockMode::Exclusive) => FileExt::try_lock(file),
                (Self::Flock, LockMode::Shared) => FileExt::try_lock_shared(file),
                (Self::Fcntl, _) => match record_lock(file, Call::Try, mode.into()) {
                    Ok(_) => Ok(()),
                    Err(error) => Err(TryLockError::Error(error)),
                },
            };
            match result {
                Ok(()) => return Ok(true),
                Err(TryLockError::WouldBlock) => return Ok(false),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) if says_held(&error, || is_smb(file)) => {
                    return Ok(false);
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// Waits in the kernel until `file` is locked. Fails with [`io::ErrorKind::Interrupted`] if the thread is interrupted.
    pub(super) fn lock(self, file: &File, mode: LockMode) -> io::Result<()> {
        match (self, mode) {
            (Self::Flock, LockMode::Exclusive) => FileExt::lock(file),
            (Self::Flock, LockMode::Shared) => FileExt::lock_shared(file),
            (Self::Fcntl, _) => record_lock(file, Call::Wait, mode.into()).map(drop),
        }
    }

    /// Unlocks `file`.
    pub(super) fn unlock(self, file: &File) -> io::Result<()> {
        match self {
            Self::Flock => FileExt::unlock(file),
            Self::Fcntl => record_lock(file, Call::Try, Kind::None).map(drop),
        }
    }
}

/// Returns true if the error of a try says that the lock is held elsewhere. `is_smb` returns true if the file is on an SMB
/// server, whose answer the kernel takes for a lack of permission. (POSIX lets fcntl(2) answer so anywhere, but these
/// systems do not: elsewhere it is their security policy that refuses locks.)
fn says_held(error: &io::Error, is_smb: impl FnOnce() -> bool) -> bool {
    match error.raw_os_error() {
        Some(libc::EACCES) => is_smb(),
        number => number == Some(libc::EAGAIN),
    }
}

/// Returns true if there is a record lock on any part of `file`, other than one that `file` has itself.
pub(super) fn has_record_lock(file: &File) -> io::Result<bool> {
    // An exclusive lock would conflict with all others, also with those of this very process.
    record_lock(file, Call::Ask, Kind::Exclusive)
}

/// What is asked of fcntl(2).
#[derive(Clone, Copy)]
enum Call {
    Try,
    Wait,
    Ask,
}

/// A kind of record lock.
#[derive(Clone, Copy)]
enum Kind {
    Exclusive,
    Shared,
    None,
}

impl From<LockMode> for Kind {
    fn from(mode: LockMode) -> Self {
        match mode {
            LockMode::Exclusive => Self::Exclusive,
            LockMode::Shared => Self::Shared,
        }
    }
}

/// Makes a call about a lock of this kind on the whole of `file`. Returns true if the call asks, and a lock is in the way.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
#[allow(clippy::cast_possible_truncation, reason = "the numbers are small, and their types differ by system")]
fn record_lock(file: &File, call: Call, kind: Kind) -> io::Result<bool> {
    use std::os::fd::AsRawFd;

    let number = |kind| match kind {
        Kind::Exclusive => libc::F_WRLCK as libc::c_short,
        Kind::Shared => libc::F_RDLCK as libc::c_short,
        Kind::None => libc::F_UNLCK as libc::c_short,
    };
    let command = match call {
        Call::Try => libc::F_OFD_SETLK,
        Call::Wait => libc::F_OFD_SETLKW,
        Call::Ask => libc::F_OFD_GETLK,
    };
    // SAFETY: its zeroes are valid: from the beginning of the file to its end, and of no process.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = number(kind);
    // SAFETY: the descriptor is open as long as `file` is borrowed, and the structure belongs to this function.
    if unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(matches!(call, Call::Ask) && lock.l_type != number(Kind::None))
}

/// Fails: the record locks of this system belong to processes alone ([`KernelLock::is_available`]).
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn record_lock(_: &File, _: Call, _: Kind) -> io::Result<bool> {
    Err(rustix::io::Errno::NOTSUP.into())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use rustix::fs::{FlockOperation, fcntl_lock};

    use super::*;
    use KernelLock::{Fcntl, Flock};
    use LockMode::{Exclusive, Shared};

    fn file_in(folder: &tempfile::TempDir) -> PathBuf {
        folder.path().join("test.lock")
    }

    fn open(path: &Path) -> File {
        File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap()
    }

    #[test]
    fn on_smb_a_lock_that_is_refused_for_lack_of_permission_is_held_and_nowhere_else() {
        let error = io::Error::from_raw_os_error;
        assert!(says_held(&error(libc::EACCES), || true));
        assert!(!says_held(&error(libc::EACCES), || false));
        assert!(says_held(&error(libc::EAGAIN), || false));
        for number in [libc::EIO, libc::EBADF, libc::EDEADLK, libc::ENOLCK] {
            assert!(!says_held(&error(number), || true), "{number}");
        }
    }

    #[test]
    fn each_of_the_two_locks_excludes_its_like_and_not_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| open(&file_in(&folder)));
        for lock in [Flock, Fcntl] {
            assert!(lock.try_lock(&one, Exclusive).unwrap());
            assert!(!lock.try_lock(&other, Exclusive).unwrap() && !lock.try_lock(&other, Shared).unwrap());
        }
        Flock.unlock(&one).unwrap();
        assert!(Flock.try_lock(&other, Exclusive).unwrap() && !Fcntl.try_lock(&other, Exclusive).unwrap());
        Fcntl.unlock(&one).unwrap();
        assert!(Fcntl.try_lock(&other, Shared).unwrap() && Fcntl.try_lock(&one, Shared).unwrap());
        assert!(!Fcntl.try_lock(&other, Exclusive).unwrap());
    }

    #[test]
    fn a_record_lock_excludes_locks_of_processes_on_any_part_of_the_file_and_is_excluded_by_them() {
        let folder = tempfile::tempdir().unwrap();
        let [ours, theirs] = [(); 2].map(|()| open(&file_in(&folder)));
        assert!(!has_record_lock(&ours).unwrap());
        fcntl_lock(&theirs, FlockOperation::NonBlockingLockShared).unwrap();
        assert!(has_record_lock(&ours).unwrap() && Fcntl.try_lock(&ours, Shared).unwrap());
        assert!(!Fcntl.try_lock(&ours, Exclusive).unwrap());
        assert!(fcntl_lock(&theirs, FlockOperation::NonBlockingLockExclusive).is_err());
        fcntl_lock(&theirs, FlockOperation::Unlock).unwrap();
        assert!(!has_record_lock(&ours).unwrap(), "its own lock counted");
        assert!(Fcntl.try_lock(&ours, Exclusive).unwrap());
        assert!(fcntl_lock(&theirs, FlockOperation::NonBlockingLockShared).is_err());
    }

    #[test]
    fn a_record_lock_stays_when_another_descriptor_of_the_file_is_closed_and_goes_with_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let [ours, other] = [(); 2].map(|()| open(&file_in(&folder)));
        assert!(Fcntl.try_lock(&ours, Exclusive).unwrap());
        drop(open(&file_in(&folder)));
        assert!(!Fcntl.try_lock(&other, Exclusive).unwrap());
        drop(ours);
        assert!(Fcntl.try_lock(&other, Exclusive).unwrap());
    }
}
