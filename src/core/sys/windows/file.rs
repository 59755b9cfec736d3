//! Lock files: opened so that others may delete them meanwhile, and locked with LockFileEx.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use std::ptr;
use std::thread;
use std::time::Duration;

use fs4::{FileExt, TryLockError};
use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_DIRECTORY, ERROR_SHARING_VIOLATION};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
    FILE_READ_ATTRIBUTES, GetFileInformationByHandle,
};
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};

use crate::core::kernel::{LockFile, LockMode};

/// Which file it is: two paths with equal identities name one file, as long as it is kept open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    volume: u32,
    file: u64,
}

impl Identity {
    /// The file of this index on this volume.
    pub const fn new(volume: u64, file: u64) -> Self {
        // Serial numbers of volumes have 32 bits.
        Self { volume: volume as u32, file }
    }

    /// May both be on one file system?
    pub fn is_beside(&self, other: &Self) -> bool {
        self.volume == other.volume
    }

    fn of(file: &File) -> io::Result<Self> {
        // SAFETY: zeroes are a valid value of this plain C structure.
        let mut information: BY_HANDLE_FILE_INFORMATION = unsafe { mem::zeroed() };
        // SAFETY: the handle is open as long as `file` is borrowed, and the structure is ours to write.
        if unsafe { GetFileInformationByHandle(file.as_raw_handle(), &mut information) } == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            volume: information.dwVolumeSerialNumber,
            file: u64::from(information.nFileIndexHigh) << 32 | u64::from(information.nFileIndexLow),
        })
    }
}

/// A lock file that is open.
pub struct OpenFile {
    file: File,
    identity: Identity,
}

impl OpenFile {
    /// Is it known to be on a file system of this machine? Nobody asks the system here.
    pub fn is_local(&self) -> bool {
        false
    }

    /// Which file it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }
}

/// How often opening and creating take turns when others create and delete the file all the while.
const OPEN_ROUNDS: u32 = 128;
/// How long opening waits between two looks at a file that is being deleted. All the rounds together: 256 ms.
const DELETION_PACE: Duration = Duration::from_millis(2);

/// Opens the lock file, and creates it if it is missing and `create` is given. (Its permission bits mean
/// nothing here: a new file inherits its folder's access list.)
pub fn open(path: &Path, create: Option<u32>) -> io::Result<OpenFile> {
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
        if create.is_none() {
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
    Ok(OpenFile { identity: Identity::of(&file)?, file })
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

/// For reading and writing, or where that is refused for reading alone. A folder is ERROR_DIRECTORY (EISDIR).
fn open_existing(path: &Path) -> io::Result<File> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.raw_os_error() == Some(ERROR_ACCESS_DENIED as i32) => {
            if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
                return Err(io::Error::from_raw_os_error(ERROR_DIRECTORY as i32));
            }
            OpenOptions::new().read(true).open(path).map_err(|_| error)
        }
        opened => opened,
    }
}

/// Opens the lock file at `path` without waiting. `None`: that cannot be told here.
pub fn open_cached(_: &Path) -> Option<OpenFile> {
    None
}

/// Which file `path` names now, if any.
pub fn identity_at(path: &Path) -> io::Result<Option<Identity>> {
    match open_attributes(path, 0) {
        Ok(file) => Identity::of(&file).map(Some),
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
    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        // LockFileEx stacks locks on one handle instead of changing the mode, so the old one goes first.
        self.unlock();
        let result = match mode {
            LockMode::Exclusive => FileExt::try_lock(&self.file),
            LockMode::Shared => FileExt::try_lock_shared(&self.file),
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
        // Fails when nothing is locked, which is as well.
        let _ = FileExt::unlock(&self.file);
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        Ok(identity_at(path)? == Some(self.identity))
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        // Closed again before the file is deleted: where the name goes with the last handle, it would linger.
        let identity = Identity::of(&open_attributes(path, FILE_FLAG_OPEN_REPARSE_POINT)?)?;
        if identity == self.identity { fs::remove_file(path) } else { Ok(()) }
    }
}

/// Keeps this library mapped when Node unloads it: threads of ours may be inside.
pub fn pin_library() {
    let mut module = ptr::null_mut();
    // SAFETY: with FROM_ADDRESS the second argument is any address inside the module, such as this function's.
    unsafe {
        GetModuleHandleExW(
            GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
            pin_library as *const () as *const u16,
            &mut module,
        );
    }
}
