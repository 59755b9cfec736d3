//! The words in which the state of a lock and its driver speak: what became of a call, and what to do next.

use std::sync::Arc;

use smallvec::SmallVec;

use super::request::{Outcome, Request, Ticket};
use crate::sys::{LockMode, SystemError};

/// Outcomes that are due: mostly one. They are delivered once the state's mutex has been unlocked.
pub(crate) type Completions = SmallVec<[(Arc<Request>, Outcome); 1]>;

/// What became of a request that was to be queued.
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
    /// It waits, and the caller drives.
    Drive,
    /// It was not queued.
    Refused(Outcome),
    /// It was completed before, or its client has ended.
    Gone,
    /// Its handle holds another file: it belongs into that file's queue.
    Elsewhere,
}

/// What the driver does next.
#[derive(Debug)]
pub(crate) enum Action {
    /// Try the lock in this mode, on behalf of this request. Then `on_locked`, `on_would_block` or `on_error`.
    TryLock(LockMode, Ticket),
    /// Check whether the path of this request still names the file. Then `on_path_checked`.
    CheckPath(Arc<Request>),
    /// Turn the exclusive lock into a shared one.
    Downgrade,
    /// Unlock the file.
    Unlock,
    /// Unlock the file, and leave it to other processes for a moment before it is tried again in this mode.
    GiveWay(LockMode),
    /// Nothing: the lock is held, and the next release makes another driver.
    Hold,
    /// Nothing: nobody is left.
    Idle,
}

/// What a check of the path of a request showed.
pub(crate) enum PathCheck {
    /// It names the file.
    Same,
    /// It names another file, or nothing.
    Replaced,
    /// The system cannot tell.
    Failed(SystemError),
}

/// What became of a request that was to be cancelled.
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
    /// The caller drives. This is the kernel's lock that the process has.
    Drive(Option<LockMode>),
    /// The driver that is blocked in the kernel has to be interrupted until it is out.
    Interrupt,
}

/// The result of a release. The caller has to do what follows.
pub(crate) enum Released {
    /// The hold has ended.
    Ended(Effect),
    /// The lock had been lost before. The table has to forget the entry.
    Lost(Effect),
}

/// Where a driver has to stop.
pub(crate) enum DriveResult {
    /// The lock is held.
    Held,
    /// Nobody is left.
    Idle,
    /// The next action is more than the thread may do. This is the kernel's lock that the process has.
    HandOver(Option<LockMode>),
    /// Another process holds the lock, which this request wants in this mode.
    Wait(LockMode, Ticket),
    /// The lock is left to other processes for a moment before it is tried again in this mode.
    GiveWay(LockMode),
}

/// What a thread that drives may do, each with all before it. What takes a path or a wait can take any time, on a network
/// mount for ever; there unlocking, too, waits for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Permit {
    /// Change the queue.
    Queue,
    /// Unlock: a thread that cancels a wait, or ends a client. The timer thread must not be held up, or no deadline is
    /// kept, nor an event loop by an abort.
    Unlock,
    /// Check a path: a client's thread that releases the lock.
    CheckPath,
    /// Try the lock: a client's thread that asks for itself.
    TryLock,
    /// Wait in the kernel: a worker.
    Block,
}
