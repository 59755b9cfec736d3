//! Locks by existence: who has created the directory entry holds the lock. So they exclude programs that lock in the same way,
//! and work on file systems without locks of the kernel.
//!
//! An entry of ours bears a mark that names its process, and that process holds flock(2) on it. So it is known at once when a
//! process of ours has died. What others have left behind is judged by the rules of their protocol, and taken over by exchanging it
//! with an entry of ours: the name is never free meanwhile, and what comes out must be what was judged.
//!
//! Windows has neither that lock for folders nor the exchange: the mark alone names the process, and an abandoned entry is removed by
//! its handle, so that no other one can go. Then the name is free, and whoever comes first gets it.

mod aside;
mod clock;
mod held;
mod record;
mod rules;
mod take_over;
mod verdict;

#[cfg(all(test, not(loom)))]
mod on_any_system;

use std::ffi::OsStr;
use std::io;
use std::mem;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::holders::Holder;
use crate::sync::{Mutex, MutexGuard, now};
use crate::sys::lock_entry::{Flock, Kind, NewEntry, Seen};
use crate::sys::{
    self, CallError, Changes, Entry, FileId, Folder, FoundHolders, LockFile, LockMode, OpenHow, ProcessWatch,
    ProtocolOptions, SystemError, Waker, Watch, Watcher,
};
use aside::Aside;
use clock::{age, since_jump, wall_clock};
use held::Held;
use record::Record;
use rules::{Abandoned, Place, Rules};
use take_over::{GUARD, TakeOver};
use verdict::{Facts, POLL, Verdict, judge};

/// How often an entry may come and go while this process looks, before a try ends.
const ROUNDS: u32 = 64;
/// How often it is checked whether the lock is still ours.
const CHECK: Duration = Duration::from_secs(1);
/// How long a waiter waits for one that is taking the entry over.
const MOMENT: Duration = Duration::from_millis(1);

/// A lock that is kept by the existence of a directory entry.
pub(crate) struct ExistenceLock {
    id: FileId,
    rules: Rules,
    folder: Folder,
    place: Place,
    mode: u32,
    /// Tells of changes, where the system does. Started when it is first needed.
    watcher: Arc<OnceLock<Option<Watcher>>>,
    state: Mutex<State>,
    /// The call that failed last.
    failure: Mutex<Option<SystemError>>,
}

#[cfg(all(test, target_os = "linux", not(loom)))]
mod tests;

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// The entry, while it is set aside.
    aside: Option<Aside>,
    /// The entry is set aside when it is released.
    is_warm: bool,
    /// What others have left behind in the folder was removed.
    has_swept: bool,
    /// What was last seen in the way, and since when it has been so.
    observed: Option<(Seen, Instant)>,
    /// The process that was in the way of the last try, if it can be watched, and how long that may be waited for.
    awaited: (Option<u32>, Duration),
    watch: Option<Watch>,
    /// Since the last try, the process that is in the way has been found dead by the watch, though it was judged to be alive.
    was_gone: bool,
    /// Why the entry could not be removed by the last release.
    release_error: Option<SystemError>,
}

/// An entry that is in the way, open, and what has been found out about it.
struct Judged {
    seen: Seen,
    verdict: Verdict,
    entry: Entry,
    /// Our mark, and what it says.
    mark: Option<Vec<u8>>,
    /// What is in the file, or the target of the symbolic link.
    content: Option<Vec<u8>>,
}

impl ExistenceLock {
    /// Opens the lock of `path`.
    pub(crate) fn open(
        path: &Path,
        how: &OpenHow,
        watcher: Arc<OnceLock<Option<Watcher>>>,
    ) -> io::Result<Self> {
        // From now on it is noticed.
        since_jump();
        let rules = Rules::of(&how.protocol);
        let place = find_place(&rules, path, how.create.is_some())?;
        let folder = Folder::open(&place.folder)?;
        Ok(Self {
            id: folder.lock_id(rules.key(&place.name)),
            mode: rules.mode(how.create.unwrap_or_default()),
            rules,
            folder,
            place,
            watcher,
            state: Mutex::new(State::default()),
            failure: Mutex::new(None),
        })
    }

