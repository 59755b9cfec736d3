//! Whether a lock is held: as this process knows, as the system or the lock file tells, or as a probe finds out. Also breaking a
//! lock, which is asked for in the same way.

use std::collections::btree_map::Entry;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{Query, Question};
use crate::dispatch::Timer;
use crate::engine::{CANCEL_GRACE, Engine};
use crate::exec::Guard;
use crate::holders::Proc;
use crate::lock::{Handle, Knowledge, LockEntry, Outcome};
use crate::sync::now;
use crate::sys::{LockMode, OpenHow, Protocol, SystemError, is_busy};

/// Time between two probes of a lock whose driver is about to find out whether it is held.
const PROBE_AGAIN: Duration = Duration::from_millis(1);

impl Engine {
    /// Answers whether a lock is held, or probes again in a moment.
    pub(crate) fn probe(self: &Arc<Self>, query: &Arc<Query>) {
        query.began.get_or_init(now);
        let (handle, since) = match &query.question {
            Question::Locked(handle, since) => (handle, since),
            Question::Break(handle) => {
                return match self.break_entry(handle) {
                    Ok(broken) => query.answer(Outcome::Broken(broken)),
                    Err(error) => query.fail(error),
                };
            }
            Question::Holders | Question::HoldersAtRefusal => return,
        };
        match self.is_locked(handle) {
            Ok(Some(locked)) => query.answer(Outcome::Locked(locked)),
            Err(error) => query.fail(error),
            // A driver that takes so long is stuck in the kernel, for somebody who wants the lock.
            Ok(None) if now() > *since.get_or_init(now) + CANCEL_GRACE => query.answer(Outcome::Locked(true)),
            Ok(None) => {
                if !self.after(PROBE_AGAIN, Timer::ProbeAgain(query.clone())) {
                    query.fail(SystemError::no_thread());
                }
            }
        }
    }

    /// Returns true if any process holds the lock: as this process knows, or the system's table where that has every lock,
    /// or a probe. Returns `None` if a driver is about to find out.
    pub(super) fn is_locked(self: &Arc<Self>, handle: &Arc<Handle>) -> Result<Option<bool>, SystemError> {
        if !handle.is_free() {
            return Ok(Some(true));
        }
        let lock_id = || self.system.lock_id_at(&handle.path, &handle.options.protocol);
        let id = match lock_id() {
            Ok(None) if handle.path.parent().is_some_and(|folder| self.system.refresh(folder)) => lock_id(),
            id => id,
        };
        let id = match id {
            Ok(None) => return Ok(Some(false)),
            Ok(id) => id,
            // Opening the file fails, too, and tells more.
            Err(_) => None,
        };
        let known = id.and_then(|id| self.table().get(&id).cloned());
        // To open a folder that this handle does not lock is an error.
        let is_refused =
            |entry: &Arc<LockEntry>| entry.file().is_directory() && !handle.options.allow_directory;
        let known = known.filter(|entry| !is_refused(entry)).map(|entry| entry.knowledge());
        match known {
            Some(Knowledge::Locked) => return Ok(Some(true)),
            Some(Knowledge::Undecided) => return Ok(None),
            Some(Knowledge::Unknown) | None => {}
        }
        let protocol = handle.options.protocol.protocol;
        if protocol.is_kept_by_kernel()
            && let Some(locked) = Proc::of_the_system().is_locked(&handle.path, handle.kernel_lock())
        {
            return Ok(Some(locked));
        }
        match protocol {
            Protocol::Flock => self.probe_file(handle),
            _ => self.ask_file(handle).map(Some),
        }
    }

    /// Returns true if anybody holds the lock, as its file tells.
    fn ask_file(&self, handle: &Arc<Handle>) -> Result<bool, SystemError> {
        let Some(file) = self.open_existing(handle)? else { return Ok(false) };
        let held = file.is_held().unwrap_or(Ok(false));
        held.map_err(|error| file.describe(&error))
    }

    /// Removes the lock entry of `handle`. Returns true if there was one.
    fn break_entry(self: &Arc<Self>, handle: &Arc<Handle>) -> Result<bool, SystemError> {
        let Some(file) = self.open_existing(handle)? else { return Ok(false) };
        let broken = file.break_entry()?;
        let known = self.table().get(&file.id()).cloned();
        if let Some(entry) = known {
            self.check_hold(&entry);
        }
        Ok(broken)
    }

    /// Tries the lock, and unlocks it at once. Requests that come meanwhile are queued, and driven afterwards.
    fn probe_file(self: &Arc<Self>, handle: &Arc<Handle>) -> Result<Option<bool>, SystemError> {
        let how = OpenHow { create: None, ..handle.open_how() };
        let file = match self.open(&handle.path, &how) {
            Ok(file) => file,
            Err(error) if is_busy(&error) => return Ok(Some(true)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(false)),
            Err(error) => return Err(SystemError::new(&error, "open")),
        };
        let is_local = file.is_local();
        let (entry, knowledge) = {
            let mut table = self.table();
            let id = file.id();
            if table.get(&id).is_some_and(|entry| entry.is_lost()) {
                table.remove(&id);
            }
            // A file that is not needed is closed with the table unlocked: a server may take long to answer.
            let entry = match table.entry(id) {
                Entry::Occupied(current) => current.get().clone(),
                Entry::Vacant(vacant) => vacant.insert(LockEntry::new(file, is_local, handle)).clone(),
            };
            let knowledge = entry.drive_if_idle();
            (entry, knowledge)
        };
        match knowledge {
            Knowledge::Locked => return Ok(Some(true)),
            Knowledge::Undecided => return Ok(None),
            Knowledge::Unknown => {}
        }
        let on_panic = Guard::new(|| self.abort_with(&entry, || Outcome::Panicked));
        entry.set_driven(true);
        let tried = entry.file().try_lock(LockMode::Exclusive);
        if matches!(tried, Ok(true)) {
            entry.file().unlock();
        }
        on_panic.disarm();
        // The answer does not wait for what has come meanwhile.
        self.hand_over(&entry, None);
        match tried {
            Ok(free) => Ok(Some(!free)),
            Err(error) => Err(entry.file().describe(&error)),
        }
    }
}
