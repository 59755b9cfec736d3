//! One JavaScript environment: the main thread's, or that of a worker thread.
//!
//! It knows the promises that are pending, settles them when their outcome is there, keeps the event loop alive as long as
//! there are any, and releases what it holds when it ends.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::thread::LocalKey;
use std::time::{Duration, Instant};

use locket::{CancelReason, Client, Outcome, Request, RequestOptions, Snapshot};
use napi::bindgen_prelude::*;

use crate::ENGINE;
use crate::completion_queue::CompletionQueue;
use crate::convert::to_answer;
use crate::handles::{Handles, handle_of};
use crate::raw::{Deferred, Env, Instance, Instances, Notifier};
use crate::sync_waiter::SyncWaiter;

/// How often a thread that waits synchronously checks whether it has been told to end.
const TERMINATION_CHECK: Duration = Duration::from_millis(50);

thread_local! {
    static ENVIRONMENTS: Instances<Environment> = const { Instances::new() };
}

/// The state of an environment. Lives on its thread.
pub(crate) struct Environment {
    pub client: Arc<Client>,
    pub completions: Arc<CompletionQueue>,
    /// For its synchronous waits: one at a time, since each blocks the thread.
    pub sync_waiter: Arc<SyncWaiter>,
    pub handles: RefCell<Handles>,
    pending: RefCell<HashMap<u64, Pending>>,
    losses: RefCell<Losses>,
    notifier: Notifier,
}

/// News of holds that have been lost.
#[derive(Default)]
struct Losses {
    /// Handles whose loss nobody has been told of.
    untold: Vec<u32>,
    /// The promises of the next news: one for each copy of this package.
    awaiting: Vec<Deferred>,
}

/// A promise that is pending.
struct Pending {
    deferred: Deferred,
    /// `None`: the promise is of a query.
    request: Option<Arc<Request>>,
}

