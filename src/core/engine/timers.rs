//! What is done at its time.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::inquiries::Inquiry;
use super::opening::{Arriving, Job, Sight};
use super::turns::Seat;
use super::{ENGINE, GIVE_UP, POOL, expire};
use crate::core::request::Request;
use crate::core::shared_file::{self, SharedFile};

/// What the timekeeper does when it is time.
pub(super) enum Timer {
    /// The deadline of this request has come.
    Deadline(Arc<Request>),
    /// Its time is over: check whether its path answers. Carries what the last check has found.
    Unanswered(Arc<Request>, Sight),
    /// The thread that was called back has not answered.
    GiveUp(Arc<Request>),
    /// Signal the thread again, this long after the last time: that signal may have come too early.
    Interrupt(Weak<SharedFile>, Duration),
    /// Ask the kernel again.
    Retry(Weak<SharedFile>),
    /// Has the worker been stuck since?
    Watch(u64),
    /// The time for draining the shared holders is over.
    EndDrain(Weak<SharedFile>, u64),
    /// Open the file again: another program had opened it without sharing.
    OpenAgain(Arc<Request>),
    /// The time for this inquiry is over.
    TooLate(Weak<Inquiry>),
}

impl Timer {
    pub fn fire(self) {
        match self {
            Self::Deadline(request) => expire(&request),
            Self::Unanswered(request, last) => ENGINE.give_path_up(request, last),
            Self::GiveUp(request) => shared_file::abandon(&request),
            Self::Interrupt(shared, delay) => {
                if let Some(shared) = shared.upgrade()
                    && shared.interrupt_again()
                {
                    let delay = (delay * 2).min(GIVE_UP);
                    ENGINE.after(delay, Self::Interrupt(Arc::downgrade(&shared), delay));
                }
            }
            Self::Retry(shared) => {
                if let Some(shared) = shared.upgrade()
                    && shared.resume()
                {
                    ENGINE.submit(Job::Turn(shared, None));
                }
            }
            Self::Watch(begun) => POOL.watch(begun),
            Self::EndDrain(shared, drain) => {
                if let Some(shared) = shared.upgrade() {
                    ENGINE.follow(&shared, shared.end_drain(drain), Seat::Leaver);
                }
            }
            Self::OpenAgain(request) => ENGINE.submit(Job::Open(Arriving::new(request))),
            Self::TooLate(inquiry) => {
                if let Some(inquiry) = inquiry.upgrade() {
                    inquiry.give_up();
                }
            }
        }
    }
}
