//! Stands in for the watcher on systems where nobody tells of changes here: waits are paced.

use std::ffi::OsStr;

use super::{Folder, ProcessWatch, Waker};

/// Tells of changes. There is none.
#[derive(Clone)]
pub(crate) enum Watcher {}

/// A watch on a name, and on a process. There is none.
pub(crate) enum Watch {}

impl Watcher {
    /// Returns `None`.
    pub(crate) fn start() -> Option<Self> {
        None
    }

    /// Watches a name.
    pub(crate) fn watch(&self, _: &Folder, _: &OsStr, _: Waker) -> Option<Watch> {
        match *self {}
    }
}

impl Watch {
    /// Watches a process.
    pub(crate) fn set_process(&self, _: u32) -> ProcessWatch {
        match *self {}
    }
}
