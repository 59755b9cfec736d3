//! Open lock files.

use std::fs::{self, File};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::file_id::{FileId, find_at, find_on_server, find_without_waiting};
use super::file_system::{Kind, forget_names, kind_of};
use super::kernel_lock::has_record_lock;
use super::open::open_with;
use crate::sys::{KernelLock, LockFile, LockMode, OpenHow, SystemError};

/// How a file is open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// For reading alone.
    Reading,
    /// For writing alone.
    Writing,
    /// For both.
    Full,
}

/// A lock file that is open.
pub(crate) struct OpenFile {
    file: ManuallyDrop<File>,
    /// The id of the file. That of the lock is [`LockFile::id`].
    id: FileId,
    lock: KernelLock,
    is_directory: bool,
    /// It had names when it was opened. Some programs that serve a file system do not count them.
    has_links: bool,
    /// It is a regular file, and was opened for reading alone.
    is_plain: bool,
    is_empty: AtomicBool,
    has_full_access: AtomicBool,
    /// The descriptor is not this file's any more.
    disowned: AtomicBool,
    /// The path by which it is opened anew. Linux does not need it.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    path: Box<Path>,
}

impl OpenFile {
    /// Returns a lock file that has just been opened. A folder is EISDIR, unless it is allowed.
    #[cfg_attr(any(target_os = "linux", target_os = "android"), allow(unused, reason = "the path"))]
    pub(crate) fn new(file: File, access: Access, path: &Path, how: &OpenHow) -> Result<Self, Errno> {
        let stat = rustix::fs::fstat(&file)?;
        let file_type = FileType::from_raw_mode(stat.st_mode);
        let is_directory = file_type.is_dir();
        if is_directory && !how.allow_directory {
            return Err(Errno::ISDIR);
        }
        Ok(Self {
            id: FileId::of(&file, &stat)?,
            lock: KernelLock::of(how.protocol.protocol),
            file: ManuallyDrop::new(file),
            is_directory,
            has_links: stat.st_nlink > 0,
            is_plain: file_type.is_file() && access == Access::Reading,
            is_empty: AtomicBool::new(stat.st_size == 0),
            has_full_access: AtomicBool::new(access == Access::Full),
            disowned: AtomicBool::new(false),
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            path: path.into(),
        })
    }

    /// Returns true if it is on a network and had no name when it was opened.
    pub(super) fn is_nameless(&self) -> bool {
        !self.has_links && !self.is_directory && !self.is_local()
    }

    /// Returns true if the kernel may give other descriptors of this process the same handle at the server.
    pub(super) fn may_be_shared(&self) -> bool {
        !self.is_directory && self.kind() == Kind::Smb
    }

    /// Returns the kind of file system that the file is on. The answer may be a second old.
    fn kind(&self) -> Kind {
        kind_of(&self.file, self.id.device())
    }

