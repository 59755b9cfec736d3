//! Which file a path was last seen to name, on this thread: where many requests come by one path at once, one look is
//! enough for all of them, and none of them needs to open the file.

use std::cell::RefCell;
use std::path::Path;
use std::sync::{Arc, Weak};

use crate::core::handle::Handle;
use crate::core::request::{Request, Ticket};
use crate::core::shared_file::SharedFile;
use crate::core::sys;

thread_local! {
    static LAST: RefCell<Option<Sighting>> = const { RefCell::new(None) };
}

struct Sighting {
    handle: Arc<Handle>,
    shared: Weak<SharedFile>,
    /// Requests with a lower ticket were there when it was looked.
    next_ticket: Ticket,
}

/// `request` has come to the line of `shared` by its path, before the one with `next_ticket` was made.
pub(super) fn note(request: &Request, shared: &Arc<SharedFile>, next_ticket: Ticket) {
    let sighting = Sighting { handle: request.handle.clone(), shared: Arc::downgrade(shared), next_ticket };
    LAST.set(Some(sighting));
}

/// The file that the path of `request` has named at some time since the request was made, if it is the one that was
/// seen last. `next_ticket`: what the next request will be given.
pub(super) fn recall(request: &Request, next_ticket: Ticket) -> Option<Arc<SharedFile>> {
    LAST.with_borrow_mut(|last| {
        let sighting = last.as_mut()?;
        let shared = sighting.shared.upgrade().filter(|_| sighting.is_of(&request.handle))?;
        if request.ticket >= sighting.next_ticket {
            if !still_names(&request.handle.path, &shared) {
                *last = None;
                return None;
            }
            sighting.next_ticket = next_ticket;
        }
        Some(shared)
    })
}

impl Sighting {
    /// Would `handle` find the file by opening its path, too?
    fn is_of(&self, handle: &Handle) -> bool {
        self.handle.lane == handle.lane
            && self.handle.allow_directory == handle.allow_directory
            && self.handle.remove_on_release == handle.remove_on_release
            && self.handle.path == handle.path
    }
}

fn still_names(path: &Path, shared: &SharedFile) -> bool {
    matches!(sys::identity_at(path), Ok(Some(identity)) if identity == shared.identity())
}
