//! What JavaScript calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use napi::bindgen_prelude::*;
use napi::sys;

use super::answer::Answer;
use super::call::{Call, callback, function};
use super::environment::State;
use super::handles::to_path;
use super::outcome::{LockInfo, Query, Refusal, to_end, to_holders, to_number, to_refusal};
use crate::core::engine;
use crate::core::handle::Handle;
use crate::core::holder::Party;
use crate::core::kernel::LockMode;
use crate::core::request::{Outcome, Purpose, Reason, Reply, Request, Wish};
use crate::core::sys::is_first_thread;

/// How often a thread that waits synchronously looks whether it has been told to end.
const TERMINATION_CHECK: Duration = Duration::from_millis(50);

/// The functions of one environment. `handle` is a number that `createHandle` gave.
#[napi(object, object_from_js = false)]
pub struct Locks {
    /// A handle for one path: absolute; a string, or bytes that are no UTF-8.
    #[napi(
        ts_type = "(path: string | Uint8Array, fileMode: number, removeOnRelease: boolean, allowDirectory: boolean) => number"
    )]
    pub create_handle: Unknown<'static>,
    /// The handle has been garbage collected. It keeps its acquisition: a lock is held until it is released.
    #[napi(ts_type = "(handle: number) => void")]
    pub forget_handle: Unknown<'static>,
    /// Does this handle hold the lock?
    #[napi(ts_type = "(handle: number) => boolean")]
    pub is_held: Unknown<'static>,
    /// Waits for the lock, at most `timeout` ms. `id` is the caller's, unique among the waits of its handle. The outcome is
    /// returned without a promise if it is there at once.
    #[napi(
        ts_type = "(handle: number, id: number, shared: boolean, timeout: number) => Promise<Refusal | undefined> | Refusal | undefined"
    )]
    pub acquire: Unknown<'static>,
    /// The caller hears that the wait with this id has got the lock. Until then nobody can release it. Returns the number of
    /// the acquisition, which no other one of this process has.
    #[napi(ts_type = "(handle: number, id: number) => number | undefined")]
    pub receive: Unknown<'static>,
    /// The same as `acquire`, blocking the thread, and with nothing to receive: returns the number of the acquisition.
    #[napi(ts_type = "(handle: number, shared: boolean, timeout: number) => number | Refusal")]
    pub acquire_sync: Unknown<'static>,
    /// Does anybody, in any process, hold the lock now? `id` as for `acquire`.
    #[napi(ts_type = "(handle: number, id: number) => Promise<boolean | Refusal> | boolean | Refusal")]
    pub is_locked: Unknown<'static>,
    /// The processes that hold the lock; `undefined` if the system does not tell. `id` as for `acquire`. `limited`:
    /// `undefined`, too, if the answer would take more than 100 ms.
    #[napi(
        ts_type = "(handle: number, id: number, limited: boolean) => Promise<Array<LockHolder> | undefined | Refusal>"
    )]
    pub holders: Unknown<'static>,
    /// The same, limited, blocking the thread.
    #[napi(ts_type = "(handle: number) => Array<LockHolder> | undefined | Refusal")]
    pub holders_sync: Unknown<'static>,
    /// The processes that wait for the lock in the kernel, likewise, without a limit. Of this process, and of any other that
    /// uses this package, it is the first in line.
    #[napi(ts_type = "(handle: number, id: number) => Promise<Array<LockHolder> | undefined | Refusal>")]
    pub waiters: Unknown<'static>,
    /// What this process holds and waits for, over all its threads, in the order of arrival.
    #[napi(ts_type = "() => Query")]
    pub query: Unknown<'static>,
    /// The descriptor of the file that this handle has locked, where a child can inherit the lock by it.
    #[napi(ts_type = "(handle: number) => number | undefined")]
    pub descriptor: Unknown<'static>,
    /// Gives up the wait that was started with this id, if it is still under way.
    #[napi(ts_type = "(handle: number, id: number) => void")]
    pub cancel: Unknown<'static>,
    /// Releases what this handle holds; if it has never asked for a lock, the exclusive lock of this process on the same
    /// file. Returns the number of the acquisition that has ended, or `undefined`: there is none. A refusal: it had been
    /// lost before.
    #[napi(ts_type = "(handle: number) => number | Refusal | undefined")]
    pub release: Unknown<'static>,
    /// Releases what this handle holds, if anything; with `id`, only the acquisition that was started with it. Returns
    /// what `release` does.
    #[napi(ts_type = "(handle: number, id?: number) => number | Refusal | undefined")]
    pub dispose: Unknown<'static>,
    /// Tells the `threadId` of the thread that calls.
    #[napi(ts_type = "(threadId: number) => void")]
    pub identify: Unknown<'static>,
    /// Is this the thread that the process began with, and so that with `threadId` 0? Windows does not tell: `false`.
    pub is_first_thread: bool,
}

