//! Systems that do not tell.

use std::io;
use std::path::Path;

use crate::core::holder::Holder;

/// A file whose locks are asked for: there is nothing to be known of it.
pub struct LockedFile(());

/// What would tell.
pub struct Proc(());

impl Proc {
    /// The system's own.
    pub fn of_the_system() -> Self {
        Self(())
    }

    /// Returns any file at all: the path is not looked at.
    pub fn file_at(&self, _: &Path) -> io::Result<Option<LockedFile>> {
        Ok(Some(LockedFile(())))
    }

    /// Returns `None`: the system does not tell who holds a lock.
    pub fn holders(&self, _: &[LockedFile]) -> Option<Vec<Vec<Holder>>> {
        None
    }

    /// Returns `None`: the system does not tell who waits for a lock.
    pub fn waiters(&self, _: &LockedFile) -> Option<Vec<Holder>> {
        None
    }

    /// Adds no command: the system has named nobody.
    pub fn add_commands(&self, _: &mut [Vec<Holder>]) {}
}
