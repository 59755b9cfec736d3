//! Outcomes as JavaScript has them.

use std::time::SystemTime;

use napi::bindgen_prelude::*;

use crate::core::engine::Ended;
use crate::core::holder::Holder;
use crate::core::kernel::{LockMode, SystemError};
use crate::core::request::{Outcome, Request, Ticket};

/// Why a lock was not acquired. `lib/errors.js` makes the error of it.
#[napi(object, object_from_js = false)]
pub struct Refusal {
    /// What happened.
    #[napi(
        ts_type = "'timeout' | 'unanswered' | 'aborted' | 'deadlock' | 'unsupported' | 'lost' | 'system' | 'panicked'"
    )]
    pub reason: &'static str,
    /// The system's error number, negative, as libuv has it.
    pub errno: Option<i32>,
    /// The call that failed.
    pub syscall: Option<&'static str>,
}

impl Refusal {
    /// One that has nothing to do with the system.
    pub fn because(reason: &'static str) -> Self {
        Self { reason, errno: None, syscall: None }
    }
}

/// What a release comes to: the number of the acquisition that has ended, or `undefined` if there is none to end.
pub fn to_end(ended: Option<Ended>) -> Either3<f64, Refusal, ()> {
    match ended {
        Some(Ended::Released(ticket)) => Either3::A(to_number(ticket)),
        Some(Ended::Lost) => Either3::B(Refusal::because("lost")),
        None => Either3::C(()),
    }
}

/// The number of an acquisition, for JavaScript. Exact for the first 2^53 of them.
pub fn to_number(ticket: Ticket) -> f64 {
    ticket as f64
}

/// What a request for a lock comes to: `undefined` if the lock is held now.
pub fn to_refusal(outcome: Outcome) -> Option<Refusal> {
    let because = Refusal::because;
    match outcome {
        Outcome::Granted | Outcome::Probed(_) | Outcome::Holders(_) => None,
        Outcome::TimedOut => Some(because("timeout")),
        Outcome::Unanswered => Some(because("unanswered")),
        Outcome::Aborted => Some(because("aborted")),
        Outcome::Deadlock => Some(because("deadlock")),
        Outcome::Panicked => Some(because("panicked")),
        Outcome::Failed(SystemError { errno, syscall, unsupported }) => Some(Refusal {
            reason: if unsupported { "unsupported" } else { "system" },
            errno: Some(errno),
            syscall: Some(syscall),
        }),
    }
}

/// What a probe comes to: is the lock held?
pub fn to_answer(outcome: Outcome) -> Either<bool, Refusal> {
    match outcome {
        Outcome::Probed(held) => Either::A(held),
        // Whoever has the turn is stuck in the kernel, on somebody's behalf.
        Outcome::TimedOut => Either::A(true),
        other => to_refusal(other).map_or(Either::A(false), Either::B),
    }
}

/// A process that holds a lock, or waits for it. The public `LockHolder`.
#[napi(object, object_from_js = false)]
pub struct LockHolder {
    /// The number of the process.
    pub pid: u32,
    /// The mode in which it holds the lock, or asks for it.
    #[napi(ts_type = "'exclusive' | 'shared'")]
    pub mode: &'static str,
    /// Its command line.
    pub command: Option<String>,
}

impl From<Holder> for LockHolder {
    fn from(Holder { pid, mode, command }: Holder) -> Self {
        Self { pid, mode: word_for(mode), command }
    }
}

/// What an inquiry comes to.
pub fn to_holders(outcome: Outcome) -> Either<Vec<LockHolder>, Either<Refusal, ()>> {
    match outcome {
        Outcome::Holders(Some(holders)) => Either::A(holders.into_iter().map(LockHolder::from).collect()),
        other => Either::B(to_refusal(other).map_or(Either::B(()), Either::A)),
    }
}

/// What this process holds and waits for.
#[napi(object, object_from_js = false)]
pub struct Query {
    /// The locks that are held.
    pub held: Vec<LockInfo>,
    /// The waits for others.
    pub pending: Vec<LockInfo>,
}

/// A lock that is held, or waited for. The public `LockInfo`.
#[napi(object, object_from_js = false)]
pub struct LockInfo {
    /// The path of the handle, as far as it is UTF-8.
    pub path: String,
    /// How the lock is held, or shall be.
    #[napi(ts_type = "'exclusive' | 'shared'")]
    pub mode: &'static str,
    /// Since when, in ms since 1970, as the clock stands now.
    pub since: f64,
    /// The thread that asked for the lock: `threadId` of `node:worker_threads`.
    pub thread_id: u32,
}

impl From<&Request> for LockInfo {
    fn from(request: &Request) -> Self {
        Self {
            path: request.handle.path.to_string_lossy().into_owned(),
            mode: word_for(request.mode),
            since: now_since_1970() - request.age().as_millis() as f64,
            thread_id: request.owner.number(),
        }
    }
}

/// The time, in ms since 1970.
fn now_since_1970() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |time| time.as_millis() as f64)
}

fn word_for(mode: LockMode) -> &'static str {
    match mode {
        LockMode::Exclusive => "exclusive",
        LockMode::Shared => "shared",
    }
}