impl Environment {
    /// Returns the outcome of a request, whose sink is the completion queue, if it is there at once, or a promise of it.
    pub(crate) fn outcome_of<T>(
        &self,
        env: Env<'_>,
        request: &Arc<Request>,
    ) -> Result<Either<Outcome, PromiseRaw<'static, T>>> {
        let token = request.token;
        if let Some(outcome) = self.completions.take(token) {
            return Ok(Either::A(outcome));
        }
        let promise = self.promise(env, token, Some(request.clone())).inspect_err(|_| {
            // JavaScript cannot run any more. Should the lock come all the same, `settle` gives it back.
            ENGINE.cancel(request, CancelReason::Aborted);
        });
        promise.map(Either::B)
    }

    /// Starts a request whose sink is the sync waiter, and waits for the outcome. The wait is cancelled at its deadline,
    /// when the worker thread ends, and when the time of a `node:vm` script is up. In the last two cases the lock is not
    /// kept: nobody would release it.
    pub(crate) fn wait(&self, env: Env<'_>, options: RequestOptions) -> (Arc<Request>, Outcome) {
        let request = ENGINE.start_sync(options);
        let outcome = self.sync_waiter.take().unwrap_or_else(|| self.wait_for(env, &request));
        (request, outcome)
    }

    fn wait_for(&self, env: Env<'_>, request: &Arc<Request>) -> Outcome {
        let mut deadline = request.deadline;
        let mut told_to_end = false;
        loop {
            let check = (!told_to_end).then(|| Instant::now() + TERMINATION_CHECK);
            let outcome = self.sync_waiter.wait_until([deadline, check].into_iter().flatten().min());
            told_to_end = told_to_end || !env.can_run_javascript();
            match outcome {
                Some(Outcome::Granted) if told_to_end => {
                    request.handle.receive(request.token);
                    ENGINE.release_own(&request.handle, None);
                    return Outcome::Aborted;
                }
                Some(outcome) => return outcome,
                None if told_to_end => {
                    ENGINE.cancel(request, CancelReason::Aborted);
                    deadline = None;
                }
                None if deadline.is_some_and(|deadline| deadline <= Instant::now()) => {
                    ENGINE.expire(request);
                    deadline = None;
                }
                None => {}
            }
        }
    }

    /// Returns a promise of the outcome that comes for `token`, of `request` or of a query.
    pub(crate) fn promise<T>(
        &self,
        env: Env<'_>,
        token: u64,
        request: Option<Arc<Request>>,
    ) -> Result<PromiseRaw<'static, T>> {
        let (deferred, promise) = env.promise()?;
        let mut pending = self.pending.borrow_mut();
        pending.insert(token, Pending { deferred, request });
        if pending.len() == 1 {
            self.notifier.keep_alive(env, true);
        }
        Ok(promise)
    }

    /// Cancels the wait with this token, if it is pending.
    pub(crate) fn cancel(&self, token: u64) {
        let request = self.pending.borrow().get(&token).and_then(|pending| pending.request.clone());
        if let Some(request) = request {
            ENGINE.cancel(&request, CancelReason::Aborted);
        }
    }

    /// Returns what this process holds and waits for, including requests of this environment that are still being resolved.
    pub(crate) fn snapshot(&self) -> Snapshot {
        ENGINE
            .snapshot(self.pending.borrow().values().filter_map(|pending| pending.request.clone()).collect())
    }

    /// Settles the promises of all outcomes that are there.
    fn settle(&self, env: Env<'_>) {
        for (token, outcome) in self.completions.drain() {
            if matches!(outcome, Outcome::Lost) {
                self.losses.borrow_mut().untold.push(handle_of(token));
                continue;
            }
            let is_granted = matches!(outcome, Outcome::Granted);
            let pending = self.pending.borrow_mut().remove(&token);
            let was_pending = pending.is_some();
            let is_told = pending
                .is_some_and(|Pending { deferred, .. }| deferred.resolve(env, to_answer(outcome)).is_ok());
            if is_granted && !is_told {
                self.give_back(token);
            }
            if was_pending && self.pending.borrow().is_empty() {
                self.notifier.keep_alive(env, false);
            }
        }
        self.tell_losses(env);
    }

    /// Returns a promise of the handles whose holds have been lost. It does not keep the event loop alive.
    pub(crate) fn next_losses(&self, env: Env<'_>) -> Result<PromiseRaw<'static, Vec<u32>>> {
        let (deferred, promise) = env.promise()?;
        self.losses.borrow_mut().awaiting.push(deferred);
        Ok(promise)
    }

    /// Tells which holds have been lost.
    fn tell_losses(&self, env: Env<'_>) {
        let mut losses = self.losses.borrow_mut();
        if losses.untold.is_empty() || losses.awaiting.is_empty() {
            return;
        }
        let Losses { untold, awaiting } = mem::take(&mut *losses);
        drop(losses);
        for deferred in awaiting {
            // It fails only where JavaScript cannot run any more.
            let _ = deferred.resolve(env, untold.clone());
        }
    }

    /// Releases a lock whose grant JavaScript cannot hear of, since it cannot run any more, as in a `node:vm` script whose
    /// time is up: nobody would release it.
    fn give_back(&self, token: u64) {
        let handles = self.handles.borrow();
        if let Ok(handle) = handles.get(handle_of(token)) {
            handle.receive(token);
            ENGINE.release_own(handle, Some(token));
        }
    }
}

impl Instance for Environment {
    fn instances() -> &'static LocalKey<Instances<Self>> {
        &ENVIRONMENTS
    }

    fn new(notifier: Notifier) -> Self {
        let completions = Arc::new(CompletionQueue::new(notifier.clone()));
        Self {
            client: Arc::new(Client::on_this_thread().with_losses(completions.clone())),
            completions,
            sync_waiter: Arc::new(SyncWaiter::on_this_thread()),
            handles: RefCell::default(),
            pending: RefCell::default(),
            losses: RefCell::default(),
            notifier,
        }
    }

    fn serve<T>(&self, env: Env<'_>, call: impl FnOnce() -> T) -> T {
        self.completions.drained_after(|| {
            let result = call();
            self.settle(env);
            result
        })
    }

    fn on_notified(&self, env: Env<'_>) {
        self.client.on_event_loop();
        self.serve(env, || ());
    }

    fn has_pending(&self) -> bool {
        !self.pending.borrow().is_empty()
    }

    fn on_end(&self) {
        self.completions.close();
        ENGINE.end(&self.client);
        self.pending.take();
        self.losses.take();
    }
}
