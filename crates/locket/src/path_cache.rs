//! A cache of one path for each thread: the lock of the file that the path last named. Where many requests come by one path
//! at once, one lookup serves them all, and none of them has to open the file.

use std::cell::RefCell;
use std::ptr;
use std::sync::{Arc, Weak};

use crate::engine::Engine;
use crate::lock::{Handle, LockEntry, Request, Ticket};

thread_local! {
    static LAST: RefCell<Option<Cached>> = const { RefCell::new(None) };
}

#[derive(Clone)]
struct Cached {
    engine: Weak<Engine>,
    handle: Arc<Handle>,
    entry: Weak<LockEntry>,
    /// Requests with a lower ticket were there when the path was looked up.
    next_ticket: Ticket,
}

/// Caches that the path of `request` named the file of `entry` before the request with `next_ticket` was made.
pub(crate) fn set(engine: &Arc<Engine>, request: &Request, entry: &Arc<LockEntry>, next_ticket: Ticket) {
    LAST.set(Some(Cached {
        engine: Arc::downgrade(engine),
        handle: request.handle.clone(),
        entry: Arc::downgrade(entry),
        next_ticket,
    }));
}

/// Returns the cached lock, if the path of `request` has named its file at some time since the request was made. Looks the
/// path up if the request is newer than the last lookup. `next_ticket`: the ticket of the next request.
pub(crate) fn get(engine: &Engine, request: &Request, next_ticket: Ticket) -> Option<Arc<LockEntry>> {
    let cached =
        LAST.with_borrow(|last| last.as_ref().filter(|last| last.is_of(engine, request)).cloned())?;
    let entry = cached.entry.upgrade()?;
    if request.ticket >= cached.next_ticket {
        let named = engine.system.lock_id_at(&request.handle.path, &request.handle.options.protocol);
        let is_same = matches!(named, Ok(Some(id)) if id == entry.id());
        LAST.set(is_same.then_some(Cached { next_ticket, ..cached }));
        return is_same.then_some(entry);
    }
    Some(entry)
}

impl Cached {
    /// Returns true if `request` of `engine` would find the file by opening its path, too.
    fn is_of(&self, engine: &Engine, request: &Request) -> bool {
        let (own, other) = (&self.handle.options, &request.handle.options);
        ptr::eq(self.engine.as_ptr(), engine)
            && own.allow_directory == other.allow_directory
            && own.removal == other.removal
            && request.is_by_path_of(&self.handle)
    }
}
