//! The holds of one lock: one exclusive hold, or shared ones, one for each handle.

use std::sync::Arc;
use std::thread::ThreadId;

use smallvec::SmallVec;

use super::by_ticket::ByTicket;
use super::request::{Request, Ticket};
use crate::client::Client;
use crate::sys::LockMode;

/// The requests that hold a lock.
#[derive(Default)]
pub(super) struct Holds {
    requests: ByTicket<Arc<Request>>,
    /// How many of them each thread has. Counted, so that the holds need not be searched for those of a thread.
    threads: SmallVec<[(ThreadId, usize); 1]>,
}

impl Holds {
    /// Returns true if the lock is not held.
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Returns the mode in which the lock is held.
    pub(super) fn mode(&self) -> Option<LockMode> {
        self.requests.first().map(|hold| hold.mode)
    }

    /// Returns the holds, in the order of arrival.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Request>> {
        self.requests.values()
    }

    /// Returns true if a client on this thread holds the lock.
    pub(super) fn has_any_of(&self, thread: ThreadId) -> bool {
        self.threads.iter().any(|&(other, _)| other == thread)
    }

    /// Returns true if the request with this ticket holds the lock.
    pub(super) fn contains(&self, ticket: Ticket) -> bool {
        self.requests.get(ticket).is_some()
    }

    /// Adds a hold.
    pub(super) fn insert(&mut self, hold: Arc<Request>) {
        let thread = hold.client.thread;
        match self.threads.iter_mut().find(|(other, _)| *other == thread) {
            Some((_, count)) => *count += 1,
            None => self.threads.push((thread, 1)),
        }
        self.requests.insert(hold.ticket, hold);
    }

    /// Removes the hold of the request with this ticket.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Arc<Request>> {
        let hold = self.requests.remove(ticket)?;
        self.uncount(&hold);
        Some(hold)
    }

    /// Removes all holds.
    pub(super) fn take(&mut self) -> Vec<Arc<Request>> {
        self.threads.clear();
        self.requests.extract(|_| true)
    }

    /// Removes the holds of `client`.
    pub(super) fn extract(&mut self, client: &Arc<Client>) -> Vec<Arc<Request>> {
        let gone = self.requests.extract(|hold| Arc::ptr_eq(&hold.client, client));
        for hold in &gone {
            self.uncount(hold);
        }
        gone
    }

    fn uncount(&mut self, hold: &Request) {
        let thread = hold.client.thread;
        if let Some(index) = self.threads.iter().position(|&(other, _)| other == thread) {
            self.threads[index].1 -= 1;
            if self.threads[index].1 == 0 {
                self.threads.swap_remove(index);
            }
        }
    }
}
