//! What the state of a lock tells its callers: the result of a call, and what to do next.

use std::sync::Arc;

use smallvec::SmallVec;

use super::request::{Outcome, Request, Ticket};
use crate::sys::{LockMode, SystemError};

/// Requests that are completed, with their outcomes: mostly one. They are delivered once the state has been unlocked.
pub(crate) type Completions = SmallVec<[(Arc<Request>, Outcome); 1]>;

/// The result of queueing a request.
pub(crate) enum Enqueued {
    /// It holds the lock beside others.
    Granted,
    /// It waits. The driver, or the next one, serves it.
    Waits,
    /// It waits until those who share the lock have released it, or for [`DRAIN_TIME`], at whose end
    /// [`LockState::end_drain`] is due, with this number.
    ///
    /// [`DRAIN_TIME`]: super::fairness::DRAIN_TIME
    /// [`LockState::end_drain`]: super::state::LockState::end_drain
    Drains(u64),
    /// It waits, and the driver, which is blocked in the kernel for another mode, has to be interrupted until it is out.
    Interrupts,
    /// It waits, and the caller becomes the driver. This is the kernel's lock that the process has.
    Drive(Option<LockMode>),
    /// It was not queued.
    Refused(Outcome),
    /// It was completed before, or its client has ended.
    Gone,
    /// Its handle holds another file: it belongs in that file's queue.
    Elsewhere,
}

/// What the driver does next.
#[derive(Debug)]
pub(crate) enum Action {
    /// Try the lock in this mode, on behalf of this request. Then `on_locked`, `on_would_block` or `on_error`.
    TryLock(LockMode, Ticket),
    /// Check whether the path of this request still names the file. Then `on_path_checked`.
    CheckPath(Arc<Request>),
    /// Take the lock from those that hold it, for the first in the queue. Then `on_stolen`.
    Steal,
    /// Turn the exclusive lock into a shared one.
    Downgrade,
    /// Unlock the file.
    Unlock,
    /// Unlock the file, and leave it to other processes for a moment before it is tried again in this mode.
    GiveWay(LockMode),
    /// Stop driving: the lock is held. The next release makes another driver.
    Hold,
    /// Stop driving: no request holds the lock or waits for it.
    Idle,
}

/// The result of checking the path of a request.
pub(crate) enum PathCheck {
    /// It names the file.
    Same,
    /// It names another file, or nothing.
    Replaced,
    /// The system cannot tell.
    Failed(SystemError),
}

/// The result of cancelling a request.
pub(crate) enum Cancellation {
    /// It is out of the queue.
    Done(Effect),
    /// The driver completes it as soon as its system call has ended.
    Pending(Effect),
    /// It has left the queue already, and its outcome is about to come.
    Completing,
    /// It is in another queue, or its file is being found.
    Moved,
}

/// What the caller has to do after it has changed the queue or the holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// The caller becomes the driver. This is the kernel's lock that the process has.
    Drive(Option<LockMode>),
    /// The caller interrupts the driver, which is blocked in the kernel, until it is out.
    Interrupt,
}

/// The result of a release.
pub(crate) struct EndedHold {
    /// What the caller has to do.
    pub effect: Effect,
    /// The lock had been lost before: the table has to forget the entry.
    pub was_lost: bool,
}

/// Why a driver stops.
pub(crate) enum DriveResult {
    /// The lock is held.
    Held,
    /// No request holds the lock or waits for it.
    Idle,
    /// The next action is more than the thread may do. This is the kernel's lock that the process has.
    HandOver(Option<LockMode>),
    /// Another process holds the lock, for which this request waits in this mode.
    Wait(LockMode, Ticket),
    /// The lock is left to other processes for a moment before it is tried again in this mode.
    GiveWay(LockMode),
}

/// What a thread that drives may do. Each permit includes the ones before it. An action with a path may block for ever on a
/// network mount, and so may a wait; there even unlocking waits for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Permit {
    /// Change the queue.
    Queue,
    /// Unlock: a thread that cancels a wait, or ends a client. The timer thread must not be held up, or no deadline is
    /// kept, nor an event loop by an abort.
    Unlock,
    /// Check a path: a client's thread that releases the lock.
    CheckPath,
    /// Try the lock: a client's thread that acquires the lock for itself.
    TryLock,
    /// Wait in the kernel: a worker.
    Block,
}
