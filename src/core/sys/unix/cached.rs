//! Opening without waiting: for a thread that must not be held up by a disk or a server.
//!
//! Linux looks a path up without leaving memory, if asked to (RESOLVE_CACHED, since 5.12; io_uring tries so before it
//! takes a thread). On a file system of this machine nothing else of a lock waits either.

#[cfg(target_os = "linux")]
pub use linux::{is_local, open_cached};

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{is_local, open_cached};

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
    use rustix::io::Errno;

    use super::super::file::{OPEN_FLAGS, OpenFile};

    /// File systems that answer from memory what is in memory, by the magic numbers of statfs(2): ext2 to ext4, XFS,
    /// btrfs, F2FS, tmpfs. Not overlayfs, which may copy a whole file when it is opened for writing.
    const LOCAL: [u32; 5] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994];

    /// Is the file on a file system of this machine?
    pub fn is_local(file: &File) -> bool {
        rustix::fs::fstatfs(file).is_ok_and(|system| LOCAL.contains(&(system.f_type as u32)))
    }

    /// Opens the lock file at `path`, which was on a local file system when it was last opened. `None`: that would
    /// take a while, or cannot be done; a thread that may wait has to see.
    pub fn open_cached(path: &Path) -> Option<OpenFile> {
        /// The kernel does not know how, or may not: it need not be asked again.
        static UNKNOWN: AtomicBool = AtomicBool::new(false);
        if UNKNOWN.load(Ordering::Relaxed) {
            return None;
        }
        let flags = OFlags::RDWR | OPEN_FLAGS;
        match rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED) {
            Ok(file) => OpenFile::new(File::from(file)).ok(),
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
    use std::fs::File;
    use std::path::Path;

    use super::super::file::OpenFile;

    /// Is the file known to be on a file system of this machine? Nobody asks the system here.
    pub fn is_local(_: &File) -> bool {
        false
    }

    /// Opens the lock file at `path` without waiting. `None`: that cannot be told here.
    pub fn open_cached(_: &Path) -> Option<OpenFile> {
        None
    }
}
