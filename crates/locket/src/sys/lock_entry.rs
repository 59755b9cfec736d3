//! What the system says of directory entries that are locks because they exist, and what it is told to create.

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
    Free,
    /// Somebody holds it.
    Taken,
    /// The system does not tell.
    Unknown,
}
