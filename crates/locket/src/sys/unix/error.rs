//! libuv's numbers for errors: on Unix, errno negated.

use std::io;

use crate::sys::KernelLock;

/// The system call that takes [`KernelLock::Flock`].
pub(crate) const LOCK_CALL: &str = "flock";

/// The system call that starts a thread.
pub(crate) const THREAD_CALL: &str = "pthread_create";

/// libuv's number for its error where there can be no more threads.
pub(crate) const EAGAIN: i32 = -libc::EAGAIN;

/// libuv's number for ENOTSUP.
pub(crate) const UV_ENOTSUP: i32 = -libc::ENOTSUP;

/// Returns the error of a path that cannot be locked in this way.
pub(crate) fn invalid_argument() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

/// Returns libuv's number for the error.
pub(crate) fn uv_errno(error: &io::Error) -> i32 {
    -error.raw_os_error().unwrap_or(libc::EIO)
}

/// Returns true if the error of a lock call says that the file system or the system does not support this lock.
///
/// The numbers overlap on some systems (EOPNOTSUPP is ENOTSUP on Linux), so they are compared, not matched.
pub(crate) fn is_unsupported(error: &io::Error, lock: KernelLock) -> bool {
    /// ENOTSUPP, an internal error of Linux that some file systems return.
    const INTERNAL: i32 = 524;
    let number = error.raw_os_error();
    [libc::ENOLCK, libc::ENOSYS, libc::EOPNOTSUPP, libc::ENOTSUP].iter().any(|&n| number == Some(n))
        || cfg!(any(target_os = "linux", target_os = "android")) && number == Some(INTERNAL)
        // Before Linux 3.15.
        || lock == KernelLock::Fcntl && number == Some(libc::EINVAL)
}

/// Returns true if the error says that the file is gone, and that its path has to be looked up again: a server has
/// deleted it.
pub(crate) fn is_stale(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ESTALE)
}

/// Returns true if the error of opening a file says that another program has it open, and that this is worth waiting for: it
/// was deleted from an SMB server. The system itself has no such error.
pub(crate) fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ResourceBusy && error.raw_os_error().is_none()
}

/// Returns true if the error says that this process, or the system, has no descriptor left.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_that_is_gone_from_its_server_is_stale_and_the_system_calls_nothing_busy() {
        let error = io::Error::from_raw_os_error;
        assert!(is_stale(&error(libc::ESTALE)));
        assert!(!is_stale(&error(libc::ENOENT)) && !is_stale(&io::ErrorKind::NotFound.into()));
        assert!(!is_busy(&error(libc::ETXTBSY)) && !is_busy(&error(libc::EBUSY)));
        assert!(is_busy(&io::ErrorKind::ResourceBusy.into()));
    }

    #[test]
    fn a_lock_is_unsupported_where_the_file_system_or_the_kernel_does_not_know_it() {
        let is_unsupported = |number, lock| is_unsupported(&io::Error::from_raw_os_error(number), lock);
        for lock in [KernelLock::Flock, KernelLock::Fcntl] {
            for number in [libc::ENOLCK, libc::ENOSYS, libc::EOPNOTSUPP, libc::ENOTSUP] {
                assert!(is_unsupported(number, lock), "{number}");
            }
            for number in [libc::EIO, libc::EBADF, libc::EACCES, libc::EDEADLK] {
                assert!(!is_unsupported(number, lock), "{number}");
            }
        }
        assert!(
            is_unsupported(libc::EINVAL, KernelLock::Fcntl)
                && !is_unsupported(libc::EINVAL, KernelLock::Flock)
        );
    }
}
