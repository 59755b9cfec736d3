//! The queue of one lock: the requests that wait for it, in the order of arrival.

use std::collections::VecDeque;
use std::sync::Arc;

use super::action::Completions;
use super::request::{CancelReason, Outcome, Request, Ticket};

/// Requests in the order of their tickets.
#[derive(Default)]
pub(super) struct WaitQueue {
    waiters: VecDeque<Waiter>,
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
        self.waiters.front()
    }

    /// Returns the first waiter, if it is the request with this ticket.
    pub(super) fn front_is(&self, ticket: Ticket) -> Option<&Waiter> {
        self.front().filter(|front| front.request.ticket == ticket)
    }

    /// Returns all requests, the first one first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Request>> {
        self.waiters.iter().map(|waiter| &waiter.request)
    }

    /// Returns the requests that a request with this ticket has to wait for: those that were cancelled are none.
    pub(super) fn ahead_of(&self, ticket: Ticket) -> impl Iterator<Item = &Arc<Request>> {
        let index = self.index_for(ticket);
        self.waiters.range(..index).filter(|waiter| waiter.cancelled.is_none()).map(|waiter| &waiter.request)
    }

    /// Returns the requests that were not cancelled.
    pub(super) fn staying(&self) -> impl Iterator<Item = &Arc<Request>> {
        self.waiters.iter().filter(|waiter| waiter.cancelled.is_none()).map(|waiter| &waiter.request)
    }

    /// Returns the index of the request with this ticket.
    pub(super) fn position(&self, ticket: Ticket) -> Option<usize> {
        self.waiters.binary_search_by_key(&ticket, |waiter| waiter.request.ticket).ok()
    }

    /// Returns the waiter at `index`.
    pub(super) fn get(&self, index: usize) -> &Waiter {
        &self.waiters[index]
    }

    /// Inserts a request where its ticket belongs.
    pub(super) fn insert(&mut self, request: Arc<Request>) {
        let index = self.index_for(request.ticket);
        let waiter = Waiter { request, cancelled: None, attempted: false };
        self.nonblocking += usize::from(!waiter.is_blocking());
        self.waiters.insert(index, waiter);
    }

    /// Returns the index where a request with this ticket belongs: mostly the end.
    fn index_for(&self, ticket: Ticket) -> usize {
        match self.waiters.back() {
            Some(last) if last.request.ticket > ticket => {
                self.waiters.partition_point(|waiter| waiter.request.ticket < ticket)
            }
            _ => self.waiters.len(),
        }
    }

    /// Sets whether the lock has been tried on behalf of the first waiter.
    pub(super) fn set_front_attempted(&mut self, attempted: bool) {
        if let Some(front) = self.waiters.front_mut() {
            front.attempted = attempted;
        }
    }

    /// Marks the waiter at `index` as cancelled, for the first reason that is given.
    pub(super) fn mark_cancelled(&mut self, index: usize, reason: CancelReason) {
        let waiter = &mut self.waiters[index];
        if waiter.cancelled.is_none() {
            self.nonblocking += usize::from(waiter.is_blocking());
            waiter.cancelled = Some(reason);
        }
    }

    /// Removes the waiter at `index`.
    ///
    /// # Panics
    /// If there is none.
    pub(super) fn remove(&mut self, index: usize) -> Arc<Request> {
        let waiter = match index {
            0 => self.waiters.pop_front(),
            _ => self.waiters.remove(index),
        }
        .expect("the index is of this queue");
        self.nonblocking -= usize::from(!waiter.is_blocking());
        waiter.request
    }

    /// Removes the waiters for which `leaves` returns true, and returns them.
    pub(super) fn extract(&mut self, leaves: impl Fn(&Waiter) -> bool) -> VecDeque<Waiter> {
        let (gone, stay) = std::mem::take(&mut self.waiters).into_iter().partition(leaves);
        self.waiters = stay;
        self.nonblocking = self.waiters.iter().filter(|waiter| !waiter.is_blocking()).count();
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
        let refusal = self.front().filter(|front| !front.is_blocking()).map(Waiter::refusal);
        let refused = refusal.is_some();
        if let Some(outcome) = refusal {
            completions.push((self.remove(0), outcome));
        }
        refused
    }
}