    /// Returns the id of the lock that `path` names now, or `None` if there is none.
    pub(crate) fn id_at(path: &Path, options: &ProtocolOptions) -> io::Result<Option<FileId>> {
        let rules = Rules::of(options);
        let Place { folder, name } = find_place(&rules, path, false)?;
        Folder::lock_id_at(&folder, rules.key(&name))
    }

    fn name(&self) -> &OsStr {
        &self.place.name
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Tries to create the entry, or to take it over.
    fn try_take(&self, state: &mut State) -> Result<bool, CallError> {
        if let Some(held) = state.aside.take().and_then(|aside| self.take_back(aside)) {
            return Ok(state.hold(held));
        }
        for _ in 0..ROUNDS {
            let Some(seen) = self.folder.look(self.name())? else {
                match self.create()? {
                    Some(held) => return Ok(state.hold(held)),
                    None => continue,
                }
            };
            let Some(judged) = self.judge(&seen, state.watched(&seen))? else { continue };
            let taken = match judged.verdict {
                Verdict::Abandoned => self.take_over(&judged)?,
                Verdict::Held { process, again } => {
                    state.awaited = (process, again);
                    return Ok(false);
                }
            };
            match taken {
                TakeOver::Done(held) => return Ok(state.hold(held)),
                TakeOver::Changed => {}
                TakeOver::Refused(again) => {
                    state.awaited = (None, again);
                    return Ok(false);
                }
            }
        }
        state.awaited = (None, MOMENT);
        Ok(false)
    }

    /// Creates the entry. Returns `None` if there is one by now.
    fn create(&self) -> Result<Option<Held>, CallError> {
        let record = Record::own();
        let (content, mark) = (self.rules.content(&record), record.to_mark());
        let new = self.new_entry(&content, &mark);
        let published = self.folder.create(&new, false)?.publish(&new, self.name())?;
        Ok(published.map(|ours| Held::new(ours, None)))
    }

    fn new_entry<'a>(&self, content: &'a [u8], mark: &'a [u8]) -> NewEntry<'a> {
        NewEntry { kind: self.rules.kind, mode: self.mode, content, mark, host: record::host_key() }
    }

    /// Judges the entry that has been `seen`, and nothing of which has changed for as long as this process has `watched` it.
    /// Returns `None` if there is another one by now.
    fn judge(&self, seen: &Seen, watched: Duration) -> Result<Option<Judged>, CallError> {
        let Some(entry) = self.folder.pin(self.name(), seen)? else { return Ok(None) };
        let (mark, content) = self.read(&entry, seen.kind);
        let facts = Facts {
            kind: seen.kind,
            content: content.as_deref(),
            flock: if mark.is_some() { entry.flock() } else { Flock::Unknown },
            mark: mark.as_deref(),
            modified: age(seen.modified),
            changed: age(seen.changed),
            watched,
            since_jump: since_jump(),
            is_being_taken_over: self.is_being_taken_over()?,
            is_local: self.folder.is_local(),
        };
        let verdict = judge(&self.rules, &facts, sys::process);
        Ok(Some(Judged { seen: *seen, verdict, entry, mark, content }))
    }

    /// Looks at the entry and judges it. Returns `None` if there is none.
    fn look_and_judge(&self) -> Result<Option<Judged>, CallError> {
        let Some(seen) = self.folder.look(self.name())? else { return Ok(None) };
        self.judge(&seen, Duration::ZERO)
    }

    /// Returns the mark and the content of an entry.
    fn read(&self, entry: &Entry, kind: Kind) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        match kind {
            Kind::File => (entry.mark(), entry.read()),
            Kind::Folder => (entry.mark(), None),
            Kind::Symlink => (None, self.folder.target(self.name())),
            Kind::Other => (None, None),
        }
    }

