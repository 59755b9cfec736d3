//! Lock entries that are open, and such as nobody knows yet.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::Ordering;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, Timespec, Timestamps};
use rustix::io::{Errno, retry_on_intr};

use super::folder::{Folder, NANOS, is_unknown};
use super::mark;
use crate::sys::CallError;
use crate::sys::lock_entry::{EntryId, Flock, Kind, LONGEST_RECORD, NewEntry, Seen};

/// An open entry. `None`: this system cannot open it, or this process may not.
pub(crate) struct Entry(pub(super) Option<OwnedFd>);

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
    pub(super) folder: &'a Folder,
    pub(super) kind: Kind,
    pub(super) id: EntryId,
    pub(super) name: Option<OsString>,
    pub(super) entry: Entry,
}

impl Private<'_> {
    /// Opens the new folder, and fills it in.
    pub(super) fn open_folder(&mut self, new: &NewEntry<'_>) -> Result<(), CallError> {
        let name = self.name.as_deref().unwrap_or_default();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = retry_on_intr(|| rustix::fs::openat(&self.folder.fd, name, flags, Mode::empty()))
            .map_err(|error| CallError::new(error.into(), "open"))?;
        self.entry = Entry(Some(fd));
        self.fill(new)
    }

    /// Writes the content, locks the entry and marks it as ours. Where there is no such lock, or no room for a mark, it has none.
    pub(super) fn fill(&mut self, new: &NewEntry<'_>) -> Result<(), CallError> {
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

    /// Returns the name that nobody else knows, which is empty if the entry has none.
    pub(crate) fn name(&self) -> &OsStr {
        self.name.as_deref().unwrap_or_default()
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
        let private = self.name.as_deref().unwrap_or_default();
        match self.folder.rename_if_free(private, name) {
            Some(renamed) => renamed,
            None => Err(CallError::unsupported(error.into(), "link")),
        }
    }

    fn publish_folder(&mut self, new: &NewEntry<'_>, name: &OsStr) -> Result<bool, CallError> {
        let private = self.name.as_deref().unwrap_or_default();
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
