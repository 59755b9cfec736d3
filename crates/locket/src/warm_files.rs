//! Warm files: lock files that stay open for a moment after they were unlocked, so that the next request by the same path
//! only has to lock the file and check the path. It does so on the thread of its client, where that cannot block on I/O.
//!
//! A file stays open only where that harms nobody, and only if its path is calm: no other process has wanted the lock for a
//! while. A request that finds its file open follows the last release so soon that another process, which that release
//! wakes, would always come too late.

use std::collections::btree_map::Entry;
use std::io;
use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::dispatch::{Task, Timer};
use crate::engine::Engine;
use crate::exec::Guard;
use crate::lock::{LockEntry, Outcome, PathCheck, Permit, Request};
use crate::sync::{Mutex, MutexGuard};
use crate::sys::{LockFile, LockMode, OpenHow, is_out_of_descriptors};

#[cfg(all(test, not(loom)))]
mod tests;

/// How often in a row a lock must have been released, without the kernel having refused it, before its file stays open.
pub(crate) const CALM: u32 = 32;
/// The most paths that are remembered, and so the most files that stay open.
const PATHS: usize = 64;
/// Time between two sweeps. A file is closed by the second sweep that finds it unused.
const SWEEP: Duration = Duration::from_millis(30);
/// How many sweeps must have found a file unused before it is closed.
const UNUSED: u32 = 2;

/// What is known of paths whose locks were released a short while ago, and the files that are open.
pub(crate) struct WarmFiles(Mutex<Paths>);

struct Paths {
    list: Vec<WarmPath>,
    limit: usize,
    /// A sweep is due.
    has_timer: bool,
}

#[derive(Default)]
struct WarmPath {
    key: u64,
    /// How often the lock was released since the kernel last refused it.
    releases: u32,
    /// The idle lock whose file is open.
    entry: Option<Arc<LockEntry>>,
    /// How many sweeps have found the file unused.
    unused: u32,
}

impl WarmFiles {
    /// Returns one that keeps at most so many files open, and at most [`PATHS`].
    pub(crate) fn new(limit: usize) -> Self {
        Self(Mutex::new(Paths { list: Vec::new(), limit: limit.min(PATHS), has_timer: false }))
    }

    fn paths(&self) -> MutexGuard<'_, Paths> {
        self.0.lock()
    }

    /// Notes that the kernel has refused the lock of this path: other processes want it, too.
    pub(crate) fn on_refused(&self, key: u64) {
        if let Some(path) = self.paths().get(key) {
            path.releases = 0;
        }
    }

    /// Returns true if the file of this path will stay open when its lock becomes idle.
    pub(crate) fn will_stay_open(&self, key: u64) -> bool {
        self.paths().get(key).is_some_and(|path| path.releases + 1 >= CALM && path.entry.is_none())
    }

    /// Takes the lock of this path, if its file is open.
    fn take(&self, key: u64) -> Option<Arc<LockEntry>> {
        self.paths().get(key)?.entry.take()
    }

    /// Takes the locks whose files are unused for a while, so that they are closed. Also returns true if another sweep is needed.
    pub(crate) fn sweep(&self) -> (Vec<Arc<LockEntry>>, bool) {
        let mut paths = self.paths();
        for path in &mut paths.list {
            path.unused += 1;
        }
        let closed = paths.take_closable(|path| path.unused >= UNUSED);
        // What is still open after its last sweep cannot be closed.
        let has_more = paths.list.iter().any(|path| path.entry.is_some() && path.unused < UNUSED);
        paths.has_timer = has_more;
        (closed, has_more)
    }

    /// Closes all files. Returns true if there were any.
    pub(crate) fn close_all(&self) -> bool {
        let closed = self.paths().take_closable(|_| true);
        for entry in &closed {
            entry.remove_unused();
        }
        !closed.is_empty()
    }
}

impl Paths {
    /// Returns the path with this key.
    fn get(&mut self, key: u64) -> Option<&mut WarmPath> {
        self.list.iter_mut().find(|path| path.key == key)
    }

    /// Returns the path with this key, unless the files of too many others are open.
    fn add(&mut self, key: u64) -> Option<&mut WarmPath> {
        if let Some(index) = self.list.iter().position(|path| path.key == key) {
            return Some(&mut self.list[index]);
        }
        if self.list.len() >= self.limit {
            self.list.retain(|path| path.entry.is_some());
            if self.list.len() >= self.limit {
                return None;
            }
        }
        self.list.push(WarmPath { key, ..WarmPath::default() });
        self.list.last_mut()
    }

    /// Takes the locks of the paths for which `is_meant` returns true, so that their files are closed. A file on which there
    /// are fcntl(2) locks stays open until its lock is requested again, or another sweep finds it without: closing it would
    /// drop those of this process, at a time that nobody expects.
    fn take_closable(&mut self, is_meant: impl Fn(&WarmPath) -> bool) -> Vec<Arc<LockEntry>> {
        let meant = self.list.iter_mut().filter(|path| is_meant(path));
        meant.filter_map(|path| path.entry.take_if(|entry| entry.may_be_closed())).collect()
    }
}