    /// Returns true if another program takes the entry over, by the protocol of npm's lockfile.
    fn is_being_taken_over(&self) -> Result<bool, CallError> {
        let Abandoned::Unchanged(limit) = self.rules.abandoned else { return Ok(false) };
        let mut name = self.name().to_owned();
        name.push(".STALE");
        let seen = self.folder.look(&name)?;
        Ok(seen.is_some_and(|seen| age(seen.changed).is_none_or(|age| age <= limit)))
    }

    /// Returns who holds the lock.
    fn find_holder(&self) -> Result<FoundHolders, CallError> {
        let judged = self.look_and_judge()?.filter(|judged| judged.verdict != Verdict::Abandoned);
        let Some(Judged { mark, content, .. }) = judged else { return Ok(FoundHolders::Known(Vec::new())) };
        let record = mark.and_then(|mark| Record::parse(&mark)).or_else(|| {
            let content = content.as_deref()?;
            Record::parse(content).or_else(|| Record::parse_target(content))
        });
        let holder = |pid, host| Holder { pid, mode: LockMode::Exclusive, command: None, host };
        Ok(match (record, content.as_deref().and_then(verdict::pid_in)) {
            (Some(record), _) => FoundHolders::Known(vec![holder(record.pid, record.other_host())]),
            (None, Some(pid)) => FoundHolders::Known(vec![holder(pid, None)]),
            (None, None) => FoundHolders::Unknown,
        })
    }

    /// Removes whatever is there. Returns true if there was something.
    fn break_by_name(&self) -> Result<bool, CallError> {
        let Some(seen) = self.folder.look(self.name())? else { return Ok(false) };
        if seen.kind == Kind::Folder {
            let Some(folder) = self.folder.pin(self.name(), &seen)? else { return Ok(false) };
            for name in folder.names()? {
                folder.remove_file(name)?;
            }
        }
        match self.folder.remove(self.name(), seen.kind) {
            Err(failed) if failed.error.kind() == io::ErrorKind::NotFound => Ok(false),
            removed => removed.map(|()| true),
        }
    }

    /// Returns the error as the engine passes it on, and notes which call it was.
    fn note(&self, failed: CallError) -> io::Error {
        *self.failure.lock() = Some(SystemError::from(&failed));
        failed.error
    }
}

impl State {
    /// Notes that the entry is ours. Returns true.
    fn hold(&mut self, held: Held) -> bool {
        *self = Self { held: Some(held), has_swept: self.has_swept, ..Self::default() };
        true
    }

    /// Returns for how long nothing about what has been `seen` has changed.
    fn watched(&mut self, seen: &Seen) -> Duration {
        let now = now();
        match self.observed {
            Some((last, since)) if last == *seen => now.saturating_duration_since(since),
            _ => {
                self.observed = Some((*seen, now));
                Duration::ZERO
            }
        }
    }
}

impl LockFile for ExistenceLock {
    fn id(&self) -> FileId {
        self.id
    }

    fn is_local(&self) -> bool {
        self.folder.is_local()
    }

    fn try_lock(&self, _: LockMode) -> io::Result<bool> {
        let mut state = self.state();
        match self.try_take(&mut state) {
            // Whoever waits already goes on: there may be descriptors again in a moment.
            Err(failed) if state.watch.is_some() && sys::is_out_of_descriptors(&failed.error) => {
                state.awaited = (None, POLL);
                Ok(false)
            }
            taken => taken.map_err(|failed| self.note(failed)),
        }
    }

    /// Fails: the kernel has no queue for such a lock.
    fn lock(&self, _: LockMode) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn await_change(&self, waker: &dyn Fn() -> Waker) -> Changes {
        let Some(watcher) = self.watcher.get_or_init(Watcher::start) else { return Changes::Untold };
        let mut state = self.state();
        let (process, again) = state.awaited;
        let Some(watch) = &state.watch else {
            return match watcher.watch(&self.folder, self.name(), waker()) {
                Some(watch) => {
                    state.watch = Some(watch);
                    Changes::LookNow
                }
                None => Changes::Untold,
            };
        };
        let told = process.map(|pid| watch.set_process(pid));
        let was_gone = mem::replace(&mut state.was_gone, told == Some(ProcessWatch::Gone));
        Changes::Within(match told {
            None | Some(ProcessWatch::Begun) => again,
            // It has just ended.
            Some(ProcessWatch::Gone) if !was_gone => MOMENT,
            Some(ProcessWatch::Gone | ProcessWatch::Unknown) => again.min(POLL),
        })
    }

