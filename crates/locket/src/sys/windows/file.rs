//! Open lock files, locked with LockFileEx. Other programs may delete them meanwhile.

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
    BY_HANDLE_FILE_INFORMATION, FILE_ACCESS_RIGHTS, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
    FILE_ID_INFO, FILE_INFO_BY_HANDLE_CLASS, FILE_READ_ATTRIBUTES, FILE_REMOTE_PROTOCOL_INFO, FILE_TYPE_DISK,
    FileIdInfo, FileRemoteProtocolInfo, GetFileInformationByHandle, GetFileInformationByHandleEx,
    GetFileType, GetFinalPathNameByHandleW,
};

use super::error::{code_of, error_of};
use crate::sys::quirks::Platform;
use crate::sys::{KernelLock, LockFile, LockMode, OpenHow};

/// A file, however its path is spelled: two paths with equal ids name one file, as long as it is kept open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId {
    volume: u64,
    /// ReFS has numbers of 128 bits.
    file: u128,
    /// A hash of the file's final path, where several files may have this number; otherwise 0.
    name: u64,
}

impl FileId {
    /// Returns the id of the file with this number on this volume.
    #[cfg(test)]
    pub(crate) const fn new(volume: u64, file: u64) -> Self {
        Self { volume, file: file as u128, name: 0 }
    }

    /// Returns the id as numbers, the least significant first. They have the same order in all processes of a machine.
    #[expect(clippy::cast_possible_truncation, reason = "the number of the file takes two")]
    pub const fn to_words(self) -> [u64; 4] {
        [self.name, self.file as u64, (self.file >> 64) as u64, self.volume]
    }

    /// Returns the id with these numbers.
    pub const fn from_words([name, low, high, volume]: [u64; 4]) -> Self {
        Self { volume, file: (high as u128) << 64 | low as u128, name }
    }

    /// Returns the id of a lock that is kept by an entry in the folder with this id. `key` tells it from the others there.
    pub(super) const fn of_entry(self, key: u64) -> Self {
        // No file has a name of 0.
        Self { name: (self.name ^ key) | 1, ..self }
    }

    /// Returns the id of an open file.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let (volume, number) = numbers_of(file)?;
        let trusted = Platform::THIS.trusts_file_number(number, is_remote(file));
        Ok(Self { volume, file: number, name: if trusted { 0 } else { hash_of_final_path(file)? } })
    }
}

/// Returns the number of the volume and that of the file.
pub(super) fn numbers_of(file: &File) -> io::Result<(u64, u128)> {
    match information::<FILE_ID_INFO>(file, FileIdInfo) {
        Ok(id) => Ok((id.VolumeSerialNumber, u128::from_le_bytes(id.FileId.Identifier))),
        // Not every file system has this number, nor every server.
        Err(_) => old_numbers(file),
    }
}

/// Returns the number of the volume, of 32 bits, and that of the file, of 64 bits.
fn old_numbers(file: &File) -> io::Result<(u64, u128)> {
    // SAFETY: zeroes are a valid value of this plain C structure.
    let mut numbers: BY_HANDLE_FILE_INFORMATION = unsafe { mem::zeroed() };
    // SAFETY: the handle is open as long as `file` is borrowed, and the structure is ours to write.
    if unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut numbers) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let file = u64::from(numbers.nFileIndexHigh) << 32 | u64::from(numbers.nFileIndexLow);
    Ok((numbers.dwVolumeSerialNumber.into(), file.into()))
}

/// A structure that describes an open file. It consists of numbers alone, so that any bytes are a value of it.
trait Information {}
impl Information for FILE_ID_INFO {}
impl Information for FILE_REMOTE_PROTOCOL_INFO {}

