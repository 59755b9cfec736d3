//! Taking over an entry that has been judged as abandoned, so that no other one goes by mistake.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use super::clock::age;
use super::record::Record;
use super::{CHECK, ExistenceLock, Held, Judged, MOMENT};
use crate::sys::lock_entry::{EntryId, Flock, Kind, Seen};
use crate::sys::{CallError, Entry, Private};

/// The file that keeps a folder, which was taken over, from being removed by a program that judged its predecessor.
pub(super) const GUARD: &str = ".locket-guard";

/// What became of taking an entry over.
pub(super) enum TakeOver {
    /// It is ours.
    Done(Held),
    /// Something has changed: it has to be judged again.
    Changed,
    /// It cannot be taken over now.
    Refused(Duration),
}

impl ExistenceLock {
    /// Takes over an entry that has been judged as abandoned.
    pub(super) fn take_over(&self, judged: &Judged) -> Result<TakeOver, CallError> {
        let Judged { entry, seen, .. } = judged;
        // Those of ours that have judged it, too, stand back. They see then that it is another one.
        if entry.take_flock() == Flock::Taken {
            return Ok(TakeOver::Refused(MOMENT));
        }
        // A symbolic link cannot be locked.
        let alone = if seen.kind == Kind::Symlink { self.folder.begin_take_over() } else { None };
        if seen.kind == Kind::Symlink && alone.is_none() {
            return Ok(TakeOver::Refused(MOMENT));
        }
        let is_judged = |now: &Seen| now.id == seen.id && now.modified == seen.modified;
        if !self.folder.look(self.name())?.as_ref().is_some_and(is_judged) {
            return Ok(TakeOver::Changed);
        }
        let inside = if seen.kind == Kind::Folder { names_in(entry)? } else { Vec::new() };
        if inside.iter().any(|name| name != GUARD) {
            // Things that nobody knows: it could not be removed.
            return Ok(TakeOver::Refused(CHECK));
        }
        let record = Record::own();
        let (content, mark) = (self.rules.content(&record), record.to_mark());
        let new = self.new_entry(&content, &mark);
        let private = self.folder.create(&new, true)?;
        let guarded = self.rules.guard_time(age(seen.modified));
        if guarded.is_some() {
            // A program that has judged the same entry may be about to remove what it takes for it.
            private.entry().add_file(GUARD)?;
        }
        // Where an entry can be removed by what it is, not by its name alone, the name is free then: whoever comes first gets it.
        let removed = self.folder.remove_exactly(self.name(), seen, &inside);
        let is_free = matches!(removed, Some(Ok(_)));
        let refused = match removed.unwrap_or_else(|| self.folder.exchange(private.name(), self.name())) {
            Ok(true) if is_free => {
                let published = private.publish(&new, self.name())?;
                return Ok(published.map_or(TakeOver::Changed, |ours| self.took_over(judged, ours, guarded)));
            }
            Ok(true) => None,
            Ok(false) => Some(Ok(TakeOver::Refused(CHECK))),
            // In a folder where everybody may remove only what is theirs.
            Err(failed) if failed.is_refusal() => Some(Ok(TakeOver::Refused(CHECK))),
            Err(failed) if failed.error.kind() == io::ErrorKind::NotFound => Some(Ok(TakeOver::Changed)),
            Err(failed) => Some(Err(failed)),
        };
        if let Some(refused) = refused {
            remove_guard(private.entry(), guarded);
            return refused;
        }
        let out = self.folder.look(private.name()).unwrap_or(None);
        if out.as_ref().is_some_and(is_judged) {
            if !inside.is_empty() {
                let _ = entry.remove_file(GUARD);
            }
            if self.folder.remove(private.name(), seen.kind).is_ok() {
                return Ok(self.took_over(judged, private.take(), guarded));
            }
        }
        // Another one has come out, or something has been put into it: back with it.
        Ok(self.put_back(private, guarded))
    }

    /// Returns that `ours` has taken the place of what was judged. If that was one of our own, its process may have left others
    /// behind.
    fn took_over(&self, judged: &Judged, ours: (Entry, EntryId), guarded: Option<Duration>) -> TakeOver {
        if judged.mark.is_some() {
            self.sweep();
        }
        TakeOver::Done(Held::new(ours, guarded))
    }

    /// Undoes an exchange, by which something else came out than what was judged.
    pub(super) fn put_back(&self, private: Private<'_>, guarded: Option<Duration>) -> TakeOver {
        let ours = private.id();
        let is_ours_at = |name| matches!(self.folder.look(name), Ok(Some(seen)) if seen.id == ours);
        let is_back = is_ours_at(self.name())
            && self.folder.exchange(private.name(), self.name()).unwrap_or(false)
            && is_ours_at(private.name());
        if is_back {
            remove_guard(private.entry(), guarded);
        } else {
            // What has our private name now belongs to others.
            private.take();
        }
        TakeOver::Refused(MOMENT)
    }
}

/// Returns the names of what is in the folder, as far as this process may know: removing the folder fails if there is more.
fn names_in(folder: &Entry) -> Result<Vec<OsString>, CallError> {
    match folder.names() {
        Err(failed) if failed.is_refusal() => Ok(Vec::new()),
        names => names,
    }
}

/// Removes the guard from the folder of ours, if it has one.
fn remove_guard(folder: &Entry, guarded: Option<Duration>) {
    if guarded.is_some() {
        let _ = folder.remove_file(GUARD);
    }
}
