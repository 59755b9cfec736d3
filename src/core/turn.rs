//! The words in which a queue and whoever drives it speak: what became of a call, and what is to be done next.

use std::sync::Arc;

use smallvec::SmallVec;

use super::kernel::{LockMode, SystemError};
use super::request::{Outcome, Request, Ticket};

/// An outcome that is due. Delivered once the queue's mutex has been unlocked.
pub type Settlement = (Arc<Request>, Outcome);

/// Outcomes that are due: mostly one.
pub type Settlements = SmallVec<[Settlement; 1]>;

/// What became of a request that entered.
pub enum Entered {
    /// It holds the lock beside others.
    Granted,
    /// It waits; whoever has the turn, or gets it next, sees to it.
    Waits,
    /// It waits until those who share the lock have let go of it, or for [`DRAIN_TIME`], at whose end
    /// [`Queue::end_drain`] is due, with this number.
    ///
    /// [`DRAIN_TIME`]: super::queue::DRAIN_TIME
    /// [`Queue::end_drain`]: super::queue::Queue::end_drain
    Drains(u64),
    /// It waits, and the caller has the turn.
    Turn,
    /// It was not let in.
    Refused(Outcome),
    /// It has been settled before; nothing to do.
    Gone,
    /// Its handle holds another file: it belongs in that file's line.
    Elsewhere,
}

/// What the thread that has the turn does next.
pub enum Step {
    /// Try the lock in this mode, on behalf of this request. Then [`Queue::taken`] or [`Queue::refused`].
    Ask(LockMode, Ticket),
    /// See whether the path of this request still names the file. Then [`Queue::looked`].
    Look(Arc<Request>),
    /// Turn the exclusive lock into a shared one.
    Downgrade,
    /// Let go of the kernel's lock.
    Unlock,
    /// The same, and leave it to other processes for a moment, before it is asked for again in this mode.
    GiveWay(LockMode),
    /// The turn is over: the next release begins another.
    Held,
    /// The turn is over: nobody is left.
    Idle,
}

/// What to do after the kernel said no.
pub enum Refused {
    /// Ask [`Queue::next`].
    Again,
    /// Wait in the kernel for this mode.
    Wait(LockMode, Ticket),
}

/// What a look at the path of a request showed.
pub enum Look {
    /// It names the file.
    Same,
    /// It names another, or nothing.
    Moved,
    /// It cannot be said.
    Failed(SystemError),
}

/// What became of a request that was to be cancelled.
pub enum Cancelled {
    /// It is out of line.
    Out(Settlement),
    /// It goes as soon as the thread that has the turn says so. `true`: that thread is in the kernel, and has to be called
    /// back.
    Leaving(bool),
    /// It is not in line: granted, refused, or in another line by now.
    NotHere,
}

/// What somebody who changed the line or the holds from outside has to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// Nothing.
    Nothing,
    /// The caller has the turn; this is what the process has of the kernel's lock.
    Turn(Option<LockMode>),
    /// The thread that is blocked is wanted back: it has to be called back until it is out.
    Interrupt,
}