impl Engine {
    /// Acquires the lock of `request` on the thread of its client, if its file is open, and no request of this process is
    /// ahead. Returns false if the request has to be resolved.
    pub(crate) fn try_warm_here(self: &Arc<Self>, request: &Arc<Request>, now: Instant) -> bool {
        let may_try = request.blocks_client || request.client.may_stay_on_thread(now);
        may_try && !self.is_resolving() && request.handle.is_free() && self.try_warm(request, now)
    }

    /// Acquires the lock of `request`, if its file is open and the lock is free. Otherwise returns false: the path may name
    /// another file by now, which has to be opened before the request waits or is refused.
    pub(crate) fn try_warm(self: &Arc<Self>, request: &Arc<Request>, now: Instant) -> bool {
        let Some(entry) = self.warm_files.take(request.handle.order_key) else { return false };
        if !request.is_for(entry.id()) || !entry.is_intact_still(now) || !self.drive_warm(&entry) {
            return false;
        }
        let on_panic = Guard::new(|| self.abort_with(&entry, || Outcome::Panicked));
        let kernel_mode = self.try_lock_warm(&entry, request);
        let is_locked = kernel_mode.is_some() && matches!(entry.check_path(&request.handle), PathCheck::Same);
        let (granted, drives) = if is_locked { entry.grant_unqueued(request, now) } else { (false, true) };
        on_panic.disarm();
        if drives {
            // Requests that have come meanwhile are served.
            self.drive(&entry, kernel_mode, Permit::TryLock);
        }
        if granted {
            self.begin_renewal(&entry);
            self.complete(request, Outcome::Granted);
        }
        granted
    }

    /// Puts an idle lock back into the table, with the calling thread as its driver. Returns false if the table has another
    /// one for the same file, which was found by another path.
    fn drive_warm(&self, entry: &Arc<LockEntry>) -> bool {
        match self.table().entry(entry.id()) {
            Entry::Occupied(_) => false,
            Entry::Vacant(vacant) => {
                vacant.insert(entry.clone()).drive_if_idle();
                entry.set_driven(true);
                true
            }
        }
    }

    /// Tries the lock. Returns the kernel's lock that the process has then.
    fn try_lock_warm(&self, entry: &LockEntry, request: &Request) -> Option<LockMode> {
        match entry.file().try_lock(request.mode) {
            Ok(true) => return Some(request.mode),
            Ok(false) => self.warm_files.on_refused(request.handle.order_key),
            Err(_) => {
                entry.check_descriptor();
            }
        }
        None
    }

    /// Keeps the file of `entry`, which the table has just forgotten, open for a while, if its last release allows that and
    /// its path is calm. Returns false if it is closed.
    pub(crate) fn keep_warm(self: &Arc<Self>, entry: &Arc<LockEntry>) -> bool {
        let Some(key) = entry.take_warm_key() else { return false };
        let mut paths = self.warm_files.paths();
        let Some(path) = paths.add(key) else { return false };
        path.releases = path.releases.saturating_add(1);
        if path.releases < CALM || path.entry.is_some() {
            return false;
        }
        entry.set_removal_is_over(false);
        path.entry = Some(entry.clone());
        path.unused = 0;
        if !mem::replace(&mut paths.has_timer, true) {
            drop(paths);
            if !self.after(SWEEP, Timer::SweepWarmFiles) {
                // Nobody would close it.
                self.warm_files.paths().has_timer = false;
                self.warm_files.close_all();
            }
        }
        true
    }

    /// Closes the files that were not used for a while.
    pub(crate) fn sweep_warm_files(self: &Arc<Self>) {
        let (closed, has_more) = self.warm_files.sweep();
        if closed.iter().any(|entry| entry.is_removed_when_closed()) {
            // Closing one deletes a file, which may take a while.
            self.submit(Task::Close(closed));
        }
        if has_more {
            self.after(SWEEP, Timer::SweepWarmFiles);
        }
    }

    /// Deletes the file of `entry`, which is in no table, if that is wanted and nobody uses the file. Requests of this process that
    /// come meanwhile wait for it.
    pub(crate) fn remove_file(self: &Arc<Self>, entry: &Arc<LockEntry>) {
        if entry.is_to_be_removed() && self.drive_warm(entry) {
            let is_free =
                entry.check_descriptor() && matches!(entry.file().try_lock(LockMode::Exclusive), Ok(true));
            entry.set_removal_is_over(!is_free);
            // Which deletes it before it is unlocked.
            self.drive(entry, is_free.then_some(LockMode::Exclusive), Permit::TryLock);
        }
    }

    /// Opens a lock file. Should there be no descriptors left, those of warm files are given back.
    pub(crate) fn open(&self, path: &Path, how: &OpenHow) -> io::Result<Box<dyn LockFile>> {
        match self.system.open(path, how) {
            Err(error) if is_out_of_descriptors(&error) && self.warm_files.close_all() => {
                self.system.open(path, how)
            }
            opened => opened,
        }
    }
}