/// Prepares the environment that calls, and returns what it may call from now on.
#[napi(catch_unwind)]
pub fn open(env: Env) -> Result<Locks> {
    let env = env.raw();
    let state = &*State::of(env)?;
    Ok(Locks {
        create_handle: function(env, c"createHandle", callback!(create_handle), state)?,
        forget_handle: function(env, c"forgetHandle", callback!(forget_handle), state)?,
        is_held: function(env, c"isHeld", callback!(is_held), state)?,
        acquire: function(env, c"acquire", callback!(acquire), state)?,
        receive: function(env, c"receive", callback!(receive), state)?,
        acquire_sync: function(env, c"acquireSync", callback!(acquire_sync), state)?,
        is_locked: function(env, c"isLocked", callback!(is_locked), state)?,
        holders: function(env, c"holders", callback!(holders), state)?,
        holders_sync: function(env, c"holdersSync", callback!(holders_sync), state)?,
        waiters: function(env, c"waiters", callback!(waiters), state)?,
        query: function(env, c"query", callback!(query), state)?,
        descriptor: function(env, c"descriptor", callback!(descriptor), state)?,
        cancel: function(env, c"cancel", callback!(cancel), state)?,
        release: function(env, c"release", callback!(release), state)?,
        dispose: function(env, c"dispose", callback!(dispose), state)?,
        identify: function(env, c"identify", callback!(identify), state)?,
        is_first_thread: is_first_thread(),
    })
}

fn create_handle(call: &Call<'_>) -> Result<sys::napi_value> {
    let allow_directory = call.argument::<Option<bool>>(3)?.unwrap_or_default();
    let handle =
        Handle::new(to_path(call.argument(0)?)?, call.argument(1)?, call.argument(2)?, allow_directory);
    call.returns(call.state.handles.borrow_mut().add(handle))
}

fn forget_handle(call: &Call<'_>) -> Result<sys::napi_value> {
    call.state.handles.borrow_mut().forget(call.argument(0)?);
    call.returns(())
}

fn is_held(call: &Call<'_>) -> Result<sys::napi_value> {
    let held = call.state.handles.borrow().get(call.argument(0)?)?.held();
    call.returns(held)
}

fn acquire(call: &Call<'_>) -> Result<sys::napi_value> {
    let wish = wish(call, call.argument(2)?, call.argument(3)?, call.state.mailbox.clone())?;
    promise(call, Wish { token: token(call, 1)?, ..wish })
}

fn receive(call: &Call<'_>) -> Result<sys::napi_value> {
    let ticket = call.state.handles.borrow().get(call.argument(0)?)?.receive(token(call, 1)?);
    call.returns(ticket.map_or(Either::B(()), |ticket| Either::A(to_number(ticket))))
}

fn acquire_sync(call: &Call<'_>) -> Result<sys::napi_value> {
    let wish = wish(call, call.argument(1)?, call.argument(2)?, call.state.answer.clone())?;
    let request = engine::start_here(Wish { blocks_owner: true, ..wish });
    let outcome = wait(call, &request);
    engine::conclude(&request);
    let acquisition = request.handle.receive(request.token);
    match (to_refusal(outcome), acquisition) {
        (None, Some(ticket)) => call.returns(to_number(ticket)),
        (Some(refusal), _) => call.returns(refusal),
        (None, None) => call.returns(Refusal::because("aborted")),
    }
}

fn is_locked(call: &Call<'_>) -> Result<sys::napi_value> {
    let wish = wish(call, false, f64::INFINITY, call.state.mailbox.clone())?;
    promise(call, Wish { purpose: Purpose::Probe, token: token(call, 1)?, ..wish })
}

fn holders(call: &Call<'_>) -> Result<sys::napi_value> {
    let handle = call.state.handles.borrow().get(call.argument(0)?)?.clone();
    call.state.promise_holders(call.env, handle, Party::Holders, token(call, 1)?, call.argument(2)?)
}

fn waiters(call: &Call<'_>) -> Result<sys::napi_value> {
    let handle = call.state.handles.borrow().get(call.argument(0)?)?.clone();
    call.state.promise_holders(call.env, handle, Party::Waiters, token(call, 1)?, false)
}

