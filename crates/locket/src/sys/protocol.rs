//! Protocols: how a lock is kept, so that it excludes other programs which keep theirs in the same way.

use std::time::Duration;

/// How a lock is kept. Two locks of one path exclude each other only if their protocols use the same lock of the kernel, or
/// the same directory entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// flock(2), or LockFileEx on Windows.
    #[default]
    Flock,
    /// The kernel's record lock over the whole file, as fcntl(2) and lockf(3) take it.
    Fcntl,
    /// npm's proper-lockfile: the folder `PATH.lock`, whose mtime is the sign of life.
    ProperLockfile,
    /// The same, with a path that names the folder itself.
    ProperLockfileAt,
    /// npm's lockfile: the file `PATH`.
    Lockfile,
    /// `SoftFileLock` of Python's filelock: the file `PATH`, with pid, host and start token.
    SoftFile,
    /// `LinkLockFile` of Python's lockfile: the file `PATH.lock`.
    Link,
    /// `MkdirLockFile` of Python's lockfile: the folder `PATH.lock`.
    Mkdir,
    /// `SymlinkLockFile` of Python's lockfile: the symbolic link `PATH.lock`.
    Symlink,
    /// `PIDLockFile` of Python's lockfile: the file `PATH`, with the pid.
    PidFile,
    /// dotlockfile(1) and lockfile-create(1): the file `PATH`, with the pid.
    Dotlock,
}

impl Protocol {
    /// All protocols, with the names by which JavaScript knows them.
    const NAMES: [(&'static str, Self); 11] = [
        ("flock", Self::Flock),
        ("fcntl", Self::Fcntl),
        ("proper-lockfile", Self::ProperLockfile),
        ("proper-lockfile-at", Self::ProperLockfileAt),
        ("lockfile", Self::Lockfile),
        ("soft-file", Self::SoftFile),
        ("link", Self::Link),
        ("mkdir", Self::Mkdir),
        ("symlink", Self::Symlink),
        ("pid-file", Self::PidFile),
        ("dotlock", Self::Dotlock),
    ];

    /// Returns the protocol with this name.
    pub fn named(name: &str) -> Option<Self> {
        let (_, protocol) = Self::NAMES.iter().find(|(other, _)| *other == name)?;
        Some(*protocol)
    }

    /// Returns those that keep the lock by the existence of a directory entry.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn by_existence() -> impl Iterator<Item = Self> {
        Self::NAMES.iter().map(|&(_, protocol)| protocol).filter(|protocol| !protocol.is_kept_by_kernel())
    }

    /// Returns true if the lock is kept by the kernel, not by the existence of a directory entry.
    pub const fn is_kept_by_kernel(self) -> bool {
        matches!(self, Self::Flock | Self::Fcntl)
    }
}

/// A protocol, and the times that it works with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProtocolOptions {
    /// The protocol.
    pub protocol: Protocol,
    /// The age from which a lock of another program counts as abandoned. `None`: the default of the protocol.
    pub stale: Option<Duration>,
    /// How often a lock that is held is renewed. `None`: the default of the protocol.
    pub update: Option<Duration>,
}

impl ProtocolOptions {
    /// Those of [`Protocol::Flock`].
    pub const FLOCK: Self = Self { protocol: Protocol::Flock, stale: None, update: None };
}
