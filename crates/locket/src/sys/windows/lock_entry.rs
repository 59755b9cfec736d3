//! Directory entries that are locks because they exist. They are created whole under names that nobody knows, and renamed to
//! their own, which fails if there is an entry of that name.
//!
//! Entries cannot be exchanged here. But an open one can be removed, whatever its name is by then: so none but the one that
//! has been judged is. No kernel lock tells whether the holder is alive: our mark does, which names the process. It is in a
//! stream of the entry, where the file system has streams (NTFS, ReFS).

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileTimes};
use std::io;
use std::mem;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::fs::FileExt;
use std::os::windows::io::AsRawHandle;
use std::path::{Path, PathBuf};
use std::ptr;
use std::time::{Duration, SystemTime};

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_DIR_NOT_EMPTY, ERROR_NOT_SUPPORTED, ERROR_PATH_NOT_FOUND,
    ERROR_SHARING_VIOLATION, GENERIC_READ,
};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_DISPOSITION_FLAG_DELETE, FILE_DISPOSITION_FLAG_IGNORE_READONLY_ATTRIBUTE,
    FILE_DISPOSITION_FLAG_POSIX_SEMANTICS, FILE_DISPOSITION_INFO, FILE_DISPOSITION_INFO_EX,
    FILE_FLAG_OPEN_REPARSE_POINT, FILE_INFO_BY_HANDLE_CLASS, FILE_READ_ATTRIBUTES, FILE_WRITE_ATTRIBUTES,
    FileDispositionInfo, FileDispositionInfoEx, GetVolumeInformationByHandleW, MoveFileExW,
    SetFileInformationByHandle,
};

use super::error::{code_of, error_of};
use super::file::{FileId, file_id_at, is_remote, numbers_of, open_attributes, open_for};
use crate::sys::CallError;
use crate::sys::lock_entry::{
    EntryId, Flock, Kind, LONGEST_RECORD, NewEntry, Seen, pid_in_private_name, private_name,
};
use crate::sys::quirks::length_of_name;

/// The flag of a file system with streams, in winnt.h.
const FILE_NAMED_STREAMS: u32 = 0x4_0000;

/// The stream of an entry that marks it as ours.
const MARK: &str = ":locket";

/// A folder that lock entries are in. It cannot be renamed as long as one of them is open.
pub(crate) struct Folder {
    path: PathBuf,
    id: FileId,
    is_local: bool,
    has_streams: bool,
}

impl Folder {
    /// Returns false: entries are not set aside here.
    pub(crate) const fn sets_aside(_: Kind) -> bool {
        false
    }

    /// Gives an entry another name. It is not used here.
    #[expect(clippy::unused_self, reason = "as on Unix")]
    pub(crate) fn rename_if_free(&self, _: &OsStr, _: &OsStr) -> Option<Result<bool, CallError>> {
        None
    }

