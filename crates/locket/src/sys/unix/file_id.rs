//! What identifies the lock of a file: device and inode, and which of the kernel's locks it is.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::Stat;
use rustix::io::Errno;

use super::open::ROUNDS;
use crate::sys::KernelLock;

/// The lock of a file, however its path is spelled: two paths with equal ids name one file, as long as it is kept open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId {
    // The inode first: it differs where the device mostly does not.
    inode: u64,
    device: u64,
    /// A hash of the file's final path, where several files may have this inode, or of a name in this folder; otherwise 0.
    name: u64,
    /// Which of its locks. An id that only stands for the file has [`KernelLock::Flock`].
    lock: KernelLock,
}

impl FileId {
    /// Returns the id of this inode on this device.
    pub(crate) const fn new(device: u64, inode: u64) -> Self {
        Self { inode, device, name: 0, lock: KernelLock::Flock }
    }

    /// Returns the id as numbers, the least significant first. They have the same order in all processes of a machine.
    pub const fn to_words(self) -> [u64; 4] {
        [self.lock as u64, self.name, self.inode, self.device]
    }

    /// Returns the id with these numbers.
    pub const fn from_words([lock, name, inode, device]: [u64; 4]) -> Self {
        let lock = if lock == KernelLock::Fcntl as u64 { KernelLock::Fcntl } else { KernelLock::Flock };
        Self { inode, device, name, lock }
    }

    /// Returns the id of this lock of the same file.
    pub(super) const fn of_lock(self, lock: KernelLock) -> Self {
        Self { lock, ..self }
    }

    /// Returns the id of a lock that is kept by an entry in this folder. `key` tells it from the others there.
    pub(super) const fn of_entry(device: u64, folder: u64, key: u64) -> Self {
        // No file has a name of 0.
        Self { inode: folder, device, name: key | 1, lock: KernelLock::Flock }
    }

    /// Returns the number of the device.
    pub(super) fn device(&self) -> u64 {
        self.device
    }

    /// Returns the id that stat(2) gives for the same file.
    pub(super) fn without_name(self) -> Self {
        Self { name: 0, ..self }
    }

    /// Returns true if an open file whose id is `now` may be the one whose id was `self`. A number that does not identify
    /// a file may change when the file is written.
    pub(super) fn may_be(&self, now: &Self) -> bool {
        now.device == self.device && (now.inode == self.inode || self.name != 0)
    }

    /// Returns the id that stat(2) gives.
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        reason = "a device number has 32 bits and a sign on macOS"
    )]
    pub(super) fn of_stat(stat: &Stat) -> Self {
        Self::new(stat.st_dev as u64, stat.st_ino)
    }

    /// Returns the id of an open file with this stat.
    pub(super) fn of(file: &File, stat: &Stat) -> Result<Self, Errno> {
        let id = Self::of_stat(stat);
        Ok(Self { name: name_if_needed(file, id.inode)?, ..id })
    }
}

/// Returns a hash of the path that the system has for `file`, if the number does not identify it. Otherwise returns 0.
#[cfg(target_vendor = "apple")]
fn name_if_needed(file: &File, inode: u64) -> Result<u64, Errno> {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    if crate::sys::quirks::Platform::THIS.trusts_file_number(inode.into(), false) {
        return Ok(0);
    }
    let path = rustix::fs::getpath(file)?;
    Ok(BuildHasherDefault::<DefaultHasher>::default().hash_one(path) | 1)
}

/// Returns 0: the number identifies every file here.
#[cfg(not(target_vendor = "apple"))]
#[expect(clippy::unnecessary_wraps, reason = "it may fail on Apple's systems")]
fn name_if_needed(_: &File, _: u64) -> Result<u64, Errno> {
    Ok(0)
}

/// What the system says of a file.
pub(super) struct Found {
    pub id: FileId,
    /// It has no content.
    pub is_empty: bool,
}

impl Found {
    fn of_stat(stat: &Stat) -> Self {
        Self { id: FileId::of_stat(stat), is_empty: stat.st_size == 0 }
    }
}

