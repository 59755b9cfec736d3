//! Outcomes as JavaScript has them.

use napi::bindgen_prelude::*;

use crate::core::kernel::SystemError;
use crate::core::request::Outcome;

/// Why a lock was not acquired. `lib/errors.js` makes the error of it.
#[napi(object, object_from_js = false)]
pub struct Refusal {
    /// What happened.
    #[napi(ts_type = "'timeout' | 'aborted' | 'deadlock' | 'unsupported' | 'system' | 'panicked'")]
    pub reason: &'static str,
    /// The system's error number, negative, as libuv has it.
    pub errno: Option<i32>,
    /// The call that failed.
    pub syscall: Option<&'static str>,
}

/// What a request for a lock comes to: `undefined` if the lock is held now.
pub fn to_refusal(outcome: Outcome) -> Option<Refusal> {
    let because = |reason| Refusal { reason, errno: None, syscall: None };
    match outcome {
        Outcome::Granted | Outcome::Probed(_) => None,
        Outcome::TimedOut => Some(because("timeout")),
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
