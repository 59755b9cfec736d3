//! The fast path: a request is granted on the thread of its client, where that takes neither a disk nor a server, and no
//! request of this process is ahead.
//!
//! It is taken only for calm paths: those whose last requests were all granted at the first try. A request on the fast path
//! follows the last release so soon that another process, which that release wakes, would always come too late.

use std::sync::Arc;

use crate::engine::Engine;
use crate::lock::{Enqueued, Permit, Request};
use crate::sync::Mutex;
use crate::sys::{FileId, OpenHow};

#[cfg(all(test, not(loom)))]
mod tests;

/// How many requests must have been granted at the first try before the next one may take the fast path.
const CALM: u32 = 32;
/// How many requests of a client may take the fast path before one has to go by a worker, and so by the event loop.
/// Otherwise a loop that acquires and releases would keep everything else from running.
const TRIES: u32 = 64;
/// How many paths are remembered.
const PATHS: usize = 64;

/// What the fast path knows of paths. Of paths whose keys have one remainder it knows the last.
pub(crate) struct FastPath(Mutex<[Streak; PATHS]>);

#[derive(Clone, Copy)]
struct Streak {
    key: u64,
    /// How many requests were granted since the kernel last refused one.
    grants: u32,
    /// The file that was last found at the path, if it is on a file system of this machine.
    local_file: Option<FileId>,
}

impl FastPath {
    /// Returns one that knows no path.
    pub(crate) fn new() -> Self {
        Self(Mutex::new([Streak { key: 0, grants: 0, local_file: None }; PATHS]))
    }

    /// Counts that the lock of this path was granted.
    pub(crate) fn on_granted(&self, key: u64) {
        let mut streaks = self.0.lock();
        let streak = &mut streaks[slot_of(key)];
        if streak.key == key {
            streak.grants = streak.grants.saturating_add(1);
        } else {
            *streak = Streak { key, grants: 1, local_file: None };
        }
    }

    /// Ends the streak of this path: the kernel has refused its lock, so other processes want it, too.
    pub(crate) fn on_refused(&self, key: u64) {
        if let Some(streak) = self.0.lock().get_mut(slot_of(key)).filter(|streak| streak.key == key) {
            streak.grants = 0;
        }
    }

    /// Remembers the file that was found at the path of `request`, if it is local.
    pub(crate) fn on_found(&self, request: &Request, id: FileId, is_local: bool) {
        let key = request.handle.order_key;
        if let Some(streak) = self.0.lock().get_mut(slot_of(key)).filter(|streak| streak.key == key) {
            streak.local_file = is_local.then_some(id);
        }
    }

    /// Returns the local file that was last found at this path, if the path is calm.
    fn calm_local_file(&self, key: u64) -> Option<FileId> {
        let streak = self.0.lock()[slot_of(key)];
        streak.local_file.filter(|_| streak.key == key && streak.grants >= CALM)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the remainder fits")]
fn slot_of(key: u64) -> usize {
    (key % PATHS as u64) as usize
}

impl Engine {
    /// Opens and locks the file of `request` on the calling thread, if that cannot block on I/O and no request of this
    /// process is ahead. Returns false if a worker has to do it.
    pub(crate) fn try_fast_path(self: &Arc<Self>, request: &Arc<Request>) -> bool {
        let handle = &request.handle;
        if request.client.count_try() >= TRIES || self.is_resolving() || !handle.is_free() {
            return false;
        }
        let Some(last) = self.fast_path.calm_local_file(handle.order_key) else { return false };
        if self.table().contains_key(&last) {
            return false;
        }
        let how = OpenHow { create: None, allow_directory: handle.options.allow_directory };
        let Some(file) = self.system.open_cached(&handle.path, &how) else { return false };
        if !file.id().is_on_same_device(&last) {
            return false;
        }
        let (entry, enqueued) = self.enqueue_at(file, request, true, true);
        let is_queued = !matches!(enqueued, Enqueued::Elsewhere);
        self.proceed(request, &entry, enqueued, Permit::TryLock);
        is_queued
    }
}
