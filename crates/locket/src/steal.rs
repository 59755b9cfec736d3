//! Stealing: a request that takes the lock from whatever holds it in this process.

use std::sync::Arc;

use crate::engine::Engine;
use crate::lock::{Outcome, Request, RequestOptions};
use crate::resolve::Route;
use crate::sync::now;

impl Engine {
    /// Starts a request, which does not wait. If this process holds the lock, the request takes it, and comes before all that wait
    /// for it. Clients whose holds are stolen are told by an [`Outcome::Lost`]. If another process holds the lock, or shares it,
    /// the request is refused: the kernel takes its locks from nobody.
    pub fn steal(self: &Arc<Self>, options: RequestOptions) -> Arc<Request> {
        options.handle.set_requested();
        let request = Arc::new(Request::new(self.earlier_ticket(), options, now()));
        self.watch_answer(&request);
        self.submit_resolve(request.clone(), Route::Uncached);
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
