//! Systems that have no table of locks.

use std::io;
use std::path::Path;

use super::Holder;
use crate::sys::KernelLock;

/// A file that a query is about.
pub(crate) struct LockedFile(());

impl LockedFile {
    /// Returns the same file.
    pub(crate) fn of_lock(self, _: KernelLock) -> Self {
        self
    }
}

/// Stands for the table, which this system does not have.
pub(crate) struct Proc(());

#[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "Linux needs them")]
impl Proc {
    /// Returns it.
    pub(crate) fn of_the_system() -> Self {
        Self(())
    }

    /// Returns a file, whatever the path names.
    pub(crate) fn file_at(&self, _: &Path) -> io::Result<Option<LockedFile>> {
        Ok(Some(LockedFile(())))
    }

    /// Returns `None`: nothing is known of it.
    pub(crate) fn file_of_descriptor(&self, _: i32) -> Option<LockedFile> {
        None
    }

    /// Returns `None`: the system does not tell whether a lock is held.
    pub(crate) fn is_locked(&self, _: &Path, _: KernelLock) -> Option<bool> {
        None
    }

    /// Returns `None`: the system does not tell who holds a lock.
    pub(crate) fn holders(&self, _: &[LockedFile]) -> Option<Vec<Vec<Holder>>> {
        None
    }

    /// Returns `None`: the system does not tell who waits for a lock.
    pub(crate) fn waiters(&self, _: &LockedFile) -> Option<Vec<Holder>> {
        None
    }

    /// Adds no command: there are no holders.
    pub(crate) fn add_commands(&self, _: &mut [Vec<Holder>]) {}
}
