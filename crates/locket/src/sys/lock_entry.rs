//! What the system says of directory entries that are locks because they exist, and what it is told to create.

use std::ffi::{OsStr, OsString};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// The most that is read of a file: no record is longer.
pub(super) const LONGEST_RECORD: usize = 1025;

/// The kind of a directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
    /// Anything else.
    Other,
}

/// Identifies an entry, as long as it is kept open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryId {
    pub device: u64,
    pub inode: u64,
}

/// What the system says of an entry. Times are in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub kind: Kind,
    pub id: EntryId,
    pub modified: i128,
    pub changed: i128,
}

/// An entry that has to be created.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewEntry<'a> {
    pub kind: Kind,
    /// The permission bits of a file, before the umask.
    #[cfg_attr(windows, expect(dead_code, reason = "a new file inherits the access list of its folder"))]
    pub mode: u32,
    /// The content of a file, or the target of a symbolic link.
    pub content: &'a [u8],
    /// A hash of the name of this host and pid namespace.
    pub host: u64,
    /// What our mark on the entry says, where the file system has room for one.
    pub mark: &'a [u8],
}

/// Whether the kernel's lock of an open entry is free. Each of ours holds it while it holds the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flock {
    /// Nobody holds it.
    #[cfg_attr(all(windows, not(test)), expect(dead_code, reason = "nobody can tell there"))]
    Free,
    /// Somebody holds it.
    Taken,
    /// The system does not tell.
    Unknown,
}

/// The beginning of the names of entries that nobody else knows. `HOST`: a hash of the name of the host and pid namespace.
const PRIVATE: &str = ".locket-";

/// Returns a name that no other entry has: `.locket-HOST-PID-NUMBER`.
pub(crate) fn private_name(host: u64) -> OsString {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{PRIVATE}{host:x}-{}-{:x}{number:x}", std::process::id(), time.as_nanos()).into()
}

/// Returns the pid in a name that [`private_name`] has given on this host.
pub(super) fn pid_in_private_name(name: &OsStr, host: u64) -> Option<u32> {
    let (of, rest) = name.to_str()?.strip_prefix(PRIVATE)?.split_once('-')?;
    let (pid, _) = rest.split_once('-')?;
    if u64::from_str_radix(of, 16) == Ok(host) { pid.parse().ok() } else { None }
}