    /// Opens a folder.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let folder = open_attributes(path, 0)?;
        if !folder.metadata()?.is_dir() {
            return Err(error_of(ERROR_PATH_NOT_FOUND));
        }
        Ok(Self {
            // Of any length. A RAM disk may not tell it.
            path: fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
            id: FileId::of(&folder)?,
            is_local: !is_remote(&folder),
            has_streams: has_streams(&folder),
        })
    }

    /// Returns the id of the lock that is kept by an entry of this folder. `key` tells it from the other locks here.
    pub(crate) fn lock_id(&self, key: u64) -> FileId {
        self.id.of_entry(key)
    }

    /// Returns the id of the lock with this key in the folder that `path` names, or `None` if there is no folder.
    pub(crate) fn lock_id_at(path: &Path, key: u64) -> io::Result<Option<FileId>> {
        Ok(file_id_at(path)?.map(|id| id.of_entry(key)))
    }

    /// Returns true if the folder is known to be on a file system of this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.is_local
    }

    fn path_of(&self, name: &OsStr) -> PathBuf {
        let wide: Vec<u16> = name.encode_wide().collect();
        self.path.join(OsString::from_wide(&wide[..length_of_name(&wide)]))
    }

    /// Returns what the system says of the entry, which is not followed if it is a symbolic link, or `None` if there is
    /// none.
    pub(crate) fn look(&self, name: &OsStr) -> Result<Option<Seen>, CallError> {
        let found = open_attributes(&self.path_of(name), FILE_FLAG_OPEN_REPARSE_POINT);
        match found.and_then(|entry| Seen::of(&entry)) {
            Ok(seen) => Ok(Some(seen)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // It has been removed, but is still open somewhere. Its name lingers: nobody can have it now.
            Err(error) if code_of(&error) == Some(ERROR_ACCESS_DENIED) => Ok(Some(Seen::NAME)),
            Err(error) => Err(CallError::new(error, "lstat")),
        }
    }

    /// Opens the entry that has been `seen`, so that its number is not used again. Returns `None` if it is gone, or another
    /// one by now.
    pub(crate) fn pin(&self, name: &OsStr, seen: &Seen) -> Result<Option<Entry>, CallError> {
        let access = match seen.kind {
            Kind::File => GENERIC_READ,
            Kind::Folder => FILE_READ_ATTRIBUTES,
            Kind::Symlink | Kind::Other => return Ok(Some(self.unknown(name))),
        };
        let path = self.path_of(name);
        match open_for(&path, access, FILE_FLAG_OPEN_REPARSE_POINT) {
            Ok(file) => {
                let id = EntryId::of(&file).map_err(|error| CallError::new(error, "fstat"))?;
                Ok((id == seen.id).then(|| Entry { file: Some(file), ..self.unknown(name) }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // Its contents are nobody's business, or another program has it open without sharing.
            Err(error) if matches!(code_of(&error), Some(ERROR_ACCESS_DENIED | ERROR_SHARING_VIOLATION)) => {
                Ok(Some(self.unknown(name)))
            }
            Err(error) => Err(CallError::new(error, "open")),
        }
    }

    /// Returns `None`: no lock here is a symbolic link.
    #[expect(clippy::unused_self, reason = "it is used on Unix")]
    pub(crate) fn target(&self, _: &OsStr) -> Option<Vec<u8>> {
        None
    }

    /// Creates an entry that nobody knows.
    pub(crate) fn create(&self, new: &NewEntry<'_>, _: bool) -> Result<Private<'_>, CallError> {
        let path = self.path_of(&private_name(new.host));
        match new.kind {
            Kind::Folder => {
                fs::create_dir(&path).map_err(|error| CallError::new(error, "mkdir"))?;
            }
            // Most users of Windows may not create one.
            Kind::Symlink => return Err(CallError::unsupported(error_of(ERROR_NOT_SUPPORTED), "symlink")),
            Kind::File | Kind::Other => {
                File::create_new(&path).map_err(|error| CallError::new(error, "open"))?;
            }
        }
        let id = EntryId { device: 0, inode: 0 };
        let entry = Entry { file: None, path, has_streams: self.has_streams };
        let mut private = Private { folder: self, kind: new.kind, id, is_secret: true, entry };
        private.fill(new).map_err(|error| CallError::new(error, "write"))?;
        Ok(private)
    }

    /// Removes the entry.
    pub(crate) fn remove(&self, name: &OsStr, kind: Kind) -> Result<(), CallError> {
        let call = if kind == Kind::Folder { "rmdir" } else { "unlink" };
        open_for(&self.path_of(name), DELETE, FILE_FLAG_OPEN_REPARSE_POINT)
            .and_then(|entry| delete(&entry))
            .map_err(|error| CallError::new(error, call))
    }

    /// Removes the entry, with these names that are `inside`, if it is the one that has been `judged`, and no other one whatever
    /// happens meanwhile. Otherwise fails with [`io::ErrorKind::NotFound`].
    #[expect(clippy::unnecessary_wraps, reason = "it is not possible on Unix")]
    pub(crate) fn remove_exactly(
        &self,
        name: &OsStr,
        judged: &Seen,
        inside: &[OsString],
    ) -> Option<Result<bool, CallError>> {
        let path = self.path_of(name);
        let remove = || {
            let entry = open_for(&path, DELETE | FILE_READ_ATTRIBUTES, FILE_FLAG_OPEN_REPARSE_POINT)?;
            if Seen::of(&entry)? != *judged {
                return Err(io::ErrorKind::NotFound.into());
            }
            for name in inside {
                fs::remove_file(path.join(name))?;
            }
            match delete(&entry) {
                // Somebody has put something into it.
                Err(error) if code_of(&error) == Some(ERROR_DIR_NOT_EMPTY) => {
                    Err(io::ErrorKind::NotFound.into())
                }
                deleted => deleted.map(|()| true),
            }
        };
        Some(remove().map_err(|error: io::Error| CallError::new(error, "unlink")))
    }

    /// Returns false: entries cannot be exchanged here.
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "it is possible on Unix")]
    pub(crate) fn exchange(&self, _: &OsStr, _: &OsStr) -> Result<bool, CallError> {
        Ok(false)
    }

    /// Removes the entries that processes of this host have left behind which died before they gave them their names.
    /// `is_dead` tells whether a process has died.
    pub(crate) fn sweep(&self, host: u64, is_dead: impl Fn(u32) -> bool) {
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        for name in entries.flatten().map(|entry| entry.file_name()) {
            if pid_in_private_name(&name, host).is_some_and(&is_dead) {
                // What has something in it stays.
                let _ = self.remove(&name, Kind::File);
            }
        }
    }

    /// Returns an entry that is not open: no lock here is a symbolic link, for which others would have to be kept away.
    #[expect(clippy::unnecessary_wraps, reason = "it may fail on Unix")]
    pub(crate) fn begin_take_over(&self) -> Option<Entry> {
        Some(self.unknown(OsStr::new("")))
    }

    /// Returns an entry that is not open.
    fn unknown(&self, name: &OsStr) -> Entry {
        Entry { file: None, path: self.path_of(name), has_streams: self.has_streams }
    }
}

/// Returns true if files have streams on the file system of an open folder.
fn has_streams(folder: &File) -> bool {
    let mut flags = 0;
    let (name, system) = (ptr::null_mut(), ptr::null_mut());
    let (serial, longest) = (ptr::null_mut(), ptr::null_mut());
    let folder = folder.as_raw_handle();
    // SAFETY: the handle is open as long as `folder` is borrowed, the flags are ours to write, and nothing else is wanted.
    let told =
        unsafe { GetVolumeInformationByHandleW(folder, name, 0, serial, longest, &raw mut flags, system, 0) };
    told != 0 && flags & FILE_NAMED_STREAMS != 0
}

/// Removes an entry that is open for that. A folder has to be empty. Its name goes at once, if the file system can do that,
/// otherwise when nobody has it open any more.
fn delete(entry: &File) -> io::Result<()> {
    let flags = FILE_DISPOSITION_FLAG_DELETE
        | FILE_DISPOSITION_FLAG_POSIX_SEMANTICS
        | FILE_DISPOSITION_FLAG_IGNORE_READONLY_ATTRIBUTE;
    match set_information(entry, FileDispositionInfoEx, &FILE_DISPOSITION_INFO_EX { Flags: flags }) {
        Err(error) if !matches!(code_of(&error), Some(ERROR_DIR_NOT_EMPTY | ERROR_ACCESS_DENIED)) => {
            set_information(entry, FileDispositionInfo, &FILE_DISPOSITION_INFO { DeleteFile: true })
        }
        deleted => deleted,
    }
}

/// A structure by which an open file is changed in some way.
trait Change {}
impl Change for FILE_DISPOSITION_INFO {}
impl Change for FILE_DISPOSITION_INFO_EX {}

fn set_information<T: Change>(file: &File, class: FILE_INFO_BY_HANDLE_CLASS, change: &T) -> io::Result<()> {
    let size = u32::try_from(mem::size_of::<T>()).expect("a small structure");
    // SAFETY: the handle is open as long as `file` is borrowed, and the structure has this size.
    let set = unsafe {
        SetFileInformationByHandle(file.as_raw_handle(), class, ptr::from_ref(change).cast(), size)
    };
    if set == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Renames an entry. Fails if there is one of that name.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let wide = |path: &Path| path.as_os_str().encode_wide().chain([0]).collect::<Vec<u16>>();
    let (from, to) = (wide(from), wide(to));
    // SAFETY: both names end with 0.
    let renamed = unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), 0) };
    if renamed == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// An open entry. Without a file: this process may not open it.
