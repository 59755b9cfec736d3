//! Opens lock files: truncates nothing, waits for no other program, and follows no dangling symbolic link.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, RawMode};
use rustix::io::{Errno, retry_on_intr};

use super::file_system::is_smb_at;
use super::lock_file::{Access, OpenFile};
use crate::sys::OpenHow;

/// The most rounds of opening and creating while others create and delete the file, and of looking a path up that a server
/// calls stale. A round is lost only if the file comes and goes within two system calls.
pub(super) const ROUNDS: u32 = 128;

/// Opens the lock file, and creates it with the permission bits `how.create`, less the umask, if it is missing.
///
/// What exists is opened without O_CREAT first: with `fs.protected_regular` the kernel refuses O_CREAT on
/// another user's file in a sticky folder. What is missing is created with O_EXCL, which never follows a
/// dangling symbolic link; for that one the answer stays ENOENT.
pub(crate) fn open(path: &Path, how: &OpenHow) -> io::Result<OpenFile> {
    let mut rounds = ROUNDS;
    let mut trusts_links = true;
    let mut is_sure = false;
    loop {
        rounds -= 1;
        match open_once(path, how) {
            // A client may remember a file that another machine has deleted. To create a file, it asks the server.
            Ok(file) if trusts_links && file.is_nameless() => {
                trusts_links = false;
                if let Some(mode) = how.create
                    && let Ok(created) = create(path, mode, how)
                {
                    return Ok(unshared(created, path, how));
                }
            }
            // It was just created, or deleted on its server.
            Err(Errno::EXIST | Errno::STALE) if rounds > 0 => {}
            Err(Errno::EXIST) => return Err(Errno::NOENT.into()),
            Err(Errno::NOENT) if how.create.is_some() && path.parent().is_some_and(is_smb_at) => {
                if is_being_deleted(path) {
                    return Err(io::ErrorKind::ResourceBusy.into());
                }
                // Its deletion may have come to its end in between.
                if is_sure {
                    return Err(Errno::NOENT.into());
                }
                is_sure = true;
            }
            opened => return Ok(unshared(opened?, path, how)),
        }
    }
}

/// Returns the file with a descriptor that shares nothing with others of this process. Linux' SMB client gives descriptors of
/// one file for reading the same handle at the server, and the lock goes when any of these is closed. Those for writing alone
/// have handles of their own.
fn unshared(opened: OpenFile, path: &Path, how: &OpenHow) -> OpenFile {
    if !opened.may_be_shared() {
        return opened;
    }
    let writing = open_with(path, OFlags::WRONLY, Mode::empty());
    // A user who may only read the file has to make do with the shared handle.
    writing.and_then(|file| OpenFile::new(file, Access::Writing, path, how)).unwrap_or(opened)
}

fn open_once(path: &Path, how: &OpenHow) -> Result<OpenFile, Errno> {
    match (open_existing(path, how), how.create) {
        (Err(Errno::NOENT), Some(mode)) => create(path, mode, how),
        (opened, _) => {
            let (file, access) = opened?;
            OpenFile::new(file, access, path, how)
        }
    }
}

/// Returns true if the file at `path` has been deleted but is still open somewhere. On SMB, its name goes with the last
/// descriptor: until then the folder lists it, although it cannot be found.
fn is_being_deleted(path: &Path) -> bool {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return false };
    matches!(rustix::fs::lstat(path), Err(Errno::NOENT))
        && std::fs::read_dir(folder)
            .is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name() == name))
}

fn create(path: &Path, mode: u32, how: &OpenHow) -> Result<OpenFile, Errno> {
    #[allow(clippy::cast_possible_truncation, reason = "16 bits on macOS, of which 12 are used")]
    let mode = Mode::from_raw_mode(mode as RawMode);
    let file = open_with(path, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, mode)?;
    OpenFile::new(file, Access::Full, path, how)
}

/// Opens the file for reading, or for writing if reading is forbidden. Opens it for both only if locking needs that, at
/// once or later ([`OpenFile::locking`]): opening for writing copies a file up from a lower layer of an overlay, breaks
/// read leases, keeps the file from being run as a program, and tells watchers of a writer.
fn open_existing(path: &Path, how: &OpenHow) -> Result<(File, Access), Errno> {
    if how.for_writing {
        match open_with(path, OFlags::RDWR, Mode::empty()) {
            // One may lock it all the same: one that can only be written, or a folder. Otherwise locking fails, too.
            Err(Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::ISDIR) => {}
            opened => return Ok((opened?, Access::Full)),
        }
    }
    match open_with(path, OFlags::RDONLY, Mode::empty()) {
        Err(error @ (Errno::ACCESS | Errno::PERM)) => {
            let opened = open_with(path, OFlags::WRONLY, Mode::empty()).map_err(|second| match second {
                // These say more.
                Errno::ROFS => second,
                Errno::ISDIR if !how.allow_directory => second,
                _ => error,
            });
            Ok((opened?, Access::Writing))
        }
        opened => Ok((opened?, Access::Reading)),
    }
}

/// O_NONBLOCK: a FIFO must not block the thread. O_NOCTTY: a terminal must not become that of the process. O_CLOEXEC: a
/// child must not inherit the lock.
pub(super) const OPEN_FLAGS: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Opens `path` with these flags and [`OPEN_FLAGS`], and waits for a lease of another program.
pub(super) fn open_with(path: &Path, flags: OFlags, mode: Mode) -> Result<File, Errno> {
    let open = |flags| retry_on_intr(|| rustix::fs::open(path, flags, mode)).map(File::from);
    match open(flags | OPEN_FLAGS) {
        // Another program, such as Samba, has a lease on the file, and has been asked to give it up. An open without
        // O_NONBLOCK waits for that; in the end the kernel takes the lease away (`fs.lease-break-time`, 45 s).
        Err(Errno::AGAIN) if is_regular(path) => open(flags | OPEN_FLAGS.difference(OFlags::NONBLOCK)),
        opened => opened,
    }
}

/// Returns how many descriptors this process can spare: a small part of those that it may have.
pub(crate) fn spare_descriptors() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| usize::try_from(limit / 16).unwrap_or(usize::MAX))
}

/// Returns true if `path` names a regular file, which can be opened without O_NONBLOCK.
fn is_regular(path: &Path) -> bool {
    rustix::fs::stat(path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file())
}
