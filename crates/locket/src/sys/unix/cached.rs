//! Opens files on threads that must not wait for a disk or a server.
//!
//! Linux can look a path up in memory alone (RESOLVE_CACHED, since 5.12; io_uring tries that before it uses a thread). On a
//! file system of this machine no other step of locking waits either.

#[cfg(target_os = "linux")]
pub(crate) use linux::open_cached;

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::open_cached;

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
    use rustix::io::Errno;

    use super::super::lock_file::{Access, OpenFile};
    use super::super::open::OPEN_FLAGS;
    use crate::sys::OpenHow;

    /// Opens the lock file at `path`, which was on a local file system when it was last opened. Returns `None` if that
    /// fails, or would take a while: then a thread that may wait has to open it. Creates nothing.
    pub(crate) fn open_cached(path: &Path, how: &OpenHow) -> Option<OpenFile> {
        /// The kernel does not support that, or a sandbox forbids it: it is not tried again.
        static UNKNOWN: AtomicBool = AtomicBool::new(false);
        if UNKNOWN.load(Ordering::Relaxed) {
            return None;
        }
        let flags = OFlags::RDONLY | OPEN_FLAGS;
        match rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED) {
            Ok(file) => OpenFile::new(File::from(file), Access::Partial, path, how).ok(),
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => {
                UNKNOWN.store(true, Ordering::Relaxed);
                None
            }
            Err(_) => None,
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::path::Path;

    use super::super::lock_file::OpenFile;
    use crate::sys::OpenHow;

    /// Returns `None`: no other system opens files without waiting.
    pub(crate) fn open_cached(_: &Path, _: &OpenHow) -> Option<OpenFile> {
        None
    }
}
