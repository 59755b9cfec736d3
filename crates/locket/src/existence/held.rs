//! An entry of ours: whether it is still there, and its removal, which must not be that of another one.

use std::thread;
use std::time::{Duration, Instant};

use super::ExistenceLock;
use super::clock::{age, since_jump};
use super::rules::Abandoned;
use super::take_over::GUARD;
use crate::sync::now;
use crate::sys::lock_entry::{EntryId, Seen};
use crate::sys::{CallError, Entry, Folder};

/// The pause before an entry that is not ours is looked at again: another process may be putting ours back.
const SECOND_LOOK: Duration = Duration::from_millis(2);

/// An entry of ours.
pub(super) struct Held {
    pub(super) entry: Entry,
    pub(super) id: EntryId,
    /// When it was last renewed.
    pub(super) renewed: Instant,
    /// When it was last modified, by us, in the time of the file system.
    pub(super) known: Option<i128>,
    /// Until when the guard stays in the folder.
    pub(super) guarded: Option<Instant>,
}

impl Held {
    /// Returns an entry that has just become ours, and is guarded for this time.
    pub(super) fn new((entry, id): (Entry, EntryId), guarded: Option<Duration>) -> Self {
        let now = now();
        let known = entry.seen().map(|seen| seen.modified);
        Self { entry, id, renewed: now, known, guarded: guarded.map(|time| now + time) }
    }

    /// Returns false if other code of this process has closed the descriptor.
    pub(super) fn is_open(&self) -> bool {
        self.entry.seen().is_none_or(|seen| seen.id == self.id)
    }
}

impl ExistenceLock {
    /// Returns whether the entry is ours. Should another one be there, that is looked at again: a process that has taken ours for
    /// another one, and exchanged it, puts it back at once.
    pub(super) fn find_ours(&self, held: &Held) -> Result<bool, CallError> {
        for _ in 0..3 {
            match self.folder.look(self.name())? {
                Some(seen) if seen.id == held.id => return Ok(true),
                Some(_) => thread::sleep(SECOND_LOOK),
                None => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Returns false if the entry is not ours any more, or may be taken from us.
    pub(super) fn is_safe(&self, held: &Held) -> bool {
        held.is_open() && self.is_ours(held) && self.leads_here() && !self.looks_abandoned(held)
    }

    /// Returns false if the path of the folder is known to lead elsewhere by now, where others get the lock.
    fn leads_here(&self) -> bool {
        let id = Folder::lock_id_at(&self.place.folder, self.rules.key(self.name()));
        id.ok().is_none_or(|id| id == Some(self.id))
    }

    /// Returns true if somebody has made our entry look abandoned: another program may be about to take it over.
    pub(super) fn looks_abandoned(&self, held: &Held) -> bool {
        let Abandoned::Unmodified(limit) = self.rules.abandoned else { return false };
        // A time that is none of ours: that of the file system may be by another clock.
        let is_old = |seen: Seen| {
            held.known.is_some_and(|known| seen.modified != known)
                && age(seen.modified).is_some_and(|age| age > limit)
        };
        held.renewed.elapsed() < limit
            && held.entry.seen().is_some_and(is_old)
            && since_jump().is_none_or(|since| since > limit)
    }

    /// Returns false if the entry is known not to be ours.
    pub(super) fn is_ours(&self, held: &Held) -> bool {
        self.find_ours(held).unwrap_or(true)
    }

    /// Removes the entry, if it is known to be ours.
    pub(super) fn remove(&self, held: &Held) -> Result<(), CallError> {
        if !self.find_ours(held)? {
            return Ok(());
        }
        if held.guarded.is_some() {
            let _ = held.entry.remove_file(GUARD);
        }
        self.folder.remove(self.name(), self.rules.kind)
    }
}