pub(crate) struct Entry {
    file: Option<File>,
    path: PathBuf,
    has_streams: bool,
}

impl Entry {
    /// Returns the path of the stream that marks it as ours, if the file system has streams.
    fn stream(&self) -> Option<PathBuf> {
        self.has_streams.then(|| {
            let mut stream = self.path.as_os_str().to_owned();
            stream.push(MARK);
            stream.into()
        })
    }

    /// Returns what is in the file, as far as a record would fill it, or `None` if it cannot be read.
    pub(crate) fn read(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; LONGEST_RECORD];
        let length = self.file.as_ref()?.seek_read(&mut buffer, 0).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }

    /// Returns what our mark on the entry says, or `None` if there is none.
    pub(crate) fn mark(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; LONGEST_RECORD];
        let length = File::open(self.stream()?).ok()?.seek_read(&mut buffer, 0).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }

    /// Returns the names of what is in the folder. In one that is gone there is nothing.
    pub(crate) fn names(&self) -> Result<Vec<OsString>, CallError> {
        let entries = fs::read_dir(&self.path);
        match entries.and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            names => names.map_err(|error| CallError::new(error, "scandir")),
        }
    }

    /// Adds a file to the folder.
    pub(crate) fn add_file(&self, name: &str) -> Result<(), CallError> {
        File::create_new(self.path.join(name)).map(drop).map_err(|error| CallError::new(error, "open"))
    }

    /// Removes a file from the folder.
    pub(crate) fn remove_file(&self, name: impl AsRef<Path>) -> Result<(), CallError> {
        fs::remove_file(self.path.join(name)).map_err(|error| CallError::new(error, "unlink"))
    }

    /// Sets the time at which it was last modified, in nanoseconds since 1970.
    pub(crate) fn touch(&self, time: i128) -> Result<(), CallError> {
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(time).unwrap_or(0));
        let Some(file) = &self.file else { return Ok(()) };
        file.set_times(FileTimes::new().set_modified(time).set_accessed(time))
            .map_err(|error| CallError::new(error, "utime"))
    }

    /// Returns what the system says of it.
    pub(crate) fn seen(&self) -> Option<Seen> {
        Seen::of(self.file.as_ref()?).ok()
    }

    /// Returns that nobody can tell: folders have no kernel lock here.
    #[expect(clippy::unused_self, reason = "it is used on Unix")]
    pub(crate) fn flock(&self) -> Flock {
        Flock::Unknown
    }

    /// Returns that nobody can tell.
    pub(crate) fn take_flock(&self) -> Flock {
        self.flock()
    }

    /// Does nothing.
    #[expect(clippy::unused_self, reason = "it is used on Unix")]
    pub(crate) fn unlock(&self) {}

    /// Gives up the handle, which is not the entry's any more: it is neither used nor closed from now on.
    pub(crate) fn disown(self) {
        mem::forget(self.file);
    }
}

