//! Directory entries that are locks because they exist. They are created whole, looked at, exchanged and removed by name, in
//! a folder that is kept open: what happens to its path meanwhile does not matter.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RawMode, Stat, Timespec, Timestamps};
use rustix::io::{Errno, retry_on_intr};

use super::file_id::FileId;
use super::file_system::is_local;
use super::mark;
use super::open::OPEN_FLAGS;
use crate::sys::CallError;
use crate::sys::lock_entry::{
    EntryId, Flock, Kind, LONGEST_RECORD, NewEntry, Seen, pid_in_private_name, private_name,
};

/// Nanoseconds in a second.
const NANOS: i128 = 1_000_000_000;

/// How a folder is opened: not to be read, where the system has that.
#[cfg(any(target_os = "linux", target_os = "android"))]
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// How a symbolic link is opened.
const SYMLINK: OFlags = FOLDER.difference(OFlags::DIRECTORY).union(OFlags::NOFOLLOW);

/// A folder that lock entries are in.
pub(crate) struct Folder {
    fd: OwnedFd,
    id: EntryId,
    is_local: bool,
    /// Files without a name can be created here, and be given one.
    has_unnamed: AtomicBool,
}

impl Folder {
    /// Opens a folder.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let fd = retry_on_intr(|| rustix::fs::open(path, FOLDER, Mode::empty()))?;
        let id = EntryId::of(&rustix::fs::fstat(&fd)?);
        let file = fd.into();
        let is_local = is_local(&file, id.device);
        Ok(Self {
            fd: file.into(),
            id,
            is_local,
            has_unnamed: AtomicBool::new(cfg!(any(target_os = "linux", target_os = "android"))),
        })
    }

    /// Returns the id of the lock that is kept by an entry of this folder. `key` tells it from the other locks here.
    pub(crate) fn lock_id(&self, key: u64) -> FileId {
        FileId::of_entry(self.id.device, self.id.inode, key)
    }

    /// Returns the id of the lock with this key in the folder that `path` names, or `None` if there is no folder.
    pub(crate) fn lock_id_at(path: &Path, key: u64) -> io::Result<Option<FileId>> {
        match rustix::fs::stat(path) {
            Ok(stat) => {
                let id = EntryId::of(&stat);
                Ok(Some(FileId::of_entry(id.device, id.inode, key)))
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns true if the folder is known to be on a file system of this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.is_local
    }

    /// Returns what the system says of the entry, which is not followed if it is a symbolic link, or `None` if there is
    /// none.
    pub(crate) fn look(&self, name: &OsStr) -> Result<Option<Seen>, CallError> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Seen::of(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(CallError::new(error.into(), "lstat")),
        }
    }

    /// Opens the entry that has been `seen`, so that its number is not used again. Returns `None` if it is gone, or another
    /// one by now.
    pub(crate) fn pin(&self, name: &OsStr, seen: &Seen) -> Result<Option<Entry>, CallError> {
        // Nothing else is opened: a device could do something then.
        let flags = match seen.kind {
            Kind::File => OFlags::RDONLY | OPEN_FLAGS | OFlags::NOFOLLOW,
            Kind::Folder => OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
            Kind::Symlink => SYMLINK,
            Kind::Other => return Ok(Some(Entry(None))),
        };
        match retry_on_intr(|| rustix::fs::openat(&self.fd, name, flags, Mode::empty())) {
            Ok(fd) => {
                let now = rustix::fs::fstat(&fd).map_err(|error| CallError::new(error.into(), "fstat"))?;
                Ok((EntryId::of(&now) == seen.id).then_some(Entry(Some(fd))))
            }
            // Where no symbolic link can be opened, its number may be used again.
            Err(Errno::LOOP) if seen.kind == Kind::Symlink => Ok(Some(Entry(None))),
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::NXIO) => Ok(None),
            // Its contents are nobody's business: then it is judged by what lstat says.
            Err(Errno::ACCESS | Errno::PERM) => Ok(Some(Entry(None))),
            Err(error) => Err(CallError::new(error.into(), "open")),
        }
    }

    /// Returns the target of a symbolic link.
    pub(crate) fn target(&self, name: &OsStr) -> Option<Vec<u8>> {
        rustix::fs::readlinkat(&self.fd, name, Vec::new()).ok().map(std::ffi::CString::into_bytes)
    }

    /// Creates an entry that has no name yet, or one that nobody knows if it `is_named`.
    pub(crate) fn create(&self, new: &NewEntry<'_>, is_named: bool) -> Result<Private<'_>, CallError> {
        match new.kind {
            Kind::Folder => self.create_folder(new),
            Kind::Symlink => self.create_symlink(new, is_named),
            Kind::File | Kind::Other => self.create_file(new, is_named),
        }
    }

    fn create_file(&self, new: &NewEntry<'_>, is_named: bool) -> Result<Private<'_>, CallError> {
        #[allow(clippy::cast_possible_truncation, reason = "16 bits on macOS, of which 12 are used")]
        let mode = Mode::from_raw_mode(new.mode as RawMode);
        let (fd, private) = if let Some(fd) = self.open_unnamed(mode, is_named) {
            (fd, None)
        } else {
            let private = private_name(new.host);
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let fd = retry_on_intr(|| rustix::fs::openat(&self.fd, &*private, flags, mode))
                .map_err(|error| CallError::new(error.into(), "open"))?;
            (fd, Some(private))
        };
        let mut created =
            Private { folder: self, kind: Kind::File, id: self.id, name: private, entry: Entry(Some(fd)) };
        created.fill(new)?;
        Ok(created)
    }

    /// Opens a file that has no name, if that is possible here and it may have none.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn open_unnamed(&self, mode: Mode, is_named: bool) -> Option<OwnedFd> {
        if is_named || !self.has_unnamed.load(Ordering::Relaxed) {
            return None;
        }
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.fd, ".", flags, mode);
        if let Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS) = opened {
            self.has_unnamed.store(false, Ordering::Relaxed);
        }
        // Another error comes again when the file is opened by a name.
        opened.ok()
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    #[expect(clippy::unused_self, reason = "it is used on Linux")]
    fn open_unnamed(&self, _: Mode, _: bool) -> Option<OwnedFd> {
        None
    }

    fn create_folder(&self, new: &NewEntry<'_>) -> Result<Private<'_>, CallError> {
        let private = private_name(new.host);
        rustix::fs::mkdirat(&self.fd, &*private, Mode::RWXU | Mode::RWXG | Mode::RWXO)
            .map_err(|error| CallError::new(error.into(), "mkdir"))?;
        let mut created = Private {
            folder: self,
            kind: Kind::Folder,
            id: self.id,
            name: Some(private),
            entry: Entry(None),
        };
        created.open_folder(new)?;
        Ok(created)
    }

    fn create_symlink(&self, new: &NewEntry<'_>, is_named: bool) -> Result<Private<'_>, CallError> {
        let mut created =
            Private { folder: self, kind: Kind::Symlink, id: self.id, name: None, entry: Entry(None) };
        if is_named {
            let private = private_name(new.host);
            rustix::fs::symlinkat(OsStr::from_bytes(new.content), &self.fd, &*private)
                .map_err(|error| CallError::new(error.into(), "symlink"))?;
            if let Some(seen) = self.look(&private)? {
                created.id = seen.id;
                created.entry = self.pin(&private, &seen)?.unwrap_or(Entry(None));
            }
            created.name = Some(private);
        }
        Ok(created)
    }

    /// Removes the entry.
    pub(crate) fn remove(&self, name: &OsStr, kind: Kind) -> Result<(), CallError> {
        let (flags, call) = match kind {
            Kind::Folder => (AtFlags::REMOVEDIR, "rmdir"),
            Kind::File | Kind::Symlink | Kind::Other => (AtFlags::empty(), "unlink"),
        };
        rustix::fs::unlinkat(&self.fd, name, flags).map_err(|error| CallError::new(error.into(), call))
    }

    /// Returns `None`: an entry can be removed by its name alone, which may be that of another one by then.
    #[expect(clippy::unused_self, reason = "it is used on Windows")]
    pub(crate) fn remove_exactly(
        &self,
        _: &OsStr,
        _: &Seen,
        _: &[OsString],
    ) -> Option<Result<bool, CallError>> {
        None
    }

    /// Exchanges two entries. Returns false if that is not possible here.
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    pub(crate) fn exchange(&self, one: &OsStr, other: &OsStr) -> Result<bool, CallError> {
        use rustix::fs::RenameFlags;

        match rustix::fs::renameat_with(&self.fd, one, &self.fd, other, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(error) if is_unknown(error) => Ok(false),
            Err(error) => Err(CallError::new(error.into(), "rename")),
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "it is possible on Linux")]
    pub(crate) fn exchange(&self, _: &OsStr, _: &OsStr) -> Result<bool, CallError> {
        Ok(false)
    }

    /// Gives an entry another name, unless there is one of that name. Returns `None` if that is not possible here.
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    fn rename_if_free(&self, from: &OsStr, to: &OsStr) -> Option<Result<bool, CallError>> {
        use rustix::fs::RenameFlags;

        match rustix::fs::renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE) {
            Ok(()) => Some(Ok(true)),
            Err(Errno::EXIST) => Some(Ok(false)),
            Err(error) if is_unknown(error) => None,
            Err(error) => Some(Err(CallError::new(error.into(), "rename"))),
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    #[expect(clippy::unused_self, reason = "it is possible on Linux")]
    fn rename_if_free(&self, _: &OsStr, _: &OsStr) -> Option<Result<bool, CallError>> {
        None
    }

    /// Removes the entries that processes of this host have left behind which died before they gave them their names.
    /// `is_dead` tells whether a process has died.
    pub(crate) fn sweep(&self, host: u64, is_dead: impl Fn(u32) -> bool) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(fd) = rustix::fs::openat(&self.fd, ".", flags, Mode::empty()) else { return };
        let Ok(entries) = rustix::fs::Dir::new(fd) else { return };
        for entry in entries.flatten() {
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if pid_in_private_name(name, host).is_some_and(&is_dead) {
                // What has something in it stays.
                let _ = self.remove(name, Kind::Folder).or_else(|_| self.remove(name, Kind::File));
            }
        }
    }

    /// Keeps others of ours from taking something over in this folder, for as long as the result lives. Returns `None` if one of
    /// them does that now.
    pub(crate) fn begin_take_over(&self) -> Option<Entry> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // What this process may not read it cannot lock.
        let entry = Entry(rustix::fs::openat(&self.fd, ".", flags, Mode::empty()).ok());
        (entry.take_flock() != Flock::Taken).then_some(entry)
    }

    /// Returns the descriptor, to watch the folder.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn descriptor(&self) -> i32 {
        self.fd.as_raw_fd()
    }
}