    /// Makes a lock call, and repeats it if the system first wants the file to be opened in another way (EBADF): an exclusive
    /// lock on NFS, and one of fcntl(2), need a file that is open for writing.
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
        if FileId::of(&file, &stat)? != self.id {
            // The path names another file by now, as the system would say of a file that is gone.
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

/// Makes the descriptor `number` a copy of the descriptor `by`.
fn replace_descriptor(number: &File, by: &File) -> io::Result<()> {
    // Inherited by no child, which could keep a lock alive.
    // SAFETY: both are open, and nothing else uses the number that is replaced.
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

impl LockFile for OpenFile {
    fn id(&self) -> FileId {
        self.id.of_lock(self.lock)
    }

    fn is_directory(&self) -> bool {
        self.is_directory
    }

    fn may_stay_open(&self) -> bool {
        self.lock == KernelLock::Flock && self.is_plain && self.is_empty.load(Ordering::Relaxed)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn may_have_fcntl_locks(&self) -> bool {
        // It fails before Linux 3.15, or where a sandbox does not know the call.
        has_record_lock(&self.file).unwrap_or_else(|_| !self.is_empty.load(Ordering::Relaxed))
    }

    /// Returns true if the file has content: no other system is known to tell of locks of this very process.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn may_have_fcntl_locks(&self) -> bool {
        !self.is_empty.load(Ordering::Relaxed)
    }

    fn is_local(&self) -> bool {
        self.kind() == Kind::Local
    }

    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        self.locking(|file| self.lock.try_lock(file, mode))
    }

    fn lock(&self, mode: LockMode) -> io::Result<()> {
        self.locking(|file| self.lock.lock(file, mode))
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(buffer, 0)
    }

    fn write(&self, content: &[u8]) -> io::Result<()> {
        self.file.write_all_at(content, 0)?;
        self.file.set_len(content.len() as u64)
    }

    fn unlock(&self) {
        if !self.disowned.load(Ordering::Relaxed) {
            // It can fail on a network mount that has gone; then closing, or the server, ends the lock.
            let _ = self.lock.unlock(&self.file);
        }
    }

    fn is_held(&self) -> Option<io::Result<bool>> {
        // Also where this process may not write the file.
        (self.lock == KernelLock::Fcntl).then(|| self.locking(has_record_lock))
    }

    fn describe(&self, error: &io::Error) -> SystemError {
        SystemError::locking(error, self.lock)
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        // Another machine may have deleted it.
        let found = match self.kind() {
            Kind::Other if self.has_links => {
                path.parent().map(forget_names);
                find_on_server(path)?
            }
            Kind::Fuse | Kind::Smb if self.has_links => find_on_server(path)?,
            _ => find_at(path)?,
        };
        let found = found.filter(|found| found.id == self.id);
        if let Some(found) = &found {
            self.is_empty.store(found.is_empty, Ordering::Relaxed);
        }
        Ok(found.is_some())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        if self.is_directory {
            return Ok(());
        }
        let there = FileId::of_stat(&rustix::fs::lstat(path)?);
        let named = self.id.without_name();
        let same = there == named && (self.id == named || self.is_at(path)?);
        if same { fs::remove_file(path) } else { Ok(()) }
    }

    fn descriptor(&self) -> Option<i32> {
        (!self.disowned.load(Ordering::Relaxed)).then(|| self.file.as_raw_fd())
    }

    fn is_intact(&self) -> bool {
        if self.disowned.load(Ordering::Relaxed) {
            return false;
        }
        match find_without_waiting(&self.file) {
            Ok(now) => {
                self.is_empty.store(now.is_empty, Ordering::Relaxed);
                self.id.may_be(&now.id)
            }
            // Another failure is one of the file, which is ours.
            Err(error) => error != Errno::BADF,
        }
    }

    fn disown(&self) {
        self.disowned.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use rustix::fs::FlockOperation;

    use super::super::open::open;
    use super::*;
    use crate::sys::unix::lock_id_at;
    use crate::sys::{Protocol, ProtocolOptions};

    const READ: OpenHow = OpenHow {
        create: Some(0o666),
        allow_directory: false,
        for_writing: false,
        protocol: ProtocolOptions::FLOCK,
    };
    const FCNTL: OpenHow =
        OpenHow { protocol: ProtocolOptions { protocol: Protocol::Fcntl, ..ProtocolOptions::FLOCK }, ..READ };

    /// Returns a lock file that existed and has been opened.
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
        // As if other code had closed it, and opened another file.
        replace_descriptor(&file.file, &other).unwrap();
        assert!(!file.is_intact());
        let number = file.descriptor().unwrap();
        file.disown();
        assert!(!file.is_intact());
        assert_eq!(file.descriptor(), None);
        assert_eq!(file.try_lock(LockMode::Shared).unwrap_err().raw_os_error(), Some(libc::EBADF));
        file.unlock();
        drop(file);
        // The other file is still open by this number.
        let theirs = fs::metadata(format!("/dev/fd/{number}")).unwrap();
        assert_eq!(theirs.ino(), other.metadata().unwrap().ino());
    }

    #[test]
    fn only_an_empty_file_that_is_open_for_reading_alone_may_stay_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.lock");
        assert!(!open(&path, &READ).unwrap().may_stay_open(), "it was created, and so is open for writing");
        let file = open(&path, &READ).unwrap();
        assert!(file.may_stay_open());
        fs::write(&path, "content").unwrap();
        assert!(file.may_stay_open(), "the system has not been asked since");
        assert!(file.is_at(&path).unwrap() && !file.may_stay_open());
        fs::write(&path, "").unwrap();
        assert!(file.is_intact() && file.may_stay_open());
        assert!(!open(Path::new("/dev/null"), &READ).unwrap().may_stay_open());
        let how = OpenHow { allow_directory: true, ..READ };
        assert!(!open(folder.path(), &how).unwrap().may_stay_open());
    }

    #[test]
    fn fcntl_locks_of_this_process_are_found_by_another_descriptor_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = opened(folder.path());
        assert!(!file.may_have_fcntl_locks());
        let other = File::options().read(true).write(true).open(folder.path().join("test.lock")).unwrap();
        for operation in [FlockOperation::NonBlockingLockShared, FlockOperation::NonBlockingLockExclusive] {
            rustix::fs::fcntl_lock(&other, operation).unwrap();
            assert_eq!(file.may_have_fcntl_locks(), cfg!(any(target_os = "linux", target_os = "android")));
        }
        rustix::fs::fcntl_lock(&other, FlockOperation::Unlock).unwrap();
        assert!(!file.may_have_fcntl_locks());
        // Its own lock is another one.
        assert!(file.try_lock(LockMode::Exclusive).unwrap());
        assert!(!file.may_have_fcntl_locks());
    }

