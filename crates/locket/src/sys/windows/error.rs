//! libuv's numbers for the error codes of Windows.

use std::io;

use windows_sys::Win32::Foundation as win32;

use crate::sys::KernelLock;

/// The system call that takes [`KernelLock::Flock`].
pub(crate) const LOCK_CALL: &str = "LockFileEx";

/// The system call that starts a thread.
pub(crate) const THREAD_CALL: &str = "CreateThread";

/// libuv's number for its error where there can be no more threads.
pub(crate) const EAGAIN: i32 = -4088;

/// libuv's numbers on Windows, from its `uv/errno.h`.
mod uv {
    pub(crate) const EACCES: i32 = -4092;
    pub(crate) const EBADF: i32 = -4083;
    pub(crate) const EBUSY: i32 = -4082;
    pub(crate) const EEXIST: i32 = -4075;
    pub(crate) const EINVAL: i32 = -4071;
    pub(crate) const EIO: i32 = -4070;
    pub(crate) const EISDIR: i32 = -4068;
    pub(crate) const ELOOP: i32 = -4067;
    pub(crate) const EMFILE: i32 = -4066;
    pub(crate) const ENAMETOOLONG: i32 = -4064;
    pub(crate) const ENOENT: i32 = -4058;
    pub(crate) const ENOMEM: i32 = -4057;
    pub(crate) const ENOSPC: i32 = -4055;
    pub(crate) const ENOTEMPTY: i32 = -4051;
    pub(crate) const ENOTSUP: i32 = -4049;
    pub(crate) const EPERM: i32 = -4048;
    pub(crate) const EROFS: i32 = -4047;
}

/// libuv's number for ENOTSUP.
pub(crate) const UV_ENOTSUP: i32 = uv::ENOTSUP;

/// Returns the error of a path that cannot be locked in this way.
pub(crate) fn invalid_argument() -> io::Error {
    io::Error::from_raw_os_error(win32::ERROR_INVALID_PARAMETER.cast_signed())
}

/// Returns libuv's number for the error, by the entries of its table (`uv_translate_sys_error`) that opening and locking a
/// file can need, and for ERROR_DIRECTORY, with which `open` refuses a folder.
pub(crate) fn uv_errno(error: &io::Error) -> i32 {
    let Some(code) = code_of(error) else { return uv::EIO };
    match code {
        win32::ERROR_NOACCESS | win32::ERROR_ELEVATION_REQUIRED => uv::EACCES,
        win32::ERROR_INVALID_HANDLE => uv::EBADF,
        win32::ERROR_LOCK_VIOLATION | win32::ERROR_SHARING_VIOLATION => uv::EBUSY,
        win32::ERROR_ALREADY_EXISTS | win32::ERROR_FILE_EXISTS => uv::EEXIST,
        win32::ERROR_INVALID_PARAMETER | win32::ERROR_INVALID_DATA => uv::EINVAL,
        win32::ERROR_DIRECTORY => uv::EISDIR,
        win32::ERROR_CANT_RESOLVE_FILENAME => uv::ELOOP,
        win32::ERROR_TOO_MANY_OPEN_FILES => uv::EMFILE,
        win32::ERROR_FILENAME_EXCED_RANGE | win32::ERROR_BUFFER_OVERFLOW => uv::ENAMETOOLONG,
        win32::ERROR_FILE_NOT_FOUND
        | win32::ERROR_PATH_NOT_FOUND
        | win32::ERROR_INVALID_NAME
        | win32::ERROR_INVALID_DRIVE
        | win32::ERROR_BAD_PATHNAME
        | win32::ERROR_BAD_NETPATH
        | win32::ERROR_MOD_NOT_FOUND => uv::ENOENT,
        win32::ERROR_NOT_ENOUGH_MEMORY | win32::ERROR_OUTOFMEMORY => uv::ENOMEM,
        win32::ERROR_DISK_FULL | win32::ERROR_HANDLE_DISK_FULL => uv::ENOSPC,
        win32::ERROR_DIR_NOT_EMPTY => uv::ENOTEMPTY,
        win32::ERROR_NOT_SUPPORTED | win32::ERROR_INVALID_FUNCTION => uv::ENOTSUP,
        win32::ERROR_ACCESS_DENIED | win32::ERROR_PRIVILEGE_NOT_HELD => uv::EPERM,
        win32::ERROR_WRITE_PROTECT => uv::EROFS,
        _ => uv::EIO,
    }
}

/// Returns the code of the error.
pub(super) fn code_of(error: &io::Error) -> Option<win32::WIN32_ERROR> {
    error.raw_os_error().map(i32::cast_unsigned)
}

/// Returns the error with this code.
pub(super) fn error_of(code: win32::WIN32_ERROR) -> io::Error {
    io::Error::from_raw_os_error(code.cast_signed())
}

/// Returns true if the error of a lock call says that the file system does not support locks.
pub(crate) fn is_unsupported(error: &io::Error, _: KernelLock) -> bool {
    matches!(
        code_of(error),
        Some(win32::ERROR_NOT_SUPPORTED | win32::ERROR_INVALID_FUNCTION | win32::ERROR_NO_SYSTEM_RESOURCES)
    )
}

/// Returns true if the error says that the file is gone, and that its path has to be looked up again. Windows has no
/// such error.
pub(crate) fn is_stale(_: &io::Error) -> bool {
    false
}

/// Returns true if the error of opening a file says that another program has opened it without sharing, which is worth
/// waiting for.
pub(crate) fn is_busy(error: &io::Error) -> bool {
    code_of(error) == Some(win32::ERROR_SHARING_VIOLATION)
}

/// Returns true if the error says that this process has no handle left.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    code_of(error) == Some(win32::ERROR_TOO_MANY_OPEN_FILES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sharing_violation_is_worth_waiting_for() {
        let busy = |code| is_busy(&error_of(code));
        assert!(busy(win32::ERROR_SHARING_VIOLATION));
        assert!(!busy(win32::ERROR_ACCESS_DENIED) && !busy(win32::ERROR_LOCK_VIOLATION));
        assert!(!is_busy(&io::ErrorKind::Other.into()));
    }
}
