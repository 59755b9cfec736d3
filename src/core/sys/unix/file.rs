//! Lock files: opened so that nothing is followed, truncated or waited for, and locked with flock(2).

use std::fs::{self, File};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use fs4::{FileExt, TryLockError};
use rustix::fs::{FileType, Mode, OFlags, RawMode, Stat};
use rustix::io::{Errno, retry_on_intr};

use super::file_system::{is_local, is_smb};
use crate::core::kernel::{LockFile, LockMode};
use crate::core::sys::Opening;

/// Which file it is: two paths with equal identities name one file, as long as it is kept open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    // The inode first: it differs where the device mostly does not.
    inode: u64,
    device: u64,
    /// A hash of the file's final path, where several files may have this inode; otherwise 0.
    name: u64,
}

impl Identity {
    /// The file of this inode on this device.
    pub const fn new(device: u64, inode: u64) -> Self {
        Self { inode, device, name: 0 }
    }

    /// May both be on one file system?
    pub fn is_beside(&self, other: &Self) -> bool {
        self.device == other.device
    }

    #[allow(clippy::unnecessary_cast, reason = "a device number has 32 bits and a sign on macOS")]
    fn of_stat(stat: &Stat) -> Self {
        Self::new(stat.st_dev as u64, stat.st_ino)
    }

    /// The identity of an open file, of which the system says this.
    fn of(file: &File, stat: &Stat) -> Result<Self, Errno> {
        let identity = Self::of_stat(stat);
        Ok(Self { name: name_if_needed(file, identity.inode)?, ..identity })
    }
}

/// A hash of the path that the system has for `file`, if the number does not identify it.
#[cfg(target_vendor = "apple")]
fn name_if_needed(file: &File, inode: u64) -> Result<u64, Errno> {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    if super::super::System::THIS.trusts_file_number(inode.into(), false) {
        return Ok(0);
    }
    let path = rustix::fs::getpath(file)?;
    Ok(BuildHasherDefault::<DefaultHasher>::default().hash_one(path) | 1)
}

/// The number identifies every file here.
#[cfg(not(target_vendor = "apple"))]
fn name_if_needed(_: &File, _: u64) -> Result<u64, Errno> {
    Ok(0)
}

/// How a file is open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Reading, or else writing, alone.
    Partial,
    /// Both.
    Full,
}

/// A lock file that is open.
pub struct OpenFile {
    file: ManuallyDrop<File>,
    identity: Identity,
    is_directory: bool,
    has_full_access: AtomicBool,
    /// The descriptor is not this file's any more.
    disowned: AtomicBool,
    /// By which it is opened anew. Linux needs none.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    path: Box<Path>,
}

impl OpenFile {
    /// A file that has just been opened. A folder is none, unless that is allowed.
    #[cfg_attr(any(target_os = "linux", target_os = "android"), allow(unused, reason = "the path"))]
    pub(super) fn new(file: File, access: Access, path: &Path, opening: &Opening) -> Result<Self, Errno> {
        let stat = rustix::fs::fstat(&file)?;
        let is_directory = FileType::from_raw_mode(stat.st_mode).is_dir();
        if is_directory && !opening.allow_directory {
            return Err(Errno::ISDIR);
        }
        Ok(Self {
            identity: Identity::of(&file, &stat)?,
            file: ManuallyDrop::new(file),
            is_directory,
            has_full_access: AtomicBool::new(access == Access::Full),
            disowned: AtomicBool::new(false),
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            path: path.into(),
        })
    }

    /// Which file it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Returns true if the file is known to be on a file system of this machine. The answer may be a second old.
    pub fn is_local(&self) -> bool {
        is_local(&self.file, self.identity.device)
    }

    /// Returns true if all processes that use the file, on whatever machine, are known to see at once when its path names
    /// another file. Otherwise a file that is removed while it is locked may be held by two.
    pub fn is_coherent(&self) -> bool {
        self.is_local()
    }