    fn unlock(&self) {
        let mut state = self.state();
        let Some(held) = state.held.take() else { return };
        if let Some(name) = state.is_warm.then(|| self.set_aside(&held)).flatten() {
            state.aside = Some(Aside { entry: held.entry, id: held.id, name });
            if !mem::replace(&mut state.has_swept, true) {
                self.sweep();
            }
            return;
        }
        let removed = self.remove(&held);
        state.release_error = removed.err().map(|failed| SystemError::from(&failed));
        // Explicitly: a child that is being started may have a copy of the descriptor.
        held.entry.unlock();
    }

    fn may_stay_open(&self) -> bool {
        Folder::sets_aside(self.rules.kind)
    }

    fn set_warm(&self, warm: bool) {
        self.state().is_warm = warm && self.may_stay_open();
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        let place = match self.rules.place(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            place => place?,
        };
        let id = Folder::lock_id_at(&place.folder, self.rules.key(&place.name))?;
        let state = self.state();
        Ok(id == Some(self.id) && state.held.as_ref().is_some_and(|held| self.is_ours(held)))
    }

    fn unlink(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn is_intact(&self) -> bool {
        let state = self.state();
        state.held.as_ref().is_none_or(|held| self.is_safe(held))
    }

    fn disown(&self) {
        let held = self.state().held.take();
        if let Some(held) = held {
            if !held.is_open() {
                held.entry.disown();
            } else if !self.looks_abandoned(&held) {
                // What cannot be removed is nobody's: ours see that.
                let _ = self.remove(&held);
            }
        }
    }

    fn is_entry(&self) -> bool {
        true
    }

    fn take_release_error(&self) -> Option<SystemError> {
        self.state().release_error.take()
    }

    fn renewal(&self) -> Option<Duration> {
        Some(self.rules.check())
    }

    fn renew(&self) -> bool {
        let mut state = self.state();
        let Some(held) = &mut state.held else { return true };
        if !self.is_safe(held) {
            return false;
        }
        let now = now();
        let unguards = held.guarded.is_some_and(|until| until <= now);
        if unguards {
            held.guarded = None;
            let _ = held.entry.remove_file(GUARD);
        }
        // A check may come a little early. The folder was modified if a guard was removed.
        let is_due =
            |update: Duration| now.saturating_duration_since(held.renewed) + self.rules.check() / 2 >= update;
        if unguards || self.rules.update.is_some_and(is_due) {
            held.renewed = now;
            // If it fails, others may take the lock over, which is noticed then.
            let _ = held.entry.touch(wall_clock());
            held.known = held.entry.seen().map(|seen| seen.modified);
        }
        true
    }

    fn holders(&self) -> FoundHolders {
        self.find_holder().unwrap_or(FoundHolders::Unknown)
    }

    fn is_held(&self) -> Option<io::Result<bool>> {
        let judged = self.look_and_judge();
        let held = judged.map(|judged| judged.is_some_and(|judged| judged.verdict != Verdict::Abandoned));
        Some(held.map_err(|failed| self.note(failed)))
    }

    fn break_entry(&self) -> Result<bool, SystemError> {
        self.break_by_name().map_err(|failed| SystemError::from(&failed))
    }

    fn describe(&self, error: &io::Error) -> SystemError {
        self.failure.lock().unwrap_or_else(|| SystemError::new(error, "open"))
    }
}

/// Returns where the lock entry of `path` is. There may be one although its file is gone, which only a lock that is to be
/// acquired needs.
fn find_place(rules: &Rules, path: &Path, needs_file: bool) -> io::Result<Place> {
    match rules.place(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !needs_file => rules.place_of_missing(path),
        place => place,
    }
}
