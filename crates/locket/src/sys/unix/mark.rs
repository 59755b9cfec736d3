//! Our mark on an entry, where the file system has room for one: an extended attribute.

use std::os::fd::BorrowedFd;

/// The extended attribute that marks an entry as ours.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
const MARK: &str = "user.locket";

/// Returns the mark of an open entry, of which this is the longest, or `None` if it has none.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(super) fn read(entry: BorrowedFd<'_>, longest: usize) -> Option<Vec<u8>> {
    let mut buffer = vec![0; longest];
    let length = rustix::fs::fgetxattr(entry, MARK, &mut buffer).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

/// Marks an open entry, if that is possible.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(super) fn write(entry: BorrowedFd<'_>, mark: &[u8]) {
    if keeps_marks(entry) {
        let _ = rustix::fs::fsetxattr(entry, MARK, mark, rustix::fs::XattrFlags::empty());
    }
}

/// Returns true: where there is no room for a mark, setting it fails.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn keeps_marks(_: BorrowedFd<'_>) -> bool {
    true
}

/// Returns true if the file system keeps attributes itself.
#[cfg(target_vendor = "apple")]
fn keeps_marks(entry: BorrowedFd<'_>) -> bool {
    rustix::fs::fstatfs(entry).is_ok_and(|mount| {
        let name = mount.f_fstypename.iter().map(|&byte| byte.cast_unsigned());
        crate::sys::quirks::apple_keeps_attributes(&name.take_while(|&byte| byte != 0).collect::<Vec<_>>())
    })
}

/// Returns `None`: there are no marks here.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(super) fn read(_: BorrowedFd<'_>, _: usize) -> Option<Vec<u8>> {
    None
}

/// Does nothing.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(super) fn write(_: BorrowedFd<'_>, _: &[u8]) {}
