//! Setting an entry aside: where a lock is acquired again and again, its entry is not removed and made anew each time. It is renamed,
//! under a name that nobody knows, and gets its own name back with the next acquisition.
//!
//! That is done for locks that stay warm ([`crate::warm_files`]), and so for a few hundredths of a second after the last use.

use std::ffi::OsString;

use super::clock::wall_clock;
use super::record;
use super::{ExistenceLock, Held};
use crate::sys::lock_entry::{EntryId, private_name};
use crate::sys::{self, Entry, Process};

/// An entry of ours that has been set aside. It is still marked and locked.
pub(super) struct Aside {
    pub(super) entry: Entry,
    pub(super) id: EntryId,
    pub(super) name: OsString,
}

impl Aside {
    /// Returns false if other code of this process has closed the descriptor.
    fn is_open(&self) -> bool {
        self.entry.seen().is_some_and(|seen| seen.id == self.id)
    }
}

impl ExistenceLock {
    /// Sets the entry aside. Returns the name that it has then, or `None` if that is not possible.
    pub(super) fn set_aside(&self, held: &Held) -> Option<OsString> {
        if held.guarded.is_some() || !matches!(self.find_ours(held), Ok(true)) {
            return None;
        }
        let name = private_name(record::host_key());
        if !matches!(self.folder.rename_if_free(self.name(), &name), Some(Ok(true))) {
            return None;
        }
        if !matches!(self.folder.look(&name), Ok(Some(seen)) if seen.id == held.id) {
            // Another one has taken its place just before: back with that.
            let _ = self.folder.rename_if_free(&name, self.name());
            return None;
        }
        Some(name)
    }

    /// Gives the entry its name back. Returns `None` if there is one of that name by now, or the entry is gone: then nothing is
    /// set aside any more.
    pub(super) fn take_back(&self, aside: Aside) -> Option<Held> {
        if !aside.is_open() || self.rules.update.is_some() && aside.entry.touch(wall_clock()).is_err() {
            return self.drop_aside(aside);
        }
        match self.folder.rename_if_free(&aside.name, self.name()) {
            Some(Ok(true)) => Some(Held::new((aside.entry, aside.id), None)),
            _ => self.drop_aside(aside),
        }
    }

    /// Removes what was set aside. Returns `None`.
    pub(super) fn drop_aside(&self, aside: Aside) -> Option<Held> {
        if matches!(self.folder.look(&aside.name), Ok(Some(seen)) if seen.id == aside.id) {
            let _ = self.folder.remove(&aside.name, self.rules.kind);
        }
        if !aside.is_open() {
            aside.entry.disown();
        }
        None
    }

    /// Removes what processes of this host have left behind that have died.
    pub(super) fn sweep(&self) {
        self.folder.sweep(record::host_key(), |pid| sys::process(pid) == Process::Dead);
    }
}

impl Drop for ExistenceLock {
    fn drop(&mut self) {
        let aside = self.state().aside.take();
        aside.map(|aside| self.drop_aside(aside));
    }
}
