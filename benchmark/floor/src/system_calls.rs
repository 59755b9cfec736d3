//! The system calls of a lock that is free.

use std::ffi::{CStr, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Open, lock, look whether the path still names the file that was locked, unlock, close.
pub fn lock_properly(path: &CStr) -> io::Result<()> {
    let file = open(path)?;
    let opened = stat_of(|stat| {
        // SAFETY: the descriptor is open, and `stat` has room for what is written.
        unsafe { libc::fstat(file.as_raw_fd(), stat) }
    })?;
    flock(&file, libc::LOCK_EX | libc::LOCK_NB)?;
    let named = stat_of(|stat| {
        // SAFETY: `path` ends with a NUL, and `stat` has room for what is written.
        unsafe { libc::stat(path.as_ptr(), stat) }
    })?;
    if (opened.st_dev, opened.st_ino) != (named.st_dev, named.st_ino) {
        return Err(io::Error::other("the file has been replaced"));
    }
    // Closing would unlock too, but not while a child that is being spawned has a copy of the descriptor.
    flock(&file, libc::LOCK_UN)
}

/// Open, lock, close.
pub fn lock_barely(path: &CStr) -> io::Result<()> {
    flock(&open(path)?, libc::LOCK_EX | libc::LOCK_NB)
}

fn open(path: &CStr) -> io::Result<OwnedFd> {
    // SAFETY: `path` ends with a NUL.
    let descriptor = checked(unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) })?;
    // SAFETY: just opened, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn flock(file: &OwnedFd, operation: c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open.
    checked(unsafe { libc::flock(file.as_raw_fd(), operation) }).map(drop)
}

fn stat_of(call: impl FnOnce(*mut libc::stat) -> c_int) -> io::Result<libc::stat> {
    let mut stat = MaybeUninit::uninit();
    checked(call(stat.as_mut_ptr()))?;
    // SAFETY: the call has succeeded, so it has written all of it.
    Ok(unsafe { stat.assume_init() })
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