/// Returns true if the error says that the system or the file system does not know the call.
fn is_unknown(error: Errno) -> bool {
    [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP].contains(&error)
}

/// An open entry. `None`: this system cannot open it, or this process may not.
pub(crate) struct Entry(Option<OwnedFd>);

impl Entry {
    /// Returns what is in the file, as far as a record would fill it, or `None` if it cannot be read.
    pub(crate) fn read(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; LONGEST_RECORD];
        let fd = self.0.as_ref()?;
        let length = retry_on_intr(|| rustix::io::pread(fd, &mut buffer, 0)).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }

    /// Returns what our mark on the entry says, or `None` if there is none.
    pub(crate) fn mark(&self) -> Option<Vec<u8>> {
        mark::read(self.0.as_ref()?.as_fd(), LONGEST_RECORD)
    }

    /// Returns the names of what is in the folder.
    pub(crate) fn names(&self) -> Result<Vec<OsString>, CallError> {
        let failed = |error: Errno| CallError::new(error.into(), "scandir");
        let fd = self.0.as_ref().ok_or(Errno::ACCESS).map_err(failed)?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        Ok(names)
    }

    /// Adds a file to the folder.
    pub(crate) fn add_file(&self, name: &str) -> Result<(), CallError> {
        let Some(fd) = &self.0 else { return Ok(()) };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::openat(fd, name, flags, Mode::RUSR | Mode::WUSR)
            .map(drop)
            .map_err(|error| CallError::new(error.into(), "open"))
    }

    /// Removes a file from the folder, whatever its path names by now.
    pub(crate) fn remove_file(&self, name: impl AsRef<OsStr>) -> Result<(), CallError> {
        let Some(fd) = &self.0 else { return Ok(()) };
        rustix::fs::unlinkat(fd, name.as_ref(), AtFlags::empty())
            .map_err(|error| CallError::new(error.into(), "unlink"))
    }

    /// Sets the time at which it was last modified, in nanoseconds since 1970.
    pub(crate) fn touch(&self, time: i128) -> Result<(), CallError> {
        let time = Timespec {
            tv_sec: i64::try_from(time.div_euclid(NANOS)).unwrap_or(0),
            #[expect(clippy::cast_possible_truncation, reason = "less than a second")]
            tv_nsec: time.rem_euclid(NANOS) as _,
        };
        let times = Timestamps { last_access: time, last_modification: time };
        let Some(fd) = &self.0 else { return Ok(()) };
        rustix::fs::futimens(fd, &times).map_err(|error| CallError::new(error.into(), "utime"))
    }

    /// Returns what the system says of it.
    pub(crate) fn seen(&self) -> Option<Seen> {
        Some(Seen::of(&rustix::fs::fstat(self.0.as_ref()?).ok()?))
    }

    /// Returns whether its kernel lock is free. Takes it for an instant.
    pub(crate) fn flock(&self) -> Flock {
        let flock = self.try_flock(FlockOperation::NonBlockingLockShared);
        if flock == Flock::Free {
            self.try_flock(FlockOperation::Unlock);
        }
        flock
    }

    /// Takes its kernel lock if that is free, until it is closed. Returns what it was before.
    pub(crate) fn take_flock(&self) -> Flock {
        self.try_flock(FlockOperation::NonBlockingLockExclusive)
    }

    /// Gives its kernel lock back.
    pub(crate) fn unlock(&self) {
        self.try_flock(FlockOperation::Unlock);
    }

    fn try_flock(&self, operation: FlockOperation) -> Flock {
        let Some(fd) = &self.0 else { return Flock::Unknown };
        match retry_on_intr(|| rustix::fs::flock(fd, operation)) {
            Ok(()) => Flock::Free,
            Err(Errno::AGAIN) => Flock::Taken,
            Err(_) => Flock::Unknown,
        }
    }

    /// Makes the descriptor that of another file, as when other code has closed it and opened that file.
    #[cfg(all(test, target_os = "linux", not(loom)))]
    pub(crate) fn replace_by(&self, other: &std::fs::File) {
        let number = self.0.as_ref().unwrap().as_raw_fd();
        // SAFETY: both are open, and nothing else uses the number that is replaced.
        assert_ne!(unsafe { libc::dup2(other.as_raw_fd(), number) }, -1);
    }

    /// Gives up the descriptor, which is not the entry's any more: it is neither used nor closed from now on.
    pub(crate) fn disown(self) {
        if let Some(fd) = self.0 {
            std::mem::forget(fd);
        }
    }
}