/// Returns what the system says of an open file in this class of information.
fn information<T: Information>(file: &File, class: FILE_INFO_BY_HANDLE_CLASS) -> io::Result<T> {
    // SAFETY: any bytes are a value of it.
    let mut information: T = unsafe { mem::zeroed() };
    let size = u32::try_from(mem::size_of::<T>()).expect("a small structure");
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

/// Returns true if the file is on another machine: only then there is a protocol.
pub(super) fn is_remote(file: &File) -> bool {
    information::<FILE_REMOTE_PROTOCOL_INFO>(file, FileRemoteProtocolInfo).is_ok()
}

/// Returns a hash of the path that the system has for an open file, whatever path it was opened by. It is not 0.
fn hash_of_final_path(file: &File) -> io::Result<u64> {
    let mut path = vec![0_u16; 512];
    loop {
        let size = u32::try_from(path.len()).expect("a path has at most 65,536 characters");
        // SAFETY: the handle is open as long as `file` is borrowed, and the buffer, of this length, is ours to write.
        let length =
            unsafe { GetFinalPathNameByHandleW(file.as_raw_handle(), path.as_mut_ptr(), size, 0) } as usize;
        match length {
            0 => return Err(io::Error::last_os_error()),
            // Too long for the buffer: this is the length that it needs.
            _ if length > path.len() => path.resize(length, 0),
            _ => return Ok(BuildHasherDefault::<DefaultHasher>::default().hash_one(&path[..length]) | 1),
        }
    }
}

/// A lock file that is open.
pub(crate) struct OpenFile {
    file: ManuallyDrop<File>,
    id: FileId,
    /// The system's handle is not this file's any more.
    disowned: AtomicBool,
}

impl OpenFile {
    /// Returns a lock file that has just been opened. A console, a printer or a pipe is ERROR_INVALID_PARAMETER (EINVAL).
    fn new(file: File) -> io::Result<Self> {
        // SAFETY: the handle is open as long as `file` is borrowed.
        if unsafe { GetFileType(file.as_raw_handle()) } != FILE_TYPE_DISK {
            return Err(error_of(ERROR_INVALID_PARAMETER));
        }
        let id = FileId::of(&file)?;
        Ok(Self { file: ManuallyDrop::new(file), id, disowned: AtomicBool::new(false) })
    }

    /// Returns the file, unless its handle is not ours any more.
    fn file(&self) -> io::Result<&File> {
        if self.disowned.load(Ordering::Relaxed) {
            return Err(error_of(ERROR_INVALID_HANDLE));
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

/// Does nothing: there is no way to ask.
pub(crate) fn refresh(_: &Path) -> bool {
    false
}

/// Returns true if processes on all machines are known to see the same files in `folder` at the same time, or if there is
/// no way to the folder: then opening a file in it says why.
pub(crate) fn is_coherent_at(folder: &Path) -> bool {
    !open_attributes(folder, 0).is_ok_and(|folder| is_remote(&folder))
}

/// Returns false: Windows does not tell that without asking a server.
pub(crate) fn is_on_local_mount(_: &Path) -> bool {
    false
}

/// How often opening and creating alternate while others create and delete the file.
const OPEN_ROUNDS: u32 = 128;
/// The pause before a file that is being deleted is opened again. All rounds together: 256 ms.
const DELETION_PACE: Duration = Duration::from_millis(2);

/// Opens the lock file, and creates it if it is missing and `how.create` is given. The permission bits mean nothing here: a
/// new file inherits the access list of its folder.
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

/// Returns true if opening `path` fails so because its file was deleted, but is still open somewhere. On a file system
/// without POSIX deletion the name goes with the last handle, and the waiters for the lock close theirs one after the other.
/// Until then not even its attributes can be read, which otherwise everybody may read who may list the folder.
fn is_being_deleted(path: &Path, error: &io::Error) -> bool {
    let denied = |error: &io::Error| code_of(error) == Some(ERROR_ACCESS_DENIED);
    denied(error) && open_attributes(path, 0).is_err_and(|error| denied(&error))
}

/// Opens what `path` names, which may be a folder, for its attributes alone. FILE_FLAG_OPEN_REPARSE_POINT opens a symbolic
/// link itself.
pub(super) fn open_attributes(path: &Path, flags: u32) -> io::Result<File> {
    open_for(path, FILE_READ_ATTRIBUTES, flags)
}

/// Opens what `path` names, which may be a folder, with this access.
pub(super) fn open_for(path: &Path, access: FILE_ACCESS_RIGHTS, flags: u32) -> io::Result<File> {
    OpenOptions::new().access_mode(access).custom_flags(FILE_FLAG_BACKUP_SEMANTICS | flags).open(path)
}

/// Opens the file for reading, or for writing if reading is forbidden, never for both: a file that is open for writing
/// cannot be opened by those that do not share writing, nor started as a program. A folder is ERROR_DIRECTORY (EISDIR).
fn open_existing(path: &Path) -> io::Result<File> {
    match OpenOptions::new().read(true).open(path) {
        Err(error) if code_of(&error) == Some(ERROR_ACCESS_DENIED) => {
            if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
                return Err(error_of(ERROR_DIRECTORY));
            }
            OpenOptions::new().write(true).open(path).map_err(|_| error)
        }
        opened => opened,
    }
}

/// Returns 0: a file that is open keeps its folder from being deleted.
pub(crate) fn spare_descriptors() -> usize {
    0
}

/// Returns the id of the lock of the file that `path` names now, or `None` if there is no file.
pub(crate) fn lock_id_at(path: &Path, _: KernelLock) -> io::Result<Option<FileId>> {
    file_id_at(path)
}

/// Returns the id of the file that `path` names now, or `None` if there is no file.
pub(super) fn file_id_at(path: &Path) -> io::Result<Option<FileId>> {
    match open_attributes(path, 0) {
        Ok(file) => FileId::of(&file).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // A file that is being deleted cannot be opened any more, but its name lingers.
        Err(error) if matches!(code_of(&error), Some(ERROR_ACCESS_DENIED | ERROR_SHARING_VIOLATION)) => {
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
        // LockFileEx adds a lock to the handle instead of changing the mode, so the old lock is removed first.
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

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(&*self.file, buffer, 0)
    }

    fn write(&self, content: &[u8]) -> io::Result<()> {
        std::os::windows::fs::FileExt::seek_write(&*self.file, content, 0)?;
        self.file.set_len(content.len() as u64)
    }

    fn unlock(&self) {
        if let Ok(file) = self.file() {
            // Fails if nothing is locked, which does no harm.
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
        self.file()
            .and_then(FileId::of)
            .is_ok_and(|now| now.volume == self.id.volume && (now.file == self.id.file || self.id.name != 0))
    }

    fn disown(&self) {
        self.disowned.store(true, Ordering::Relaxed);
    }
}
