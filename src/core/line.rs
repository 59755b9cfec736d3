//! The line in front of one lock file: who waits, in the order of arrival.

use std::collections::VecDeque;
use std::sync::Arc;

use super::request::{Outcome, Purpose, Reason, Request, Ticket};
use super::turn::Settlements;

/// Requests in the order of their tickets.
#[derive(Default)]
pub struct Line {
    waiters: VecDeque<Waiter>,
    /// How many do not wait, or not any more: counted, so that a long line need not be searched for them.
    impatient: usize,
}

/// A request in line.
pub struct Waiter {
    /// What it asks for.
    pub request: Arc<Request>,
    /// Given up; goes as soon as the thread that asks the kernel on its behalf is known to be out.
    pub leaving: Option<Reason>,
    /// The kernel has been asked on its behalf.
    pub asked: bool,
}

impl Waiter {
    /// Does it stay in line until it is let in?
    pub fn is_patient(&self) -> bool {
        self.leaving.is_none() && self.request.purpose == Purpose::Acquire
    }

    /// Is it to go before the kernel is asked once more? However short its time was, it is refused only if the
    /// kernel has said no.
    pub fn goes(&self) -> Option<Reason> {
        self.leaving.filter(|&reason| reason != Reason::TimedOut || self.asked)
    }

    /// What it hears if the lock is not to be had now and it does not wait any longer.
    fn refusal(&self) -> Outcome {
        match (self.leaving, self.request.purpose) {
            (Some(reason), _) => reason.into(),
            (None, Purpose::Probe) => Outcome::Probed(true),
            (None, Purpose::Acquire | Purpose::TryAcquire) => Outcome::TimedOut,
        }
    }
}

impl Line {
    /// Is nobody in line?
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// The first in line.
    pub fn front(&self) -> Option<&Waiter> {
        self.waiters.front()
    }

    /// All, the first one first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Request>> {
        self.waiters.iter().map(|waiter| &waiter.request)
    }

    /// The first in line, if it is the request with this ticket.
    pub fn front_is(&self, ticket: Ticket) -> Option<&Waiter> {
        self.front().filter(|front| front.request.ticket == ticket)
    }

    /// Those that a request with this ticket would have to wait for: probes and those that leave are none.
    pub fn ahead_of(&self, ticket: Ticket) -> impl Iterator<Item = &Arc<Request>> {
        let index = self.index_of(ticket);
        let waiting = |waiter: &&Waiter| waiter.leaving.is_none() && waiter.request.purpose != Purpose::Probe;
        self.waiters.range(..index).filter(waiting).map(|waiter| &waiter.request)
    }

    /// Those that do not leave.
    pub fn staying(&self) -> impl Iterator<Item = &Arc<Request>> {
        self.waiters.iter().filter(|waiter| waiter.leaving.is_none()).map(|waiter| &waiter.request)
    }

    /// Where the request with this ticket stands.
    pub fn position(&self, ticket: Ticket) -> Option<usize> {
        self.waiters.binary_search_by_key(&ticket, |waiter| waiter.request.ticket).ok()
    }

    /// The one that stands there.
    pub fn get(&self, index: usize) -> &Waiter {
        &self.waiters[index]
    }

    /// Puts a request where its ticket belongs.
    pub fn insert(&mut self, request: Arc<Request>) {
        let index = self.index_of(request.ticket);
        let waiter = Waiter { request, leaving: None, asked: false };
        self.impatient += usize::from(!waiter.is_patient());
        self.waiters.insert(index, waiter);
    }

    /// Where a request with this ticket belongs: mostly at the end.
    fn index_of(&self, ticket: Ticket) -> usize {
        match self.waiters.back() {
            Some(last) if last.request.ticket > ticket => {
                self.waiters.partition_point(|waiter| waiter.request.ticket < ticket)
            }
            _ => self.waiters.len(),
        }
    }

    /// The kernel is asked on behalf of the first.
    pub fn ask_for_front(&mut self) {
        if let Some(front) = self.waiters.front_mut() {
            front.asked = true;
        }
    }

    /// The kernel is to be asked once more on behalf of the first.
    pub fn ask_anew_for_front(&mut self) {
        if let Some(front) = self.waiters.front_mut() {
            front.asked = false;
        }
    }

    /// The one that stands there gives up, for the first reason that it is given.
    pub fn mark_leaving(&mut self, index: usize, reason: Reason) {
        let waiter = &mut self.waiters[index];
        if waiter.leaving.is_none() {
            self.impatient += usize::from(waiter.is_patient());
            waiter.leaving = Some(reason);
        }
    }

    /// Takes the one out that stands there.
    pub fn remove(&mut self, index: usize) -> Arc<Request> {
        let waiter = match index {
            0 => self.waiters.pop_front(),
            _ => self.waiters.remove(index),
        }
        .expect("the index is of this line");
        self.impatient -= usize::from(!waiter.is_patient());
        waiter.request
    }

    /// Takes those out that `go` says.
    pub fn take_out(&mut self, go: impl Fn(&Waiter) -> bool) -> VecDeque<Waiter> {
        let (gone, stay) = std::mem::take(&mut self.waiters).into_iter().partition(go);
        self.waiters = stay;
        self.impatient = self.waiters.iter().filter(|waiter| !waiter.is_patient()).count();
        gone
    }

    /// The lock is not to be had now: those that do not wait for it hear so, wherever they stand.
    pub fn dismiss_impatient(&mut self, settled: &mut Settlements) {
        if self.impatient > 0 {
            let gone = self.take_out(|waiter| !waiter.is_patient());
            settled.extend(gone.into_iter().map(|waiter| {
                let outcome = waiter.refusal();
                (waiter.request, outcome)
            }));
        }
    }

    /// The first is refused, since it does not wait. `false`: it does.
    pub fn dismiss_front(&mut self, settled: &mut Settlements) -> bool {
        let impatient = self.front().filter(|front| !front.is_patient()).map(Waiter::refusal);
        if let Some(outcome) = impatient {
            settled.push((self.remove(0), outcome));
            return true;
        }
        false
    }
}
