//! The queue of one lock: the requests that wait for it, in the order of arrival.

use std::sync::Arc;

use super::action::Completions;
use super::by_ticket::ByTicket;
use super::request::{CancelReason, Outcome, Request, Ticket};

/// Requests in the order of their tickets.
#[derive(Default)]
pub(super) struct WaitQueue {
    waiters: ByTicket<Waiter>,
    /// How many do not block, or not any more. Counted, so that a long queue need not be searched for them.
    nonblocking: usize,
}

/// A request in the queue.
pub(super) struct Waiter {
    pub request: Arc<Request>,
    /// The reason if it was cancelled. It leaves as soon as the driver has no system call under way on
    /// its behalf.
    pub cancelled: Option<CancelReason>,
    /// The lock has been tried on its behalf.
    pub attempted: bool,
}

impl Waiter {
    /// Returns true if it stays until it is granted.
    pub(super) fn is_blocking(&self) -> bool {
        self.cancelled.is_none() && self.request.blocking
    }

    /// Returns why it leaves before the next try. However short its timeout is, it is refused only if the kernel has refused
    /// it.
    pub(super) fn cancel_due(&self) -> Option<CancelReason> {
        self.cancelled.filter(|&reason| reason != CancelReason::TimedOut || self.attempted)
    }

    /// Returns its outcome for the case that the lock is not free and it does not wait any longer.
    fn refusal(&self) -> Outcome {
        self.cancelled.map_or(Outcome::TimedOut(None), Outcome::from)
    }
}

impl WaitQueue {
    /// Returns true if the queue is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Returns the first waiter.
    pub(super) fn front(&self) -> Option<&Waiter> {
        self.waiters.first()
    }

    /// Returns true if the first waiter is the request with this ticket.
    pub(super) fn is_front(&self, ticket: Ticket) -> bool {
        self.waiters.is_first(ticket)
    }

    /// Returns all requests, the first one first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Request>> {
        self.waiters.values().map(|waiter| &waiter.request)
    }

    /// Returns the requests that a request with this ticket has to wait for: those that were cancelled are none.
    pub(super) fn ahead_of(&self, ticket: Ticket) -> impl Iterator<Item = &Arc<Request>> {
        self.waiters.before(ticket).filter(|waiter| waiter.cancelled.is_none()).map(|waiter| &waiter.request)
    }

    /// Returns the requests that were not cancelled.
    pub(super) fn staying(&self) -> impl Iterator<Item = &Arc<Request>> {
        self.waiters.values().filter(|waiter| waiter.cancelled.is_none()).map(|waiter| &waiter.request)
    }

    /// Returns the waiter whose request has this ticket.
    pub(super) fn get(&self, ticket: Ticket) -> Option<&Waiter> {
        self.waiters.get(ticket)
    }

    /// Inserts a request where its ticket belongs.
    pub(super) fn insert(&mut self, request: Arc<Request>) {
        let ticket = request.ticket;
        let waiter = Waiter { request, cancelled: None, attempted: false };
        self.nonblocking += usize::from(!waiter.is_blocking());
        self.waiters.insert(ticket, waiter);
    }

    /// Sets whether the lock has been tried on behalf of the first waiter.
    pub(super) fn set_front_attempted(&mut self, attempted: bool) {
        if let Some(front) = self.waiters.first_mut() {
            front.attempted = attempted;
        }
    }

    /// Marks the waiter whose request has this ticket as cancelled, for the first reason that is given.
    pub(super) fn mark_cancelled(&mut self, ticket: Ticket, reason: CancelReason) {
        if let Some(waiter) = self.waiters.get_mut(ticket).filter(|waiter| waiter.cancelled.is_none()) {
            self.nonblocking += usize::from(waiter.is_blocking());
            waiter.cancelled = Some(reason);
        }
    }

    /// Removes the request with this ticket.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Arc<Request>> {
        let waiter = self.waiters.remove(ticket)?;
        self.nonblocking -= usize::from(!waiter.is_blocking());
        Some(waiter.request)
    }

    /// Removes the first waiter.
    pub(super) fn remove_front(&mut self) -> Option<Waiter> {
        let waiter = self.waiters.remove_first()?;
        self.nonblocking -= usize::from(!waiter.is_blocking());
        Some(waiter)
    }

    /// Removes the waiters for which `leaves` returns true, and returns them.
    pub(super) fn extract(&mut self, leaves: impl Fn(&Waiter) -> bool) -> Vec<Waiter> {
        let gone = self.waiters.extract(leaves);
        self.nonblocking -= gone.iter().filter(|waiter| !waiter.is_blocking()).count();
        gone
    }

    /// Refuses all requests that do not wait for the lock, wherever they are in the queue: it is not free.
    pub(super) fn refuse_nonblocking(&mut self, completions: &mut Completions) {
        if self.nonblocking > 0 {
            let gone = self.extract(|waiter| !waiter.is_blocking());
            completions.extend(gone.into_iter().map(|waiter| {
                let outcome = waiter.refusal();
                (waiter.request, outcome)
            }));
        }
    }

    /// Refuses the first waiter, if it does not wait for the lock. Returns true if it was refused.
    pub(super) fn refuse_front(&mut self, completions: &mut Completions) -> bool {
        if self.front().is_none_or(Waiter::is_blocking) {
            return false;
        }
        completions.extend(self.remove_front().map(|front| {
            let outcome = front.refusal();
            (front.request, outcome)
        }));
        true
    }
}