/// An entry that this process has created, under a name that nobody else knows. Removed when it is dropped.
pub(crate) struct Private<'a> {
    folder: &'a Folder,
    kind: Kind,
    id: EntryId,
    /// Nobody else knows its name.
    is_secret: bool,
    entry: Entry,
}

impl Private<'_> {
    /// Writes the content, marks the entry as ours and opens it.
    fn fill(&mut self, new: &NewEntry<'_>) -> io::Result<()> {
        let mut access = FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES;
        if self.kind == Kind::File {
            fs::write(&self.entry.path, new.content)?;
            // Not for writing: that would be in the way of programs that do not share it.
            access |= GENERIC_READ;
        }
        if let Some(stream) = self.entry.stream() {
            // Without a mark it is a lock all the same.
            let _ = fs::write(stream, new.mark);
        }
        let file = open_for(&self.entry.path, access, FILE_FLAG_OPEN_REPARSE_POINT)?;
        self.id = EntryId::of(&file)?;
        self.entry.file = Some(file);
        Ok(())
    }

    /// Returns the name that nobody else knows.
    pub(crate) fn name(&self) -> &OsStr {
        self.entry.path.file_name().unwrap_or_default()
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
        _: &NewEntry<'_>,
        name: &OsStr,
    ) -> Result<Option<(Entry, EntryId)>, CallError> {
        let path = self.folder.path_of(name);
        match rename(&self.entry.path, &path) {
            Ok(()) => {
                self.entry.path = path;
                Ok(Some(self.take()))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            // Another program, such as a virus scanner, has opened it.
            Err(error) if super::is_busy(&error) => Ok(None),
            // There is an entry whose name lingers.
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied && self.folder.look(name)?.is_some() =>
            {
                Ok(None)
            }
            Err(error) => Err(CallError::new(error, "rename")),
        }
    }

    /// Returns the open entry and its id: it has got a name by which others know it.
    pub(crate) fn take(mut self) -> (Entry, EntryId) {
        self.is_secret = false;
        let nothing = Entry { file: None, path: PathBuf::new(), has_streams: false };
        (mem::replace(&mut self.entry, nothing), self.id)
    }
}

impl Drop for Private<'_> {
    fn drop(&mut self) {
        if self.is_secret {
            // Otherwise its name may linger.
            self.entry.file = None;
            let path = &self.entry.path;
            // What cannot be removed is left over.
            let _ = if self.kind == Kind::Folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}

impl EntryId {
    /// Returns the id of an open entry. All entries of a folder are on one device.
    #[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
    fn of(file: &File) -> io::Result<Self> {
        let (_, number) = numbers_of(file)?;
        Ok(Self { device: 0, inode: number as u64 ^ (number >> 64) as u64 })
    }
}

impl Seen {
    /// A name of an entry that is gone.
    const NAME: Self =
        Self { kind: Kind::Other, id: EntryId { device: 0, inode: 0 }, modified: 0, changed: 0 };

    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let kind = if metadata.is_symlink() {
            Kind::Symlink
        } else if metadata.is_dir() {
            Kind::Folder
        } else {
            Kind::File
        };
        let nanos = |time: Duration| i128::try_from(time.as_nanos()).unwrap_or(i128::MAX);
        let modified = match metadata.modified()?.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => nanos(after),
            Err(before) => -nanos(before.duration()),
        };
        // npm's lockfile goes by the time of the last modification here, and not every file system has the other one.
        Ok(Self { kind, id: EntryId::of(file)?, modified, changed: modified })
    }
}