/// An entry that this process has created, under no name or one that nobody else knows. Removed when it is dropped.
pub(crate) struct Private<'a> {
    folder: &'a Folder,
    kind: Kind,
    id: EntryId,
    name: Option<OsString>,
    entry: Entry,
}

impl Private<'_> {
    /// Opens the new folder, and fills it in.
    fn open_folder(&mut self, new: &NewEntry<'_>) -> Result<(), CallError> {
        let name = self.name.as_ref().expect("a folder has a name");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = retry_on_intr(|| rustix::fs::openat(&self.folder.fd, &**name, flags, Mode::empty()))
            .map_err(|error| CallError::new(error.into(), "open"))?;
        self.entry = Entry(Some(fd));
        self.fill(new)
    }

    /// Writes the content, locks the entry and marks it as ours. Where there is no such lock, or no room for a mark, it has none.
    fn fill(&mut self, new: &NewEntry<'_>) -> Result<(), CallError> {
        let Some(fd) = &self.entry.0 else { return Ok(()) };
        if self.kind == Kind::File && !new.content.is_empty() {
            let written = retry_on_intr(|| rustix::io::write(fd, new.content))
                .and_then(|length| if length == new.content.len() { Ok(()) } else { Err(Errno::NOSPC) });
            written.map_err(|error| CallError::new(error.into(), "write"))?;
        }
        // The mark says that a process which lives holds the lock.
        if self.entry.take_flock() == Flock::Free {
            mark::write(fd.as_fd(), new.mark);
        }
        let stat = rustix::fs::fstat(fd).map_err(|error| CallError::new(error.into(), "fstat"))?;
        self.id = EntryId::of(&stat);
        Ok(())
    }

    /// Returns the name that nobody else knows.
    ///
    /// # Panics
    /// Panics if the entry has no name.
    pub(crate) fn name(&self) -> &OsStr {
        self.name.as_deref().expect("it was created with a name")
    }

    /// Returns the id of the entry.
    pub(crate) fn id(&self) -> EntryId {
        self.id
    }

    /// Returns the open entry.
    pub(crate) fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Gives the entry its name, unless there is one of that name. Returns the open entry and its id if it got the name.
    pub(crate) fn publish(
        mut self,
        new: &NewEntry<'_>,
        name: &OsStr,
    ) -> Result<Option<(Entry, EntryId)>, CallError> {
        let published = match self.kind {
            Kind::Folder => self.publish_folder(new, name)?,
            Kind::Symlink => self.publish_symlink(new, name)?,
            Kind::File | Kind::Other => self.publish_file(new, name)?,
        };
        Ok(published.then(|| self.take()))
    }

    /// Returns the open entry and its id: it has got a name by which others know it.
    pub(crate) fn take(mut self) -> (Entry, EntryId) {
        self.name = None;
        (std::mem::replace(&mut self.entry, Entry(None)), self.id)
    }

    fn publish_file(&mut self, new: &NewEntry<'_>, name: &OsStr) -> Result<bool, CallError> {
        let Self { folder, entry: Entry(Some(fd)), .. } = self else { return Ok(false) };
        let Some(private) = &self.name else {
            let unnamed = format!("/proc/self/fd/{}", fd.as_raw_fd());
            let linked =
                rustix::fs::linkat(rustix::fs::CWD, unnamed, &folder.fd, name, AtFlags::SYMLINK_FOLLOW);
            return match linked {
                Ok(()) => Ok(true),
                Err(Errno::EXIST) => Ok(false),
                Err(_) => {
                    // Without /proc, or where a file without a name cannot be linked: by a name, which also says what is wrong.
                    folder.has_unnamed.store(false, Ordering::Relaxed);
                    *self = folder.create_file(new, true)?;
                    self.publish_file(new, name)
                }
            };
        };
        match rustix::fs::linkat(&folder.fd, &**private, &folder.fd, name, AtFlags::empty()) {
            Ok(()) => {}
            // A server may have done it, and its answer got lost.
            Err(Errno::EXIST) => return Ok(folder.look(name)?.is_some_and(|seen| seen.id == self.id)),
            // FAT has no links.
            Err(error @ (Errno::PERM | Errno::MLINK)) => return self.rename_to(name, error),
            Err(error) if is_unknown(error) => return self.rename_to(name, error),
            Err(error) => return Err(CallError::new(error.into(), "link")),
        }
        // Left over if that fails: the lock is held all the same.
        let _ = folder.remove(private, Kind::File);
        Ok(true)
    }

    /// Renames the file, since it could not be linked.
    fn rename_to(&mut self, name: &OsStr, error: Errno) -> Result<bool, CallError> {
        let private = self.name.as_deref().expect("a file without a name is not renamed");
        match self.folder.rename_if_free(private, name) {
            Some(renamed) => renamed,
            None => Err(CallError::unsupported(error.into(), "link")),
        }
    }

    fn publish_folder(&mut self, new: &NewEntry<'_>, name: &OsStr) -> Result<bool, CallError> {
        let private = self.name.as_deref().expect("a folder has a name");
        if let Some(renamed) = self.folder.rename_if_free(private, name) {
            return renamed;
        }
        // Not whole from the first instant, and another one could replace it before it is opened: the way of the others.
        match rustix::fs::mkdirat(&self.folder.fd, name, Mode::RWXU | Mode::RWXG | Mode::RWXO) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok(false),
            Err(error) => return Err(CallError::new(error.into(), "mkdir")),
        }
        if let Some(private) = self.name.replace(name.to_owned()) {
            let _ = self.folder.remove(&private, Kind::Folder);
        }
        self.open_folder(new)?;
        Ok(true)
    }

    fn publish_symlink(&mut self, new: &NewEntry<'_>, name: &OsStr) -> Result<bool, CallError> {
        let folder = self.folder;
        match rustix::fs::symlinkat(OsStr::from_bytes(new.content), &folder.fd, name) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok(false),
            Err(error) => return Err(CallError::new(error.into(), "symlink")),
        }
        // Another one could have replaced it by now.
        let is_ours = || folder.target(name).as_deref() == Some(new.content);
        let pinned = folder.look(name).and_then(|seen| {
            let Some(seen) = seen else { return Ok(None) };
            Ok(folder.pin(name, &seen)?.map(|entry| (seen.id, entry)))
        });
        match pinned {
            Ok(Some((id, entry))) => {
                self.id = id;
                self.entry = entry;
                Ok(is_ours())
            }
            Ok(None) => Ok(false),
            Err(failed) => {
                if is_ours() {
                    let _ = folder.remove(name, Kind::Symlink);
                }
                Err(failed)
            }
        }
    }
}

impl Drop for Private<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // What cannot be removed is left over.
            let _ = self.folder.remove(name, self.kind);
        }
    }
}

impl EntryId {
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        reason = "a device number has 32 bits and a sign on macOS"
    )]
    fn of(stat: &Stat) -> Self {
        Self { device: stat.st_dev as u64, inode: stat.st_ino }
    }
}

impl Seen {
    #[allow(clippy::unnecessary_cast, clippy::cast_lossless, reason = "the types differ by system")]
    fn of(stat: &Stat) -> Self {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Symlink,
            _ => Kind::Other,
        };
        let nanos = |seconds: i128, rest: i128| seconds * NANOS + rest;
        Self {
            kind,
            id: EntryId::of(stat),
            modified: nanos(stat.st_mtime as i128, stat.st_mtime_nsec as i128),
            changed: nanos(stat.st_ctime as i128, stat.st_ctime_nsec as i128),
        }
    }
}