    /// Makes a lock call, and repeats it if the system first wants the file to be opened in another way (EBADF, as on
    /// NFS).
    fn locking<T>(&self, call: impl Fn(&File) -> io::Result<T>) -> io::Result<T> {
        if self.disowned.load(Ordering::Relaxed) {
            return Err(Errno::BADF.into());
        }
        match call(&self.file) {
            Err(error)
                if error.raw_os_error() == Some(libc::EBADF)
                    && !self.has_full_access.load(Ordering::Relaxed)
                    && self.is_intact() =>
            {
                if self.is_directory {
                    // It cannot be opened in any other way.
                    return Err(Errno::OPNOTSUPP.into());
                }
                self.gain_full_access()?;
                call(&self.file)
            }
            result => result,
        }
    }

    /// Opens the file anew for reading and writing, in place of its descriptor. Nothing is locked then.
    fn gain_full_access(&self) -> io::Result<()> {
        let file = self.open_anew()?;
        let stat = rustix::fs::fstat(&file)?;
        if Identity::of(&file, &stat)? != self.identity {
            // As if the system had told us: the path names another file by now.
            return Err(Errno::STALE.into());
        }
        replace_descriptor(&self.file, &file)?;
        self.has_full_access.store(true, Ordering::Relaxed);
        Ok(())
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn open_anew(&self) -> Result<File, Errno> {
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        // Without /proc there is no way; then the first answer holds.
        open_with(Path::new(&path), OFlags::RDWR, Mode::empty())
            .map_err(|error| if error == Errno::NOENT { Errno::BADF } else { error })
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn open_anew(&self) -> Result<File, Errno> {
        open_with(&self.path, OFlags::RDWR, Mode::empty())
    }
}

/// Makes the number of the one descriptor a copy of the other.
fn replace_descriptor(number: &File, by: &File) -> io::Result<()> {
    // Inherited by no child, which could keep a lock alive.
    // SAFETY: both are open, and nobody but us uses the number that is replaced.
    #[cfg(not(target_vendor = "apple"))]
    let replaced = unsafe { libc::dup3(by.as_raw_fd(), number.as_raw_fd(), libc::O_CLOEXEC) } != -1;
    // There is no dup3 here. Programs that start a child here say that it inherits nothing else
    // (POSIX_SPAWN_CLOEXEC_DEFAULT).
    // SAFETY: as above.
    #[cfg(target_vendor = "apple")]
    let replaced = unsafe {
        libc::dup2(by.as_raw_fd(), number.as_raw_fd()) != -1
            && libc::fcntl(number.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) != -1
    };
    if replaced { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if !*self.disowned.get_mut() {
            // SAFETY: the file is not used after this.
            unsafe { ManuallyDrop::drop(&mut self.file) };
        }
    }
}

/// How often opening and creating take turns when others create and delete the file all the while, and how often a path
/// is looked up that a server calls stale. Each round is lost only if the file comes and goes within two system calls.
const ROUNDS: u32 = 128;

/// Opens the lock file, and creates it with the permission bits `opening.create`, less the umask, if it is missing.
///
/// What exists is opened without O_CREAT first: with `fs.protected_regular` the kernel refuses O_CREAT on
/// another user's file in a sticky folder. What is missing is created with O_EXCL, which never follows a
/// dangling symbolic link; for that one the answer stays ENOENT.
pub fn open(path: &Path, opening: &Opening) -> io::Result<OpenFile> {
    let mut rounds = ROUNDS;
    loop {
        rounds -= 1;
        match open_once(path, opening) {
            // Somebody has just created it, or deleted it on its server.
            Err(Errno::EXIST | Errno::STALE) if rounds > 0 => {}
            Err(Errno::EXIST) => return Err(Errno::NOENT.into()),
            opened => return Ok(opened?),
        }
    }
}

fn open_once(path: &Path, opening: &Opening) -> Result<OpenFile, Errno> {
    match (open_existing(path, opening), opening.create) {
        (Err(Errno::NOENT), Some(mode)) => {
            let mode = Mode::from_raw_mode(mode as RawMode);
            let file = open_with(path, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, mode)?;
            OpenFile::new(file, Access::Full, path, opening)
        }
        (opened, _) => OpenFile::new(opened?, Access::Partial, path, opening),
    }
}

/// Opens the file for reading, or for writing if reading is forbidden. Opens it for both only if locking needs that
/// ([`OpenFile::locking`]): opening for writing copies a file up from a lower layer of an overlay, breaks read leases,
/// keeps the file from being run as a program, and tells watchers of a writer.
fn open_existing(path: &Path, opening: &Opening) -> Result<File, Errno> {
    match open_with(path, OFlags::RDONLY, Mode::empty()) {
        Err(error @ (Errno::ACCESS | Errno::PERM)) => {
            open_with(path, OFlags::WRONLY, Mode::empty()).map_err(|second| match second {
                // These tell more.
                Errno::ROFS => second,
                Errno::ISDIR if !opening.allow_directory => second,
                _ => error,
            })
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
    let mut rounds = ROUNDS;
    loop {
        rounds -= 1;
        match look_at(path) {
            // Deleted on its server: the next look goes there.
            Err(Errno::STALE) if rounds > 0 => {}
            // ENOTDIR, ELOOP: somebody put another thing where a folder of the path was.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            identity => return Ok(Some(identity?)),
        }
    }
}

#[cfg(not(target_vendor = "apple"))]
fn look_at(path: &Path) -> Result<Identity, Errno> {
    Ok(Identity::of_stat(&rustix::fs::stat(path)?))
}

/// Opens the file where its number alone does not identify it.
#[cfg(target_vendor = "apple")]
fn look_at(path: &Path) -> Result<Identity, Errno> {
    let identity = Identity::of_stat(&rustix::fs::stat(path)?);
    if super::super::System::THIS.trusts_file_number(identity.inode.into(), false) {
        return Ok(identity);
    }
    let file = open_with(path, OFlags::from_bits_retain(libc::O_EVTONLY as _), Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    Identity::of(&file, &stat)
}

impl LockFile for OpenFile {
    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        self.locking(|file| {
            loop {
                let result = match mode {
                    LockMode::Exclusive => FileExt::try_lock(file),
                    LockMode::Shared => FileExt::try_lock_shared(file),
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
        })
    }

    fn lock(&self, mode: LockMode) -> io::Result<()> {
        self.locking(|file| match mode {
            LockMode::Exclusive => FileExt::lock(file),
            LockMode::Shared => FileExt::lock_shared(file),
        })
    }

    fn unlock(&self) {
        if !self.disowned.load(Ordering::Relaxed) {
            // It can fail on a network mount that has gone; then closing, or the server, ends the lock.
            let _ = FileExt::unlock(&*self.file);
        }
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        Ok(identity_at(path)? == Some(self.identity))
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        if self.is_directory {
            return Ok(());
        }
        let there = Identity::of_stat(&rustix::fs::lstat(path)?);
        let named = Identity { name: 0, ..self.identity };
        let same = there == named && (self.identity == named || self.is_at(path)?);
        if same { fs::remove_file(path) } else { Ok(()) }
    }

    fn descriptor(&self) -> Option<i32> {
        (!self.disowned.load(Ordering::Relaxed)).then(|| self.file.as_raw_fd())
    }

    fn is_intact(&self) -> bool {
        if self.disowned.load(Ordering::Relaxed) {
            return false;
        }
        match identity_without_waiting(&self.file) {
            // A number that does not identify a file may change when the file is written.
            Ok(now) => {
                now.is_beside(&self.identity) && (now.inode == self.identity.inode || self.identity.name != 0)
            }
            // Another failure is one of the file, which is ours.
            Err(error) => error != Errno::BADF,
        }
    }

    fn disown(&self) {
        self.disowned.store(true, Ordering::Relaxed);
    }
}

/// Returns which file it is, as far as this machine knows: a server that does not answer must not hold up a release.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn identity_without_waiting(file: &File) -> Result<Identity, Errno> {
    use rustix::fs::{AtFlags, StatxFlags, makedev, statx};

    match statx(file, c"", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, StatxFlags::INO) {
        Ok(stat) => Ok(Identity::new(makedev(stat.stx_dev_major, stat.stx_dev_minor), stat.stx_ino)),
        // Before Linux 4.11, or where a sandbox does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => Ok(Identity::of_stat(&rustix::fs::fstat(file)?)),
        Err(error) => Err(error),
    }
}

/// Which file it is.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn identity_without_waiting(file: &File) -> Result<Identity, Errno> {
    Ok(Identity::of_stat(&rustix::fs::fstat(file)?))
}

/// Returns whether the error of an attempt to lock says that somebody else has the lock. `is_smb` returns whether the
/// file is on an SMB server: its answer is one that the kernel takes for a lack of permission.
fn says_held(error: &io::Error, is_smb: impl FnOnce() -> bool) -> bool {
    error.raw_os_error() == Some(libc::EACCES) && is_smb()
}

/// Keeps this library mapped when Node unloads it. With glibc the linker has seen to it (see `build.rs`); musl never
/// unloads, and macOS never unloads a library that has thread-locals.
pub fn pin_library() {}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    const READ: Opening = Opening { create: Some(0o666), allow_directory: false };

    /// A lock file that is there, and open as such ones are.
    fn opened(folder: &Path) -> OpenFile {
        let path = folder.join("test.lock");
        fs::write(&path, "").unwrap();
        open(&path, &READ).unwrap()
    }

    fn flags_of(file: &OpenFile) -> (OFlags, rustix::io::FdFlags) {
        let flags = rustix::fs::fcntl_getfl(&*file.file).unwrap();
        (flags & OFlags::ACCMODE, rustix::io::fcntl_getfd(&*file.file).unwrap())
    }

    #[test]
    fn on_smb_a_lock_that_is_refused_for_lack_of_permission_is_held_and_nowhere_else() {
        let error = io::Error::from_raw_os_error;
        assert!(says_held(&error(libc::EACCES), || true));
        assert!(!says_held(&error(libc::EACCES), || false));
        assert!(!says_held(&error(libc::EIO), || true));
    }

    #[test]
    fn a_file_that_is_opened_anew_keeps_its_descriptor_and_is_inherited_by_no_child() {
        let folder = tempfile::tempdir().unwrap();
        let file = opened(folder.path());
        let number = file.descriptor();
        assert_eq!(flags_of(&file), (OFlags::RDONLY, rustix::io::FdFlags::CLOEXEC));
        file.gain_full_access().unwrap();
        assert_eq!(file.descriptor(), number);
        assert_eq!(flags_of(&file), (OFlags::RDWR, rustix::io::FdFlags::CLOEXEC));
        assert!(file.is_intact() && file.try_lock(LockMode::Exclusive).unwrap());
    }

    #[test]
    fn a_file_whose_path_names_another_by_now_is_not_taken_for_that_one_when_it_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = opened(folder.path());
        let path = folder.path().join("test.lock");
        fs::rename(&path, folder.path().join("moved")).unwrap();
        fs::write(&path, "").unwrap();
        // Linux finds the old one; elsewhere the path is all there is.
        if let Err(error) = file.gain_full_access() {
            assert_eq!(error.raw_os_error(), Some(libc::ESTALE));
        }
        assert!(file.is_intact());
        assert!(!file.is_at(&path).unwrap());
    }

    #[test]
    fn a_descriptor_that_belongs_to_another_file_by_now_is_told_and_not_closed_once_it_is_disowned() {
        let folder = tempfile::tempdir().unwrap();
        let file = opened(folder.path());
        let other = File::create(folder.path().join("other")).unwrap();
        assert!(file.is_intact());
        // As if somebody had closed it, and opened another file.
        replace_descriptor(&file.file, &other).unwrap();
        assert!(!file.is_intact());
        let number = file.descriptor().unwrap();
        file.disown();
        assert!(!file.is_intact());
        assert_eq!(file.descriptor(), None);
        assert_eq!(file.try_lock(LockMode::Shared).unwrap_err().raw_os_error(), Some(libc::EBADF));
        file.unlock();
        drop(file);
        // The number is as good as it was.
        let theirs = fs::metadata(format!("/dev/fd/{number}")).unwrap();
        assert_eq!(theirs.ino(), other.metadata().unwrap().ino());
    }

    #[test]
    fn a_folder_is_opened_only_where_that_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let error = open(folder.path(), &READ).err().unwrap();
        assert_eq!(error.raw_os_error(), Some(libc::EISDIR));
        let file = open(folder.path(), &Opening { allow_directory: true, ..READ }).unwrap();
        assert!(file.try_lock(LockMode::Exclusive).unwrap());
        file.unlink(folder.path()).unwrap();
        assert!(file.is_at(folder.path()).unwrap());
    }
}
