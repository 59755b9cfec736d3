//! Stealing: a request that takes the lock from whatever holds it in this process.

use std::sync::Arc;

use crate::engine::Engine;
use crate::lock::{Outcome, Permit, Request, RequestOptions};
use crate::resolve::Route;
use crate::sync::now;

impl Engine {
    /// Starts a request, which does not wait. If this process holds the lock, the request takes it, and comes before all that wait
    /// for it. Clients whose holds are stolen are told by an [`Outcome::Lost`]. If another process holds the lock, the request is
    /// refused: the kernel takes its locks from nobody.
    pub fn steal(self: &Arc<Self>, options: RequestOptions) -> Arc<Request> {
        let request = Arc::new(Request::new(self.earlier_ticket(), options, now()));
        let handle = &request.handle;
        handle.set_requested();
        let id = self.system.lock_id_at(&handle.path, &handle.options.protocol).ok().flatten();
        let entry = id.and_then(|id| self.table().get(&id).cloned());
        let stolen = entry.and_then(|entry| entry.steal(&request).map(|stolen| (entry, stolen)));
        if let Some((entry, (holds, effect))) = stolen {
            tell_lost(&holds);
            self.apply(&entry, effect, Permit::CheckPath);
        } else {
            self.watch_answer(&request);
            self.submit_resolve(request.clone(), Route::Uncached);
        }
        request
    }
}

/// Tells the clients of `holds` that those are lost.
pub(crate) fn tell_lost(holds: &[Arc<Request>]) {
    for hold in holds {
        if let Some(losses) = hold.client.losses() {
            losses.complete(hold.token, Outcome::Lost);
        }
    }
}
