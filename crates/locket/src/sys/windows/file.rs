//! Lock files: opened so that others may delete them meanwhile, and locked with LockFileEx.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io;
use std::mem::{self, ManuallyDrop};
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fs4::{FileExt, TryLockError};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_DIRECTORY, ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER,
    ERROR_SHARING_VIOLATION,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_ID_INFO,
    FILE_INFO_BY_HANDLE_CLASS, FILE_READ_ATTRIBUTES, FILE_REMOTE_PROTOCOL_INFO, FILE_TYPE_DISK, FileIdInfo,
    FileRemoteProtocolInfo, GetFileInformationByHandle, GetFileInformationByHandleEx, GetFileType,
    GetFinalPathNameByHandleW,
};

use crate::sys::quirks::Platform;
use crate::sys::{LockFile, LockMode, OpenHow};

/// Which file it is: two paths with equal identities name one file, as long as it is kept open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId {
    volume: u64,
    /// ReFS has numbers of 128 bits.
    file: u128,
    /// A hash of the file's final path, where several files may have this number; otherwise 0.
    name: u64,
}

impl FileId {
    /// The file of this number on this volume.
    pub(crate) const fn new(volume: u64, file: u64) -> Self {
        Self { volume, file: file as u128, name: 0 }
    }

    /// May both be on one file system?
    pub(crate) fn is_on_same_device(&self, other: &Self) -> bool {
        self.volume == other.volume
    }

    fn of(file: &File) -> io::Result<Self> {
        let (volume, number) = match information::<FILE_ID_INFO>(file, FileIdInfo) {
            Ok(id) => (id.VolumeSerialNumber, u128::from_le_bytes(id.FileId.Identifier)),
            // Not every file system has these, nor every server.
            Err(_) => old_numbers(file)?,
        };
        let trusted = Platform::THIS.trusts_file_number(number, is_remote(file));
        Ok(Self { volume, file: number, name: if trusted { 0 } else { hash_of_final_path(file)? } })
    }
}

/// The volume and the file by their numbers of 32 and 64 bits.
fn old_numbers(file: &File) -> io::Result<(u64, u128)> {
    // SAFETY: zeroes are a valid value of this plain C structure.
    let mut numbers: BY_HANDLE_FILE_INFORMATION = unsafe { mem::zeroed() };
    // SAFETY: the handle is open as long as `file` is borrowed, and the structure is ours to write.
    if unsafe { GetFileInformationByHandle(file.as_raw_handle(), &mut numbers) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let file = u64::from(numbers.nFileIndexHigh) << 32 | u64::from(numbers.nFileIndexLow);
    Ok((numbers.dwVolumeSerialNumber.into(), file.into()))
}

/// A structure that says something about an open file: made of numbers alone, so that any bytes are a value of it.
trait Information {}
impl Information for FILE_ID_INFO {}
impl Information for FILE_REMOTE_PROTOCOL_INFO {}

fn information<T: Information>(file: &File, class: FILE_INFO_BY_HANDLE_CLASS) -> io::Result<T> {
    // SAFETY: any bytes are a value of it.
    let mut information: T = unsafe { mem::zeroed() };
    let size = mem::size_of::<T>() as u32;
    // SAFETY: the handle is open as long as `file` is borrowed, and the structure, of this size, is ours to write.
    let told = unsafe {
        GetFileInformationByHandleEx(
            file.as_raw_handle(),
            class,
            ptr::from_mut(&mut information).cast(),
            size,
        )
    };
    if told == 0 { Err(io::Error::last_os_error()) } else { Ok(information) }
}

/// Is the file on another machine? Only such a one has a protocol.
fn is_remote(file: &File) -> bool {
    information::<FILE_REMOTE_PROTOCOL_INFO>(file, FileRemoteProtocolInfo).is_ok()
}

/// A hash of the path that the system has for an open file, whatever path it was opened by. Never 0.
fn hash_of_final_path(file: &File) -> io::Result<u64> {
    let mut path = vec![0_u16; 512];
    loop {
        // SAFETY: the handle is open as long as `file` is borrowed, and the buffer, of this length, is ours to write.
        let length = unsafe {
            GetFinalPathNameByHandleW(file.as_raw_handle(), path.as_mut_ptr(), path.len() as u32, 0)
        } as usize;
        match length {
            0 => return Err(io::Error::last_os_error()),
            // Too long for the buffer: it is the length that takes.
            _ if length > path.len() => path.resize(length, 0),
            _ => return Ok(BuildHasherDefault::<DefaultHasher>::default().hash_one(&path[..length]) | 1),
        }
    }
}

/// A lock file that is open.
pub(crate) struct OpenFile {
    file: ManuallyDrop<File>,
    id: FileId,
    /// The handle of the system is not this file's any more.
    disowned: AtomicBool,
}

impl OpenFile {
    /// A file that has just been opened. A console or a printer is none, nor is a pipe: that is ERROR_INVALID_PARAMETER
    /// (EINVAL).
    fn new(file: File) -> io::Result<Self> {
        // SAFETY: the handle is open as long as `file` is borrowed.
        if unsafe { GetFileType(file.as_raw_handle()) } != FILE_TYPE_DISK {
            return Err(io::Error::from_raw_os_error(ERROR_INVALID_PARAMETER as i32));
        }
        let id = FileId::of(&file)?;
        Ok(Self { file: ManuallyDrop::new(file), id, disowned: AtomicBool::new(false) })
    }

    /// The file, unless its handle is not ours any more.
    fn file(&self) -> io::Result<&File> {
        if self.disowned.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(ERROR_INVALID_HANDLE as i32));
        }
        Ok(&self.file)
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if !*self.disowned.get_mut() {
            // SAFETY: the file is not used after this.
            unsafe { ManuallyDrop::drop(&mut self.file) };
        }
    }
}

