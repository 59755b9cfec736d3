//! Errors as libuv numbers them: on Unix, errno negated.

use std::io;

/// The system call that locks.
pub const LOCK_CALL: &str = "flock";

/// The system call that makes a thread.
pub const THREAD_CALL: &str = "pthread_create";

/// What it fails with where there can be no more threads, as libuv has it.
pub const EAGAIN: i32 = -libc::EAGAIN;

/// The error's number as libuv has it.
pub fn uv_errno(error: &io::Error) -> i32 {
    -error.raw_os_error().unwrap_or(libc::EIO)
}

/// Does the error of a lock call say that this file system cannot lock?
///
/// The numbers overlap on some systems (EOPNOTSUPP is ENOTSUP on Linux), so they are compared, not matched.
pub fn is_unsupported(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    [libc::ENOLCK, libc::ENOSYS, libc::EOPNOTSUPP, libc::ENOTSUP].iter().any(|&n| number == Some(n))
}
