//! A handle as JavaScript has it.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use napi::bindgen_prelude::*;
use napi::sys;

use super::environment::{Environment, State};
use super::outcome::{Refusal, to_refusal};
use crate::core::engine;
use crate::core::handle::Handle;
use crate::core::kernel::LockMode;
use crate::core::request::{Outcome, Purpose, Reason, Reply, Request, Wish};
use crate::core::sync::Mutex;

/// How often a worker thread that waits synchronously looks whether it has been told to end.
const TERMINATION_CHECK: Duration = Duration::from_millis(50);

/// One handle for one path. It keeps its acquisition when it is garbage collected: a lock is held until it is
/// released.
#[napi]
pub struct NativeLock {
    handle: Arc<Handle>,
    environment: Rc<State>,
}

#[napi]
impl NativeLock {
    /// `path`: absolute; the bytes on Unix, UTF-8 on Windows.
    #[napi(constructor)]
    pub fn new(
        environment: &Environment,
        path: &[u8],
        file_mode: u32,
        remove_on_release: bool,
    ) -> Result<Self> {
        Ok(Self {
            handle: Arc::new(Handle::new(to_path(path)?, file_mode, remove_on_release)),
            environment: environment.state(),
        })
    }

    /// Does this handle hold the lock?
    #[napi(getter, catch_unwind)]
    pub fn held(&self) -> bool {
        self.handle.held()
    }

    /// Waits for the lock, at most `timeout` ms. `id` is the caller's, unique in its environment.
    #[napi(catch_unwind, ts_return_type = "Promise<Refusal | undefined>")]
    pub fn acquire(&self, env: Env, id: f64, shared: bool, timeout: f64) -> Result<Unknown<'_>> {
        let promise = self.environment.promise(env.raw(), id, |token| {
            engine::start(self.wish(shared, timeout, false, self.environment.mailbox.clone(), token))
        })?;
        // SAFETY: the value was made just now, by this environment.
        Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), promise) })
    }

    /// The same, blocking the thread.
    #[napi(catch_unwind)]
    pub fn acquire_sync(&self, env: Env, shared: bool, timeout: f64) -> Option<Refusal> {
        let answer = Arc::new(Answer::new());
        let wish = self.wish(shared, timeout, true, answer.clone(), 0);
        let deadline = wish.deadline;
        let request = engine::start_here(wish);
        let outcome = self.wait(env.raw(), &answer, deadline, &request);
        engine::conclude(&request, matches!(outcome, Outcome::Granted));
        self.environment.settle_due(env.raw());
        to_refusal(outcome)
    }

    /// Does anybody, in any process, hold the lock now? `id` as for `acquire`.
    #[napi(catch_unwind, ts_return_type = "Promise<boolean | Refusal>")]
    pub fn is_locked(&self, env: Env, id: f64) -> Result<Unknown<'_>> {
        let promise = self.environment.promise(env.raw(), id, |token| {
            engine::start(Wish {
                purpose: Purpose::Probe,
                ..self.wish(false, f64::INFINITY, false, self.environment.mailbox.clone(), token)
            })
        })?;
        // SAFETY: the value was made just now, by this environment.
        Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), promise) })
    }

    /// Releases what this handle holds, or else the exclusive lock of this process on the same file. `false`:
    /// there is none.
    #[napi(catch_unwind)]
    pub fn release(&self, env: Env) -> bool {
        let released = engine::release(&self.handle);
        self.environment.settle_due(env.raw());
        released
    }

    /// Releases what this handle holds, if anything; with `id`, only the acquisition that was started with it.
    #[napi(catch_unwind)]
    pub fn dispose(&self, env: Env, id: Option<f64>) {
        engine::release_own(&self.handle, |request| id.is_none_or(|id| request.token == id as u64));
        self.environment.settle_due(env.raw());
    }
}

impl NativeLock {
    fn wish(
        &self,
        shared: bool,
        timeout: f64,
        blocks_owner: bool,
        reply: Arc<dyn Reply>,
        token: u64,
    ) -> Wish {
        Wish {
            handle: self.handle.clone(),
            mode: if shared { LockMode::Shared } else { LockMode::Exclusive },
            purpose: if timeout == 0.0 { Purpose::TryAcquire } else { Purpose::Acquire },
            deadline: if timeout == 0.0 { None } else { deadline_in(timeout) },
            blocks_owner,
            owner: self.environment.owner.clone(),
            reply,
            token,
        }
    }

    /// Waits until the outcome is there. At the deadline the wait is cancelled, which brings it about.
    fn wait(
        &self,
        env: sys::napi_env,
        answer: &Answer,
        mut deadline: Option<Instant>,
        request: &Arc<Request>,
    ) -> Outcome {
        loop {
            let check = self.environment.is_worker.then(|| Instant::now() + TERMINATION_CHECK);
            let pump = engine::pump().map(|pause| Instant::now() + pause);
            let until = [deadline, check, pump].into_iter().flatten().min();
            if let Some(outcome) = answer.wait_until(until) {
                return outcome;
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                engine::expire(request);
                deadline = None;
            } else if self.environment.is_worker && !self.environment.can_run_javascript(env) {
                engine::cancel(request, Reason::Aborted);
            }
        }
    }
}

/// When a wait of `timeout` ms ends: never, if that is further away than the clock goes.
fn deadline_in(timeout: f64) -> Option<Instant> {
    Duration::try_from_secs_f64(timeout / 1000.0).ok().and_then(|wait| Instant::now().checked_add(wait))
}

/// Where a synchronous wait hears its outcome. The thread is parked, not kept waiting on a condition variable: that
/// would cost a system call to notify even where, as mostly, nobody waits yet.
struct Answer {
    outcome: Mutex<Option<Outcome>>,
    thread: Thread,
}

impl Answer {
    /// An answer for the calling thread.
    fn new() -> Self {
        Self { outcome: Mutex::new(None), thread: thread::current() }
    }

    /// Waits for the outcome, until then at the longest.
    fn wait_until(&self, until: Option<Instant>) -> Option<Outcome> {
        loop {
            let outcome = self.outcome.lock().take();
            if outcome.is_some() {
                return outcome;
            }
            match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => thread::park(),
                Some(Duration::ZERO) => return None,
                Some(left) => thread::park_timeout(left),
            }
        }
    }
}

impl Reply for Answer {
    fn deliver(&self, _: u64, outcome: Outcome) {
        *self.outcome.lock() = Some(outcome);
        self.thread.unpark();
    }
}

#[cfg(unix)]
fn to_path(bytes: &[u8]) -> Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

#[cfg(windows)]
fn to_path(bytes: &[u8]) -> Result<PathBuf> {
    String::from_utf8(bytes.to_vec())
        .map(PathBuf::from)
        .map_err(|error| Error::new(Status::InvalidArg, error.to_string()))
}