/// Returns true if processes on all machines are known to see the same files in `folder` at the same time, or if there is
/// no way to the folder: then opening a file in it says why.
pub(crate) fn is_coherent_at(folder: &Path) -> bool {
    !open_attributes(folder, 0).is_ok_and(|folder| is_remote(&folder))
}

/// Returns true if the system says without asking anybody that `path` is on a file system of this machine. It does not.
pub(crate) fn is_on_local_mount(_: &Path) -> bool {
    false
}

/// How often opening and creating take turns when others create and delete the file all the while.
const OPEN_ROUNDS: u32 = 128;
/// How long opening waits between two looks at a file that is being deleted. All the rounds together: 256 ms.
const DELETION_PACE: Duration = Duration::from_millis(2);

/// Opens the lock file, and creates it if it is missing and `create` is given. (Its permission bits mean
/// nothing here: a new file inherits its folder's access list.)
pub(crate) fn open(path: &Path, how: &OpenHow) -> io::Result<OpenFile> {
    let mut rounds = OPEN_ROUNDS;
    let file = loop {
        let refusal = match open_existing(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => error,
            Err(error) if is_being_deleted(path, &error) => {
                thread::sleep(DELETION_PACE);
                error
            }
            opened => break opened?,
        };
        if how.create.is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        match OpenOptions::new().read(true).write(true).create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists || is_being_deleted(path, &error) => {}
            created => break created?,
        }
        rounds -= 1;
        if rounds == 0 {
            return Err(refusal);
        }
    };
    OpenFile::new(file)
}

/// Was a file of this name deleted that is still open somewhere, if opening it fails so? Where file systems do not have
/// deletion as POSIX has it, the name goes with the last handle: those who wait for the lock close theirs one after the
/// other. Until then not even its attributes can be read, which otherwise all may who may list the folder.
fn is_being_deleted(path: &Path, error: &io::Error) -> bool {
    let denied = |error: &io::Error| error.raw_os_error() == Some(ERROR_ACCESS_DENIED as i32);
    denied(error) && open_attributes(path, 0).is_err_and(|error| denied(&error))
}

/// Opens what `path` names, folders too, to see what it is and no more; with FILE_FLAG_OPEN_REPARSE_POINT a symbolic link
/// itself.
fn open_attributes(path: &Path, flags: u32) -> io::Result<File> {
    OpenOptions::new()
        .access_mode(FILE_READ_ATTRIBUTES)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | flags)
        .open(path)
}

/// Opens the file for reading, or for writing if reading is forbidden, never for both: a file that is open for writing
/// cannot be opened by those that do not share writing, nor started as a program. A folder is ERROR_DIRECTORY (EISDIR).
fn open_existing(path: &Path) -> io::Result<File> {
    match OpenOptions::new().read(true).open(path) {
        Err(error) if error.raw_os_error() == Some(ERROR_ACCESS_DENIED as i32) => {
            if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
                return Err(io::Error::from_raw_os_error(ERROR_DIRECTORY as i32));
            }
            OpenOptions::new().write(true).open(path).map_err(|_| error)
        }
        opened => opened,
    }
}

/// Opens the lock file at `path` without waiting. `None`: that cannot be told here.
pub(crate) fn open_cached(_: &Path, _: &OpenHow) -> Option<OpenFile> {
    None
}

/// Which file `path` names now, if any.
pub(crate) fn file_id_at(path: &Path) -> io::Result<Option<FileId>> {
    match open_attributes(path, 0) {
        Ok(file) => FileId::of(&file).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // A file that is being deleted cannot be opened any more, but its name lingers.
        Err(error)
            if [ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION]
                .iter()
                .any(|&code| error.raw_os_error() == Some(code as i32)) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl LockFile for OpenFile {
    fn id(&self) -> FileId {
        self.id
    }

    fn is_local(&self) -> bool {
        !is_remote(&self.file)
    }

    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        // LockFileEx stacks locks on one handle instead of changing the mode, so the old one goes first.
        self.unlock();
        let file = self.file()?;
        let result = match mode {
            LockMode::Exclusive => FileExt::try_lock(file),
            LockMode::Shared => FileExt::try_lock_shared(file),
        };
        match result {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn lock(&self, _: LockMode) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn unlock(&self) {
        if let Ok(file) = self.file() {
            // Fails when nothing is locked, which is as well.
            let _ = FileExt::unlock(file);
        }
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        Ok(file_id_at(path)? == Some(self.id))
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        // Closed again before the file is deleted: where the name goes with the last handle, it would linger.
        let id = FileId::of(&open_attributes(path, FILE_FLAG_OPEN_REPARSE_POINT)?)?;
        if id == self.id { fs::remove_file(path) } else { Ok(()) }
    }

    fn is_intact(&self) -> bool {
        // The final path changes when the file is renamed, which leaves the lock alone.
        self.file().and_then(FileId::of).is_ok_and(|now| {
            now.is_on_same_device(&self.id) && (now.file == self.id.file || self.id.name != 0)
        })
    }

    fn disown(&self) {
        self.disowned.store(true, Ordering::Relaxed);
    }
}
