//! Directory entries that are locks because they exist. They are created whole, looked at, exchanged and removed by name, in
//! a folder that is kept open: what happens to its path meanwhile does not matter.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawMode, Stat};
use rustix::io::{Errno, retry_on_intr};

use super::file_id::FileId;
use super::file_system::is_local;
use super::lock_entry::{Entry, Private};
use super::open::OPEN_FLAGS;
use crate::sys::CallError;
use crate::sys::lock_entry::{EntryId, Flock, Kind, NewEntry, Seen, pid_in_private_name, private_name};

/// Nanoseconds in a second.
pub(super) const NANOS: i128 = 1_000_000_000;

/// How a folder is opened: not to be read, where the system has that.
#[cfg(any(target_os = "linux", target_os = "android"))]
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// How a symbolic link is opened.
const SYMLINK: OFlags = FOLDER.difference(OFlags::DIRECTORY).union(OFlags::NOFOLLOW);

/// A folder that lock entries are in.
pub(crate) struct Folder {
    pub(super) fd: OwnedFd,
    id: EntryId,
    is_local: bool,
    /// Files without a name can be created here, and be given one.
    pub(super) has_unnamed: AtomicBool,
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

    pub(super) fn create_file(&self, new: &NewEntry<'_>, is_named: bool) -> Result<Private<'_>, CallError> {
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
        use std::sync::atomic::Ordering;

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

    /// Returns true if entries can be set aside here.
    pub(crate) const fn sets_aside(kind: Kind) -> bool {
        // A symbolic link has no kernel lock, by which others could tell it from one that was left behind.
        cfg!(any(target_os = "linux", target_os = "android", target_vendor = "apple"))
            && matches!(kind, Kind::File | Kind::Folder)
    }

    /// Gives an entry another name, unless there is one of that name. Returns `None` if that is not possible here.
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    pub(crate) fn rename_if_free(&self, from: &OsStr, to: &OsStr) -> Option<Result<bool, CallError>> {
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
    pub(crate) fn rename_if_free(&self, _: &OsStr, _: &OsStr) -> Option<Result<bool, CallError>> {
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
        std::os::fd::AsRawFd::as_raw_fd(&self.fd)
    }
}

/// Returns true if the error says that the system or the file system does not know the call.
pub(super) fn is_unknown(error: Errno) -> bool {
    [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP].contains(&error)
}

impl EntryId {
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        reason = "a device number has 32 bits and a sign on macOS"
    )]
    pub(super) fn of(stat: &Stat) -> Self {
        Self { device: stat.st_dev as u64, inode: stat.st_ino }
    }
}

impl Seen {
    #[allow(clippy::unnecessary_cast, clippy::cast_lossless, reason = "the types differ by system")]
    pub(super) fn of(stat: &Stat) -> Self {
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