/// Returns the id of this lock of the file that `path` names now, or `None` if there is no file.
pub(crate) fn lock_id_at(path: &Path, lock: KernelLock) -> io::Result<Option<FileId>> {
    Ok(find_at(path)?.map(|found| found.id.of_lock(lock)))
}

/// Returns what the system says of the file that `path` names now, or `None` if there is no file.
pub(super) fn find_at(path: &Path) -> io::Result<Option<Found>> {
    let mut rounds = ROUNDS;
    loop {
        rounds -= 1;
        match stat_at(path) {
            // Deleted on its server: the next call asks the server.
            Err(Errno::STALE) if rounds > 0 => {}
            // ENOTDIR, ELOOP: something else was put where a folder of the path was.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            found => return Ok(Some(found?)),
        }
    }
}

#[cfg(not(target_vendor = "apple"))]
fn stat_at(path: &Path) -> Result<Found, Errno> {
    Ok(Found::of_stat(&rustix::fs::stat(path)?))
}

/// Opens the file that `path` names if its number alone does not identify it.
#[cfg(target_vendor = "apple")]
fn stat_at(path: &Path) -> Result<Found, Errno> {
    use rustix::fs::{Mode, OFlags};

    let found = Found::of_stat(&rustix::fs::stat(path)?);
    if crate::sys::quirks::Platform::THIS.trusts_file_number(found.id.inode.into(), false) {
        return Ok(found);
    }
    let file = super::open::open_with(path, OFlags::from_bits_retain(libc::O_EVTONLY as _), Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    Ok(Found { id: FileId::of(&file, &stat)?, ..Found::of_stat(&stat) })
}

/// Returns what this machine knows of an open file: a server that does not respond must not delay a release.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn find_without_waiting(file: &File) -> Result<Found, Errno> {
    use rustix::fs::{AtFlags, StatxFlags, makedev, statx};

    let wanted = StatxFlags::INO | StatxFlags::SIZE;
    match statx(file, c"", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, wanted) {
        Ok(stat) => Ok(Found {
            id: FileId::new(makedev(stat.stx_dev_major, stat.stx_dev_minor), stat.stx_ino),
            is_empty: stat.stx_size == 0,
        }),
        // Before Linux 4.11, or where a sandbox does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => Ok(Found::of_stat(&rustix::fs::fstat(file)?)),
        Err(error) => Err(error),
    }
}

/// Returns what the system says of an open file.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn find_without_waiting(file: &File) -> Result<Found, Errno> {
    Ok(Found::of_stat(&rustix::fs::fstat(file)?))
}

/// Returns what the server says of the file that `path` names now, or `None` if there is no file or it is being deleted. The client
/// of a network file system may remember for up to a minute what a path has named.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn find_on_server(path: &Path) -> io::Result<Option<Found>> {
    use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};

    match statx(CWD, path, AtFlags::STATX_FORCE_SYNC, StatxFlags::BASIC_STATS) {
        Ok(stat) => Ok((stat.stx_nlink > 0).then(|| Found {
            id: FileId::new(makedev(stat.stx_dev_major, stat.stx_dev_minor), stat.stx_ino),
            is_empty: stat.stx_size == 0,
        })),
        // It was deleted just now; or this is before Linux 4.11, or a sandbox does not know the call. Other errors come again.
        Err(_) => find_at(path),
    }
}

/// Returns what the system says: there is no way to have the server asked.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn find_on_server(path: &Path) -> io::Result<Option<Found>> {
    find_at(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_of_its_numbers_which_have_the_order_of_device_and_inode() {
        let ids = [
            FileId::new(1, u64::MAX),
            FileId::new(1, u64::MAX).of_lock(KernelLock::Fcntl),
            FileId::of_entry(1, u64::MAX, 7),
            FileId::new(2, 1),
            FileId::new(2, 3),
        ];
        for id in ids {
            assert_eq!(FileId::from_words(id.to_words()), id);
        }
        let numbers = ids.map(|id| id.to_words().map(u64::to_be_bytes).into_iter().rev().collect::<Vec<_>>());
        assert!(numbers.is_sorted());
    }
}
