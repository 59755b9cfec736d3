//! One lock: its entry in the table, its state machine, its queue, and the requests and handles that use it.

mod action;
mod by_ticket;
mod entry;
mod fairness;
mod handle;
mod holds;
mod request;
mod state;
mod wait_queue;

pub(crate) use action::{
    Action, Cancellation, Completions, DriveResult, Effect, EndedHold, Enqueued, PathCheck, Permit,
};
pub(crate) use entry::LockEntry;
pub(crate) use fairness::DRAIN_TIME;
#[cfg(all(test, not(loom)))]
pub(crate) use fairness::{HANDOFF_GRANTS, HANDOFF_TIME};
pub(crate) use handle::Part;
pub use handle::{Handle, HandleOptions, Removal};
pub(crate) use request::FIRST_TICKET;
pub use request::{CancelReason, CompletionSink, Outcome, Request, RequestOptions, Ticket};
pub(crate) use state::{Knowledge, LockState, PAUSE_DOUBLINGS, Replaced};
