//! Values of JavaScript, from and to those of the lock.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use locket::{FileId, Holder, LockMode, Outcome, Released, Request, SystemError, Ticket};
use napi::bindgen_prelude::*;
use napi_derive::napi;

/// Why a lock was not acquired, or a query not answered. `lib/errors.js` turns it into an error.
#[napi(object, object_from_js = false)]
pub(crate) struct Failure {
    /// What happened.
    #[napi(
        ts_type = "'timeout' | 'unanswered' | 'aborted' | 'replaced' | 'deadlock' | 'unsupported' | 'lost' | 'others' | 'permits' | 'system' | 'panicked'"
    )]
    pub reason: &'static str,
    /// The system's error number, negative as in libuv.
    pub errno: Option<i32>,
    /// The call that failed.
    pub syscall: Option<&'static str>,
    /// The number of the slot whose file it was about, if not that of the semaphore itself.
    pub slot: Option<u32>,
    /// The processes that held the lock when the wait timed out, if they were requested and are known.
    pub holders: Option<Vec<LockHolder>>,
    /// How many permits the semaphore has, if others use it with another number. `undefined`: the file is no semaphore's.
    pub permits: Option<u32>,
}

impl Failure {
    /// Returns a failure with nothing but a reason.
    pub(crate) fn new(reason: &'static str) -> Self {
        Self { reason, errno: None, syscall: None, slot: None, holders: None, permits: None }
    }

    /// Returns the failure of a release of what others hold.
    pub(crate) fn of_others(holders: Box<[Holder]>) -> Self {
        Self { holders: Some(to_lock_holders(holders)), ..Self::new("others") }
    }

    /// Returns the failure of a system call.
    pub(crate) fn system(SystemError { errno, syscall, unsupported, slot }: SystemError) -> Self {
        Self {
            errno: Some(errno),
            syscall: Some(syscall),
            slot,
            ..Self::new(if unsupported { "unsupported" } else { "system" })
        }
    }

    /// Returns the failure of an outcome, `None` if it is a success.
    pub(crate) fn of(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Granted | Outcome::Locked(_) | Outcome::Broken(_) | Outcome::Holders(_) => None,
            Outcome::Lost => Some(Self::new("lost")),
            Outcome::TimedOut(holders) => {
                Some(Self { holders: holders.map(to_lock_holders), ..Self::new("timeout") })
            }
            Outcome::Unanswered => Some(Self::new("unanswered")),
            Outcome::Aborted => Some(Self::new("aborted")),
            Outcome::OtherPermits(permits) => Some(Self { permits, ..Self::new("permits") }),
            Outcome::Replaced => Some(Self::new("replaced")),
            Outcome::Deadlock => Some(Self::new("deadlock")),
            Outcome::Panicked => Some(Self::new("panicked")),
            Outcome::Failed(error) => Some(Self::system(error)),
        }
    }
}

/// A process that holds a lock, or waits for it. The public `LockHolder`.
#[napi(object, object_from_js = false)]
pub(crate) struct LockHolder {
    /// The number of the process.
    pub pid: u32,
    /// The mode in which it holds the lock or requests it.
    #[napi(ts_type = "'exclusive' | 'shared'")]
    pub mode: &'static str,
    /// Its command line.
    pub command: Option<String>,
    /// Its host, if that is another one.
    pub host: Option<String>,
}

/// A lock that this process holds or waits for. The public `LockInfo`.
#[napi(object, object_from_js = false)]
pub(crate) struct LockInfo {
    /// The path of the handle. Bytes that are not UTF-8 are replaced.
    pub path: String,
    /// The mode in which the lock is held or requested.
    #[napi(ts_type = "'exclusive' | 'shared'")]
    pub mode: &'static str,
    /// When the hold or the wait began, in ms since 1970 by the present clock.
    pub since: f64,
    /// The thread that made the request: `threadId` of `node:worker_threads`.
    pub thread_id: u32,
}

/// What this process holds and waits for.
#[napi(object, object_from_js = false)]
pub(crate) struct Snapshot {
    /// The locks that it holds.
    pub held: Vec<LockInfo>,
    /// The locks that it waits for.
    pub pending: Vec<LockInfo>,
}

impl From<locket::Snapshot> for Snapshot {
    fn from(locket::Snapshot { held, pending }: locket::Snapshot) -> Self {
        let list =
            |requests: Vec<Arc<Request>>| requests.iter().map(|request| to_lock_info(request)).collect();
        Self { held: list(held), pending: list(pending) }
    }
}

/// Returns the value to which the promise of a request or a query resolves.
pub(crate) fn to_answer(outcome: Outcome) -> Either4<bool, Vec<LockHolder>, Failure, ()> {
    match outcome {
        Outcome::Locked(answer) | Outcome::Broken(answer) => Either4::A(answer),
        Outcome::Holders(Some(holders)) => Either4::B(to_lock_holders(holders)),
        other => Failure::of(other).map_or(Either4::D(()), Either4::C),
    }
}

/// Returns the number of the acquisition that has ended, `undefined` if there was none, and a failure if it was lost.
pub(crate) fn to_ended(released: Option<Released>) -> Either3<f64, Failure, ()> {
    match released {
        Some(Released::Ended(ticket)) => Either3::A(to_number(ticket)),
        Some(Released::Lost) => Either3::B(Failure::new("lost")),
        Some(Released::Left(_, error)) => Either3::B(Failure::system(error)),
        None => Either3::C(()),
    }
}

/// Returns the number of an acquisition. Exact for the first 2^53 of them.
pub(crate) fn to_number(ticket: Ticket) -> f64 {
    ticket as f64
}

/// Returns the number by which JavaScript knows a file.
pub(crate) fn to_file_number(file: FileId) -> BigInt {
    BigInt { sign_bit: false, words: file.to_words().to_vec() }
}

/// Returns the file with this number.
pub(crate) fn to_file_id(BigInt { words, .. }: BigInt) -> FileId {
    FileId::from_words(std::array::from_fn(|index| words.get(index).copied().unwrap_or_default()))
}

/// Returns a path that is given as a string or as bytes.
pub(crate) fn to_path(path: Either<String, Uint8Array>) -> Result<PathBuf> {
    match path {
        Either::A(path) => Ok(PathBuf::from(path)),
        Either::B(bytes) => bytes_to_path(&bytes),
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere, not all bytes are a path")]
fn bytes_to_path(bytes: &[u8]) -> Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

#[cfg(windows)]
fn bytes_to_path(bytes: &[u8]) -> Result<PathBuf> {
    String::from_utf8(bytes.to_vec())
        .map(PathBuf::from)
        .map_err(|error| Error::new(Status::InvalidArg, error.to_string()))
}

fn to_lock_holders(holders: Box<[Holder]>) -> Vec<LockHolder> {
    let to_lock_holder =
        |Holder { pid, mode, command, host }| LockHolder { pid, mode: to_word(mode), command, host };
    holders.into_iter().map(to_lock_holder).collect()
}

fn to_lock_info(request: &Request) -> LockInfo {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    LockInfo {
        path: request.handle.path.to_string_lossy().into_owned(),
        mode: to_word(request.mode),
        since: now.as_millis() as f64 - request.age().as_millis() as f64,
        thread_id: request.client.thread_id(),
    }
}

fn to_word(mode: LockMode) -> &'static str {
    match mode {
        LockMode::Exclusive => "exclusive",
        LockMode::Shared => "shared",
    }
}
