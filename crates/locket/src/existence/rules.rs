//! What each protocol says: which name the lock entry has, what kind it is and what is in it, when one of another program counts
//! as abandoned, and how often ours is renewed.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::CHECK;
use super::record::Record;
use crate::sys::lock_entry::Kind;
use crate::sys::{self, Protocol, ProtocolOptions};

#[cfg(all(test, not(loom)))]
mod tests;

/// The shortest time after which a lock of proper-lockfile counts as abandoned, and its default.
const PROPER_STALE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));
/// The shortest time after which proper-lockfile renews a lock.
const PROPER_UPDATE: Duration = Duration::from_secs(1);
/// The time after which dotlockfile takes a lock for abandoned that names no process.
const DOTLOCK_STALE: Duration = Duration::from_secs(5 * 60);
/// The time after which dotlockfile's manual has a lock renewed.
const DOTLOCK_UPDATE: Duration = Duration::from_secs(60);
/// The time after which filelock takes a file for abandoned that holds no record.
const MALFORMED_STALE: Duration = Duration::from_secs(2);

/// Where the lock entry of a path is.
pub(crate) struct Place {
    pub folder: PathBuf,
    pub name: OsString,
}

/// The rules of one protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Which it is.
    pub protocol: Protocol,
    /// The kind of its lock entries.
    pub kind: Kind,
    /// When a lock of another program counts as abandoned.
    pub abandoned: Abandoned,
    /// How often a lock of ours is renewed, so that others do not take it for abandoned.
    pub update: Option<Duration>,
    name: Name,
    content: Content,
    /// The permission bits that a lock file may have.
    mode: u32,
}

/// When a lock of another program, which holds no record that can be judged, counts as abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Abandoned {
    /// Never: it is removed only on demand.
    Never,
    /// If it was not modified for so long.
    Unmodified(Duration),
    /// If nothing about it was changed for so long, unless somebody is taking it over.
    Unchanged(Duration),
    /// If it has content that is no record, and nothing about it was changed for so long while this process looked.
    Malformed(Duration),
    /// If the process whose pid it holds is dead; if it holds none, if nothing about it was changed for so long while this process
    /// looked.
    Process(Duration),
}

/// The name of the lock entry of a path.
#[derive(Clone, Copy, Debug)]
enum Name {
    /// The path itself.
    Path,
    /// `PATH.lock`.
    Suffixed,
    /// `PATH.lock`, where symbolic links in the path have been followed: so it has to exist.
    SuffixedTarget,
}

/// What is in a lock file.
#[derive(Clone, Copy, Debug)]
enum Content {
    /// A record.
    Record,
    /// The pid alone, on a line.
    Pid,
}

impl Rules {
    /// Returns the rules of a protocol that keeps its locks by existence, with these times.
    pub(crate) fn of(options: &ProtocolOptions) -> Self {
        let file = Self {
            protocol: options.protocol,
            kind: Kind::File,
            abandoned: Abandoned::Never,
            update: None,
            name: Name::Path,
            content: Content::Record,
            mode: 0o777,
        };
        let folder = Self { kind: Kind::Folder, name: Name::Suffixed, ..file };
        // Group and others must not write what a process is judged by.
        let private = Self { mode: 0o755, content: Content::Pid, ..file };
        match options.protocol {
            Protocol::Flock | Protocol::Fcntl => unreachable!("the kernel keeps these locks"),
            Protocol::ProperLockfile | Protocol::ProperLockfileAt => {
                let stale = options.stale.unwrap_or(PROPER_STALE.1).max(PROPER_STALE.0);
                let update = options.update.unwrap_or(stale / 2).clamp(PROPER_UPDATE, stale / 2);
                let name = if options.protocol == Protocol::ProperLockfile {
                    Name::SuffixedTarget
                } else {
                    Name::Path
                };
                Self { abandoned: Abandoned::Unmodified(stale), update: Some(update), name, ..folder }
            }
            Protocol::Lockfile => Self {
                abandoned: options.stale.map_or(Abandoned::Never, Abandoned::Unchanged),
                update: options.update.or(options.stale.map(|stale| stale / 2)),
                ..file
            },
            Protocol::SoftFile => {
                Self { abandoned: Abandoned::Malformed(MALFORMED_STALE), content: Content::Record, ..private }
            }
            Protocol::Link => Self { name: Name::Suffixed, ..file },
            // proper-lockfile judges a folder of this name by its time, whoever made it.
            Protocol::Mkdir => Self { update: Some(PROPER_UPDATE), ..folder },
            Protocol::Symlink => Self { kind: Kind::Symlink, name: Name::Suffixed, ..file },
            Protocol::PidFile => private,
            Protocol::Dotlock => {
                Self { abandoned: Abandoned::Process(DOTLOCK_STALE), update: Some(DOTLOCK_UPDATE), ..private }
            }
        }
    }