    #[test]
    fn an_exclusive_record_lock_makes_the_file_open_for_writing_at_once_or_when_it_is_tried() {
        let folder = tempfile::tempdir().unwrap();
        drop(opened(folder.path()));
        for for_writing in [true, false] {
            let file = open(&folder.path().join("test.lock"), &OpenHow { for_writing, ..FCNTL }).unwrap();
            assert_eq!(flags_of(&file).0, if for_writing { OFlags::RDWR } else { OFlags::RDONLY });
            assert!(file.try_lock(LockMode::Shared).unwrap());
            assert_eq!(flags_of(&file).0, if for_writing { OFlags::RDWR } else { OFlags::RDONLY });
            file.unlock();
            assert!(file.try_lock(LockMode::Exclusive).unwrap());
            assert_eq!(flags_of(&file), (OFlags::RDWR, rustix::io::FdFlags::CLOEXEC));
            assert!(!file.may_stay_open());
        }
    }

    #[test]
    fn a_file_that_is_locked_by_record_locks_never_stays_open_and_is_not_the_lock_of_flock() {
        let folder = tempfile::tempdir().unwrap();
        let flock = opened(folder.path());
        let path = folder.path().join("test.lock");
        let fcntl = open(&path, &FCNTL).unwrap();
        assert!(flock.may_stay_open() && !fcntl.may_stay_open());
        assert_ne!(fcntl.id(), flock.id());
        for (file, lock) in [(&flock, KernelLock::Flock), (&fcntl, KernelLock::Fcntl)] {
            assert_eq!(lock_id_at(&path, lock).unwrap(), Some(file.id()));
            assert!(file.is_at(&path).unwrap() && file.is_intact());
            assert_eq!(file.describe(&Errno::IO.into()), SystemError::locking(&Errno::IO.into(), lock));
        }
        fcntl.unlink(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn whether_a_record_lock_is_held_is_asked_without_a_lock_and_without_writing() {
        let folder = tempfile::tempdir().unwrap();
        drop(opened(folder.path()));
        let path = folder.path().join("test.lock");
        let [asking, holding] = [(); 2].map(|()| open(&path, &FCNTL).unwrap());
        assert!(!asking.is_held().unwrap().unwrap());
        assert_eq!(flags_of(&asking).0, OFlags::RDONLY);
        for mode in [LockMode::Shared, LockMode::Exclusive] {
            assert!(holding.try_lock(mode).unwrap(), "the question has left a lock");
            assert!(asking.is_held().unwrap().unwrap());
            // Opening the file for writing would not do it while a child of another test has a copy of the descriptor.
            holding.unlock();
        }
        asking.disown();
        assert_eq!(asking.is_held().unwrap().unwrap_err().raw_os_error(), Some(libc::EBADF));
    }

    #[test]
    fn a_folder_is_opened_only_where_that_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let error = open(folder.path(), &READ).err().unwrap();
        assert_eq!(error.raw_os_error(), Some(libc::EISDIR));
        let file = open(folder.path(), &OpenHow { allow_directory: true, ..READ }).unwrap();
        assert!(file.try_lock(LockMode::Exclusive).unwrap());
        file.unlink(folder.path()).unwrap();
        assert!(file.is_at(folder.path()).unwrap());
        // It cannot be opened for writing.
        let how = OpenHow { allow_directory: true, for_writing: true, ..FCNTL };
        let file = open(folder.path(), &how).unwrap();
        assert!(file.try_lock(LockMode::Shared).unwrap());
        let error = file.try_lock(LockMode::Exclusive).unwrap_err();
        assert!(file.describe(&error).unsupported, "{error}");
    }
}
