//! Systems that do not tell.

use std::io;
use std::path::Path;

use super::Holder;

/// A file whose locks are asked for: there is nothing to be known of it.
pub(crate) struct LockedFile(());

/// What would tell.
pub(crate) struct Proc(());

impl Proc {
    /// The system's own.
    pub(crate) fn of_the_system() -> Self {
        Self(())
    }

    /// Returns any file at all: the path is not looked at.
    pub(crate) fn file_at(&self, _: &Path) -> io::Result<Option<LockedFile>> {
        Ok(Some(LockedFile(())))
    }

    /// Returns `None`: there is nothing to be known of it.
    pub(crate) fn file_of_descriptor(&self, _: i32) -> Option<LockedFile> {
        None
    }

    /// Returns `None`: the system does not tell whether a lock is held.
    pub(crate) fn is_locked(&self, _: &Path) -> Option<bool> {
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

    /// Adds no command: the system has named nobody.
    pub(crate) fn add_commands(&self, _: &mut [Vec<Holder>]) {}
}