    /// Returns how often a lock that is held is looked at: about every [`CHECK`], and when it has to be renewed.
    pub(crate) fn check(&self) -> Duration {
        let Some(update) = self.update else { return CHECK };
        let times = u32::try_from(update.as_nanos().div_ceil(CHECK.as_nanos())).unwrap_or(u32::MAX);
        update / times.max(1)
    }

    /// Returns where the lock entry of `path` is.
    pub(crate) fn place(&self, path: &Path) -> io::Result<Place> {
        match self.name {
            Name::SuffixedTarget => self.place_of_missing(&fs::canonicalize(path)?),
            Name::Path | Name::Suffixed => self.place_of_missing(path),
        }
    }

    /// Returns where the lock entry of `path` is, without following a symbolic link there.
    pub(crate) fn place_of_missing(&self, path: &Path) -> io::Result<Place> {
        let suffix = match self.name {
            Name::Path => "",
            Name::Suffixed | Name::SuffixedTarget => ".lock",
        };
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            // The root, or a path that ends with `..`.
            return Err(sys::invalid_argument());
        };
        let mut name = name.to_owned();
        name.push(suffix);
        Ok(Place { folder: folder.to_owned(), name })
    }

    /// Returns a number that tells the lock of this entry from the others in its folder. Handles with other rules have locks of
    /// their own, which exclude each other by the entry alone; they have the same order as their names, whatever the rules.
    pub(crate) fn key(&self, name: &OsStr) -> u64 {
        const RULES: u64 = 0xffff;
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let protocol = match self.protocol {
            Protocol::ProperLockfileAt => Protocol::ProperLockfile,
            protocol => protocol,
        };
        let rules = hasher.hash_one((name, protocol, self.abandoned, self.update));
        hasher.hash_one(name) & !RULES | rules & RULES
    }

    /// Returns for how long a folder that takes the place of one, last modified so long ago, needs a guard: others may have judged
    /// that one, too, by a limit of their own, and be about to remove it.
    pub(crate) fn guard_time(&self, age: Option<Duration>) -> Option<Duration> {
        match self.abandoned {
            Abandoned::Unmodified(limit) if age.is_none_or(|age| age >= PROPER_STALE.0) => Some(limit),
            _ => None,
        }
    }

    /// Returns the content of a lock entry of ours.
    pub(crate) fn content(&self, record: &Record) -> Vec<u8> {
        match (self.kind, self.content) {
            (Kind::Folder | Kind::Other, _) => Vec::new(),
            (Kind::Symlink, _) => record.to_target(),
            (Kind::File, Content::Record) => record.to_bytes(),
            (Kind::File, Content::Pid) => format!("{}\n", record.pid).into_bytes(),
        }
    }

    /// Returns the permission bits of a lock file, of those that are asked for.
    pub(crate) fn mode(&self, mode: u32) -> u32 {
        mode & self.mode
    }
}