fn holders_sync(call: &Call<'_>) -> Result<sys::napi_value> {
    let state = call.state;
    let handle = state.handles.borrow().get(call.argument(0)?)?.clone();
    // An answer of its own: should it be given up, nobody else hears of it.
    let answer = Arc::new(Answer::on_this_thread());
    engine::inquire(handle, Party::Holders, answer.clone(), 0, true);
    call.returns(to_holders(answer.wait()))
}

fn query(call: &Call<'_>) -> Result<sys::napi_value> {
    let overview = call.state.overview();
    let list =
        |requests: &[Arc<Request>]| requests.iter().map(|request| LockInfo::from(&**request)).collect();
    call.returns(Query { held: list(&overview.held), pending: list(&overview.pending) })
}

fn descriptor(call: &Call<'_>) -> Result<sys::napi_value> {
    let file = call.state.handles.borrow().get(call.argument(0)?)?.granted_file();
    call.returns(file.and_then(|file| file.descriptor()).map_or(Either::B(()), Either::A))
}

fn cancel(call: &Call<'_>) -> Result<sys::napi_value> {
    call.state.cancel(token(call, 1)?);
    call.returns(())
}

fn release(call: &Call<'_>) -> Result<sys::napi_value> {
    let ended = engine::release(call.state.handles.borrow().get(call.argument(0)?)?);
    call.returns(to_end(ended))
}

fn dispose(call: &Call<'_>) -> Result<sys::napi_value> {
    let id: Option<u32> = call.argument(1)?;
    let wanted = id.map(|_| token(call, 1)).transpose()?;
    let ended = engine::release_own(call.state.handles.borrow().get(call.argument(0)?)?, |request| {
        wanted.is_none_or(|wanted| request.token == wanted)
    });
    call.returns(to_end(ended))
}

fn identify(call: &Call<'_>) -> Result<sys::napi_value> {
    call.state.owner.set_number(call.argument(0)?);
    call.returns(())
}

/// What a wait is known by in its environment: its handle, the first argument, and its id, the one at `index`.
fn token(call: &Call<'_>, index: usize) -> Result<u64> {
    let (handle, id): (u32, u32) = (call.argument(0)?, call.argument(index)?);
    Ok(u64::from(handle) << 32 | u64::from(id))
}

/// What the handle that is the first argument wishes for, as those who wait for it mostly do.
fn wish(call: &Call<'_>, shared: bool, timeout: f64, reply: Arc<dyn Reply>) -> Result<Wish> {
    Ok(Wish {
        handle: call.state.handles.borrow().get(call.argument(0)?)?.clone(),
        mode: if shared { LockMode::Shared } else { LockMode::Exclusive },
        purpose: if timeout == 0.0 { Purpose::TryAcquire } else { Purpose::Acquire },
        deadline: if timeout == 0.0 { None } else { deadline_in(timeout) },
        blocks_owner: false,
        owner: call.state.owner.clone(),
        reply,
        token: 0,
    })
}

fn promise(call: &Call<'_>, wish: Wish) -> Result<sys::napi_value> {
    call.state.outcome_or_promise(call.env, wish)
}

/// Waits until the outcome is there. The wait is cancelled at the deadline, when the worker thread ends, and when the
/// time of a `node:vm` script is up. In the last two cases the lock is not kept: nobody would release it.
fn wait(call: &Call<'_>, request: &Arc<Request>) -> Outcome {
    let state = call.state;
    if let Some(outcome) = state.answer.take() {
        return outcome;
    }
    let mut deadline = request.deadline;
    let mut told_to_end = false;
    loop {
        let check = (!told_to_end).then(|| Instant::now() + TERMINATION_CHECK);
        let outcome = state.answer.wait_until([deadline, check].into_iter().flatten().min());
        told_to_end = told_to_end || !state.can_run_javascript(call.env);
        match outcome {
            Some(Outcome::Granted) if told_to_end => {
                request.handle.receive(request.token);
                engine::release_own(&request.handle, |_| true);
                return Outcome::Aborted;
            }
            Some(outcome) => return outcome,
            None if told_to_end => engine::cancel(request, Reason::Aborted),
            None if deadline.is_some_and(|deadline| deadline <= Instant::now()) => {
                engine::expire(request);
                deadline = None;
            }
            None => {}
        }
    }
}

/// When a wait of `timeout` ms ends: never, if that is further away than the clock goes.
fn deadline_in(timeout: f64) -> Option<Instant> {
    Duration::try_from_secs_f64(timeout / 1000.0).ok().and_then(|wait| Instant::now().checked_add(wait))
}
