//! Semaphores: at most so many holders at a time, over all processes.
//!
//! A semaphore at PATH is a gate, the lock of PATH itself, and slots, the locks of PATH.1, PATH.2 and so on, one for each permit. A
//! request takes the gate, which keeps the order, then the first slot that is free. If there is none, it waits for all of them,
//! until it has one. Then it releases the gate. All of this happens on the threads on which the outcomes arrive: a client whose
//! thread is busy delays nobody.

mod number;
mod wait;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::wait::Event;
pub(crate) use self::wait::PermitWait;
use crate::dispatch::{Task, Timer};
use crate::engine::{CANCEL_GRACE, Engine};
use crate::lock::{CancelReason, Outcome, Request, Ticket};
use crate::sync::Mutex;
use crate::sys::SystemError;

/// The requests for permits that have no outcome yet, in the order of their tickets.
pub(crate) struct Semaphores(Mutex<Vec<Arc<PermitWait>>>);

impl Semaphores {
    /// Returns none.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn add(&self, wait: Arc<PermitWait>) {
        let mut waits = self.0.lock();
        let place = waits.partition_point(|other| other.request.ticket < wait.request.ticket);
        waits.insert(place, wait);
    }

    /// Returns the request for a permit with this ticket, if it has no outcome yet.
    fn get(&self, ticket: Ticket) -> Option<Arc<PermitWait>> {
        let waits = self.0.lock();
        let place = waits.binary_search_by_key(&ticket, |wait| wait.request.ticket);
        place.ok().map(|place| waits[place].clone())
    }

    /// Removes the request for a permit with this ticket.
    fn remove(&self, ticket: Ticket) {
        self.0.lock().retain(|wait| wait.request.ticket != ticket);
    }

    /// Returns all of them.
    pub(crate) fn list(&self) -> Vec<Arc<Request>> {
        self.0.lock().iter().map(|wait| wait.request.clone()).collect()
    }
}

impl Engine {
    /// Starts `request`, if it is for a permit. Returns false for other requests.
    pub(crate) fn start_permit(self: &Arc<Self>, request: &Arc<Request>) -> bool {
        let Some(permits) = request.handle.options.permits else { return false };
        let wait = PermitWait::new(self, request.clone(), permits);
        self.semaphores.add(wait.clone());
        wait.tell(Event::Begin);
        if request.blocking && !request.is_completed() {
            self.after(CANCEL_GRACE, Timer::CheckPermits(request.ticket));
        }
        true
    }

    /// Cancels `request`, if it is for a permit and has no outcome yet. Returns false for other requests.
    pub(crate) fn cancel_permit(&self, request: &Request, reason: CancelReason) -> bool {
        if request.handle.options.permits.is_none() {
            return false;
        }
        if let Some(wait) = self.semaphores.get(request.ticket) {
            wait.tell(Event::Cancelled(reason));
        }
        true
    }

    /// Has a worker check whether others use the semaphore with another number of permits, if the request for a permit with this
    /// ticket still waits. Called after a moment: until then, the request that has the gate may be about to write that number.
    pub(crate) fn check_permits_later(self: &Arc<Self>, ticket: Ticket) {
        if let Some(wait) = self.semaphores.get(ticket) {
            self.submit(Task::CheckPermits(wait));
        }
    }

    /// Checks whether others use the semaphore with another number of permits.
    pub(crate) fn check_permits(self: &Arc<Self>, wait: &Arc<PermitWait>) {
        if let Some(other) = wait.find_other_permits(self) {
            wait.tell(Event::Failed(other));
        }
    }
}

/// Returns the outcome of a request for the slot with this index. An error says so.
fn about_slot(index: usize, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failed(error) => Outcome::Failed(SystemError { slot: Some(number_of(index)), ..error }),
        other => other,
    }
}

/// Returns the number of the slot with this index: the first one is 1.
fn number_of(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

/// Returns the path of the slot with this index.
fn slot_path(slots_at: &Path, index: usize) -> PathBuf {
    let mut path = OsString::from(slots_at);
    path.push(format!(".{}", number_of(index)));
    path.into()
}
