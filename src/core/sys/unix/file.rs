//! Lock files: opened so that nothing is followed, truncated or waited for, and locked with flock(2).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use fs4::{FileExt, TryLockError};

use crate::core::kernel::{LockFile, LockMode};

/// Which file it is: two paths with equal identities name one file, as long as it is kept open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(metadata: &fs::Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// A lock file that is open.
pub struct OpenFile {
    file: File,
    identity: Identity,
}

impl OpenFile {
    /// Which file it is.
    pub fn identity(&self) -> Identity {
        self.identity
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
        let missing = match open_existing(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => error,
            opened => break opened?,
        };
        let Some(mode) = create else { return Err(missing) };
        match options().write(true).create_new(true).mode(mode).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => break created?,
        }
        rounds -= 1;
        if rounds == 0 {
            return Err(missing);
        }
    };
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    Ok(OpenFile { identity: Identity::of(&metadata), file })
}

/// For reading and writing (NFS locks exclusively only what is open for writing), or for reading alone.
fn open_existing(path: &Path) -> io::Result<File> {
    match options().write(true).open(path) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM | libc::EROFS)) => {
            // Where reading is refused too, the first answer tells more: EROFS, say.
            options().open(path).map_err(|_| error)
        }
        opened => opened,
    }
}

/// O_NONBLOCK: a FIFO must not hang us. O_NOCTTY: a terminal must not become ours. std adds O_CLOEXEC.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    options
}

/// Which file `path` names now, if any.
pub fn identity_at(path: &Path) -> io::Result<Option<Identity>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(Identity::of(&metadata))),
        // ENOTDIR, ELOOP: somebody put another thing where a folder of the path was.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP)) => {
            Ok(None)
        }
        Err(error) => Err(error),
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
        fs::remove_file(path)
    }
}

/// Keeps this library mapped when Node unloads it. With glibc the linker has seen to it (see `build.rs`); musl never unloads, and macOS never
/// unloads a library that has thread-locals.
pub fn pin_library() {}
