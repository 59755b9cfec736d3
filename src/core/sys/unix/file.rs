//! Lock files: opened so that nothing is followed, truncated or waited for, and locked with flock(2).

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use fs4::{FileExt, TryLockError};
use rustix::fs::{FileType, Mode, OFlags, RawMode, Stat};
use rustix::io::{Errno, retry_on_intr};

use super::cached::is_local;
use crate::core::kernel::{LockFile, LockMode};

/// Which file it is: two paths with equal identities name one file, as long as it is kept open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    // The inode first: it differs where the device mostly does not.
    inode: u64,
    device: u64,
}

impl Identity {
    /// The file of this inode on this device.
    pub const fn new(device: u64, inode: u64) -> Self {
        Self { inode, device }
    }

    /// May both be on one file system?
    pub fn is_beside(&self, other: &Self) -> bool {
        self.device == other.device
    }

    #[allow(clippy::unnecessary_cast, reason = "a device number has 32 bits and a sign on macOS")]
    fn of(stat: &Stat) -> Self {
        Self::new(stat.st_dev as u64, stat.st_ino)
    }
}

/// A lock file that is open.
pub struct OpenFile {
    file: File,
    identity: Identity,
}

impl OpenFile {
    /// A file that has just been opened. A folder is none.
    pub(super) fn new(file: File) -> io::Result<Self> {
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode).is_dir() {
            return Err(Errno::ISDIR.into());
        }
        Ok(Self { identity: Identity::of(&stat), file })
    }

    /// Which file it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Is it on a file system of this machine, as far as can be told?
    pub fn is_local(&self) -> bool {
        is_local(&self.file)
    }
}

/// How often opening and creating take turns when others create and delete the file all the while.
/// Each round is lost only if the file comes and goes within two system calls.
const OPEN_ROUNDS: u32 = 128;

/// Opens the lock file, and creates it with the permission bits `create`, less the umask, if it is missing.
///
/// What exists is opened without O_CREAT first: with `fs.protected_regular` the kernel refuses O_CREAT on
/// another user's file in a sticky folder. What is missing is created with O_EXCL, which never follows a
/// dangling symbolic link; for that one the answer stays ENOENT.
pub fn open(path: &Path, create: Option<u32>) -> io::Result<OpenFile> {
    let mut rounds = OPEN_ROUNDS;
    let file = loop {
        match open_existing(path) {
            Err(Errno::NOENT) => {}
            opened => break opened?,
        }
        let Some(mode) = create else { return Err(Errno::NOENT.into()) };
        let mode = Mode::from_raw_mode(mode as RawMode);
        match open_with(path, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, mode) {
            Err(Errno::EXIST) => {}
            created => break created?,
        }
        rounds -= 1;
        if rounds == 0 {
            return Err(Errno::NOENT.into());
        }
    };
    OpenFile::new(file)
}

/// For reading and writing (NFS locks exclusively only what is open for writing), or for reading alone.
/// (ETXTBSY: it is the file of a running program.)
fn open_existing(path: &Path) -> Result<File, Errno> {
    match open_with(path, OFlags::RDWR, Mode::empty()) {
        Err(error @ (Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::TXTBSY)) => {
            // Where reading is refused too, the first answer tells more: EROFS, say.
            open_with(path, OFlags::RDONLY, Mode::empty()).map_err(|_| error)
        }
        opened => opened,
    }
}

/// O_NONBLOCK: a FIFO must not hang us. O_NOCTTY: a terminal must not become ours. O_CLOEXEC: a child inherits no lock.
pub(super) const OPEN_FLAGS: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

fn open_with(path: &Path, flags: OFlags, mode: Mode) -> Result<File, Errno> {
    let open = |flags| retry_on_intr(|| rustix::fs::open(path, flags, mode)).map(File::from);
    match open(flags | OPEN_FLAGS) {
        // Another program has a lease on the file, as Samba takes them, and has been asked to give it up. Who opens it
        // without O_NONBLOCK waits for that; the kernel takes the lease away in the end (`fs.lease-break-time`, 45 s).
        Err(Errno::AGAIN) if is_regular(path) => open(flags | OPEN_FLAGS.difference(OFlags::NONBLOCK)),
        opened => opened,
    }
}

/// Does `path` name a file proper, such as can be opened without O_NONBLOCK?
fn is_regular(path: &Path) -> bool {
    rustix::fs::stat(path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file())
}

/// Which file `path` names now, if any.
pub fn identity_at(path: &Path) -> io::Result<Option<Identity>> {
    match rustix::fs::stat(path) {
        Ok(stat) => Ok(Some(Identity::of(&stat))),
        // ENOTDIR, ELOOP: somebody put another thing where a folder of the path was.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl LockFile for OpenFile {
    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        loop {
            let result = match mode {
                LockMode::Exclusive => FileExt::try_lock(&self.file),
                LockMode::Shared => FileExt::try_lock_shared(&self.file),
            };
            match result {
                Ok(()) => return Ok(true),
                Err(TryLockError::WouldBlock) => return Ok(false),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    fn lock(&self, mode: LockMode) -> io::Result<()> {
        match mode {
            LockMode::Exclusive => FileExt::lock(&self.file),
            LockMode::Shared => FileExt::lock_shared(&self.file),
        }
    }

    fn unlock(&self) {
        // It can fail on a network mount that has gone; then closing, or the server, ends the lock.
        let _ = FileExt::unlock(&self.file);
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        Ok(identity_at(path)? == Some(self.identity))
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        if Identity::of(&rustix::fs::lstat(path)?) == self.identity { fs::remove_file(path) } else { Ok(()) }
    }

    fn descriptor(&self) -> Option<i32> {
        Some(self.file.as_raw_fd())
    }
}

/// Keeps this library mapped when Node unloads it. With glibc the linker has seen to it (see `build.rs`); musl never
/// unloads, and macOS never unloads a library that has thread-locals.
pub fn pin_library() {}
